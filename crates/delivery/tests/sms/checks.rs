//! What is asked of a provider when it is added: a request that changes nothing, and that fails if the keys are wrong.

use std::collections::BTreeSet;
use std::path::Path;

use data_encoding::BASE64;
use twofa_core::Channel;
use twofa_delivery::Step;

use crate::server::Server;
use crate::support::{catalogue, open, soon};

/// The providers without such a request. Only the connection to them is tested.
const WITHOUT: [&str; 1] = ["cdyne"];

/// A check and its answers as a provider documents them.
struct Check {
    kind: &'static str,
    settings: &'static [(&'static str, &'static str)],
    /// Method, path and query.
    request: &'static str,
    /// A part of the request that proves that the key was sent.
    key: &'static str,
    /// HTTP status and body of the answer if the keys are right.
    accepted: (u16, &'static str),
    /// HTTP status and body of the answer if they are wrong.
    refused: (u16, &'static str),
}

const CHECKS: &[Check] = &[
    Check {
        kind: "twilio",
        settings: &[
            ("account-sid", "AC1"),
            ("auth-token", "hush"),
            ("from", "+15005550001"),
        ],
        request: "GET /2010-04-01/Accounts/AC1/Messages.json?PageSize=1",
        key: "Basic AC1:hush",
        accepted: (200, r#"{"messages":[]}"#),
        refused: (
            401,
            r#"{"code":20003,"message":"Authenticate","status":401}"#,
        ),
    },
    Check {
        kind: "vonage",
        settings: &[
            ("api-key", "abcd1234"),
            ("api-secret", "hush"),
            ("from", "Acme"),
        ],
        request: "GET /account/get-balance?api_key=abcd1234&api_secret=hush",
        key: "hush",
        accepted: (200, r#"{"value":10.28,"autoReload":false}"#),
        refused: (
            401,
            r#"{"error-code":"401","error-code-label":"authentication failed"}"#,
        ),
    },
    Check {
        kind: "clickatell",
        settings: &[("api-key", "hush==")],
        request: "GET /public-client/balance",
        key: "hush==",
        accepted: (200, r#"{"balance":96.6,"currency":"EUR"}"#),
        refused: (
            401,
            r#"{"errorCode":108,"error":"Invalid or missing integration API Key.","errorDescription":""}"#,
        ),
    },
    Check {
        kind: "eztexting",
        settings: &[("username", "ann"), ("password", "hush")],
        request: "GET /v1/conversations",
        key: "Basic ann:hush",
        accepted: (200, r#"{"content":[]}"#),
        refused: (
            401,
            r#"{"status":401,"title":"Unauthorized","detail":"Bad credentials"}"#,
        ),
    },
    Check {
        kind: "seven",
        settings: &[("api-key", "hush")],
        request: "GET /api/journal/inbound?limit=1",
        key: "hush",
        accepted: (200, "[]"),
        refused: (401, "900"),
    },
    Check {
        kind: "smsbroadcast",
        settings: &[("username", "ann"), ("password", "hush")],
        request: "POST /api-adv.php",
        key: "action=balance&password=hush&username=ann",
        accepted: (200, "OK:100"),
        refused: (200, "ERROR: Username or password is incorrect"),
    },
    Check {
        kind: "plivo",
        settings: &[
            ("auth-id", "MA1"),
            ("auth-token", "hush"),
            ("from", "+15005550001"),
        ],
        request: "GET /v1/Account/MA1/",
        key: "Basic MA1:hush",
        accepted: (
            200,
            r#"{"api_id":"a","auth_id":"MA1","cash_credits":"1.0"}"#,
        ),
        refused: (401, "Could not verify your access level for that URL."),
    },
    Check {
        kind: "messagebird",
        settings: &[("access-key", "hush"), ("from", "15005550001")],
        request: "GET /messages?limit=1",
        key: "AccessKey hush",
        accepted: (200, r#"{"items":[]}"#),
        refused: (
            401,
            r#"{"errors":[{"code":2,"description":"Request not allowed","parameter":"access_key"}]}"#,
        ),
    },
    Check {
        kind: "telnyx",
        settings: &[("api-key", "KEYhush"), ("from", "+15005550001")],
        request: "GET /balance",
        key: "Bearer KEYhush",
        accepted: (
            200,
            r#"{"data":{"balance":"300.00","currency":"USD","record_type":"balance"}}"#,
        ),
        refused: (
            401,
            r#"{"errors":[{"code":"10009","title":"Authentication failed"}]}"#,
        ),
    },
    Check {
        kind: "clicksend",
        settings: &[("username", "ann"), ("api-key", "hush")],
        request: "GET /v3/sms/inbound?limit=15",
        key: "Basic ann:hush",
        accepted: (200, r#"{"response_code":"SUCCESS","data":{"data":[]}}"#),
        refused: (
            401,
            r#"{"http_code":401,"response_code":"UNAUTHORIZED","response_msg":"no"}"#,
        ),
    },
    Check {
        kind: "sinch",
        settings: &[
            ("service-plan-id", "p1"),
            ("api-token", "hush"),
            ("from", "15005550001"),
        ],
        request: "GET /p1/inbounds?page_size=1",
        key: "Bearer hush",
        accepted: (200, r#"{"inbounds":[]}"#),
        refused: (401, ""),
    },
    Check {
        kind: "infobip",
        settings: &[("subdomain", "x1"), ("api-key", "hush"), ("from", "Acme")],
        request: "GET /account/1/balance",
        key: "App hush",
        accepted: (
            403,
            r#"{"requestError":{"serviceException":{"messageId":"FORBIDDEN","text":"scope"}}}"#,
        ),
        refused: (
            401,
            r#"{"requestError":{"serviceException":{"messageId":"UNAUTHORIZED","text":"no"}}}"#,
        ),
    },
    Check {
        kind: "textmagic",
        settings: &[("username", "ann"), ("api-key", "hush")],
        request: "GET /api/v2/replies?limit=1",
        key: "Basic ann:hush",
        accepted: (200, r#"{"resources":[]}"#),
        refused: (401, r#"{"code":401,"message":"Unauthorized"}"#),
    },
    Check {
        kind: "smsapi",
        settings: &[("token", "hush")],
        request: "GET /profile",
        key: "Bearer hush",
        accepted: (200, r#"{"name":"Ann","username":"ann","points":100}"#),
        refused: (
            401,
            r#"{"error":"authorization_failed","code":401,"message":"Authorization failed"}"#,
        ),
    },
    Check {
        kind: "46elks",
        settings: &[("username", "ann"), ("password", "hush"), ("from", "Acme")],
        request: "GET /a1/sms?limit=1",
        key: "Basic ann:hush",
        accepted: (200, r#"{"data":[]}"#),
        refused: (401, "Invalid username or password"),
    },
    Check {
        kind: "bulksms",
        settings: &[("token-id", "t1"), ("token-secret", "hush")],
        request: "GET /profile",
        key: "Basic t1:hush",
        accepted: (200, r#"{"id":"1"}"#),
        refused: (
            401,
            r#"{"type":"https://x/errors#authentication-failed","title":"Unauthorized","status":401}"#,
        ),
    },
    Check {
        kind: "africastalking",
        settings: &[("username", "acme"), ("api-key", "hush")],
        request: "GET /version1/user?username=acme",
        key: "hush",
        accepted: (200, r#"{"UserData":{"balance":"KES 1.00"}}"#),
        refused: (401, "The supplied authentication is invalid"),
    },
    Check {
        kind: "gatewayapi",
        settings: &[("token", "hush")],
        request: "GET /rest/me",
        key: "Basic hush:",
        accepted: (200, r#"{"credit":1.0,"currency":"EUR","id":1}"#),
        refused: (401, r#"{"code":"0x0210","message":"Unauthorized"}"#),
    },
    Check {
        kind: "aws-sns",
        settings: &[
            ("access-key-id", "AKIA1"),
            ("secret-access-key", "hush"),
            ("region", "eu-west-1"),
        ],
        request: "POST /",
        key: "Action=GetSMSAttributes&Version=2010-03-31",
        accepted: (
            403,
            "<ErrorResponse><Error><Type>Sender</Type><Code>AuthorizationError</Code><Message>x</Message></Error></ErrorResponse>",
        ),
        refused: (
            403,
            "<ErrorResponse><Error><Type>Sender</Type><Code>SignatureDoesNotMatch</Code><Message>x</Message></Error></ErrorResponse>",
        ),
    },
    Check {
        kind: "aws-eum",
        settings: &[
            ("access-key-id", "AKIA1"),
            ("secret-access-key", "hush"),
            ("region", "eu-west-1"),
        ],
        request: "POST /",
        key: "PinpointSMSVoiceV2.DescribeAccountAttributes",
        accepted: (
            400,
            r#"{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"User is not authorized to perform: x"}"#,
        ),
        refused: (
            400,
            r#"{"__type":"com.amazon.coral.service#InvalidSignatureException","message":"The request signature does not match"}"#,
        ),
    },
    Check {
        kind: "bandwidth",
        settings: &[
            ("account-id", "99"),
            ("username", "ann"),
            ("password", "hush"),
            ("application-id", "a1"),
            ("from", "+15005550001"),
        ],
        request: "GET /users/99/messages?limit=1&messageDirection=OUTBOUND",
        key: "Basic ann:hush",
        accepted: (200, r#"{"totalCount":0,"messages":[]}"#),
        refused: (
            401,
            r#"{"type":"unauthorized","description":"Authentication Failed"}"#,
        ),
    },
    Check {
        kind: "bird",
        settings: &[("api-key", "bk_eu1_hush"), ("from", "Acme")],
        request: "GET /v1/workspace",
        key: "Bearer bk_eu1_hush",
        accepted: (200, r#"{"id":"ws_1","name":"Acme"}"#),
        refused: (
            401,
            r#"{"error":{"type":"auth_error","name":"InvalidAPIKey","message":"no"}}"#,
        ),
    },
    Check {
        kind: "brevo",
        settings: &[("api-key", "xkeysib-hush"), ("from", "Acme")],
        request: "GET /account",
        key: "xkeysib-hush",
        accepted: (200, r#"{"email":"ann@example.org","plan":[]}"#),
        refused: (401, r#"{"code":"unauthorized","message":"Key not found"}"#),
    },
    Check {
        kind: "d7",
        settings: &[("token", "hush"), ("from", "Acme")],
        request: "GET /messages/v1/balance",
        key: "Bearer hush",
        accepted: (200, r#"{"balance":99.99}"#),
        refused: (401, r#"{"detail":"Invalid token"}"#),
    },
    Check {
        kind: "telesign",
        settings: &[("customer-id", "C1"), ("api-key", "hush")],
        request: "GET /v1/messaging/00000000000000000000000000000000",
        key: "Basic C1:hush",
        accepted: (
            400,
            r#"{"status":{"code":11011,"description":"Invalid value for parameter reference_id"}}"#,
        ),
        refused: (
            401,
            r#"{"status":{"code":10022,"description":"Invalid API Key."}}"#,
        ),
    },
    Check {
        kind: "unifonic",
        settings: &[("app-sid", "hush")],
        request: "GET /rest/SMS/messages/scheduledmessages?AppSid=hush",
        key: "hush",
        accepted: (
            200,
            r#"{"success":true,"message":"","errorCode":"ER-00","data":{"messages":[]}}"#,
        ),
        refused: (
            401,
            r#"{"success":"false","message":"Authentication failed","errorCode":"ER-401"}"#,
        ),
    },
    Check {
        kind: "signal",
        settings: &[("from", "+15005550001"), ("token", "hush")],
        request: "GET /v1/identities/+15005550001",
        key: "Bearer hush",
        accepted: (200, "[]"),
        refused: (401, "Unauthorized"),
    },
];

/// Everything in the request, with the credentials of Basic authentication decoded.
fn everything(request: &crate::server::Request) -> String {
    let basic = request
        .header("authorization")
        .and_then(|value| value.strip_prefix("Basic "));
    let basic = basic.map(|encoded| BASE64.decode(encoded.as_bytes()).unwrap());
    let basic = String::from_utf8(basic.unwrap_or_default()).unwrap();
    format!("Basic {basic}\n{request:?}")
}

#[test]
fn the_keys_are_tried_with_a_request_that_changes_nothing() {
    for check in CHECKS {
        let about = check.kind;
        let server = Server::answering(check.accepted.0, check.accepted.1);
        let checked = open(check.kind, &server.base(), check.settings).check(soon());
        assert_eq!(checked, Ok(()), "{about}");
        let request = server.only_request();
        assert_eq!(
            format!("{} {}", request.method, request.target),
            check.request,
            "{about}"
        );
        assert!(
            everything(&request).contains(check.key),
            "{about}: {request:?}"
        );

        let server = Server::answering(check.refused.0, check.refused.1);
        let error = open(check.kind, &server.base(), check.settings)
            .check(soon())
            .unwrap_err();
        assert_eq!(error.step, Step::Login, "{about}: {error:?}");
        assert!(!error.may_have_arrived, "{about}: {error:?}");
        assert!(!format!("{error:?}").contains("hush"), "{about}: {error:?}");
    }
}

#[test]
fn a_provider_whose_keys_cannot_be_tried_is_at_least_reached() {
    for kind in WITHOUT {
        let server = Server::answering(404, "");
        let settings = [("license-key", "hush")];
        open(kind, &server.base(), &settings).check(soon()).unwrap();
        let request = server.only_request();
        assert_eq!(request.method, "HEAD");
        assert!(!everything(&request).contains("hush"), "{request:?}");
    }
}

#[test]
fn every_provider_is_checked_or_known_to_have_no_check() {
    let (catalogue, _) = catalogue(Path::new("/nonexistent"));
    let kinds = catalogue.kinds().iter();
    let all: BTreeSet<_> = kinds
        .filter(|kind| kind.channel == Channel::Sms && kind.setting("base").is_some())
        .map(|kind| kind.name.as_str())
        .collect();
    let listed = CHECKS
        .iter()
        .map(|check| check.kind)
        .chain(WITHOUT)
        .collect();
    assert_eq!(all, listed);
}
