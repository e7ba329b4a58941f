//! The requests to the providers that were added last, and how their answers are read. The tests are in [`crate::requests`].

use serde_json::json;
use twofa_delivery::Step;

use crate::requests::{Accepted, Body, Documented, Refused, basic, form, header};
use crate::server::Server;
use crate::support::{TO, TO_DIGITS, message, open, soon, text};

const FROM: &str = "+15005550001";
/// When the code in [`message`] expires.
const EXPIRES: &str = "2026-09-21T14:23:20Z";

/// All of them.
pub fn documented() -> Vec<Documented> {
    let text = text();
    let text = text.as_str();
    vec![
        aws_eum(text),
        bandwidth(text),
        bird(text),
        brevo(text),
        d7(text),
        signal(text),
        telesign(text),
        unifonic(text),
    ]
}

fn accepted(status: u16, body: &'static str, id: &'static str) -> Accepted {
    Accepted {
        status,
        body,
        id: Some(id),
    }
}

fn aws_eum(text: &str) -> Documented {
    let error = |body, step, reason| Refused(400, body, step, reason);
    Documented {
        kind: "aws-eum",
        settings: &[
            ("access-key-id", "AKIA1"),
            ("secret-access-key", "hush"),
            ("region", "eu-west-1"),
            ("from", FROM),
            ("max-price", "0.25"),
        ],
        path: "/",
        headers: vec![
            header("content-type", "application/x-amz-json-1.0"),
            header("x-amz-target", "PinpointSMSVoiceV2.SendTextMessage"),
        ],
        body: Body::Json(json!({
            "DestinationPhoneNumber": TO,
            "OriginationIdentity": FROM,
            "MessageBody": text,
            "MessageType": "TRANSACTIONAL",
            "MaxPrice": "0.25",
            "TimeToLive": 600,
        })),
        accepted: accepted(200, r#"{"MessageId":"m1"}"#, "m1"),
        refused: vec![
            error(
                r#"{"__type":"com.amazon.coral.service#UnrecognizedClientException","message":"The security token is invalid"}"#,
                Step::Login,
                "UnrecognizedClientException: The security",
            ),
            error(
                r#"{"__type":"com.amazonaws.pinpointsmsvoicev2#ValidationException","Message":"no","Reason":"SENDER_ID_NOT_REGISTERED"}"#,
                Step::Sender,
                "SENDER_ID_NOT_REGISTERED: no",
            ),
            error(
                r#"{"__type":"ConflictException","Message":"no","Reason":"DESTINATION_PHONE_NUMBER_OPTED_OUT"}"#,
                Step::Recipient,
                "OPTED_OUT",
            ),
            error(
                r#"{"__type":"ServiceQuotaExceededException","Message":"no","Reason":"MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT"}"#,
                Step::Message,
                "MONTHLY_SPEND_LIMIT",
            ),
            error(
                r#"{"__type":"ResourceNotFoundException","Message":"no","ResourceType":"phone-number"}"#,
                Step::Sender,
                "ResourceNotFoundException: no",
            ),
            error(
                r#"{"__type":"ValidationException","Message":"no","Reason":"OTHER"}"#,
                Step::Message,
                "ValidationException: no",
            ),
        ],
    }
}

fn bandwidth(text: &str) -> Documented {
    Documented {
        kind: "bandwidth",
        settings: &[
            ("account-id", "9900000"),
            ("username", "ann"),
            ("password", "hush"),
            ("application-id", "93de2206"),
            ("from", FROM),
        ],
        path: "/users/9900000/messages",
        headers: vec![basic("ann", "hush")],
        body: Body::Json(json!({
            "applicationId": "93de2206",
            "to": [TO],
            "from": FROM,
            "text": text,
            "priority": "high",
            "expiration": EXPIRES,
        })),
        accepted: accepted(
            202,
            r#"{"id":"14762070468292kw2fuqty55yp2b2"}"#,
            "14762070468292kw2fuqty55yp2b2",
        ),
        refused: vec![
            Refused(
                401,
                r#"{"type":"unauthorized","description":"Authentication Failed"}"#,
                Step::Login,
                "unauthorized: Authentication",
            ),
            Refused(
                403,
                r#"{"type":"forbidden","description":"Access Denied"}"#,
                Step::Login,
                "forbidden: Access",
            ),
            Refused(
                400,
                r#"{"type":"request-validation","description":"Your request could not be accepted",
                    "fieldErrors":[{"fieldName":"from","description":"'+1' must be replaced with a valid E164 number"}]}"#,
                Step::Message,
                "request-validation: '+1' must be replaced",
            ),
        ],
    }
}

fn bird(text: &str) -> Documented {
    Documented {
        kind: "bird",
        settings: &[("api-key", "bk_eu1_hush"), ("from", FROM)],
        path: "/v1/sms/messages",
        headers: vec![header("authorization", "Bearer bk_eu1_hush")],
        body: Body::Json(
            json!({"to": TO, "from": FROM, "text": text, "category": "authentication"}),
        ),
        accepted: accepted(
            202,
            r#"{"id":"sms_01krdgeqcxet5s7t44vh8rt9mg","direction":"outbound","status":"accepted"}"#,
            "sms_01krdgeqcxet5s7t44vh8rt9mg",
        ),
        refused: vec![
            Refused(
                401,
                r#"{"error":{"type":"auth_error","code":"E01002","name":"InvalidAPIKey","message":"no such key"}}"#,
                Step::Login,
                "InvalidAPIKey: no such key",
            ),
            Refused(
                422,
                r#"{"error":{"type":"validation_error","code":"E07001","name":"SMSSenderNotConfigured","message":"no sender"}}"#,
                Step::Sender,
                "SMSSenderNotConfigured: no sender",
            ),
            Refused(
                422,
                r#"{"error":{"type":"validation_error","code":"E07002","name":"SMSInvalidRecipient","message":"no"}}"#,
                Step::Recipient,
                "SMSInvalidRecipient",
            ),
            Refused(
                402,
                r#"{"error":{"type":"billing_error","code":"E02001","name":"InsufficientBalance","message":"no"}}"#,
                Step::Message,
                "InsufficientBalance",
            ),
            Refused(
                421,
                r#"{"error":{"type":"misdirected_error","code":"E01009","name":"WrongRegion","message":"no"}}"#,
                Step::Settings,
                "WrongRegion",
            ),
        ],
    }
}

fn brevo(text: &str) -> Documented {
    Documented {
        kind: "brevo",
        settings: &[("api-key", "xkeysib-hush"), ("from", "Acme")],
        path: "/transactionalSMS/send",
        headers: vec![header("api-key", "xkeysib-hush")],
        body: Body::Json(json!({
            "recipient": TO_DIGITS,
            "sender": "Acme",
            "content": text,
            "type": "transactional",
            "unicodeEnabled": false,
        })),
        accepted: accepted(
            201,
            r#"{"reference":"ab1cde2fgh3i4jklmno","messageId":1511882900176220}"#,
            "1511882900176220",
        ),
        refused: vec![
            Refused(
                401,
                r#"{"code":"unauthorized","message":"Key not found"}"#,
                Step::Login,
                "unauthorized: Key not found",
            ),
            Refused(
                402,
                r#"{"code":"not_enough_credits","message":"Insufficient balance"}"#,
                Step::Message,
                "not_enough_credits",
            ),
            Refused(
                400,
                r#"{"code":"invalid_parameter","message":"Invalid telephone number"}"#,
                Step::Message,
                "invalid_parameter: Invalid tele",
            ),
        ],
    }
}

fn d7(text: &str) -> Documented {
    Documented {
        kind: "d7",
        settings: &[("token", "hush"), ("from", "Acme")],
        path: "/messages/v1/send",
        headers: vec![header("authorization", "Bearer hush")],
        body: Body::Json(json!({
            "messages": [{
                "channel": "sms",
                "recipients": [TO],
                "content": text,
                "msg_type": "text",
                "data_coding": "text",
            }],
            "message_globals": {"originator": "Acme"},
        })),
        accepted: accepted(
            200,
            r#"{"request_id":"001ff613","status":"accepted","created_at":"2026-09-21T14:13:20"}"#,
            "001ff613",
        ),
        refused: vec![
            Refused(
                401,
                r#"{"detail":"Invalid token"}"#,
                Step::Login,
                "Invalid token",
            ),
            Refused(
                402,
                r#"{"detail":{"code":"INSUFFICIENT_CREDIT","message":"no credit"}}"#,
                Step::Message,
                "INSUFFICIENT_CREDIT: no credit",
            ),
            Refused(
                422,
                r#"{"detail":[{"loc":["body","messages"],"msg":"field required","type":"value_error"}]}"#,
                Step::Message,
                "HTTP 422: field required",
            ),
        ],
    }
}

fn signal(text: &str) -> Documented {
    Documented {
        kind: "signal",
        settings: &[("from", FROM), ("token", "hush")],
        path: "/v2/send",
        headers: vec![header("authorization", "Bearer hush")],
        body: Body::Json(json!({
            "number": FROM,
            "recipients": [TO],
            "message": text,
            "text_mode": "normal",
        })),
        accepted: accepted(201, r#"{"timestamp":"1790000000123"}"#, "1790000000123"),
        refused: vec![
            Refused(
                400,
                r#"{"error":"Unregistered user \"+15005550006\""}"#,
                Step::Recipient,
                "Unregistered user",
            ),
            Refused(
                400,
                r#"{"error":"Specified account does not exist"}"#,
                Step::Sender,
                "Specified account",
            ),
            Refused(
                429,
                r#"{"error":"Rate limit exceeded","challenge_tokens":["t"],"account":"+15005550001"}"#,
                Step::Message,
                "Rate limit",
            ),
            Refused(401, "Unauthorized", Step::Login, "HTTP 401"),
        ],
    }
}

fn telesign(text: &str) -> Documented {
    let status = |body, step, reason| Refused(400, body, step, reason);
    Documented {
        kind: "telesign",
        settings: &[("customer-id", "C1"), ("api-key", "hush=="), ("from", FROM)],
        path: "/v1/messaging",
        headers: vec![basic("C1", "hush==")],
        body: form(&[
            ("phone_number", TO_DIGITS),
            ("message", text),
            ("message_type", "OTP"),
            ("sender_id", "15005550001"),
        ]),
        accepted: accepted(
            200,
            r#"{"reference_id":"0123456789ABCDEF","status":{"code":290,"description":"Message in progress"}}"#,
            "0123456789ABCDEF",
        ),
        refused: vec![
            Refused(
                401,
                r#"{"reference_id":"01","status":{"code":10022,"description":"Invalid API key"}}"#,
                Step::Login,
                "10022: Invalid API key",
            ),
            Refused(
                401,
                r#"{"reference_id":"01","status":{"code":10033,"description":"1 has not been verified for this trial account."}}"#,
                Step::Recipient,
                "10033",
            ),
            status(
                r#"{"status":{"code":11000,"description":"Invalid value for parameter phone_number."}}"#,
                Step::Recipient,
                "11000",
            ),
            status(
                r#"{"status":{"code":11013,"description":"Invalid value for parameter sender_id."}}"#,
                Step::Sender,
                "11013",
            ),
            Refused(
                402,
                r#"{"status":{"code":10030,"description":"Insufficient funds in prepaid wallet."}}"#,
                Step::Message,
                "10030",
            ),
            // Accepted by HTTP, refused by its own status.
            Refused(
                200,
                r#"{"reference_id":"01","status":{"code":237,"description":"Message blocked in requested country"}}"#,
                Step::Recipient,
                "237",
            ),
        ],
    }
}

fn unifonic(text: &str) -> Documented {
    Documented {
        kind: "unifonic",
        settings: &[("app-sid", "hush"), ("from", "Acme")],
        path: "/rest/SMS/messages",
        headers: vec![],
        body: form(&[
            ("AppSid", "hush"),
            ("SenderID", "Acme"),
            ("Recipient", TO_DIGITS),
            ("Body", text),
            ("responseType", "JSON"),
        ]),
        accepted: accepted(
            200,
            r#"{"success":true,"message":"","errorCode":"ER-00","data":{"MessageID":3200017889310,"Status":"Queued"}}"#,
            "3200017889310",
        ),
        refused: vec![
            Refused(
                401,
                r#"{"success":"false","message":"Authentication failed","errorCode":"ER-401"}"#,
                Step::Login,
                "ER-401: Authentication failed",
            ),
            Refused(
                480,
                r#"{"success":"false","message":"This user cannot use specified SenderID","errorCode":"ER-480"}"#,
                Step::Sender,
                "ER-480",
            ),
            Refused(
                482,
                r#"{"success":"false","message":"Invalid dest num","errorCode":"ER-482"}"#,
                Step::Recipient,
                "ER-482",
            ),
            Refused(
                200,
                r#"{"success":false,"message":"No rate found or insufficient funds","errorCode":"ER-01"}"#,
                Step::Message,
                "ER-01: No rate",
            ),
            Refused(
                200,
                r#"{"success":true,"message":"","errorCode":"ER-08","data":{"MessageID":1}}"#,
                Step::Sender,
                "ER-08",
            ),
        ],
    }
}

#[test]
fn bird_can_tell_two_messages_with_the_same_text_from_a_repeated_one() {
    let server = Server::answering(202, r#"{"id":"sms_1"}"#);
    let settings = [("api-key", "bk_eu1_hush"), ("from", FROM)];
    let provider = open("bird", &server.base(), &settings);
    for _ in 0..2 {
        provider.send(TO, &message(), soon()).unwrap();
    }
    let requests = server.requests();
    let key = |index: usize| requests[index].header("idempotency-key").unwrap();
    assert_eq!(requests[0].body, requests[1].body);
    assert_ne!(key(0), key(1));
    assert_eq!(key(0).len(), 36);
}

#[test]
fn signal_without_a_reverse_proxy_gets_no_authorization() {
    let server = Server::answering(201, r#"{"timestamp":"1"}"#);
    let provider = open("signal", &server.base(), &[("from", FROM)]);
    provider.send(TO, &message(), soon()).unwrap();
    assert_eq!(server.only_request().header("authorization"), None);
}
