//! A real mail server.

use std::thread;
use std::time::{Duration, Instant};

use twofa_core::Channel;
use twofa_delivery::{Provider, Step};
use twofa_mailserver::{Listener, LocalHost, MailServer};

use super::{assert_clean, assert_error, is_root, message, message_of, provider, send_error, soon};

/// A provider that uses the port `listener` of `server`, with `more` settings.
pub(super) fn through(
    server: &MailServer<LocalHost>,
    listener: Listener,
    more: &[(&str, &str)],
) -> Box<dyn Provider> {
    let (port, ca_file) = (server.port_of(listener).to_string(), server.ca_file());
    let tls = match listener {
        Listener::Starttls => "starttls",
        Listener::Plain | Listener::Strict => "none",
        Listener::Implicit | Listener::OtherName | Listener::Expired => "implicit",
    };
    let mut settings = vec![
        ("host", server.host()),
        ("port", &port),
        ("tls", tls),
        ("ca-file", &ca_file),
        ("from", "Anmeldung <login@example.org>"),
    ];
    if !matches!(listener, Listener::Plain | Listener::Strict) {
        settings.push(("password", server.password()));
    }
    settings.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
    settings.extend(more.iter().filter(|(_, value)| !value.is_empty()));
    provider("smtp", &settings)
}

#[test]
fn a_mail_is_accepted_on_every_port_of_a_real_server() {
    if !is_root() {
        return;
    }
    let server = MailServer::start(LocalHost::new(), &["alice"]);
    for (sent, listener) in [Listener::Implicit, Listener::Starttls, Listener::Plain]
        .into_iter()
        .enumerate()
    {
        let provider = through(&server, listener, &[]);
        provider.check(soon()).unwrap();
        // 2200-01-01, as the tests' authority issues them.
        let end = provider.certificate_end().map(twofa_core::Timestamp::unix);
        let expected = (listener != Listener::Plain).then_some(7_258_118_400);
        assert_eq!(end, expected, "{listener:?}");
        assert_eq!(server.mails("alice").len(), sent, "a check sends nothing");
        let receipt = provider
            .send("alice@example.org", &message(), soon())
            .unwrap();
        assert!(receipt.id.is_some(), "{listener:?}");
        server.wait_for_mail("alice", sent + 1);
    }
    server.wait_for_log("sasl_method=PLAIN, sasl_username=login@example.org");
}

#[test]
fn a_login_works_with_each_mechanism_and_with_the_address_or_a_user_name() {
    if !is_root() {
        return;
    }
    let server = MailServer::start(LocalHost::new(), &["alice"]);
    for (auth, mechanism) in [("plain", "PLAIN"), ("login", "LOGIN"), ("auto", "PLAIN")] {
        let provider = through(
            &server,
            Listener::Starttls,
            &[("auth", auth), ("username", server.username())],
        );
        provider
            .send("alice@example.org", &message(), soon())
            .unwrap();
        server.wait_for_log(&format!(
            "sasl_method={mechanism}, sasl_username=login@example.org"
        ));
    }
    let token = server.token();
    let folder = tempfile::tempdir().unwrap();
    let printer = super::tokens::printer(folder.path(), &format!("echo {token}"));
    for auth in ["auto", "xoauth2"] {
        let more = [
            ("auth", auth),
            ("password", ""),
            ("token-command", &*printer),
        ];
        through(&server, Listener::Implicit, &more)
            .send("alice@example.org", &message(), soon())
            .unwrap();
    }
    server.wait_for_log("sasl_method=XOAUTH2, sasl_username=login@example.org");

    // Dovecot checks the signature, so another token is refused.
    let printer = super::tokens::printer(folder.path(), &format!("echo {token}x"));
    let more = [("password", ""), ("token-command", &*printer)];
    let provider = through(&server, Listener::Implicit, &more);
    let error = send_error(&*provider, "alice@example.org");
    assert_error(&error, Step::Login, "535", "token was refused");
    assert!(!format!("{error:?}").contains(&token[..20]));
}

#[test]
fn refusals_of_a_real_server_are_reported_with_the_step() {
    if !is_root() {
        return;
    }
    let server = MailServer::start(LocalHost::new(), &["alice"]);
    let refused = |listener, more: &[(&str, &str)], to| {
        let provider = through(&server, listener, more);
        let error = send_error(&*provider, to);
        // A check finds everything that fails before the recipient is named.
        if !matches!(error.step, Step::Recipient | Step::Message) {
            let checked = provider.check(soon()).unwrap_err();
            assert_eq!((checked.step, &checked.reason), (error.step, &error.reason));
        }
        error
    };
    let alice = "alice@example.org";
    let error = refused(Listener::Implicit, &[("password", "hunter2")], alice);
    assert_error(
        &error,
        Step::Login,
        "535 5.7.8",
        "check 'username' and 'password'",
    );
    let error = refused(Listener::Plain, &[("password", server.password())], alice);
    assert_error(&error, Step::Login, "offers no login", "port 465");
    let error = refused(Listener::Plain, &[], "somebody@elsewhere.example");
    assert_error(
        &error,
        Step::Recipient,
        "554 5.7.1 <somebody@elsewhere.example>: Relay access denied",
        "relay",
    );
    let error = refused(Listener::Plain, &[], "grey@example.org");
    assert_error(&error, Step::Recipient, "450 4.7.1", "greylisting");
    assert!(!error.stops_failover);
    let error = refused(Listener::Plain, &[], "full@example.org");
    assert_error(&error, Step::Recipient, "552 5.2.2", "");
    let error = refused(Listener::Plain, &[], "nobody@example.org");
    assert_error(&error, Step::Recipient, "550 5.1.1", "does not exist");
    assert!(error.stops_failover);
    let error = refused(Listener::Plain, &[("from", "banned@example.org")], alice);
    assert_error(&error, Step::Sender, "550 5.7.1", "set 'from'");
    let error = refused(Listener::Plain, &[], "spam@example.org");
    assert_error(
        &error,
        Step::Message,
        "550 5.7.1 This looks like spam",
        "spam",
    );
}

#[test]
fn an_invalid_certificate_is_reported_with_what_to_do() {
    if !is_root() {
        return;
    }
    let server = MailServer::start(LocalHost::new(), &["alice"]);
    let refused = |listener, more: &[(&str, &str)]| {
        let provider = through(&server, listener, more);
        let error = send_error(&*provider, "alice@example.org");
        assert_clean(&*provider, &provider.check(soon()).unwrap_err());
        error
    };
    let error = refused(Listener::OtherName, &[]);
    let names = "is for mail.example.net, smtp.example.net, not for localhost";
    assert_error(
        &error,
        Step::Tls,
        names,
        "set 'host' to a name in its certificate",
    );
    let error = refused(Listener::Implicit, &[("host", "127.0.0.1")]);
    assert_error(
        &error,
        Step::Tls,
        "is for localhost, mail.example.org, not for 127.0.0.1",
        "set 'host'",
    );
    let error = refused(Listener::Expired, &[]);
    assert_error(&error, Step::Tls, "expired on 2001-01-01", "clock");
    for listener in [Listener::Implicit, Listener::Starttls] {
        let error = refused(listener, &[("ca-file", "")]);
        assert_error(&error, Step::Tls, "does not trust", "ca-file=");
    }
    let error = refused(Listener::Implicit, &[("ca-file", "/nowhere/ca.pem")]);
    assert_error(&error, Step::Settings, "/nowhere/ca.pem", "PEM");
    let plain_port = server.port_of(Listener::Plain).to_string();
    let error = refused(Listener::Implicit, &[("port", &plain_port)]);
    assert_error(&error, Step::Tls, "does not speak TLS", "tls=starttls");
    let error = refused(Listener::Starttls, &[("port", &plain_port)]);
    assert_error(&error, Step::Tls, "does not offer STARTTLS", "tls=implicit");
    assert_eq!(server.mails("alice").len(), 0);
}

#[test]
fn mail_is_sent_again_after_the_server_restarts() {
    if !is_root() {
        return;
    }
    let mut server = MailServer::start(LocalHost::new(), &["alice"]);
    let provider = through(&server, Listener::Implicit, &[]);
    provider
        .send("alice@example.org", &message(), soon())
        .unwrap();
    server.wait_for_mail("alice", 1);
    server.stop();
    assert_error(
        &send_error(&*provider, "alice@example.org"),
        Step::Connect,
        "refused",
        "",
    );
    server.restart();
    provider
        .send("alice@example.org", &message(), soon())
        .unwrap();
    server.wait_for_mail("alice", 2);
}

#[test]
fn sixty_four_mails_at_once_are_all_accepted_in_time() {
    if !is_root() {
        return;
    }
    let server = MailServer::start(LocalHost::new(), &["alice"]);
    let provider = through(&server, Listener::Implicit, &[]);
    let connections_before = server.log().matches(" connect from ").count();
    for round in ["cold", "warm"] {
        let start = Instant::now();
        thread::scope(|scope| {
            for _ in 0..64 {
                scope.spawn(|| {
                    provider
                        .send("alice@example.org", &message(), soon())
                        .unwrap()
                });
            }
        });
        println!("64 mails at once, {round}: {:?}", start.elapsed());
        assert!(
            start.elapsed() < Duration::from_secs(3),
            "{:?}",
            start.elapsed()
        );
    }
    server.wait_for_mail("alice", 128);
    let connections = server.log().matches(" connect from ").count() - connections_before;
    assert!(connections <= 16, "{connections}");
}

#[test]
fn a_gateway_receives_the_text_message_at_the_address_of_the_number() {
    if !is_root() {
        return;
    }
    let server = MailServer::start(LocalHost::new(), &["14155552671"]);
    let (port, ca_file) = (server.port().to_string(), server.ca_file());
    let gateway = provider(
        "email-gateway",
        &[
            ("address", "{number}@example.org"),
            ("host", server.host()),
            ("port", &port),
            ("ca-file", &ca_file),
            ("from", "login@example.org"),
            ("password", server.password()),
        ],
    );
    assert_eq!(gateway.channel(), Channel::Sms);
    gateway.check(soon()).unwrap();
    gateway
        .send("+14155552671", &message_of("Example"), soon())
        .unwrap();
    let mail = &server.wait_for_mail("14155552671", 1)[0];
    assert!(
        mail.contains("\nExample: 918273 is the code for alice"),
        "{mail}"
    );
    assert!(
        !mail.contains("Subject:") && !mail.contains("html"),
        "{mail}"
    );
}

#[test]
fn an_open_connection_is_used_again() {
    if !is_root() {
        return;
    }
    let server = MailServer::start(LocalHost::new(), &["alice"]);
    let connections_before = server.log().matches(" connect from ").count();
    let provider = through(&server, Listener::Implicit, &[]);
    provider
        .send("alice@example.org", &message(), soon())
        .unwrap();
    let mut times: Vec<Duration> = (0..50)
        .map(|_| {
            let start = Instant::now();
            provider
                .send("alice@example.org", &message(), soon())
                .unwrap();
            start.elapsed()
        })
        .collect();
    times.sort();
    println!(
        "a mail on a warm connection: median {:?}, slowest {:?}",
        times[25], times[49]
    );
    server.wait_for_mail("alice", 51);
    assert_eq!(
        server.log().matches(" connect from ").count(),
        connections_before + 1
    );
    assert!(times[25] < Duration::from_millis(100), "{times:?}");
}

#[test]
fn a_server_that_wants_a_full_name_in_ehlo_gets_one_or_an_address() {
    if !is_root() {
        return;
    }
    let server = MailServer::start(LocalHost::new(), &["alice"]);
    let all: [&[(&str, &str)]; 4] = [
        &[],
        &[("hello", "login.example.org")],
        &[("hello", "[127.0.0.1]")],
        &[("hello", "[IPv6:::1]")],
    ];
    for (sent, more) in all.into_iter().enumerate() {
        let provider = through(&server, Listener::Strict, more);
        provider.check(soon()).unwrap();
        assert_eq!(server.mails("alice").len(), sent, "a check sends nothing");
        provider
            .send("alice@example.org", &message(), soon())
            .unwrap();
        server.wait_for_mail("alice", sent + 1);
    }
    assert_eq!(server.mails("login").len(), 0, "a check sends nothing");
}

#[test]
fn a_name_in_ehlo_that_a_server_refuses_at_the_recipient_is_found_by_a_check() {
    if !is_root() {
        return;
    }
    let server = MailServer::start(LocalHost::new(), &["alice"]);
    for (hello, reason) in [
        (
            "server01",
            "504 5.5.2 <server01>: Helo command rejected: need fully-qualified hostname",
        ),
        (
            "web_1-.example.org",
            "501 5.5.2 <web_1-.example.org>: Helo command rejected: Invalid name",
        ),
    ] {
        let provider = through(&server, Listener::Strict, &[("hello", hello)]);
        for error in [
            provider.check(soon()).unwrap_err(),
            send_error(&*provider, "alice@example.org"),
        ] {
            assert_error(&error, Step::Greeting, reason, "'hello'");
            assert!(!error.stops_failover, "{error:?}");
        }
    }
    // A recipient that is refused is not a fault of the provider: codes go to others.
    let more = [("from", "unknown@example.org")];
    through(&server, Listener::Strict, &more)
        .check(soon())
        .unwrap();
    let more = [("from", "unknown@elsewhere.example")];
    through(&server, Listener::Strict, &more)
        .check(soon())
        .unwrap();
}

#[test]
fn an_address_with_odd_dots_is_delivered() {
    if !is_root() {
        return;
    }
    let users = ["a..b", ".ab", "ab."];
    let server = MailServer::start(LocalHost::new(), &users);
    let provider = through(&server, Listener::Plain, &[]);
    for user in users {
        for to in [
            format!("{user}@example.org"),
            format!("\"{user}\"@example.org"),
        ] {
            provider.send(&to, &message(), soon()).unwrap();
        }
        let mails = server.wait_for_mail(user, 2);
        for mail in mails {
            let to = format!("\nTo: \"{user}\"@example.org\n");
            assert!(mail.replace('\r', "").contains(&to), "{mail}");
        }
    }
}
