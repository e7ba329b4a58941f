//! Mails as they are parsed by another program: Python's email package.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use twofa_core::Timestamp;
use twofa_delivery::{Message, NoticeMessage};

use super::sendmail::sendmail_with;
use super::{CODE, message, message_of, soon};

/// Parses a mail strictly and prints its content as JSON.
const READER: &str = r#"
import email, email.header, email.policy, email.utils, json, sys
raw = sys.stdin.buffer.read()
mail = email.message_from_bytes(raw, policy=email.policy.default)
# Not by the new policy: before Python 3.13 it puts a space between encoded words (RFC 2047 section 6.2).
name, address = email.utils.parseaddr(email.message_from_bytes(raw)["From"])
name = str(email.header.make_header(email.header.decode_header(name)))
def walk(part):
    return {"type": part.get_content_type(), "charset": part.get_content_charset(),
            "encoding": part["Content-Transfer-Encoding"], "content": part.get_content(),
            "defects": [repr(d) for d in part.defects]}
json.dump({
    "headers": {name: str(value) for name, value in mail.items()},
    "names": mail.keys(),
    "from": [[name, address]],
    "date": mail["Date"].datetime.isoformat(),
    "type": mail.get_content_type(),
    "defects": [repr(d) for d in mail.defects] + [repr(d) for v in mail.values() for d in v.defects],
    "parts": [walk(part) for part in mail.iter_parts()],
}, sys.stdout)
"#;

/// `message` as a sendmail program receives it, and as Python parses it.
fn read(message: &Message, settings: &[(&str, &str)]) -> (String, Value) {
    let (folder, provider) = sendmail_with("cat >mail", settings);
    provider.send("alice@example.org", message, soon()).unwrap();
    let raw = fs::read(folder.path().join("mail")).unwrap();

    let mut python = Command::new("python3");
    python
        .args(["-c", READER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut python = python.spawn().unwrap();
    python.stdin.take().unwrap().write_all(&raw).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&raw));
    let read: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(read["defects"], json!([]), "{read}");
    (String::from_utf8(raw).unwrap(), read)
}

#[test]
fn a_mail_is_parsed_as_it_was_composed() {
    let (raw, mail) = read(
        &message(),
        &[
            ("from", "Büro \"7\" <login@example.org>"),
            ("reply-to", "help@example.org"),
        ],
    );
    assert!(
        raw.is_ascii() && raw.lines().all(|line| line.len() <= 998),
        "{raw}"
    );
    let headers = &mail["headers"];
    assert_eq!(headers["To"], "alice@example.org");
    assert_eq!(mail["from"], json!([["Büro \"7\"", "login@example.org"]]));
    assert_eq!(headers["Reply-To"], "help@example.org");
    assert_eq!(headers["Subject"], "Your code for Büro „7“ <x@y> \"東京\"");
    assert_eq!(mail["date"], "2025-11-24T16:00:00+00:00");
    assert_eq!(headers["Auto-Submitted"], "auto-generated");
    let id = headers["Message-ID"].as_str().unwrap();
    assert!(
        id.starts_with('<') && id.ends_with("@example.org>") && id.len() > 40,
        "{id}"
    );
    assert_eq!(headers["MIME-Version"], "1.0");

    assert_eq!(mail["type"], "multipart/alternative");
    let parts = mail["parts"].as_array().unwrap();
    let types: Vec<_> = parts
        .iter()
        .map(|part| part["type"].as_str().unwrap())
        .collect();
    assert_eq!(types, ["text/plain", "text/html"]);
    for part in parts {
        assert_eq!(
            (&part["charset"], &part["defects"]),
            (&json!("utf-8"), &json!([]))
        );
        let content = part["content"].as_str().unwrap();
        for words in [CODE, "Büro „7“", "東京", "alice", "203.0.113.7"] {
            assert!(content.contains(words), "{content}");
        }
        assert!(!content.contains("http"), "no links");
    }
    assert!(
        parts[1]["content"]
            .as_str()
            .unwrap()
            .contains("&lt;x@y&gt; &quot;東京&quot;")
    );
    let headers = raw.split("\n\n").next().unwrap();
    assert!(!headers.contains(CODE), "servers log headers: {headers}");
}

#[test]
fn names_with_any_printable_characters_are_preserved() {
    for name in [
        "„“”",
        "<>\"'&\\",
        "a, b; c: d",
        "Ünïcödé Ünïcödé Ünïcödé Ünïcödé",
        "😀 東京",
        "(x) @y [z]",
    ] {
        let (_, mail) = read(
            &message_of(name),
            &[("from", &format!("{name} <login@example.org>"))],
        );
        assert_eq!(mail["headers"]["Subject"], format!("Your code for {name}"));
        assert_eq!(mail["from"], json!([[name, "login@example.org"]]));
    }
}

#[test]
fn each_mail_has_its_own_message_id_and_only_the_expected_headers() {
    let (_, first) = read(&message_of("Example"), &[]);
    let (_, second) = read(&message_of("Example"), &[]);
    assert_ne!(
        first["headers"]["Message-ID"],
        second["headers"]["Message-ID"]
    );
    let mut names: Vec<_> = first["names"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect();
    names.sort_unstable();
    let expected = [
        "Auto-Submitted",
        "Content-Type",
        "Date",
        "From",
        "MIME-Version",
        "Message-ID",
        "Subject",
        "To",
    ];
    assert_eq!(names, expected);
}

#[test]
fn notices_and_tests_are_mails_as_well() {
    let at = Timestamp::from_unix(1_764_000_000);
    let notice = Message::Notice(NoticeMessage {
        application: "Example".into(),
        user: "alice".into(),
        what: "A backup code was used.".into(),
        from: None,
        at,
    });
    let (_, mail) = read(&notice, &[]);
    assert_eq!(
        mail["headers"]["Subject"],
        "A change to your logins on Example"
    );
    assert!(
        mail["parts"][0]["content"]
            .as_str()
            .unwrap()
            .starts_with("A backup code was used.")
    );
    let (_, mail) = read(
        &Message::Test {
            application: "Example".into(),
            at,
        },
        &[],
    );
    assert_eq!(mail["headers"]["Subject"], "Test message from Example");
}
