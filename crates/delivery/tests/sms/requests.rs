//! What goes to each provider, and what becomes of its answers.

use data_encoding::BASE64;
use serde_json::{Value, json};
use twofa_delivery::Step;

use crate::server::Server;
use crate::support::{CODE, TO, message, open, soon, text};

/// What a provider's documentation says.
struct Documented {
    kind: &'static str,
    settings: &'static [(&'static str, &'static str)],
    path: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Body,
    taken: Taken,
    refused: Vec<Refused>,
}

enum Body {
    Form(Vec<(&'static str, String)>),
    Json(Value),
}

/// A success.
struct Taken {
    status: u16,
    body: &'static str,
    id: Option<&'static str>,
}

/// An error: status, body, at which step it is, and what is said of it.
struct Refused(u16, &'static str, Step, &'static str);

fn basic(user: &str, password: &str) -> (&'static str, String) {
    ("authorization", format!("Basic {}", BASE64.encode(format!("{user}:{password}").as_bytes())))
}

fn documented() -> Vec<Documented> {
    vec![Documented {
        kind: "twilio",
        settings: &[("account-sid", "AC1"), ("auth-token", "hush"), ("from", "+15005550001")],
        path: "/2010-04-01/Accounts/AC1/Messages.json",
        headers: vec![basic("AC1", "hush")],
        body: Body::Form(vec![
            ("Body", text()),
            ("From", "+15005550001".into()),
            ("To", TO.into()),
            ("ValidityPeriod", "600".into()),
        ]),
        taken: Taken {
            status: 201,
            body: r#"{"sid":"SM1","status":"queued","error_code":null}"#,
            id: Some("SM1"),
        },
        refused: vec![
            Refused(
                401,
                r#"{"code":20003,"message":"Authenticate","status":401}"#,
                Step::Login,
                "20003: Authenticate",
            ),
            Refused(
                400,
                r#"{"code":21211,"message":"Invalid 'To' Phone Number"}"#,
                Step::Recipient,
                "21211: Invalid",
            ),
        ],
    }]
}

#[test]
fn each_provider_is_asked_as_it_documents() {
    for one in documented() {
        let server = Server::answering(one.taken.status, one.taken.body);
        let provider = open(one.kind, &server.base(), one.settings);
        let receipt = provider.send(TO, &message(), soon());
        let asked = server.asked_once();
        let about = one.kind;
        assert_eq!(receipt.map(|receipt| receipt.id), Ok(one.taken.id.map(str::to_owned)), "{about}");
        assert_eq!((asked.method.as_str(), asked.target.as_str()), ("POST", one.path), "{about}");
        for (name, value) in &one.headers {
            assert_eq!(asked.header(name), Some(value.as_str()), "{about}: {name}");
        }
        let agent = asked.header("user-agent").unwrap();
        assert!(agent.starts_with("twofa/"), "{about}: {agent}");
        let kind = asked.header("content-type").unwrap();
        match one.body {
            Body::Form(expected) => {
                assert_eq!(kind, "application/x-www-form-urlencoded", "{about}");
                let mut expected: Vec<_> =
                    expected.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
                expected.sort();
                assert_eq!(asked.form(), expected, "{about}");
            }
            Body::Json(expected) => {
                assert_eq!(kind, "application/json", "{about}");
                assert_eq!(serde_json::from_str::<Value>(&asked.body).unwrap(), expected, "{about}");
            }
        }
    }
}

#[test]
fn an_error_of_a_provider_is_an_error_with_its_code_and_words() {
    for one in documented() {
        for Refused(status, body, step, says) in one.refused {
            let server = Server::answering(status, body);
            let error =
                open(one.kind, &server.base(), one.settings).send(TO, &message(), soon()).unwrap_err();
            let about = format!("{}, {status} {body}: {error:?}", one.kind);
            assert_eq!(error.step, step, "{about}");
            assert!(error.reason.contains(says), "{about}");
        }
    }
}

#[test]
fn an_error_that_repeats_the_request_shows_neither_code_nor_keys() {
    let said = |body: &str| json!({"code": 1, "message": format!("cannot send {body}")}).to_string();
    for one in documented() {
        let server = Server::with(move |asked| {
            let all = format!("{} {} {:?} {}", asked.target, asked.body, asked.headers, text());
            crate::server::Answer::new(400, &said(&all))
        });
        let error = open(one.kind, &server.base(), one.settings).send(TO, &message(), soon()).unwrap_err();
        let shown = format!("{error} {error:?}");
        let secret = one.settings.iter().map(|(_, value)| *value).filter(|value| value.contains("hush"));
        for secret in secret.chain([CODE]) {
            assert!(!shown.contains(secret), "{}: {shown}", one.kind);
        }
    }
}
