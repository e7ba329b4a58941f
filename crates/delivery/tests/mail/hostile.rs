//! Servers that hang, close the connection, do not speak SMTP, or repeat the secrets they were sent.

use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use twofa_delivery::{Provider, SendError, Step};

use super::scripted::{Connection, Scripted, ca_file};
use super::{CODE, assert_clean, assert_error, is_root, message, provider, send_error, soon};

/// The deadline of a send in these tests.
const DEADLINE: Duration = Duration::from_millis(700);

/// How much later than its deadline a send may return: a busy machine does not wake a thread at once.
const GRACE: Duration = Duration::from_millis(700);

fn through(server: &Scripted, tls: &str, more: &[(&str, &str)]) -> Box<dyn Provider> {
    let port = server.port.to_string();
    let mut settings = vec![
        ("host", "localhost"),
        ("port", &port),
        ("tls", tls),
        ("ca-file", ca_file()),
    ];
    settings.extend([
        ("from", "login@example.org"),
        ("password", "hunter2-secret"),
    ]);
    settings.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
    settings.extend(more.iter().filter(|(_, value)| !value.is_empty()));
    provider("smtp", &settings)
}

/// Sends with a short deadline, which must be kept.
fn in_time(provider: &dyn Provider) -> SendError {
    in_time_from(provider, Instant::now())
}

/// Like [`in_time`], with a deadline that is counted from `start`.
fn in_time_from(provider: &dyn Provider, start: Instant) -> SendError {
    let error = provider
        .send("alice@example.org", &message(), start + DEADLINE)
        .unwrap_err();
    assert!(
        start.elapsed() < DEADLINE + GRACE,
        "{:?}: {error:?}",
        start.elapsed()
    );
    assert_clean(provider, &error);
    error
}

/// The commands at which a server stops answering, and the step that is reported.
const STOPS: [(&str, Step); 6] = [
    ("EHLO", Step::Greeting),
    ("AUTH", Step::Login),
    ("MAIL", Step::Sender),
    ("RCPT", Step::Recipient),
    ("DATA", Step::Message),
    (".", Step::Message),
];

#[test]
fn a_server_that_hangs_is_given_up_by_the_deadline_and_the_step_is_named() {
    let unresponsive = Scripted::start(Connection::hang);
    for (tls, step) in [
        ("implicit", Step::Tls),
        ("none", Step::Greeting),
        ("starttls", Step::Greeting),
    ] {
        let error = in_time(&*through(&unresponsive, tls, &[]));
        assert!(error.timed_out, "{error:?}");
        assert_eq!(error.step, step);
        assert!(error.hint.is_some(), "{error:?}");
    }
    let error = in_time(&*through(
        &Scripted::start_tls(Connection::hang),
        "implicit",
        &[],
    ));
    assert!(error.timed_out && error.step == Step::Greeting, "{error:?}");
    for (stop, step) in STOPS {
        let server = Scripted::start_tls(move |connection| {
            connection.serve_until(stop)?;
            connection.hang()
        });
        let error = in_time(&*through(&server, "implicit", &[]));
        assert!(error.timed_out && error.step == step, "{stop}: {error:?}");
    }
}

#[test]
fn a_server_that_sends_single_bytes_cannot_prolong_the_deadline() {
    let dripping = Scripted::start(Connection::drip);
    for (tls, step) in [("implicit", Step::Tls), ("none", Step::Greeting)] {
        assert_eq!(in_time(&*through(&dripping, tls, &[])).step, step);
    }
    for (stop, step) in STOPS {
        let server = Scripted::start_tls(move |connection| {
            connection.serve_until(stop)?;
            connection.drip()
        });
        let error = in_time(&*through(&server, "implicit", &[]));
        assert!(error.timed_out && error.step == step, "{stop}: {error:?}");
    }
}

#[test]
fn a_server_that_sends_without_end_is_given_up() {
    let server = Scripted::start(|connection| {
        loop {
            connection.send("220-and another thing")?;
        }
    });
    assert_error(
        &in_time(&*through(&server, "none", &[])),
        Step::Greeting,
        "does not answer like a mail server",
        "check 'host' and 'port'",
    );
    let server = Scripted::start(|connection| {
        loop {
            connection.send_bytes(&[b'x'; 4096])?;
        }
    });
    assert_error(
        &in_time(&*through(&server, "none", &[])),
        Step::Greeting,
        "a line longer than 4096 bytes",
        "",
    );
}

#[test]
fn a_closed_connection_is_reported_with_the_step() {
    for (stop, step) in STOPS {
        let server =
            Scripted::start_tls(move |connection| connection.serve_until(stop).map(|_| ()));
        let error = send_error(&*through(&server, "implicit", &[]), "alice@example.org");
        assert_error(&error, step, "the server closed the connection", "");
        assert!(!error.timed_out);
        assert_eq!(
            server.connections(),
            1,
            "{stop}: a fresh connection is not tried again"
        );
    }
}

#[test]
fn a_server_that_is_not_a_mail_server_is_reported() {
    let web = Scripted::start(|connection| connection.send("HTTP/1.1 400 Bad Request"));
    let error = send_error(&*through(&web, "none", &[]), "alice@example.org");
    assert_error(
        &error,
        Step::Greeting,
        "does not answer like a mail server",
        "check 'host' and 'port'",
    );
    let error = send_error(&*through(&web, "implicit", &[]), "alice@example.org");
    assert_error(&error, Step::Tls, "does not speak TLS", "tls=starttls");
}

#[test]
fn a_port_where_nobody_listens_is_reported() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
        .to_string();
    let provider = provider(
        "smtp",
        &[
            ("host", "127.0.0.1"),
            ("port", &port),
            ("from", "login@example.org"),
        ],
    );
    let error = send_error(&*provider, "alice@example.org");
    assert_error(&error, Step::Connect, "refused", "check 'host' and 'port'");
}

#[test]
fn a_name_that_does_not_exist_is_reported_in_time() {
    let provider = provider(
        "smtp",
        &[
            ("host", "no-such-host.invalid"),
            ("from", "login@example.org"),
        ],
    );
    let error = in_time(&*provider);
    assert_eq!(error.step, Step::Lookup, "{error:?}");
    assert!(error.hint.is_some());
}

/// Set in the process that runs with a resolver that never answers.
const WITH_SILENT_RESOLVER: &str = "TEST_WITH_SILENT_RESOLVER";

#[test]
fn a_resolver_that_hangs_is_given_up_and_does_not_take_all_threads() {
    if !is_root() {
        return;
    }
    if std::env::var_os(WITH_SILENT_RESOLVER).is_none() {
        // Runs this test again, with a network and a resolv.conf of its own.
        let name = "hostile::a_resolver_that_hangs_is_given_up_and_does_not_take_all_threads";
        let script = "ip link set lo up && mount --bind \"$1\" /etc/resolv.conf && exec \"$0\" --exact \"$2\"";
        let mut resolver = tempfile::NamedTempFile::new().unwrap();
        resolver.write_all(b"nameserver 127.0.0.1\n").unwrap();
        let mut unshare = Command::new("unshare");
        unshare
            .args(["--mount", "--net", "sh", "-c", script])
            .arg(std::env::current_exe().unwrap());
        unshare
            .arg(resolver.path())
            .arg(name)
            .env(WITH_SILENT_RESOLVER, "");
        let output = unshare.output().unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && stdout.contains("1 passed"),
            "{output:?}"
        );
        return;
    }
    let _unresponsive = UdpSocket::bind("127.0.0.1:53").unwrap();
    let settings = [
        ("host", "smtp.example.org"),
        ("from", "login@example.org"),
        ("connections", "64"),
    ];
    let provider = provider("smtp", &settings);
    let errors: Vec<_> = thread::scope(|scope| {
        let sends: Vec<_> = (0..20)
            .map(|_| scope.spawn(|| in_time(&*provider)))
            .collect();
        sends.into_iter().map(|send| send.join().unwrap()).collect()
    });
    assert!(
        errors
            .iter()
            .all(|error| error.step == Step::Lookup && error.timed_out),
        "{errors:?}"
    );
    let threads = std::fs::read_dir("/proc/self/task")
        .unwrap()
        .map(|task| task.unwrap().path().join("comm"));
    let asking =
        threads.filter(|comm| std::fs::read_to_string(comm).is_ok_and(|name| name == "look-up\n"));
    assert_eq!(asking.count(), 1);
    // Another name can be looked up in the meantime.
    let server = Scripted::start(|connection| connection.continue_until("never").map(|_| ()));
    let error = in_time(&*through(&server, "none", &[("host", "localhost")]));
    assert_ne!(error.step, Step::Lookup, "{error:?}");
}

#[test]
fn a_server_that_rejects_the_connection_is_reported() {
    for (greeting, hint) in [
        (
            "554 5.7.1 Your address is on a list",
            "rejects connections from this machine",
        ),
        (
            "421 4.7.0 Too many connections from you",
            "lower 'connections'",
        ),
    ] {
        let server = Scripted::start(move |connection| connection.send(greeting));
        let error = send_error(&*through(&server, "none", &[]), "alice@example.org");
        assert_error(&error, Step::Greeting, greeting, hint);
    }
}

#[test]
fn nothing_is_sent_without_starttls_where_it_is_required() {
    let stripped = Scripted::start(|connection| connection.serve_until("never").map(|_| ()));
    let error = send_error(&*through(&stripped, "starttls", &[]), "alice@example.org");
    assert_error(&error, Step::Tls, "does not offer STARTTLS", "tls=implicit");

    let refusing = Scripted::start(|connection| {
        connection.send("220 hello")?;
        connection.read_line()?;
        connection.send("250-hello\r\n250 STARTTLS")?;
        assert_eq!(connection.read_line()?, "STARTTLS");
        connection.send("454 4.7.0 TLS not available")?;
        // Only QUIT is sent unencrypted.
        assert_eq!(connection.read_line()?, "QUIT");
        Ok(())
    });
    let error = send_error(&*through(&refusing, "starttls", &[]), "alice@example.org");
    assert_error(&error, Step::Tls, "454 4.7.0 TLS not available", "");
}

#[test]
fn bytes_that_an_attacker_inserts_before_tls_are_not_accepted() {
    let injected = Scripted::start(|connection| {
        connection.send("220 hello")?;
        connection.read_line()?;
        connection.send("250-hello\r\n250 STARTTLS")?;
        connection.read_line()?;
        connection.send("220 go on\r\n250-hello\r\n250 AUTH PLAIN")?;
        connection.secure()
    });
    let error = send_error(&*through(&injected, "starttls", &[]), "alice@example.org");
    assert_error(&error, Step::Tls, "more than its reply", "");
}

#[test]
fn plain_text_only_goes_to_this_machine_unless_it_may_go_anywhere() {
    // 192.0.2.0/24 is not routed (RFC 5737): nothing is sent to anybody even if this fails.
    let settings = [
        ("host", "192.0.2.1"),
        ("tls", "none"),
        ("from", "login@example.org"),
    ];
    let error = send_error(&*provider("smtp", &settings), "alice@example.org");
    assert_error(&error, Step::Tls, "another machine", "none-anywhere");
    let settings = [
        ("host", "192.0.2.1"),
        ("tls", "none-anywhere"),
        ("from", "login@example.org"),
    ];
    assert_eq!(in_time(&*provider("smtp", &settings)).step, Step::Connect);
}

#[test]
fn a_server_that_repeats_secrets_does_not_reveal_them() {
    for stop in ["AUTH", "MAIL", "RCPT", "DATA"] {
        let server = Scripted::start(move |connection| {
            connection.serve_until(stop)?;
            let secrets =
                "hunter2-secret AGxvZ2luQGV4YW1wbGUub3JnAGh1bnRlcjItc2VjcmV0 aHVudGVyMi1zZWNyZXQ=";
            // At the login it does not know the code yet.
            let code = if stop == "AUTH" {
                "hunter2-secret"
            } else {
                CODE
            };
            connection.send(&format!(
                "550-5.0.0 I heard: {secrets}\r\n550 5.0.0 and {code}\u{1b}[2J"
            ))?;
            connection.continue_until("never").map(|_| ())
        });
        let error = send_error(&*through(&server, "none", &[]), "alice@example.org");
        assert_eq!(error.reason, "550 5.0.0 I heard: […] […] […] and […]?[2J");
    }
}

#[test]
fn only_an_unknown_mailbox_stops_the_failover() {
    for (answer, stops_failover, hint) in [
        ("550 5.1.1 User unknown", true, "does not exist"),
        ("450 4.1.1 Try again", false, "greylisting"),
        ("450 4.7.1 Greylisted", false, "greylisting"),
        (
            "554 5.7.1 Relay access denied",
            false,
            "'username' and 'password'",
        ),
        ("550 no", false, "does not accept"),
        ("552 5.2.2 Mailbox full", false, "does not accept"),
    ] {
        let server = Scripted::start(move |connection| {
            connection.serve_until("RCPT")?;
            connection.send(answer)?;
            connection.continue_until("never").map(|_| ())
        });
        let error = send_error(&*through(&server, "none", &[]), "alice@example.org");
        assert_error(&error, Step::Recipient, answer, hint);
        assert_eq!(error.stops_failover, stops_failover, "{answer}");
    }
}

#[test]
fn a_connection_that_the_server_dropped_is_replaced_once_without_an_error() {
    // Each connection takes one mail and is then dropped: closed, closed after 421, or left open without an answer.
    for leave in ["close", "421", "no answer"] {
        let mails = Arc::new(AtomicUsize::new(0));
        let accepted = Arc::clone(&mails);
        let server = Scripted::start_tls(move |connection| {
            connection.serve_until(".")?;
            accepted.fetch_add(1, Ordering::SeqCst);
            connection.send("250 2.0.0 Ok: queued as 4D2")?;
            match leave {
                "close" => Ok(()),
                "421" => connection.send("421 4.4.2 timeout"),
                _ => connection.hang(),
            }
        });
        let provider = through(&server, "implicit", &[]);
        for sent in 1..=3 {
            let deadline = Instant::now()
                + if leave == "no answer" {
                    DEADLINE * 2
                } else {
                    super::TIMEOUT
                };
            let receipt = provider
                .send("alice@example.org", &message(), deadline)
                .expect(leave);
            assert_eq!(receipt.id.as_deref(), Some("4D2"));
            assert_eq!(
                (mails.load(Ordering::SeqCst), server.connections()),
                (sent, sent),
                "{leave}"
            );
        }
    }
}

#[test]
fn a_mail_that_the_server_may_have_accepted_is_not_sent_twice() {
    let server = Scripted::start(|connection| {
        connection.serve_until(".")?;
        connection.send("250 2.0.0 Ok")?;
        connection.continue_until(".").map(|_| ())
    });
    let provider = through(&server, "none", &[]);
    provider
        .send("alice@example.org", &message(), soon())
        .unwrap();
    let error = send_error(&*provider, "alice@example.org");
    assert_error(
        &error,
        Step::Message,
        "the server closed the connection",
        "",
    );
    assert_eq!(server.connections(), 1);
}

/// A server that sends `reply` to the content of a mail.
fn replies_to_mail(reply: &'static str) -> Scripted {
    Scripted::start(move |connection| {
        connection.serve_until(".")?;
        connection.send(reply)
    })
}

#[test]
fn only_a_mail_that_was_handed_over_without_an_answer_may_have_arrived() {
    let hangs_at = |stop| {
        Scripted::start(move |connection| {
            connection.serve_until(stop)?;
            connection.hang()
        })
    };
    let closes_at =
        |stop| Scripted::start(move |connection| connection.serve_until(stop).map(|_| ()));
    for (i, (server, may_have_arrived)) in [
        (hangs_at("."), true),
        (closes_at("."), true),
        (replies_to_mail("what?"), true),
        (replies_to_mail("250-2.0.0 go"), true),
        (replies_to_mail("451 4.3.0 not now"), false),
        (replies_to_mail("554 5.7.1 no"), false),
        (hangs_at("DATA"), false),
        (closes_at("MAIL"), false),
    ]
    .into_iter()
    .enumerate()
    {
        let error = in_time(&*through(&server, "none", &[]));
        assert_eq!(error.may_have_arrived, may_have_arrived, "{i}: {error:?}");
    }
    let no_tls = Scripted::start(Connection::hang);
    assert!(!in_time(&*through(&no_tls, "implicit", &[])).may_have_arrived);
}

#[test]
fn after_a_refused_mail_the_connection_can_send_another() {
    let server = Scripted::start(|connection| {
        connection.serve_until("RCPT")?;
        connection.send("550 5.1.1 User unknown")?;
        assert_eq!(connection.read_line()?, "RSET");
        connection.send("250 2.0.0 Ok")?;
        connection.continue_until("never").map(|_| ())
    });
    let provider = through(&server, "none", &[]);
    assert!(send_error(&*provider, "nobody@example.org").stops_failover);
    provider
        .send("alice@example.org", &message(), soon())
        .unwrap();
    assert_eq!(server.connections(), 1);
}

#[test]
fn connections_are_limited_and_no_send_waits_past_its_deadline() {
    let server = Scripted::start(|connection| {
        connection.serve_until("MAIL")?;
        connection.hang()
    });
    let provider = through(&server, "none", &[("connections", "3")]);
    // One deadline for all: nobody has time left when a connection is released.
    let start = Instant::now();
    let errors: Vec<_> = thread::scope(|scope| {
        let sends: Vec<_> = (0..12)
            .map(|_| scope.spawn(|| in_time_from(&*provider, start)))
            .collect();
        sends.into_iter().map(|send| send.join().unwrap()).collect()
    });
    assert_eq!(server.connections(), 3);
    // Only the sends that had a connection timed out; the others waited for one.
    let (late, waited): (Vec<_>, Vec<_>) = errors.iter().partition(|error| error.timed_out);
    assert_eq!((late.len(), waited.len()), (3, 9), "{errors:?}");
    for error in waited {
        assert_error(
            error,
            Step::Connect,
            "all 3 connections were in use",
            "'connections'",
        );
    }
}

#[test]
fn an_invalid_address_is_refused_before_anything_is_sent() {
    let server = Scripted::start(|connection| connection.serve_until("never").map(|_| ()));
    let provider = through(&server, "none", &[]);
    for to in [
        "",
        "alice",
        "alice@example.org>\r\nRCPT TO:<bob@example.org",
        "a b@example.org",
    ] {
        assert_eq!(send_error(&*provider, to).step, Step::Recipient);
    }
    assert_eq!(server.connections(), 0);
    let error = send_error(&*provider, "用户@example.org");
    assert_error(&error, Step::Recipient, "ASCII", "");
}
