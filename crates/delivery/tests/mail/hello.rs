//! The name that this machine gives in EHLO, and servers that refuse it, in their own words.

use std::sync::Mutex;
use std::sync::mpsc;

use twofa_delivery::{Provider, Step};

use super::scripted::Scripted;
use super::{assert_error, message, provider, send_error, soon};

fn through(server: &Scripted, more: &[(&str, &str)]) -> Box<dyn Provider> {
    let port = server.port.to_string();
    let settings = [
        ("host", "127.0.0.1"),
        ("port", &*port),
        ("tls", "none"),
        ("from", "login@example.org"),
    ];
    provider("smtp", &[&settings, more].concat())
}

/// A server that answers `reply` to the first command that begins with `command`, and accepts all others.
fn answering(command: &'static str, reply: &'static str) -> Scripted {
    Scripted::start(move |connection| {
        connection.serve_until(command)?;
        connection.send(reply)?;
        connection.continue_until("QUIT").map(|_| ())
    })
}

#[test]
fn the_name_is_fully_qualified_or_an_address() {
    let (names, received) = mpsc::channel();
    let names = Mutex::new(names);
    let server = Scripted::start(move |connection| {
        connection.send("220 hello")?;
        let name = connection.read_line()?;
        names.lock().unwrap().send(name).unwrap();
        connection.send("250 scripted")?;
        connection.continue_until("QUIT").map(|_| ())
    });
    through(&server, &[]).check(soon()).unwrap();
    let name = received.recv().unwrap();
    let name = name.strip_prefix("EHLO ").unwrap();
    assert!(
        name == "[127.0.0.1]" || name.contains('.') && !name.contains("localhost"),
        "{name}"
    );
    for hello in ["server01", "[192.0.2.7]", "login.example.org"] {
        through(&server, &[("hello", hello)]).check(soon()).unwrap();
        assert_eq!(received.recv().unwrap(), format!("EHLO {hello}"));
    }
}

#[test]
fn a_refusal_of_the_name_is_known_in_the_words_of_every_server() {
    for (command, reply) in [
        // Postfix, by default at the recipient.
        (
            "RCPT",
            "504 5.5.2 <server01>: Helo command rejected: need fully-qualified hostname",
        ),
        (
            "RCPT",
            "501 5.5.2 <web_1->: Helo command rejected: Invalid name",
        ),
        (
            "RCPT",
            "450 4.7.1 <server01.example.org>: Helo command rejected: Host not found",
        ),
        (
            "RCPT",
            "554 5.7.1 <server01>: Helo command rejected: Access denied",
        ),
        (
            "EHLO",
            "504 5.5.2 <server01>: Helo command rejected: need fully-qualified hostname",
        ),
        // Exim, and rules that are common for it.
        ("EHLO", "501 Syntactically invalid EHLO argument(s)"),
        (
            "RCPT",
            "550 Access denied - Invalid HELO name (See RFC2821 4.1.1.1)",
        ),
        (
            "MAIL",
            "550-Bad HELO - Host impersonating [server01]\r\n550 denied",
        ),
        // Sendmail.
        ("EHLO", "501 5.0.0 Invalid domain name"),
        ("RCPT", "550 5.7.1 Fix your HELO/EHLO name"),
        // Exchange.
        ("EHLO", "501 5.5.4 Invalid domain name"),
        ("DATA", "550 5.7.1 The EHLO domain is not accepted"),
    ] {
        let server = answering(command, reply);
        let provider = through(&server, &[("hello", "server01")]);
        let error = send_error(&*provider, "alice@example.org");
        assert_error(&error, Step::Greeting, &reply[..3], "set 'hello'");
        if command != "DATA" {
            let error = provider.check(soon()).unwrap_err();
            assert_error(&error, Step::Greeting, &reply[..3], "set 'hello'");
        }
    }
}

#[test]
fn another_refusal_is_not_blamed_on_the_name() {
    for (command, reply, step) in [
        (
            "RCPT",
            "550 5.1.1 <bob@helo.example.org>: User unknown",
            Step::Recipient,
        ),
        (
            "RCPT",
            "550 bob@helo.example.org says hello",
            Step::Recipient,
        ),
        (
            "RCPT",
            "554 5.7.1 <alice@example.org>: Relay access denied",
            Step::Recipient,
        ),
        (
            "RCPT",
            "503 5.5.1 Error: send HELO/EHLO first",
            Step::Recipient,
        ),
        ("MAIL", "550 5.7.1 Invalid domain name", Step::Sender),
        ("EHLO", "554 5.7.1 No service for you", Step::Greeting),
        (
            "RCPT",
            "554 5.7.1 <unknown[192.0.2.7]>: Client host rejected: Access denied",
            Step::Greeting,
        ),
        (
            "RCPT",
            "553 5.7.1 <login@example.org>: Sender address rejected: not owned by user it",
            Step::Sender,
        ),
    ] {
        let provider = through(&answering(command, reply), &[]);
        let error = send_error(&*provider, "alice@example.org");
        assert_eq!(error.step, step, "{error:?}");
        assert!(!error.hint.unwrap().contains("'hello'"), "{reply}");
    }
}

#[test]
fn a_check_goes_as_far_as_a_recipient_and_takes_no_recipient_for_a_fault_of_the_server() {
    for (reply, is_fault) in [
        (
            "550 5.1.1 <login@example.org>: Recipient address rejected: User unknown",
            false,
        ),
        ("554 5.7.1 <login@example.org>: Relay access denied", false),
        (
            "450 4.7.1 <login@example.org>: Recipient address rejected: Greylisted",
            false,
        ),
        ("552 5.2.2 Mailbox is full", false),
        ("530 5.7.0 Authentication required", true),
        ("421 4.3.2 Shutting down", true),
        (
            "554 5.7.1 <unknown[192.0.2.7]>: Client host rejected: Access denied",
            true,
        ),
        (
            "553 5.7.1 <login@example.org>: Sender address rejected: not owned by user it",
            true,
        ),
        ("550 Sender verify failed", true),
    ] {
        let checked = through(&answering("RCPT", reply), &[]).check(soon());
        assert_eq!(checked.is_err(), is_fault, "{reply}: {checked:?}");
    }
    // The recipient is the sender, no mail follows, and the connection ends properly.
    let (commands, received) = mpsc::channel();
    let commands = Mutex::new(commands);
    let server = Scripted::start(move |connection| {
        connection.serve_until("MAIL")?;
        connection.send("250 2.1.0 Ok")?;
        loop {
            let command = connection.read_line()?;
            connection.send("250 2.0.0 Ok")?;
            commands.lock().unwrap().send(command).unwrap();
        }
    });
    through(&server, &[]).check(soon()).unwrap();
    let received: Vec<_> = (0..3).map(|_| received.recv().unwrap()).collect();
    assert_eq!(received, ["RCPT TO:<login@example.org>", "RSET", "QUIT"]);
    // A server that hangs there would hang with every code.
    let server = Scripted::start(|connection| {
        connection.serve_until("RCPT")?;
        connection.hang()
    });
    let soon = std::time::Instant::now() + std::time::Duration::from_millis(500);
    assert!(through(&server, &[]).check(soon).unwrap_err().timed_out);
    // What was learnt in a check does not outlive it.
    let server = Scripted::start(|connection| connection.serve_until("QUIT").map(|_| ()));
    let provider = through(&server, &[]);
    provider.check(super::soon()).unwrap();
    provider
        .send("alice@example.org", &message(), super::soon())
        .unwrap();
}
