//! What each provider's refusals are blamed on: keys, sender, recipient or message. A wrong blame sends an administrator
//! to the wrong place, and a refusal that is taken for a success leaves a person waiting for a code that never comes.

use twofa_delivery::Step;

use crate::server::Server;
use crate::support::{TO, message, open, soon};

/// Settings of a provider.
type Settings = &'static [(&'static str, &'static str)];

/// A refusal: HTTP status, body, the step that failed, and a part of the expected hint.
type Refusal = (u16, &'static str, Step, &'static str);

/// Checks what the provider `kind` makes of each refusal.
#[track_caller]
fn assert_refused(kind: &str, settings: &[(&str, &str)], refusals: &[Refusal]) {
    for refusal in refusals {
        assert_one(kind, settings, *refusal);
    }
}

/// Checks what the provider `kind` makes of a refusal.
#[track_caller]
fn assert_one(
    kind: &str,
    settings: &[(&str, &str)],
    (status, body, step, hint): (u16, &str, Step, &str),
) {
    let server = Server::answering(status, body);
    let sent = open(kind, &server.base(), settings).send(TO, &message(), soon());
    let Err(error) = sent else {
        panic!("{kind} took {status} {body} for a success");
    };
    let about = format!("{kind}, {status} {body}: {error:?}");
    assert_eq!(error.step, step, "{about}");
    assert!(error.hint.unwrap_or_default().contains(hint), "{about}");
}

#[test]
fn only_the_status_401_is_blamed_on_the_keys() {
    let settings = [("username", "ann"), ("password", "hush")];
    let refusals = [
        (401, "{}", Step::Login, "check the keys"),
        (403, "{}", Step::Message, "does not permit this"),
        (402, "{}", Step::Message, "balance"),
        (429, "{}", Step::Message, "try again later"),
        (500, "{}", Step::Message, "having problems"),
    ];
    assert_refused("eztexting", &settings, &refusals);
}

#[test]
fn refusals_of_cdyne_have_the_status_200_and_an_id_too() {
    for (status, step, hint) in [
        ("401", Step::Login, "license key"),
        ("402", Step::Message, "suspended"),
        ("403", Step::Recipient, "STOP"),
        ("406", Step::Recipient, ""),
        ("400", Step::Sender, "'from'"),
        ("404", Step::Sender, "'from'"),
        ("506", Step::Message, ""),
        ("0", Step::Message, "hold"),
        ("100", Step::Message, ""),
        ("null", Step::Message, ""),
    ] {
        let body = format!(r#"[{{"MessageID":"1627aea5","MessageStatus":{status}}}]"#);
        let settings = [("license-key", "hush"), ("from", "15005550001")];
        assert_one("cdyne", &settings, (200, &body, step, hint));
    }
}

const GATEWAYAPI: &[Refusal] = &[
    (
        403,
        r#"{"code":"0x0216","message":"Insufficient credit"}"#,
        Step::Message,
        "top it up",
    ),
    (
        403,
        r#"{"code":"0x0214","message":"Temporary blacklist for MSISDN %1"}"#,
        Step::Recipient,
        "blocked",
    ),
    (
        403,
        r#"{"code":"0x0215","message":"MSISDN %1 blacklisted"}"#,
        Step::Recipient,
        "blocked",
    ),
    (
        403,
        r#"{"code":"0x0217","message":"Unauthorized destination: country %1"}"#,
        Step::Recipient,
        "country",
    ),
    (
        403,
        r#"{"code":"0x021F","message":"Unauthorized operator: MCC %1, MNC %2"}"#,
        Step::Recipient,
        "country",
    ),
    (
        403,
        r#"{"code":"0x0213","message":"Unauthorized IP-address: %1"}"#,
        Step::Login,
        "address of this machine",
    ),
    (
        403,
        r#"{"code":"0x0212","message":"Invalid IP-address: %1"}"#,
        Step::Login,
        "address of this machine",
    ),
    (
        403,
        r#"{"code":"0x021D","message":"SMS not enabled for account"}"#,
        Step::Message,
        "enable SMS",
    ),
    (
        403,
        r#"{"code":"0x022A","message":"Account"}"#,
        Step::Message,
        "GatewayAPI",
    ),
    (
        401,
        r#"{"code":"0x0210","message":"Invalid username: %1"}"#,
        Step::Login,
        "token",
    ),
    (
        401,
        r#"{"code":"0x0229","message":"Invalid API token"}"#,
        Step::Login,
        "token",
    ),
    (
        400,
        r#"{"code":"0x0223","message":"Invalid Consumer Key"}"#,
        Step::Login,
        "token",
    ),
    (
        422,
        r#"{"code":"0x0308","message":"Invalid msisdn"}"#,
        Step::Recipient,
        "",
    ),
    (
        422,
        r#"{"code":"0x0308","message":"Invalid sender"}"#,
        Step::Sender,
        "",
    ),
    (
        403,
        r#"{"message":"Operation not permitted"}"#,
        Step::Message,
        "does not permit this",
    ),
];

#[test]
fn refusals_of_gatewayapi_are_told_apart_by_their_codes() {
    let settings = [("token", "hush"), ("from", "Acme")];
    assert_refused("gatewayapi", &settings, GATEWAYAPI);
}

const NO_CREDIT: &[(&str, Settings, Refusal)] = &[
    (
        "bulksms",
        &[("token-id", "t1"), ("token-secret", "hush")],
        (
            403,
            r#"{"type":"https://developer.bulksms.com/json/v1/errors#insufficient-credits","title":"Insufficient Credits","status":403}"#,
            Step::Message,
            "top it up",
        ),
    ),
    (
        "46elks",
        &[("username", "u1"), ("password", "hush"), ("from", "Acme")],
        (403, "Not enough credits", Step::Message, "top it up"),
    ),
    (
        "plivo",
        &[
            ("auth-id", "MA1"),
            ("auth-token", "hush"),
            ("from", "15005550001"),
        ],
        (
            402,
            r#"{"api_id":"a","error":"insufficient credit"}"#,
            Step::Message,
            "top it up",
        ),
    ),
    (
        "telnyx",
        &[("api-key", "KEYhush"), ("from", "+15005550001")],
        (
            403,
            r#"{"errors":[{"code":"20100","title":"Insufficient Funds"}]}"#,
            Step::Message,
            "top it up",
        ),
    ),
    (
        "infobip",
        &[("subdomain", "x1"), ("api-key", "hush"), ("from", "Acme")],
        (
            200,
            r#"{"messages":[{"messageId":"1","status":{"groupName":"REJECTED","name":"REJECTED_PREPAID_PACKAGE_EXPIRED","description":"expired"}}]}"#,
            Step::Message,
            "top it up",
        ),
    ),
    (
        "textmagic",
        &[("username", "ann"), ("api-key", "hush")],
        (
            400,
            r#"{"code":400,"message":"Validation Failed","errors":{"common":["Insufficient balance"],"fields":{}}}"#,
            Step::Message,
            "top it up",
        ),
    ),
];

#[test]
fn a_lack_of_credit_is_not_blamed_on_the_keys() {
    for (kind, settings, refusal) in NO_CREDIT {
        assert_one(kind, settings, *refusal);
    }
}

#[test]
fn refusals_of_clickatell_are_told_apart_by_their_codes() {
    let settings = [("api-key", "hush"), ("from", "15005550001")];
    let message = |code: &str| {
        format!(
            r#"{{"messages":[{{"apiMessageId":null,"accepted":false,"to":"1","error":{{"code":{code},"description":"no"}}}}],"error":null}}"#
        )
    };
    let whole =
        |code: &str| format!(r#"{{"messages":[],"error":{{"code":{code},"description":"no"}}}}"#);
    let cases = [
        ("1", Step::Login, "API key"),
        ("7", Step::Login, "address of this machine"),
        ("20", Step::Message, "top it up"),
        ("25", Step::Recipient, ""),
        ("26", Step::Recipient, "opted out"),
        ("44", Step::Sender, ""),
        ("45", Step::Sender, ""),
        ("99", Step::Message, ""),
    ];
    for (code, step, hint) in cases {
        for (status, body) in [
            (207, message(code)),
            (202, message(code)),
            (400, whole(code)),
        ] {
            let server = Server::answering(status, &body);
            let error = open("clickatell", &server.base(), &settings)
                .send(TO, &crate::support::message(), soon())
                .unwrap_err();
            assert_eq!(error.step, step, "{status} {body}: {error:?}");
            assert!(error.reason.contains(&format!("{code}: no")), "{error:?}");
            assert!(
                error.hint.unwrap_or_default().contains(hint),
                "{status} {body}"
            );
        }
    }
    // As the archived interface answered.
    let refusals = [
        (
            202,
            r#"{"messages":[{"apiMessageId":"","accepted":false,"to":"1","errorCode":"105","error":"Invalid Destination Address"}],"error":null}"#,
            Step::Recipient,
            "",
        ),
        (
            401,
            r#"{"messages":[],"errorCode":"108","error":"Invalid API key"}"#,
            Step::Login,
            "",
        ),
        (
            400,
            r#"{"messages":[],"errorCode":"301","error":"No credit left"}"#,
            Step::Message,
            "top it up",
        ),
    ];
    assert_refused("clickatell", &settings, &refusals);
}

#[test]
fn refusals_of_infobip_and_africastalking_are_told_apart() {
    let settings = [("subdomain", "x1"), ("api-key", "hush"), ("from", "Acme")];
    for (name, step) in [
        ("REJECTED_SOURCE", Step::Sender),
        ("REJECTED_SENDER", Step::Sender),
        ("REJECTED_DND", Step::Recipient),
        ("REJECTED_DESTINATION_BLOCKLISTED", Step::Recipient),
        ("REJECTED_FLOODING_FILTER", Step::Recipient),
        ("SIGNALS_BLOCKED", Step::Recipient),
        ("REJECTED_ROUTE_NOT_AVAILABLE", Step::Message),
        ("REJECTED_NOT_ENOUGH_CREDITS", Step::Message),
    ] {
        let body = format!(
            r#"{{"messages":[{{"messageId":"1","status":{{"groupName":"REJECTED","name":"{name}","description":"no"}}}}]}}"#
        );
        let server = Server::answering(200, &body);
        let error = open("infobip", &server.base(), &settings)
            .send(TO, &message(), soon())
            .unwrap_err();
        assert_eq!(error.step, step, "{error:?}");
        assert!(error.hint.is_some(), "{error:?}");
    }
    let refusals = [
        (
            201,
            r#"{"SMSMessageData":{"Message":"InvalidSenderId","Recipients":[]}}"#,
            Step::Sender,
            "short code",
        ),
        (
            201,
            r#"{"SMSMessageData":{"Message":"Sent to 0/1","Recipients":[{"statusCode":407,"number":"+1","status":"CouldNotRoute","messageId":"None"}]}}"#,
            Step::Recipient,
            "",
        ),
        (
            201,
            r#"{"SMSMessageData":{"Message":"Sent to 0/1","Recipients":[{"statusCode":401,"number":"+1","status":"RiskHold","messageId":"None"}]}}"#,
            Step::Message,
            "",
        ),
    ];
    assert_refused(
        "africastalking",
        &[("username", "sandbox"), ("api-key", "hush")],
        &refusals,
    );
}

#[test]
fn refusals_of_amazon_are_told_apart_by_their_codes() {
    let settings = [
        ("access-key-id", "AKIA1"),
        ("secret-access-key", "hush"),
        ("region", "eu-west-1"),
    ];
    for (status, code, step, hint) in [
        (
            400,
            "ParameterValueInvalid",
            Step::Message,
            "recipient's number",
        ),
        (400, "InvalidParameter", Step::Message, "recipient's number"),
        (
            400,
            "ValidationException",
            Step::Message,
            "recipient's number",
        ),
        (403, "InvalidSecurity", Step::Login, "keys"),
        (403, "AccessDeniedException", Step::Login, "sns:Publish"),
        (400, "OptedOut", Step::Recipient, "opted out"),
    ] {
        let body = format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
        );
        let server = Server::answering(status, &body);
        let error = open("aws-sns", &server.base(), &settings)
            .send(TO, &message(), soon())
            .unwrap_err();
        assert_eq!(error.step, step, "{error:?}");
        assert!(error.hint.unwrap_or_default().contains(hint), "{code}");
    }
}

#[test]
fn refusals_of_telnyx_are_told_apart_by_their_codes() {
    let telnyx = [("api-key", "KEYhush"), ("from", "+15005550001")];
    for (code, step) in [
        ("40300", Step::Recipient),
        ("40309", Step::Recipient),
        ("40310", Step::Recipient),
        ("40305", Step::Sender),
        ("40306", Step::Sender),
        ("40312", Step::Sender),
        ("40313", Step::Sender),
        ("10009", Step::Login),
    ] {
        let body = format!(r#"{{"errors":[{{"code":"{code}","title":"no"}}]}}"#);
        let server = Server::answering(if step == Step::Login { 401 } else { 403 }, &body);
        let error = open("telnyx", &server.base(), &telnyx)
            .send(TO, &message(), soon())
            .unwrap_err();
        assert_eq!(error.step, step, "{error:?}");
    }
}

#[test]
fn refusals_of_twilio_and_vonage_are_told_apart_by_their_codes() {
    let twilio = [
        ("account-sid", "AC1"),
        ("auth-token", "hush"),
        ("from", "+15005550001"),
    ];
    let refusals = [
        (
            400,
            r#"{"code":21608,"message":"unverified","status":400}"#,
            Step::Recipient,
            "trial",
        ),
        (
            403,
            r#"{"code":21610,"message":"unsubscribed","status":403}"#,
            Step::Recipient,
            "STOP",
        ),
        (
            403,
            r#"{"code":21408,"message":"region","status":403}"#,
            Step::Recipient,
            "country",
        ),
        (
            403,
            r#"{"code":20003,"message":"no","status":403}"#,
            Step::Login,
            "auth token",
        ),
    ];
    assert_refused("twilio", &twilio, &refusals);
    let vonage = [
        ("api-key", "abcd1234"),
        ("api-secret", "hush"),
        ("from", "Acme"),
    ];
    let refusals = [
        (
            200,
            r#"{"messages":[{"status":"8","error-text":"Account barred"}]}"#,
            Step::Message,
            "suspended",
        ),
        (
            200,
            r#"{"messages":[{"status":"7","error-text":"Number barred"}]}"#,
            Step::Recipient,
            "",
        ),
    ];
    assert_refused("vonage", &vonage, &refusals);
}

#[test]
fn refusals_of_messagebird_are_blamed_on_the_parameter_they_name() {
    let messagebird = [("access-key", "hush"), ("from", "Acme")];
    let refusals = [
        (
            422,
            r#"{"errors":[{"code":9,"description":"no (correct) recipients found","parameter":"recipients"}]}"#,
            Step::Recipient,
            "",
        ),
        (
            422,
            r#"{"errors":[{"code":10,"description":"originator is invalid","parameter":"originator"}]}"#,
            Step::Sender,
            "",
        ),
        (
            422,
            r#"{"errors":[{"code":25,"description":"Not enough balance","parameter":null}]}"#,
            Step::Message,
            "top it up",
        ),
    ];
    assert_refused("messagebird", &messagebird, &refusals);
}

#[test]
fn refusals_of_plivo_are_told_apart_by_their_words() {
    let plivo = [
        ("auth-id", "MA1"),
        ("auth-token", "hush"),
        ("from", "15005550001"),
    ];
    let refusals = [
        (
            403,
            r#"{"api_id":"a","error":"Sending messages to this country is not enabled for your account"}"#,
            Step::Recipient,
            "country",
        ),
        (
            400,
            r#"{"api_id":"a","error":"dst is invalid"}"#,
            Step::Recipient,
            "",
        ),
        (
            400,
            r#"{"api_id":"a","error":"src is invalid"}"#,
            Step::Sender,
            "",
        ),
        (
            403,
            r#"{"api_id":"a","error":"no"}"#,
            Step::Recipient,
            "country",
        ),
    ];
    assert_refused("plivo", &plivo, &refusals);
}

#[test]
fn refusals_of_sinch_are_told_apart_by_their_codes() {
    let sinch = [
        ("service-plan-id", "p1"),
        ("api-token", "hush"),
        ("from", "+15005550001"),
    ];
    let refusals = [
        (
            403,
            r#"{"code":"unknown_campaign","text":"no such campaign"}"#,
            Step::Message,
            "campaign",
        ),
        (
            403,
            r#"{"code":"unknown_group","text":"no such group"}"#,
            Step::Message,
            "group",
        ),
        (
            403,
            r#"{"code":"other","text":"no"}"#,
            Step::Message,
            "does not permit this",
        ),
        (
            401,
            r#"{"code":"unauthorized","text":"no"}"#,
            Step::Login,
            "keys",
        ),
    ];
    assert_refused("sinch", &sinch, &refusals);
}

#[test]
fn refusals_of_smsapi_and_smsbroadcast_are_told_apart() {
    let smsapi = [("token", "hush"), ("from", "Acme")];
    for (code, step) in [
        (13, Step::Recipient),
        (52, Step::Recipient),
        (57, Step::Recipient),
        (59, Step::Recipient),
        (98, Step::Recipient),
        (112, Step::Recipient),
        (14, Step::Sender),
        (101, Step::Login),
        (401, Step::Login),
        (1000, Step::Login),
        (103, Step::Message),
        (12, Step::Message),
    ] {
        let body = format!(r#"{{"error":{code},"message":"no"}}"#);
        let server = Server::answering(200, &body);
        let error = open("smsapi", &server.base(), &smsapi)
            .send(TO, &message(), soon())
            .unwrap_err();
        assert_eq!(error.step, step, "{error:?}");
    }
    let smsbroadcast = [("username", "ann"), ("password", "hush")];
    let refusals = [
        (
            200,
            "ERROR:Username or password is incorrect",
            Step::Login,
            "portal",
        ),
        (200, "ERROR:Not enough credits", Step::Message, "top it up"),
        (200, "ERROR:Message is too long", Step::Message, ""),
        (200, "ERROR:Invalid sender ID", Step::Sender, ""),
        (200, "BAD:0400:Invalid Number", Step::Recipient, ""),
    ];
    assert_refused("smsbroadcast", &smsbroadcast, &refusals);
}

#[test]
fn refusals_of_bulksms_and_textmagic_are_blamed_on_the_number_they_name() {
    let bulksms = [("token-id", "t1"), ("token-secret", "hush")];
    let refusals = [
        (
            201,
            r#"[{"id":"1","status":{"id":"FAILED.BLOCKED","type":"FAILED","subtype":"BLOCKED"}}]"#,
            Step::Recipient,
            "STOP",
        ),
        (
            201,
            r#"[{"id":"1","status":{"id":"FAILED.NOT_SENT","type":"FAILED","subtype":"NOT_SENT"}}]"#,
            Step::Recipient,
            "",
        ),
    ];
    assert_refused("bulksms", &bulksms, &refusals);
    let textmagic = [("username", "ann"), ("api-key", "hush")];
    let refusals = [
        (
            400,
            r#"{"code":400,"message":"Validation Failed","errors":{"common":[],"fields":{"phones":["bad number"]}}}"#,
            Step::Recipient,
            "",
        ),
        (
            400,
            r#"{"code":400,"message":"Validation Failed","errors":{"common":[],"fields":{"from":["not yours"]}}}"#,
            Step::Sender,
            "",
        ),
    ];
    assert_refused("textmagic", &textmagic, &refusals);
}

#[test]
fn refusals_of_seven_and_clicksend_are_told_apart_by_their_codes() {
    let refusals = [
        (200, "903", Step::Login, "address of this machine"),
        (200, "902", Step::Login, "API key"),
        (200, "403", Step::Recipient, "in a day"),
        (200, "500", Step::Message, "top it up"),
    ];
    assert_refused("seven", &[("api-key", "hush")], &refusals);
    let clicksend = [("username", "ann"), ("api-key", "hush")];
    let refusals = [
        (
            200,
            r#"{"response_code":"SUCCESS","data":{"messages":[{"status":"INVALID_CREDENTIALS"}]}}"#,
            Step::Login,
            "API key",
        ),
        (
            403,
            r#"{"http_code":403,"response_code":"FORBIDDEN","response_msg":"no"}"#,
            Step::Message,
            "does not permit this",
        ),
    ];
    assert_refused("clicksend", &clicksend, &refusals);
}

#[test]
fn a_success_of_eztexting_has_an_id() {
    let settings = [("username", "ann"), ("password", "hush")];
    let refusals = [(
        200,
        r#"{"errors":[{"code":"X1","message":"no"}]}"#,
        Step::Message,
        "",
    )];
    assert_refused("eztexting", &settings, &refusals);
}

#[test]
fn a_check_has_no_recipient_to_blame() {
    let server = Server::answering(403, r#"{"api_id":"a","error":"no"}"#);
    let settings = [
        ("auth-id", "MA1"),
        ("auth-token", "hush"),
        ("from", "15005550001"),
    ];
    let error = open("plivo", &server.base(), &settings)
        .check(soon())
        .unwrap_err();
    assert_eq!(error.step, Step::Message, "{error:?}");
    assert!(error.hint.unwrap().contains("does not permit this"));
}

#[test]
fn an_accepted_request_with_a_message_that_has_failed_is_a_refusal() {
    const CASES: &[(&str, Settings, Refusal)] = &[
        (
            "telnyx",
            &[("api-key", "KEYhush"), ("from", "+15005550001")],
            (
                200,
                r#"{"data":{"id":"b0c","to":[{"status":"sending_failed"}],"errors":[]}}"#,
                Step::Message,
                "",
            ),
        ),
        (
            "messagebird",
            &[("access-key", "hush"), ("from", "Acme")],
            (
                201,
                r#"{"id":"e8","recipients":{"totalSentCount":0,"items":[{"recipient":1,"status":"delivery_failed"}]}}"#,
                Step::Message,
                "",
            ),
        ),
        (
            "smsapi",
            &[("token", "hush")],
            (
                200,
                r#"{"count":1,"list":[{"id":"5A56","number":"1","status":"FAILED","error":13}]}"#,
                Step::Recipient,
                "",
            ),
        ),
        (
            "46elks",
            &[("username", "u1"), ("password", "hush"), ("from", "Acme")],
            (
                200,
                r#"{"status":"failed","direction":"outgoing","id":"s70"}"#,
                Step::Message,
                "",
            ),
        ),
    ];
    for (kind, settings, refusal) in CASES {
        assert_one(kind, settings, *refusal);
    }
}
