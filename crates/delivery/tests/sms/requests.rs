//! The request to each provider, and how its answers are read.

use data_encoding::BASE64;
use serde_json::{Value, json};
use twofa_delivery::Step;

use crate::newer;
use crate::server::Server;
use crate::support::{CODE, TO, TO_DIGITS, message, open, soon, text};

/// A request and its answers as a provider documents them.
pub struct Documented {
    pub kind: &'static str,
    pub settings: &'static [(&'static str, &'static str)],
    pub path: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub body: Body,
    pub accepted: Accepted,
    pub refused: Vec<Refused>,
}

pub enum Body {
    Form(Vec<(&'static str, String)>),
    Json(Value),
}

/// The answer to an accepted message.
pub struct Accepted {
    pub status: u16,
    pub body: &'static str,
    pub id: Option<&'static str>,
}

/// An error: HTTP status, body, the step that failed, and a part of the expected error text.
pub struct Refused(pub u16, pub &'static str, pub Step, pub &'static str);

pub fn basic(user: &str, password: &str) -> (&'static str, String) {
    (
        "authorization",
        format!(
            "Basic {}",
            BASE64.encode(format!("{user}:{password}").as_bytes())
        ),
    )
}

pub fn header(name: &'static str, value: &str) -> (&'static str, String) {
    (name, value.to_owned())
}

pub fn form(pairs: &[(&'static str, &str)]) -> Body {
    Body::Form(
        pairs
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect(),
    )
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn documented() -> Vec<Documented> {
    let text = text();
    let text = text.as_str();
    let accepted = |status, body, id| Accepted {
        status,
        body,
        id: Some(id),
    };
    vec![
        Documented {
            kind: "twilio",
            settings: &[
                ("account-sid", "AC1"),
                ("auth-token", "hush"),
                ("from", "+15005550001"),
            ],
            path: "/2010-04-01/Accounts/AC1/Messages.json",
            headers: vec![basic("AC1", "hush")],
            body: form(&[
                ("Body", text),
                ("From", "+15005550001"),
                ("To", TO),
                ("ValidityPeriod", "600"),
            ]),
            accepted: accepted(
                201,
                r#"{"sid":"SM1","status":"queued","error_code":null}"#,
                "SM1",
            ),
            refused: vec![
                Refused(
                    401,
                    r#"{"code":20003,"message":"Authenticate","more_info":"https://x","status":401}"#,
                    Step::Login,
                    "20003: Authenticate",
                ),
                Refused(
                    400,
                    r#"{"code":21211,"message":"Invalid 'To' Phone Number: 1","status":400}"#,
                    Step::Recipient,
                    "21211: Invalid",
                ),
                Refused(
                    400,
                    r#"{"code":21606,"message":"The 'From' phone number is not valid","status":400}"#,
                    Step::Sender,
                    "21606",
                ),
                Refused(
                    503,
                    "upstream is away",
                    Step::Message,
                    "HTTP 503: upstream is away",
                ),
            ],
        },
        Documented {
            kind: "twilio",
            settings: &[
                ("account-sid", "AC/1"),
                ("auth-token", "hush"),
                ("from", "MG9"),
            ],
            path: "/2010-04-01/Accounts/AC%2F1/Messages.json",
            headers: vec![basic("AC/1", "hush")],
            body: form(&[
                ("Body", text),
                ("MessagingServiceSid", "MG9"),
                ("To", TO),
                ("ValidityPeriod", "600"),
            ]),
            accepted: accepted(201, r#"{"sid":"SM1"}"#, "SM1"),
            refused: vec![Refused(
                201,
                r#"{"sid":"SM1","error_code":30007,"error_message":"filtered"}"#,
                Step::Message,
                "30007: filtered",
            )],
        },
        Documented {
            kind: "vonage",
            settings: &[
                ("api-key", "abcd1234"),
                ("api-secret", "hush"),
                ("from", "+15005550001"),
            ],
            path: "/sms/json",
            headers: vec![],
            body: form(&[
                ("api_key", "abcd1234"),
                ("api_secret", "hush"),
                ("from", "15005550001"),
                ("to", TO_DIGITS),
                ("text", text),
                ("ttl", "600000"),
                ("type", "text"),
            ]),
            accepted: accepted(
                200,
                r#"{"message-count":"1","messages":[{"to":"1","message-id":"0A00","status":"0","remaining-balance":"1"}]}"#,
                "0A00",
            ),
            refused: vec![
                Refused(
                    200,
                    r#"{"message-count":"1","messages":[{"status":"4","error-text":"Bad Credentials"}]}"#,
                    Step::Login,
                    "4: Bad Credentials",
                ),
                Refused(
                    200,
                    r#"{"message-count":"1","messages":[{"status":"15","error-text":"Illegal Sender Address"}]}"#,
                    Step::Sender,
                    "15: Illegal",
                ),
                Refused(
                    200,
                    r#"{"message-count":"1","messages":[{"status":"29","error-text":"Non-Whitelisted Destination"}]}"#,
                    Step::Recipient,
                    "29: Non",
                ),
                Refused(
                    200,
                    r#"{"message-count":"2","messages":[{"status":"0","message-id":"1"},{"status":"9","error-text":"Partner quota exceeded"}]}"#,
                    Step::Message,
                    "9: Partner",
                ),
                Refused(
                    200,
                    r#"{"message-count":"0","messages":[]}"#,
                    Step::Message,
                    "HTTP 200",
                ),
                Refused(200, "{}", Step::Message, "HTTP 200"),
            ],
        },
        Documented {
            kind: "clickatell",
            settings: &[("api-key", "hush=="), ("from", "+15005550001")],
            path: "/v1/message",
            headers: vec![header("authorization", "hush==")],
            body: Body::Json(
                json!({"messages": [{"channel": "sms", "content": text, "to": TO_DIGITS, "from": "15005550001", "validityPeriod": 10}]}),
            ),
            accepted: accepted(
                202,
                r#"{"messages":[{"apiMessageId":"a1","accepted":true,"to":"1","error":null}],"error":null}"#,
                "a1",
            ),
            refused: vec![
                Refused(
                    202,
                    r#"{"messages":[{"apiMessageId":"","accepted":false,"to":"1","errorCode":105,"error":"Invalid Destination Address"}],"error":null}"#,
                    Step::Recipient,
                    "105: Invalid Dest",
                ),
                Refused(
                    401,
                    r#"{"messages":[],"errorCode":108,"error":"Invalid or missing integration API key","errorDescription":null}"#,
                    Step::Login,
                    "108: Invalid or missing",
                ),
                Refused(200, r#"{"messages":[],"error":"no"}"#, Step::Message, "no"),
            ],
        },
        Documented {
            kind: "eztexting",
            settings: &[("username", "ann"), ("password", "hush")],
            path: "/v1/messages",
            headers: vec![basic("ann", "hush")],
            body: Body::Json(json!({"toNumbers": [TO_DIGITS], "message": text})),
            accepted: accepted(201, r#"{"id":"77"}"#, "77"),
            refused: vec![
                Refused(
                    401,
                    r#"{"status":401,"title":"Unauthorized","detail":"Bad credentials"}"#,
                    Step::Login,
                    "401: Bad cred",
                ),
                Refused(
                    400,
                    r#"{"status":400,"title":"Bad","errors":[{"code":"X1","message":"no such number"}]}"#,
                    Step::Message,
                    "X1: no such number",
                ),
                Refused(429, r#"{"status":429}"#, Step::Message, "error 429"),
            ],
        },
        Documented {
            kind: "seven",
            settings: &[("api-key", "hush"), ("from", "Acme")],
            path: "/api/sms",
            headers: vec![header("x-api-key", "hush")],
            body: Body::Json(json!({"to": TO_DIGITS, "text": text, "from": "Acme", "ttl": 10})),
            accepted: accepted(
                200,
                r#"{"success":"100","messages":[{"id":"77","success":true,"error":null,"error_text":null}]}"#,
                "77",
            ),
            refused: vec![
                Refused(200, "900", Step::Login, "error 900"),
                Refused(200, r#"{"success":"900"}"#, Step::Login, "error 900"),
                Refused(
                    200,
                    r#"{"success":"101","messages":[{"id":null,"success":false,"error":202,"error_text":"Recipient number invalid"}]}"#,
                    Step::Recipient,
                    "202: Recipient number",
                ),
                Refused(
                    200,
                    r#"{"success":"100","messages":[{"id":null,"success":false,"error":201,"error_text":"Sender"}]}"#,
                    Step::Sender,
                    "201: Sender",
                ),
                Refused(
                    200,
                    r#"{"success":"500","messages":[]}"#,
                    Step::Message,
                    "500",
                ),
            ],
        },
        Documented {
            kind: "smsbroadcast",
            settings: &[("username", "ann"), ("password", "hush"), ("from", "Acme")],
            path: "/api-adv.php",
            headers: vec![],
            body: form(&[
                ("username", "ann"),
                ("password", "hush"),
                ("to", TO_DIGITS),
                ("from", "Acme"),
                ("message", text),
                ("maxsplit", "3"),
            ]),
            accepted: accepted(200, "OK: 15005550006:2942263", "2942263"),
            refused: vec![
                Refused(
                    200,
                    "BAD:0400:Invalid Number",
                    Step::Recipient,
                    "BAD: Invalid Number",
                ),
                Refused(
                    200,
                    "ERROR:Username or password is incorrect",
                    Step::Login,
                    "ERROR: Username or password",
                ),
                Refused(200, "", Step::Message, "HTTP 200"),
                Refused(200, "<html>welcome</html>", Step::Message, "HTTP 200"),
            ],
        },
        Documented {
            kind: "cdyne",
            settings: &[("license-key", "hush-guid"), ("from", "15005550001")],
            path: "/Messaging.svc/SendMessage",
            headers: vec![],
            body: Body::Json(
                json!({"LicenseKey": "hush-guid", "From": "15005550001", "To": [TO_DIGITS], "Body": text, "Concatenate": true, "IsUnicode": false, "UseMMS": false}),
            ),
            accepted: accepted(
                200,
                r#"[{"Attachments":[],"From":"1","MessageID":"1627aea5","MessageStatus":201,"To":"1"}]"#,
                "1627aea5",
            ),
            refused: vec![
                Refused(200, "[]", Step::Message, "HTTP 200"),
                Refused(
                    200,
                    r#"[{"MessageID":null,"MessageStatus":402}]"#,
                    Step::Message,
                    "402",
                ),
                Refused(
                    400,
                    "<html>Request Error</html>",
                    Step::Message,
                    "HTTP 400: a web page",
                ),
            ],
        },
        Documented {
            kind: "plivo",
            settings: &[
                ("auth-id", "MA1"),
                ("auth-token", "hush"),
                ("from", "15005550001"),
            ],
            path: "/v1/Account/MA1/Message/",
            headers: vec![basic("MA1", "hush")],
            body: Body::Json(
                json!({"src": "15005550001", "dst": TO, "text": text, "log": "number_only", "message_expiry": 600}),
            ),
            accepted: accepted(
                202,
                r#"{"api_id":"a","message":"message(s) queued","message_uuid":["u1"]}"#,
                "u1",
            ),
            refused: vec![
                Refused(
                    401,
                    r#"{"api_id":"a","error":"authentication failed"}"#,
                    Step::Login,
                    "authentication failed",
                ),
                Refused(
                    400,
                    r#"{"api_id":"a","error":"dst is invalid"}"#,
                    Step::Recipient,
                    "HTTP 400: dst is invalid",
                ),
                Refused(
                    401,
                    "Could not verify your access level for that URL.",
                    Step::Login,
                    "Could not verify",
                ),
            ],
        },
        Documented {
            kind: "messagebird",
            settings: &[("access-key", "hush"), ("from", "Acme")],
            path: "/messages",
            headers: vec![header("authorization", "AccessKey hush")],
            body: Body::Json(
                json!({"originator": "Acme", "recipients": [TO_DIGITS], "body": text, "datacoding": "plain", "validity": 600}),
            ),
            accepted: accepted(
                201,
                r#"{"id":"e8","recipients":{"totalSentCount":1}}"#,
                "e8",
            ),
            refused: vec![
                Refused(
                    401,
                    r#"{"errors":[{"code":2,"description":"Request not allowed (incorrect access_key)","parameter":"access_key"}]}"#,
                    Step::Login,
                    "2: Request not allowed",
                ),
                Refused(
                    422,
                    r#"{"errors":[{"code":9,"description":"no (correct) recipients found","parameter":"recipients"}]}"#,
                    Step::Recipient,
                    "9: no (correct)",
                ),
            ],
        },
        Documented {
            kind: "telnyx",
            settings: &[("api-key", "KEYhush"), ("from", "+15005550001")],
            path: "/messages",
            headers: vec![header("authorization", "Bearer KEYhush")],
            body: Body::Json(json!({"from": "+15005550001", "to": TO, "text": text})),
            accepted: accepted(
                200,
                r#"{"data":{"id":"b0c","to":[{"status":"queued"}],"errors":[]}}"#,
                "b0c",
            ),
            refused: vec![
                Refused(
                    401,
                    r#"{"errors":[{"code":"10009","title":"Authentication failed","detail":"Could not understand the provided credentials."}]}"#,
                    Step::Login,
                    "10009: Could not",
                ),
                Refused(
                    400,
                    r#"{"errors":[{"code":"40310","title":"Invalid 'to' address","detail":"The 'to' address is invalid."}]}"#,
                    Step::Recipient,
                    "40310",
                ),
                Refused(
                    400,
                    r#"{"errors":[{"code":"40305","title":"Invalid 'from' address"}]}"#,
                    Step::Sender,
                    "40305: Invalid",
                ),
            ],
        },
        Documented {
            kind: "clicksend",
            settings: &[("username", "ann"), ("api-key", "hush"), ("from", "Acme")],
            path: "/v3/sms/send",
            headers: vec![basic("ann", "hush")],
            body: Body::Json(
                json!({"messages": [{"source": "twofa", "to": TO, "from": "Acme", "body": text}]}),
            ),
            accepted: accepted(
                200,
                r#"{"http_code":200,"response_code":"SUCCESS","response_msg":"queued","data":{"messages":[{"message_id":"BF7","status":"SUCCESS"}]}}"#,
                "BF7",
            ),
            refused: vec![
                Refused(
                    200,
                    r#"{"http_code":200,"response_code":"SUCCESS","response_msg":"queued","data":{"messages":[{"status":"INVALID_RECIPIENT"}]}}"#,
                    Step::Recipient,
                    "INVALID_RECIPIENT",
                ),
                Refused(
                    200,
                    r#"{"http_code":200,"response_code":"SUCCESS","data":{"messages":[{"status":"INSUFFICIENT_CREDIT"}]}}"#,
                    Step::Message,
                    "INSUFFICIENT_CREDIT",
                ),
                Refused(
                    401,
                    r#"{"http_code":401,"response_code":"UNAUTHORIZED","response_msg":"Authorization failed.","data":null}"#,
                    Step::Login,
                    "UNAUTHORIZED: Authorization failed",
                ),
                Refused(
                    200,
                    r#"{"http_code":200,"response_code":"BAD_REQUEST","response_msg":"no"}"#,
                    Step::Message,
                    "BAD_REQUEST: no",
                ),
            ],
        },
        Documented {
            kind: "sinch",
            settings: &[
                ("service-plan-id", "p1"),
                ("api-token", "hush"),
                ("from", "+15005550001"),
            ],
            path: "/p1/batches",
            headers: vec![header("authorization", "Bearer hush")],
            body: Body::Json(
                json!({"from": "15005550001", "to": [TO_DIGITS], "body": text, "expire_at": "2026-09-21T14:23:20Z", "max_number_of_message_parts": 3}),
            ),
            accepted: accepted(201, r#"{"id":"01FC","canceled":false}"#, "01FC"),
            refused: vec![
                Refused(
                    400,
                    r#"{"code":"syntax_invalid_parameter_format","text":"Invalid number"}"#,
                    Step::Message,
                    "syntax_invalid_parameter_format: Invalid number",
                ),
                Refused(401, "", Step::Login, "HTTP 401"),
            ],
        },
        Documented {
            kind: "infobip",
            settings: &[("subdomain", "x1"), ("api-key", "hush"), ("from", "Acme")],
            path: "/sms/3/messages",
            headers: vec![header("authorization", "App hush")],
            body: Body::Json(
                json!({"messages": [{"sender": "Acme", "destinations": [{"to": TO_DIGITS}], "content": {"text": text}, "options": {"validityPeriod": {"amount": 600, "timeUnit": "SECONDS"}}}]}),
            ),
            accepted: accepted(
                200,
                r#"{"bulkId":"b","messages":[{"messageId":"2033","status":{"groupId":1,"groupName":"PENDING","id":26,"name":"PENDING_ACCEPTED","description":"Message sent to next instance"}}]}"#,
                "2033",
            ),
            refused: vec![
                Refused(
                    200,
                    r#"{"messages":[{"messageId":"1","status":{"groupId":5,"groupName":"REJECTED","id":51,"name":"REJECTED_DESTINATION_NOT_REGISTERED","description":"not registered"}}]}"#,
                    Step::Recipient,
                    "REJECTED_DESTINATION_NOT_REGISTERED: not registered",
                ),
                Refused(
                    200,
                    r#"{"messages":[{"messageId":"1","status":{"groupId":2,"groupName":"UNDELIVERABLE","name":"UNDELIVERABLE_NOT_DELIVERED","description":"gone"}}]}"#,
                    Step::Message,
                    "UNDELIVERABLE_NOT_DELIVERED: gone",
                ),
                Refused(
                    401,
                    r#"{"errorCode":"E401","description":"Invalid credentials.","action":"Check","violations":[],"resources":[]}"#,
                    Step::Login,
                    "E401: Invalid credentials",
                ),
            ],
        },
        Documented {
            kind: "textmagic",
            settings: &[("username", "ann"), ("api-key", "hush")],
            path: "/api/v2/messages",
            headers: vec![basic("ann", "hush")],
            body: Body::Json(json!({"text": text, "phones": TO_DIGITS, "partsCount": 3})),
            accepted: accepted(
                201,
                r#"{"id":49575710,"href":"/api/v2/sessions/49575710","type":"message","sessionId":34436259,"messageId":49575710}"#,
                "49575710",
            ),
            refused: vec![
                Refused(
                    400,
                    r#"{"code":400,"message":"Validation Failed","errors":{"common":["Insufficient balance"],"fields":{}}}"#,
                    Step::Message,
                    "400: Insufficient balance",
                ),
                Refused(
                    400,
                    r#"{"code":400,"message":"Validation Failed","errors":{"common":[],"fields":{"phones":["bad number"]}}}"#,
                    Step::Recipient,
                    "400: bad number",
                ),
                Refused(
                    401,
                    r#"{"code":401,"message":"Unauthorized","errors":null}"#,
                    Step::Login,
                    "401: Unauthorized",
                ),
            ],
        },
        Documented {
            kind: "smsapi",
            settings: &[("token", "hush"), ("from", "Acme")],
            path: "/sms.do",
            headers: vec![header("authorization", "Bearer hush")],
            body: form(&[
                ("to", TO_DIGITS),
                ("message", text),
                ("from", "Acme"),
                ("format", "json"),
                ("encoding", "utf-8"),
                ("max_parts", "3"),
                // An hour and five minutes: an earlier time would be refused.
                ("expiration_date", "1790003900"),
            ]),
            accepted: accepted(
                200,
                r#"{"count":1,"list":[{"id":"5A56","points":0.16,"number":"1","status":"QUEUE","error":null}]}"#,
                "5A56",
            ),
            refused: vec![
                Refused(
                    200,
                    r#"{"error":101,"message":"Authorization failed"}"#,
                    Step::Login,
                    "101: Authorization failed",
                ),
                Refused(
                    200,
                    r#"{"error":14,"message":"Invalid from field"}"#,
                    Step::Sender,
                    "14: Invalid from",
                ),
                Refused(
                    200,
                    r#"{"error":13,"message":"No correct phonenumbers","invalid_numbers":[]}"#,
                    Step::Recipient,
                    "13: No correct",
                ),
                Refused(200, r#"{"count":0,"list":[]}"#, Step::Message, "HTTP 200"),
            ],
        },
        Documented {
            kind: "46elks",
            settings: &[("username", "u1"), ("password", "hush"), ("from", "Acme")],
            path: "/a1/sms",
            headers: vec![basic("u1", "hush")],
            body: form(&[
                ("from", "Acme"),
                ("to", TO),
                ("message", text),
                ("dontlog", "message"),
            ]),
            accepted: accepted(
                200,
                r#"{"status":"created","direction":"outgoing","from":"Acme","id":"s70"}"#,
                "s70",
            ),
            refused: vec![
                Refused(
                    401,
                    "API access requires Basic HTTP authentication. Read more at https://46elks.com/docs",
                    Step::Login,
                    "HTTP 401: API access requires",
                ),
                Refused(403, "Missing key from", Step::Message, "Missing key from"),
            ],
        },
        Documented {
            kind: "bulksms",
            settings: &[("token-id", "t1"), ("token-secret", "hush")],
            path: "/messages",
            headers: vec![basic("t1", "hush")],
            body: Body::Json(
                json!([{"to": [{"type": "INTERNATIONAL", "address": TO}], "body": text, "encoding": "TEXT", "longMessageMaxParts": 3}]),
            ),
            accepted: accepted(
                201,
                r#"[{"id":"4023457654","type":"SENT","status":{"id":"ACCEPTED.null","type":"ACCEPTED","subtype":null}}]"#,
                "4023457654",
            ),
            refused: vec![
                Refused(
                    400,
                    r#"{"type":"https://developer.bulksms.com/json/v1/errors#bad-request","title":"Bad Request","status":400,"detail":"The body is missing"}"#,
                    Step::Message,
                    "The body is missing",
                ),
                Refused(
                    201,
                    r#"[{"id":"1","status":{"id":"FAILED.NOT_SENT","type":"FAILED","subtype":"NOT_SENT"}}]"#,
                    Step::Recipient,
                    "FAILED.NOT_SENT",
                ),
                Refused(
                    401,
                    r#"{"type":"t","title":"Authentication required","status":401}"#,
                    Step::Login,
                    "Authentication required",
                ),
            ],
        },
        Documented {
            kind: "africastalking",
            settings: &[
                ("username", "sandbox"),
                ("api-key", "hush"),
                ("from", "Acme"),
            ],
            path: "/version1/messaging",
            headers: vec![header("apikey", "hush")],
            body: form(&[
                ("username", "sandbox"),
                ("to", TO),
                ("message", text),
                ("bulkSMSMode", "1"),
                ("from", "Acme"),
            ]),
            accepted: accepted(
                201,
                r#"{"SMSMessageData":{"Message":"Sent to 1/1","Recipients":[{"statusCode":101,"number":"+1","status":"Success","cost":"KES 0.8","messageId":"ATX1"}]}}"#,
                "ATX1",
            ),
            refused: vec![
                Refused(
                    201,
                    r#"{"SMSMessageData":{"Message":"Sent to 0/1","Recipients":[{"statusCode":403,"number":"+1","status":"InvalidPhoneNumber","messageId":"None"}]}}"#,
                    Step::Recipient,
                    "403: InvalidPhoneNumber",
                ),
                Refused(
                    201,
                    r#"{"SMSMessageData":{"Message":"InvalidSenderId","Recipients":[]}}"#,
                    Step::Sender,
                    "InvalidSenderId",
                ),
                Refused(
                    401,
                    "The supplied authentication is invalid",
                    Step::Login,
                    "The supplied authentication",
                ),
            ],
        },
        Documented {
            kind: "gatewayapi",
            settings: &[("token", "hush"), ("from", "Acme")],
            path: "/rest/mtsms",
            headers: vec![basic("hush", "")],
            body: Body::Json(
                json!({"sender": "Acme", "recipients": [{"msisdn": TO_DIGITS}], "message": text, "encoding": "UTF8", "validity_period": 600, "max_parts": 3}),
            ),
            accepted: accepted(
                200,
                r#"{"ids":[421332671],"usage":{"countries":{"DK":1}}}"#,
                "421332671",
            ),
            refused: vec![
                Refused(
                    401,
                    r#"{"code":"0x0213","incident_uuid":"i","message":"Unauthorized"}"#,
                    Step::Login,
                    "0x0213: Unauthorized",
                ),
                Refused(
                    422,
                    r#"{"code":"0x0308","message":"Invalid msisdn"}"#,
                    Step::Recipient,
                    "0x0308: Invalid msisdn",
                ),
            ],
        },
        Documented {
            kind: "aws-sns",
            settings: &[
                ("access-key-id", "AKIA1"),
                ("secret-access-key", "hush"),
                ("region", "eu-west-1"),
                ("sender-id", "Acme"),
            ],
            path: "/",
            headers: vec![],
            body: form(&[
                ("Action", "Publish"),
                ("Version", "2010-03-31"),
                ("PhoneNumber", TO),
                ("Message", text),
                ("MessageAttributes.entry.1.Name", "AWS.SNS.SMS.SMSType"),
                ("MessageAttributes.entry.1.Value.DataType", "String"),
                (
                    "MessageAttributes.entry.1.Value.StringValue",
                    "Transactional",
                ),
                ("MessageAttributes.entry.2.Name", "AWS.SNS.SMS.SenderID"),
                ("MessageAttributes.entry.2.Value.DataType", "String"),
                ("MessageAttributes.entry.2.Value.StringValue", "Acme"),
            ]),
            accepted: accepted(
                200,
                r#"<PublishResponse xmlns="https://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>567910cd</MessageId></PublishResult><ResponseMetadata><RequestId>d74b</RequestId></ResponseMetadata></PublishResponse>"#,
                "567910cd",
            ),
            refused: vec![
                Refused(
                    403,
                    "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidClientTokenId</Code><Message>The security token included in the request is invalid.</Message></Error></ErrorResponse>",
                    Step::Login,
                    "InvalidClientTokenId: The security token",
                ),
                Refused(
                    400,
                    "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidParameter</Code><Message>Invalid parameter: PhoneNumber</Message></Error></ErrorResponse>",
                    Step::Message,
                    "InvalidParameter: Invalid",
                ),
            ],
        },
    ]
}

#[test]
fn each_provider_receives_the_request_that_it_documents() {
    for one in documented().into_iter().chain(newer::documented()) {
        let server = Server::answering(one.accepted.status, one.accepted.body);
        let provider = open(one.kind, &server.base(), one.settings);
        let receipt = provider.send(TO, &message(), soon());
        let request = server.only_request();
        let about = one.kind;
        assert_eq!(
            receipt.map(|receipt| receipt.id),
            Ok(one.accepted.id.map(str::to_owned)),
            "{about}"
        );
        assert_eq!(
            (request.method.as_str(), request.target.as_str()),
            ("POST", one.path),
            "{about}"
        );
        for (name, value) in &one.headers {
            assert_eq!(
                request.header(name),
                Some(value.as_str()),
                "{about}: {name}"
            );
        }
        let agent = request.header("user-agent").unwrap();
        assert!(agent.starts_with("twofa/"), "{about}: {agent}");
        let kind = request.header("content-type").unwrap();
        match one.body {
            Body::Form(expected) => {
                assert_eq!(kind, "application/x-www-form-urlencoded", "{about}");
                let mut expected: Vec<_> = expected
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect();
                expected.sort();
                assert_eq!(request.form(), expected, "{about}");
            }
            Body::Json(expected) => {
                let own = one.headers.iter().find(|(name, _)| *name == "content-type");
                let expected_kind = own.map_or("application/json", |(_, kind)| kind);
                assert_eq!(kind, expected_kind, "{about}");
                assert_eq!(
                    serde_json::from_str::<Value>(&request.body).unwrap(),
                    expected,
                    "{about}"
                );
            }
        }
    }
}

#[test]
fn an_error_contains_the_providers_code_and_text() {
    for one in documented().into_iter().chain(newer::documented()) {
        for Refused(status, body, step, text) in one.refused {
            let server = Server::answering(status, body);
            let error = open(one.kind, &server.base(), one.settings)
                .send(TO, &message(), soon())
                .unwrap_err();
            let about = format!("{}, {status} {body}: {error:?}", one.kind);
            assert_eq!(error.step, step, "{about}");
            assert!(error.reason.contains(text), "{about}");
        }
    }
}

#[test]
fn an_error_that_repeats_the_request_shows_neither_code_nor_keys() {
    let said =
        |body: &str| json!({"code": 1, "message": format!("cannot send {body}")}).to_string();
    for one in documented().into_iter().chain(newer::documented()) {
        let server = Server::with(move |request| {
            let all = format!(
                "{} {} {:?} {}",
                request.target,
                request.body,
                request.headers,
                text()
            );
            crate::server::Answer::new(400, &said(&all))
        });
        let error = open(one.kind, &server.base(), one.settings)
            .send(TO, &message(), soon())
            .unwrap_err();
        let shown = format!("{error} {error:?}");
        let secret = one
            .settings
            .iter()
            .map(|(_, value)| *value)
            .filter(|value| value.contains("hush"));
        for secret in secret.chain([CODE]) {
            assert!(!shown.contains(secret), "{}: {shown}", one.kind);
        }
    }
}

#[test]
fn a_sender_that_was_pasted_with_separators_is_sent_as_a_number() {
    for (from, sent) in [
        (
            "\u{202a}+1\u{a0}(500) 555\u{2011}0001\u{202c}",
            "+15005550001",
        ),
        ("+1\t500\t5550001", "+15005550001"),
        (" Acme ", "Acme"),
    ] {
        let server = Server::answering(201, r#"{"sid":"SM1"}"#);
        let settings = [("account-sid", "AC1"), ("auth-token", "x"), ("from", from)];
        let provider = open("twilio", &server.base(), &settings);
        provider.send(TO, &message(), soon()).unwrap();
        let form = server.only_request().form();
        assert!(
            form.contains(&("From".to_owned(), sent.to_owned())),
            "{form:?}"
        );
        let is_number = sent.starts_with('+');
        assert_eq!(provider.sender_address(), is_number.then_some(sent));
    }
}
