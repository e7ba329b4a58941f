//! The sender, lifetime and cost of a message, where they depend on an administrator's settings.

use serde_json::{Value, json};
use twofa_core::Timestamp;
use twofa_delivery::{CodeMessage, Message, NoticeMessage};

use crate::server::{Request, Server};
use crate::support::{TO, catalogue, configuration, message, open, soon};

/// A provider's kind, settings of it, and its answer to an accepted message.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], (u16, &'a str));

/// The request by which the provider `kind` sends `message`, and is answered with `answer`.
fn request(
    kind: &str,
    settings: &[(&str, &str)],
    message: &Message,
    answer: (u16, &str),
) -> Request {
    let server = Server::answering(answer.0, answer.1);
    open(kind, &server.base(), settings)
        .send(TO, message, soon())
        .unwrap();
    server.only_request()
}

fn body(request: &Request) -> Value {
    serde_json::from_str(&request.body).unwrap()
}

/// A code that is valid for this many seconds.
fn code(lifetime: u64) -> Message {
    match message() {
        Message::Code(code) => Message::Code(CodeMessage { lifetime, ..code }),
        other => other,
    }
}

#[test]
fn bulksms_is_told_what_kind_of_sender_it_is_and_replies_need_a_number_of_its_own() {
    let accepted = r#"[{"id":"1","status":{"id":"ACCEPTED.null","type":"ACCEPTED"}}]"#;
    let sender = |settings: &[(&str, &str)]| {
        let keys = [("token-id", "t1"), ("token-secret", "hush")];
        let all = [&keys, settings].concat();
        body(&request("bulksms", &all, &message(), (201, accepted)))[0]["from"].clone()
    };
    for (from, kind) in [
        ("12345", "SHORTCODE"),
        ("123456", "SHORTCODE"),
        ("1234567", "INTERNATIONAL"),
        ("+15005550001", "INTERNATIONAL"),
        ("Acme", "ALPHANUMERIC"),
        ("4you", "ALPHANUMERIC"),
    ] {
        let expected = json!({"type": kind, "address": from});
        assert_eq!(sender(&[("from", from)]), expected, "{from}");
    }
    assert_eq!(sender(&[]), Value::Null);
    assert_eq!(
        sender(&[("from", "Acme"), ("reply-number", "+15005550001")]),
        json!({"type": "REPLIABLE"})
    );
}

#[test]
fn providers_that_take_digits_get_a_sender_without_the_plus_sign() {
    let from = ("from", "+15005550001");
    let sent = request(
        "gatewayapi",
        &[("token", "hush"), from],
        &message(),
        (200, r#"{"ids":[1]}"#),
    );
    assert_eq!(body(&sent)["sender"], "15005550001");
    let sent = request(
        "textmagic",
        &[("username", "ann"), ("api-key", "hush"), from],
        &message(),
        (201, r#"{"id":1}"#),
    );
    assert_eq!(body(&sent)["from"], "15005550001");
    let sent = request(
        "messagebird",
        &[("access-key", "hush"), from],
        &message(),
        (201, r#"{"id":"1"}"#),
    );
    assert_eq!(body(&sent)["originator"], "15005550001");
}

#[test]
fn amazon_is_told_of_each_attribute_without_a_gap_in_their_numbers() {
    let answer = "<PublishResponse><PublishResult><MessageId>1</MessageId></PublishResult></PublishResponse>";
    let attributes = |settings: &[(&str, &str)]| {
        let keys = [
            ("access-key-id", "AKIA1"),
            ("secret-access-key", "hush"),
            ("region", "eu-west-1"),
        ];
        let all = [&keys, settings].concat();
        let form = request("aws-sns", &all, &message(), (200, answer)).form();
        let value = |name: &str, part: &str| {
            let name = format!("MessageAttributes.entry.{name}.{part}");
            let found = form.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| value.clone())
        };
        (2..=4)
            .filter_map(|number| {
                let number = number.to_string();
                Some([
                    value(&number, "Name")?,
                    value(&number, "Value.DataType")?,
                    value(&number, "Value.StringValue")?,
                ])
            })
            .collect::<Vec<_>>()
    };
    assert!(attributes(&[]).is_empty());
    let name = ["AWS.SNS.SMS.SenderID", "String", "Acme"];
    let number = ["AWS.MM.SMS.OriginationNumber", "String", "+15005550001"];
    let price = ["AWS.SNS.SMS.MaxPrice", "Number", "0.50"];
    assert_eq!(attributes(&[("max-price", "0.50")]), [price]);
    assert_eq!(
        attributes(&[
            ("origination-number", "+15005550001"),
            ("max-price", "0.50")
        ]),
        [number, price]
    );
    assert_eq!(
        attributes(&[
            ("sender-id", "Acme"),
            ("origination-number", "+15005550001"),
            ("max-price", "0.50")
        ]),
        [name, number, price]
    );
}

#[test]
fn a_lifetime_stays_within_what_a_provider_takes() {
    let gatewayapi = |lifetime| {
        let answer = (200, r#"{"ids":[1]}"#);
        let sent = request("gatewayapi", &[("token", "hush")], &code(lifetime), answer);
        body(&sent)["validity_period"].clone()
    };
    assert_eq!([gatewayapi(30), gatewayapi(90)], [json!(60), json!(90)]);
    let seven = |lifetime| {
        let answer = (200, r#"{"success":"100","messages":[{"success":true}]}"#);
        let sent = request("seven", &[("api-key", "hush")], &code(lifetime), answer);
        body(&sent)["ttl"].clone()
    };
    assert_eq!(
        [seven(60), seven(61), seven(3600)],
        [json!(1), json!(2), json!(60)]
    );
    let smsapi = |lifetime| {
        let answer = (200, r#"{"list":[{"id":"1"}]}"#);
        let sent = request("smsapi", &[("token", "hush")], &code(lifetime), answer);
        let form = sent.form();
        let found = form.iter().find(|(name, _)| name == "expiration_date");
        found.unwrap().1.clone()
    };
    assert_eq!(
        [smsapi(60), smsapi(7200)],
        ["1790003900", "1790007200"].map(str::to_owned)
    );
}

#[test]
fn a_message_without_a_code_has_no_lifetime() {
    let notice = Message::Notice(NoticeMessage {
        application: "Acme".to_owned(),
        user: "alice".to_owned(),
        what: "An authenticator app was added.".to_owned(),
        from: None,
        at: Timestamp::from_unix(1_790_000_000),
    });
    let cases: [Case<'_>; 8] = [
        (
            "messagebird",
            &[("access-key", "hush"), ("from", "Acme")],
            (201, r#"{"id":"1"}"#),
        ),
        (
            "plivo",
            &[
                ("auth-id", "MA1"),
                ("auth-token", "hush"),
                ("from", "15005550001"),
            ],
            (202, r#"{"message_uuid":["1"]}"#),
        ),
        (
            "sinch",
            &[
                ("service-plan-id", "p1"),
                ("api-token", "hush"),
                ("from", "15005550001"),
            ],
            (201, r#"{"id":"1"}"#),
        ),
        (
            "smsapi",
            &[("token", "hush")],
            (200, r#"{"list":[{"id":"1"}]}"#),
        ),
        ("gatewayapi", &[("token", "hush")], (200, r#"{"ids":[1]}"#)),
        (
            "seven",
            &[("api-key", "hush")],
            (200, r#"{"success":"100","messages":[{"success":true}]}"#),
        ),
        (
            "clickatell",
            &[("api-key", "hush")],
            (202, r#"{"messages":[{"apiMessageId":"1"}]}"#),
        ),
        (
            "infobip",
            &[("subdomain", "x1"), ("api-key", "hush"), ("from", "Acme")],
            (200, r#"{"messages":[{"messageId":"1"}]}"#),
        ),
    ];
    for (kind, settings, answer) in cases {
        let sent = request(kind, settings, &notice, answer).body.to_lowercase();
        for name in ["validity", "expir", "ttl", "options"] {
            assert!(!sent.contains(name), "{kind}: {sent}");
        }
    }
}

#[test]
fn accounts_of_other_platforms_have_a_base_of_their_own() {
    let (catalogue, _) = catalogue(std::path::Path::new("/nonexistent"));
    let base = |kind: &str, settings: &[(&str, &str)]| {
        let provider = catalogue.open(&configuration(kind, settings)).unwrap();
        format!("{provider:?}")
    };
    let token = ("token", "hush");
    let cases = [
        (base("gatewayapi", &[token]), "https://gatewayapi.com"),
        (
            base("gatewayapi", &[token, ("platform", "eu")]),
            "https://gatewayapi.eu",
        ),
        (base("smsapi", &[token]), "https://api.smsapi.com"),
        (
            base("smsapi", &[token, ("country", "pl")]),
            "https://api.smsapi.pl",
        ),
        (
            base("smsapi", &[token, ("country", "bg")]),
            "https://api.smsapi.bg",
        ),
    ];
    for (shown, expected) in cases {
        assert!(shown.contains(&format!("\"{expected}\"")), "{shown}");
    }
}

#[test]
fn a_limit_of_parts_can_be_changed() {
    let settings = [("token", "hush"), ("max-parts", "1")];
    let sent = request("gatewayapi", &settings, &message(), (200, r#"{"ids":[1]}"#));
    assert_eq!(body(&sent)["max_parts"], 1);
    let settings = [
        ("username", "ann"),
        ("password", "hush"),
        ("max-parts", "2"),
    ];
    let sent = request("smsbroadcast", &settings, &message(), (200, "OK:1:2"));
    let maxsplit = ("maxsplit".to_owned(), "2".to_owned());
    assert!(sent.form().contains(&maxsplit), "{}", sent.body);
}

#[test]
fn a_check_of_gatewayapi_and_africastalking_asks_for_the_account() {
    let gatewayapi = [("token", "hush")];
    let africastalking = [("username", "sandbox"), ("api-key", "hush")];
    let cases: [(Case<'_>, &str); 2] = [
        (
            (
                "gatewayapi",
                &gatewayapi,
                (200, r#"{"credit":1,"currency":"DKK","id":1}"#),
            ),
            "/rest/me",
        ),
        (
            (
                "africastalking",
                &africastalking,
                (200, r#"{"UserData":{"balance":"KES 10"}}"#),
            ),
            "/version1/user?username=sandbox",
        ),
    ];
    for ((kind, settings, (status, answer)), target) in cases {
        let server = Server::answering(status, answer);
        open(kind, &server.base(), settings).check(soon()).unwrap();
        let request = server.only_request();
        assert_eq!(
            (request.method.as_str(), request.target.as_str()),
            ("GET", target)
        );
    }
}

#[test]
fn a_setting_that_no_message_can_be_built_with_is_found_by_the_check() {
    let server = Server::answering(200, r#"{"credit":1}"#);
    let settings = [("token", "hush"), ("max-parts", "three")];
    let error = open("gatewayapi", &server.base(), &settings)
        .check(soon())
        .unwrap_err();
    assert_eq!(error.step, twofa_delivery::Step::Settings, "{error:?}");
    assert!(error.reason.contains("max_parts"), "{error:?}");
    assert!(server.requests().is_empty());
}
