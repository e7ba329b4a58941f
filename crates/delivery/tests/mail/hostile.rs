//! Against servers that hang, hang up, talk nonsense, or give away what they were told.

use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use twofa_delivery::{Provider, SendError, Step};

use super::scripted::{Scripted, Talk, ca_file};
use super::{CODE, assert_clean, assert_error, is_root, message, provider, refusal, soon};

/// How long a send may take here.
const DEADLINE: Duration = Duration::from_millis(700);

/// How much later than its deadline it may end: a busy machine does not wake a thread at once.
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

/// Sends with a short deadline, which has to be kept.
fn in_time(provider: &dyn Provider) -> SendError {
    let start = Instant::now();
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

/// Where a server stops answering, and the step that says so.
const STOPS: [(&str, Step); 6] = [
    ("EHLO", Step::Greeting),
    ("AUTH", Step::Login),
    ("MAIL", Step::Sender),
    ("RCPT", Step::Recipient),
    ("DATA", Step::Message),
    (".", Step::Message),
];

#[test]
fn a_server_that_hangs_is_given_up_at_its_step_by_the_deadline() {
    let silent = Scripted::start(Talk::hang);
    for (tls, step) in [
        ("implicit", Step::Tls),
        ("none", Step::Greeting),
        ("starttls", Step::Greeting),
    ] {
        let error = in_time(&*through(&silent, tls, &[]));
        assert!(error.timed_out, "{error:?}");
        assert_eq!(error.step, step);
        assert!(error.hint.is_some(), "{error:?}");
    }
    let error = in_time(&*through(&Scripted::start_tls(Talk::hang), "implicit", &[]));
    assert!(error.timed_out && error.step == Step::Greeting, "{error:?}");
    for (stop, step) in STOPS {
        let server = Scripted::start_tls(move |talk| {
            talk.serve_until(stop)?;
            talk.hang()
        });
        let error = in_time(&*through(&server, "implicit", &[]));
        assert!(error.timed_out && error.step == step, "{stop}: {error:?}");
    }
}

#[test]
fn a_server_that_drips_bytes_gains_no_time() {
    let dripping = Scripted::start(Talk::drip);
    for (tls, step) in [("implicit", Step::Tls), ("none", Step::Greeting)] {
        assert_eq!(in_time(&*through(&dripping, tls, &[])).step, step);
    }
    for (stop, step) in STOPS {
        let server = Scripted::start_tls(move |talk| {
            talk.serve_until(stop)?;
            talk.drip()
        });
        let error = in_time(&*through(&server, "implicit", &[]));
        assert!(error.timed_out && error.step == step, "{stop}: {error:?}");
    }
}

#[test]
fn a_server_that_talks_without_end_is_stopped() {
    let server = Scripted::start(|talk| {
        loop {
            talk.say("220-and another thing")?;
        }
    });
    assert_error(
        &in_time(&*through(&server, "none", &[])),
        Step::Greeting,
        "no mail server",
        "check host and port",
    );
    let server = Scripted::start(|talk| {
        loop {
            talk.raw(&[b'x'; 4096])?;
        }
    });
    assert_error(
        &in_time(&*through(&server, "none", &[])),
        Step::Greeting,
        "a line without an end",
        "",
    );
}

#[test]
fn a_server_that_hangs_up_is_told_of_at_its_step() {
    for (stop, step) in STOPS {
        let server = Scripted::start_tls(move |talk| talk.serve_until(stop).map(|_| ()));
        let error = refusal(&*through(&server, "implicit", &[]), "alice@example.org");
        assert_error(&error, step, "the server hung up", "");
        assert!(!error.timed_out);
        assert_eq!(
            server.connections(),
            1,
            "{stop}: a fresh connection is not tried again"
        );
    }
}

#[test]
fn what_is_no_mail_server_is_told_of() {
    let web = Scripted::start(|talk| talk.say("HTTP/1.1 400 Bad Request"));
    let error = refusal(&*through(&web, "none", &[]), "alice@example.org");
    assert_error(
        &error,
        Step::Greeting,
        "no mail server",
        "check host and port",
    );
    let error = refusal(&*through(&web, "implicit", &[]), "alice@example.org");
    assert_error(&error, Step::Tls, "does not speak TLS", "tls=starttls");
}

#[test]
fn a_port_where_nobody_listens_is_told_of() {
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
    let error = refusal(&*provider, "alice@example.org");
    assert_error(&error, Step::Connect, "refused", "check host and port");
}

#[test]
fn a_name_that_does_not_exist_is_told_of_in_time() {
    let provider = provider(
        "smtp",
        &[
            ("host", "no-such-host.invalid"),
            ("from", "login@example.org"),
        ],
    );
    let error = in_time(&*provider);
    assert_eq!(error.step, Step::Name, "{error:?}");
    assert!(error.hint.is_some());
}

/// Set in the process that runs with a resolver of its own.
const WITH_SILENT_RESOLVER: &str = "TEST_WITH_SILENT_RESOLVER";

#[test]
fn a_resolver_that_hangs_is_given_up_and_does_not_take_all_threads() {
    if !is_root() {
        return;
    }
    if std::env::var_os(WITH_SILENT_RESOLVER).is_none() {
        // Once more, with a network and a resolv.conf of its own.
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
    let _silent = UdpSocket::bind("127.0.0.1:53").unwrap();
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
            .all(|error| error.step == Step::Name && error.timed_out),
        "{errors:?}"
    );
    let threads = std::fs::read_dir("/proc/self/task")
        .unwrap()
        .map(|task| task.unwrap().path().join("comm"));
    let asking =
        threads.filter(|comm| std::fs::read_to_string(comm).is_ok_and(|name| name == "look-up\n"));
    assert_eq!(asking.count(), 1);
    // Another name is found meanwhile.
    let server = Scripted::start(|talk| talk.go_on_until("never").map(|_| ()));
    let error = in_time(&*through(&server, "none", &[("host", "localhost")]));
    assert_ne!(error.step, Step::Name, "{error:?}");
}

#[test]
fn a_server_that_turns_us_away_is_told_of() {
    for (greeting, hint) in [
        (
            "554 5.7.1 Your address is on a list",
            "turns this machine away",
        ),
        (
            "421 4.7.0 Too many connections from you",
            "'connections' lower",
        ),
    ] {
        let server = Scripted::start(move |talk| talk.say(greeting));
        let error = refusal(&*through(&server, "none", &[]), "alice@example.org");
        assert_error(&error, Step::Greeting, greeting, hint);
    }
}

#[test]
fn starttls_is_never_done_without() {
    let stripped = Scripted::start(|talk| talk.serve_until("never").map(|_| ()));
    let error = refusal(&*through(&stripped, "starttls", &[]), "alice@example.org");
    assert_error(&error, Step::Tls, "does not offer STARTTLS", "tls=implicit");

    let refusing = Scripted::start(|talk| {
        talk.say("220 hello")?;
        talk.hear()?;
        talk.say("250-hello\r\n250 STARTTLS")?;
        assert_eq!(talk.hear()?, "STARTTLS");
        talk.say("454 4.7.0 TLS not available")?;
        // Nothing but a goodbye is sent in the clear.
        assert_eq!(talk.hear()?, "QUIT");
        Ok(())
    });
    let error = refusal(&*through(&refusing, "starttls", &[]), "alice@example.org");
    assert_error(&error, Step::Tls, "454 4.7.0 TLS not available", "");
}

#[test]
fn what_a_listener_puts_in_before_tls_is_not_taken() {
    let injected = Scripted::start(|talk| {
        talk.say("220 hello")?;
        talk.hear()?;
        talk.say("250-hello\r\n250 STARTTLS")?;
        talk.hear()?;
        talk.say("220 go on\r\n250-hello\r\n250 AUTH PLAIN")?;
        talk.secure()
    });
    let error = refusal(&*through(&injected, "starttls", &[]), "alice@example.org");
    assert_error(&error, Step::Tls, "more than its answer", "");
}

#[test]
fn plain_text_only_goes_to_this_machine_unless_it_may_go_anywhere() {
    // 192.0.2.0/24 is nobody's (RFC 5737): nothing is sent there even where this fails.
    let settings = [
        ("host", "192.0.2.1"),
        ("tls", "none"),
        ("from", "login@example.org"),
    ];
    let error = refusal(&*provider("smtp", &settings), "alice@example.org");
    assert_error(&error, Step::Tls, "another machine", "none-anywhere");
    let settings = [
        ("host", "192.0.2.1"),
        ("tls", "none-anywhere"),
        ("from", "login@example.org"),
    ];
    assert_eq!(in_time(&*provider("smtp", &settings)).step, Step::Connect);
}

#[test]
fn a_server_that_repeats_what_it_was_told_gives_nothing_away() {
    for stop in ["AUTH", "MAIL", "RCPT", "DATA"] {
        let server = Scripted::start(move |talk| {
            talk.serve_until(stop)?;
            let secrets =
                "hunter2-secret AGxvZ2luQGV4YW1wbGUub3JnAGh1bnRlcjItc2VjcmV0 aHVudGVyMi1zZWNyZXQ=";
            // At its login it does not know the code yet.
            let code = if stop == "AUTH" {
                "hunter2-secret"
            } else {
                CODE
            };
            talk.say(&format!(
                "550-5.0.0 I heard: {secrets}\r\n550 5.0.0 and {code}\u{1b}[2J"
            ))?;
            talk.go_on_until("never").map(|_| ())
        });
        let error = refusal(&*through(&server, "none", &[]), "alice@example.org");
        assert_eq!(error.reason, "550 5.0.0 I heard: […] […] […] and […]?[2J");
    }
}

#[test]
fn only_an_unknown_mailbox_is_final() {
    for (answer, is_final, hint) in [
        ("550 5.1.1 User unknown", true, "does not exist"),
        ("450 4.1.1 Try again", false, "greylisting"),
        ("450 4.7.1 Greylisted", false, "greylisting"),
        (
            "554 5.7.1 Relay access denied",
            false,
            "username and password",
        ),
        ("550 no", false, "does not take"),
        ("552 5.2.2 Mailbox full", false, "does not take"),
    ] {
        let server = Scripted::start(move |talk| {
            talk.serve_until("RCPT")?;
            talk.say(answer)?;
            talk.go_on_until("never").map(|_| ())
        });
        let error = refusal(&*through(&server, "none", &[]), "alice@example.org");
        assert_error(&error, Step::Recipient, answer, hint);
        assert_eq!(error.final_, is_final, "{answer}");
    }
}

#[test]
fn a_connection_the_server_has_left_is_replaced_once_and_nobody_notices() {
    // Each connection carries one mail, and is then left: by hanging up, by a last word, without a word.
    for leave in ["hang up", "421", "silence"] {
        let mails = Arc::new(AtomicUsize::new(0));
        let taken = Arc::clone(&mails);
        let server = Scripted::start_tls(move |talk| {
            talk.serve_until(".")?;
            taken.fetch_add(1, Ordering::SeqCst);
            talk.say("250 2.0.0 Ok: queued as 4D2")?;
            match leave {
                "hang up" => Ok(()),
                "421" => talk.say("421 4.4.2 timeout"),
                _ => talk.hang(),
            }
        });
        let provider = through(&server, "implicit", &[]);
        for sent in 1..=3 {
            let deadline = Instant::now()
                + if leave == "silence" {
                    DEADLINE * 2
                } else {
                    super::PATIENCE
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
fn a_mail_the_server_may_have_is_not_sent_twice() {
    let server = Scripted::start(|talk| {
        talk.serve_until(".")?;
        talk.say("250 2.0.0 Ok")?;
        talk.go_on_until(".").map(|_| ())
    });
    let provider = through(&server, "none", &[]);
    provider
        .send("alice@example.org", &message(), soon())
        .unwrap();
    let error = refusal(&*provider, "alice@example.org");
    assert_error(&error, Step::Message, "the server hung up", "");
    assert_eq!(server.connections(), 1);
}

#[test]
fn only_a_mail_that_was_handed_over_without_an_answer_may_have_arrived() {
    type Script = fn(&mut Talk) -> std::io::Result<()>;
    let scripts: [(Script, bool); 8] = [
        (|talk| talk.serve_until(".").and_then(|_| talk.hang()), true),
        (|talk| talk.serve_until(".").map(|_| ()), true),
        (
            |talk| talk.serve_until(".").and_then(|_| talk.say("what?")),
            true,
        ),
        (
            |talk| talk.serve_until(".").and_then(|_| talk.say("250-2.0.0 go")),
            true,
        ),
        (
            |talk| {
                talk.serve_until(".")
                    .and_then(|_| talk.say("451 4.3.0 not now"))
            },
            false,
        ),
        (
            |talk| talk.serve_until(".").and_then(|_| talk.say("554 5.7.1 no")),
            false,
        ),
        (
            |talk| talk.serve_until("DATA").and_then(|_| talk.hang()),
            false,
        ),
        (|talk| talk.serve_until("MAIL").map(|_| ()), false),
    ];
    for (i, (script, may_have_arrived)) in scripts.into_iter().enumerate() {
        let server = Scripted::start(script);
        let error = in_time(&*through(&server, "none", &[]));
        assert_eq!(error.may_have_arrived, may_have_arrived, "{i}: {error:?}");
    }
    assert!(!in_time(&*through(&Scripted::start(Talk::hang), "implicit", &[])).may_have_arrived);
}

#[test]
fn a_refused_mail_leaves_a_connection_that_carries_the_next() {
    let server = Scripted::start(|talk| {
        talk.serve_until("RCPT")?;
        talk.say("550 5.1.1 User unknown")?;
        assert_eq!(talk.hear()?, "RSET");
        talk.say("250 2.0.0 Ok")?;
        talk.go_on_until("never").map(|_| ())
    });
    let provider = through(&server, "none", &[]);
    assert!(refusal(&*provider, "nobody@example.org").final_);
    provider
        .send("alice@example.org", &message(), soon())
        .unwrap();
    assert_eq!(server.connections(), 1);
}

#[test]
fn so_many_connections_at_a_time_and_nobody_waits_past_the_deadline() {
    let server = Scripted::start(|talk| {
        talk.serve_until("MAIL")?;
        talk.hang()
    });
    let provider = through(&server, "none", &[("connections", "3")]);
    let errors: Vec<_> = thread::scope(|scope| {
        let sends: Vec<_> = (0..12)
            .map(|_| scope.spawn(|| in_time(&*provider)))
            .collect();
        sends.into_iter().map(|send| send.join().unwrap()).collect()
    });
    assert_eq!(server.connections(), 3);
    // Only those that the server left waiting are its silence; the others did not get as far.
    let (late, waited): (Vec<_>, Vec<_>) = errors.iter().partition(|error| error.timed_out);
    assert_eq!((late.len(), waited.len()), (3, 9), "{errors:?}");
    for error in waited {
        assert_error(
            error,
            Step::Connect,
            "too much is sent at once: all 3 connections",
            "'connections'",
        );
    }
}

#[test]
fn an_address_that_is_none_is_refused_before_anything_is_sent() {
    let server = Scripted::start(|talk| talk.serve_until("never").map(|_| ()));
    let provider = through(&server, "none", &[]);
    for to in [
        "",
        "alice",
        "alice@example.org>\r\nRCPT TO:<bob@example.org",
        "a b@example.org",
    ] {
        assert_eq!(refusal(&*provider, to).step, Step::Recipient);
    }
    assert_eq!(server.connections(), 0);
    let error = refusal(&*provider, "用户@example.org");
    assert_error(&error, Step::Recipient, "ASCII", "");
}
