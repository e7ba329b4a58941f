//! Against a real mail server.

use std::time::{Duration, Instant};

use twofa_delivery::{Provider, Step};
use twofa_mailserver::{Door, MailServer, ThisHost};

use super::{assert_clean, assert_error, is_root, message, provider, refusal, soon};

/// Settings for a door of `server`, and what else is said.
pub(super) fn through(server: &MailServer<ThisHost>, door: Door, more: &[(&str, &str)]) -> Box<dyn Provider> {
    let (port, ca_file) = (server.port_of(door).to_string(), server.ca_file());
    let tls = match door {
        Door::Starttls => "starttls",
        Door::Plain => "none",
        Door::Implicit | Door::OtherName | Door::Expired => "implicit",
    };
    let mut settings = vec![
        ("host", server.host()),
        ("port", &port),
        ("tls", tls),
        ("ca-file", &ca_file),
        ("from", "Anmeldung <login@example.org>"),
    ];
    if door != Door::Plain {
        settings.push(("password", server.password()));
    }
    settings.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
    settings.extend(more.iter().filter(|(_, value)| !value.is_empty()));
    provider("smtp", &settings)
}

#[test]
fn a_mail_goes_through_every_door_of_a_real_server() {
    if !is_root() {
        return;
    }
    let server = MailServer::start(ThisHost::new(), &["alice"]);
    for (sent, door) in [Door::Implicit, Door::Starttls, Door::Plain].into_iter().enumerate() {
        let provider = through(&server, door, &[]);
        provider.check(soon()).unwrap();
        assert_eq!(server.mails("alice").len(), sent, "a check sends nothing");
        let receipt = provider.send("alice@example.org", &message(), soon()).unwrap();
        assert!(receipt.id.is_some(), "{door:?}");
        server.wait_for_mail("alice", sent + 1);
    }
    assert!(server.log().contains("sasl_method=PLAIN, sasl_username=login@example.org"));
}

#[test]
fn a_warm_connection_is_used_again() {
    if !is_root() {
        return;
    }
    let server = MailServer::start(ThisHost::new(), &["alice"]);
    let connections_before = server.log().matches(" connect from ").count();
    let provider = through(&server, Door::Implicit, &[]);
    provider.send("alice@example.org", &message(), soon()).unwrap();
    let mut times: Vec<Duration> = (0..50)
        .map(|_| {
            let start = Instant::now();
            provider.send("alice@example.org", &message(), soon()).unwrap();
            start.elapsed()
        })
        .collect();
    times.sort();
    println!("a mail on a warm connection: median {:?}, slowest {:?}", times[25], times[49]);
    server.wait_for_mail("alice", 51);
    assert_eq!(server.log().matches(" connect from ").count(), connections_before + 1);
    assert!(times[25] < Duration::from_millis(100), "{times:?}");
}
