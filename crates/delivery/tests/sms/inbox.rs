//! Text messages that people send, for providers that list them.

use twofa_core::Timestamp;
use twofa_delivery::InboundSms;

use crate::server::{Answer, Server};
use crate::support::{open, soon};

const SINCE: Timestamp = Timestamp::from_unix(1_790_000_000); // 2026-09-21T14:13:20Z

/// A request and its answer as a provider documents them.
struct Documented {
    kind: &'static str,
    settings: &'static [(&'static str, &'static str)],
    method: &'static str,
    target: &'static str,
    answer: &'static str,
    from: &'static str,
    at: Option<i64>,
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn documented() -> Vec<Documented> {
    vec![
        Documented {
            kind: "twilio",
            settings: &[
                ("account-sid", "AC1"),
                ("auth-token", "hush"),
                ("from", "+15005550001"),
            ],
            method: "GET",
            target: "/2010-04-01/Accounts/AC1/Messages.json?DateSent%3E=2026-09-21&PageSize=50&To=%2B15005550001",
            answer: r#"{"messages":[{"direction":"outbound-api","from":"x","body":"no"},{"direction":"inbound","from":"+15005550006",
                "to":"+15005550001","body":"JOIN 7","date_created":"Mon, 21 Sep 2026 14:00:00 +0000"}],"next_page_uri":null}"#,
            from: "+15005550006",
            at: Some(1_789_999_200),
        },
        Documented {
            kind: "messagebird",
            settings: &[("access-key", "hush"), ("from", "15005550001")],
            method: "GET",
            target: "/messages?direction=mo&from=2026-09-21T14%3A13%3A20Z&limit=100&recipient=15005550001",
            answer: r#"{"items":[{"id":"1","originator":15005550006,"body":"JOIN 7","createdDatetime":"2026-09-21T14:00:00+00:00"}]}"#,
            from: "15005550006",
            at: Some(1_789_999_200),
        },
        Documented {
            kind: "bird",
            settings: &[("api-key", "bk_eu1_hush"), ("from", "+15005550001")],
            method: "GET",
            target: "/v1/sms/messages?created_after=2026-09-21T14%3A13%3A20Z&direction=inbound&limit=100&to=%2B15005550001",
            answer: r#"{"data":[{"id":"sms_1","direction":"inbound","from":"+15005550006","to":"+15005550001","text":"JOIN 7",
                "created_at":"2026-09-21T14:00:00Z"}],"next_cursor":null}"#,
            from: "+15005550006",
            at: Some(1_789_999_200),
        },
        Documented {
            kind: "clicksend",
            settings: &[
                ("username", "ann"),
                ("api-key", "hush"),
                ("from", "+15005550001"),
            ],
            method: "GET",
            target: "/v3/sms/inbound?limit=100",
            answer: r#"{"response_code":"SUCCESS","data":{"data":[{"from":"+15005550006","body":"JOIN 7","timestamp":"1789999200"}]}}"#,
            from: "+15005550006",
            at: Some(1_789_999_200),
        },
        Documented {
            kind: "sinch",
            settings: &[
                ("service-plan-id", "p1"),
                ("api-token", "hush"),
                ("from", "+15005550001"),
            ],
            method: "GET",
            target: "/p1/inbounds?page_size=100&start_date=2026-09-21T14%3A13%3A20Z&to=15005550001",
            answer: r#"{"inbounds":[{"id":"1","from":"15005550006","to":"1","body":"JOIN 7","received_at":"2026-09-21T14:00:00.123Z"}]}"#,
            from: "15005550006",
            at: Some(1_789_999_200),
        },
        Documented {
            kind: "infobip",
            settings: &[
                ("subdomain", "x1"),
                ("api-key", "hush"),
                ("from", "15005550001"),
            ],
            method: "GET",
            target: "/sms/1/inbox/reports?limit=100",
            answer: r#"{"results":[{"from":"15005550006","text":"JOIN 7","receivedAt":"2026-09-21T16:00:00.000+0200"}]}"#,
            from: "15005550006",
            at: Some(1_789_999_200),
        },
        Documented {
            kind: "textmagic",
            settings: &[
                ("username", "ann"),
                ("api-key", "hush"),
                ("from", "15005550001"),
            ],
            method: "GET",
            target: "/api/v2/replies?limit=100",
            answer: r#"{"resources":[{"id":1,"sender":"15005550006","receiver":"1","text":"JOIN 7","messageTime":"2026-09-21T14:00:00+0000"}]}"#,
            from: "15005550006",
            at: Some(1_789_999_200),
        },
        Documented {
            kind: "46elks",
            settings: &[
                ("username", "u1"),
                ("password", "hush"),
                ("from", "+15005550001"),
            ],
            method: "GET",
            target: "/a1/sms?to=%2B15005550001",
            answer: r#"{"data":[{"direction":"outgoing","from":"x","message":"no"},{"direction":"incoming","from":"+15005550006","message":"JOIN 7","created":"2026-09-21T14:00:00.123456"}]}"#,
            from: "+15005550006",
            at: Some(1_789_999_200),
        },
        Documented {
            kind: "seven",
            settings: &[("api-key", "hush"), ("from", "15005550001")],
            method: "GET",
            target: "/api/journal/inbound",
            answer: r#"[{"id":"1","from":"15005550006","to":"1","text":"JOIN 7","timestamp":"2026-09-21 14:00:00"}]"#,
            from: "15005550006",
            at: Some(1_789_999_200),
        },
        Documented {
            kind: "bulksms",
            settings: &[
                ("token-id", "t1"),
                ("token-secret", "hush"),
                ("reply-number", "+15005550001"),
            ],
            method: "GET",
            target: "/messages?filter=type%3DRECEIVED&limit=100",
            answer: r#"[{"type":"RECEIVED","from":"15005550006","body":"JOIN 7","submission":{"date":"2026-09-21T14:00:00Z"}}]"#,
            from: "15005550006",
            at: Some(1_789_999_200),
        },
        Documented {
            kind: "cdyne",
            settings: &[("license-key", "hush"), ("from", "15005550001")],
            method: "POST",
            target: "/Messaging.svc/ReadIncomingMessages",
            answer: r#"[{"From":"15005550006","IncomingMessageID":"1","Payload":"JOIN 7","ReceivedDate":"/Date(1789999200000-0700)/"}]"#,
            from: "15005550006",
            at: Some(1_789_999_200),
        },
    ]
}

#[test]
fn each_provider_that_lists_messages_receives_the_request_that_it_documents() {
    for one in documented() {
        let server = Server::answering(200, one.answer);
        let provider = open(one.kind, &server.base(), one.settings);
        let received = provider.inbox().unwrap().received(SINCE, soon()).unwrap();
        let request = server.only_request();
        assert_eq!(
            (request.method.as_str(), request.target.as_str()),
            (one.method, one.target),
            "{}",
            one.kind
        );
        let expected = InboundSms {
            from: one.from.to_owned(),
            text: "JOIN 7".to_owned(),
            at: one.at.map(Timestamp::from_unix),
        };
        assert_eq!(received, [expected], "{}", one.kind);
    }
}

#[test]
fn a_provider_that_lists_nothing_has_no_inbox() {
    let has_inbox = |kind, settings: &[(&str, &str)]| {
        open(kind, "http://127.0.0.1:9", settings).inbox().is_some()
    };
    assert!(!has_inbox(
        "plivo",
        &[
            ("auth-id", "a"),
            ("auth-token", "b"),
            ("from", "15005550001")
        ]
    ));
    // It lists the oldest messages for ever.
    let sandbox = [("username", "sandbox"), ("api-key", "a"), ("from", "20880")];
    assert!(!has_inbox("africastalking", &sandbox));
    // Nobody can reply to a message with a sender of one's own.
    let bulksms = [
        ("token-id", "a"),
        ("token-secret", "b"),
        ("from", "15005550001"),
    ];
    assert!(!has_inbox("bulksms", &bulksms));
    // No message can be sent to a name.
    assert!(!has_inbox(
        "messagebird",
        &[("access-key", "a"), ("from", "Acme")]
    ));
    assert!(has_inbox(
        "messagebird",
        &[("access-key", "a"), ("from", "15005550001")]
    ));
}

#[test]
fn a_list_is_read_page_by_page_but_not_from_another_server() {
    let page = |next: &str, text: &str| {
        format!(
            r#"{{"messages":[{{"direction":"inbound","from":"+1","body":"{text}"}}],"next_page_uri":"{next}"}}"#
        )
    };
    let server = Server::with(move |request| {
        Answer::new(
            200,
            &if request.target.contains("Page=2") {
                page("", "two")
            } else {
                page("/x.json?Page=2", "one")
            },
        )
    });
    let settings = [
        ("account-sid", "AC1"),
        ("auth-token", "hush"),
        ("from", "+15005550001"),
    ];
    let provider = open("twilio", &server.base(), &settings);
    let received = provider.inbox().unwrap().received(SINCE, soon()).unwrap();
    let texts: Vec<_> = received
        .iter()
        .map(|message| message.text.as_str())
        .collect();
    assert_eq!(texts, ["one", "two"]);
    assert_eq!(server.requests()[1].target, "/x.json?Page=2");
    assert!(server.requests()[1].header("authorization").is_some());

    let elsewhere = Server::answering(200, "{}");
    let away = page(&format!("{}/x", elsewhere.base()), "one");
    let server = Server::answering(200, &away);
    let error = open("twilio", &server.base(), &settings)
        .inbox()
        .unwrap()
        .received(SINCE, soon())
        .unwrap_err();
    assert!(error.reason.contains("another server"), "{error:?}");
    assert!(elsewhere.requests().is_empty());
}

#[test]
fn at_most_five_pages_of_a_list_are_read() {
    let server = Server::answering(200, r#"{"messages":[],"next_page_uri":"/again"}"#);
    let settings = [
        ("account-sid", "AC1"),
        ("auth-token", "hush"),
        ("from", "+15005550001"),
    ];
    open("twilio", &server.base(), &settings)
        .inbox()
        .unwrap()
        .received(SINCE, soon())
        .unwrap();
    assert_eq!(server.requests().len(), 5);
}

#[test]
fn a_message_that_is_listed_only_once_is_kept_for_all_who_wait() {
    let server = Server::with({
        let first = std::sync::atomic::AtomicBool::new(true);
        move |_| {
            let is_first = first.swap(false, std::sync::atomic::Ordering::SeqCst);
            Answer::new(
                200,
                if is_first {
                    r#"{"results":[{"from":"1","text":"JOIN 7"}]}"#
                } else {
                    r#"{"results":[]}"#
                },
            )
        }
    });
    let provider = open(
        "infobip",
        &server.base(),
        &[
            ("subdomain", "x"),
            ("api-key", "hush"),
            ("from", "15005550001"),
        ],
    );
    let inbox = provider.inbox().unwrap();
    assert_eq!(inbox.received(SINCE, soon()).unwrap().len(), 1);
    assert_eq!(inbox.received(SINCE.after(60), soon()).unwrap().len(), 1);
    assert_eq!(inbox.received(SINCE.after(4000), soon()).unwrap().len(), 0);
}
