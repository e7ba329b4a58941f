//! Today's programs with what the previous build has written.

use twofa_proto::codec::CodecError;
use twofa_proto::{
    BrokerEnd, ClientEnd, Confirm, ConnectionError, Done, FromBroker, FromClient, Login,
    PasswordState, Prompt, Request, Ticket, Verdict, Version,
};

use super::{Peer, in_hex, recorded, samples, sent_by_client, wire};

const WIRE: &str = "6.wire";

/// What the previous build has sent under `name`.
fn sent(name: &str) -> Vec<u8> {
    let file = recorded(WIRE).unwrap();
    let line = file
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
        .unwrap();
    let byte = |at| u8::from_str_radix(&line[at..at + 2], 16).unwrap();
    (0..line.len()).step_by(2).map(byte).collect()
}

fn received(name: &str) -> Request {
    let bytes = sent(name);
    BrokerEnd::new(Peer::sending(&bytes)).request().unwrap()
}

fn login(name: &str) -> Login {
    match received(name) {
        Request::Login(login) | Request::Account(login) => login,
        other => panic!("{other:?}"),
    }
}

/// What today's module understands when the previous broker sends what was recorded under `name`.
fn end(name: &str) -> Done {
    let bytes = sent(name);
    let mut module =
        ClientEnd::open_in(Version::Previous, Peer::sending(&bytes), samples::login()).unwrap();
    match module.receive().unwrap() {
        FromBroker::Done(done) => done,
        other => panic!("{other:?}"),
    }
}

#[test]
fn today_the_previous_version_is_written_byte_by_byte_as_the_previous_build_wrote_it() {
    assert_eq!(in_hex(&wire(Version::Previous)), recorded(WIRE).unwrap());
}

#[test]
fn a_login_of_the_previous_module_is_received_without_what_would_make_its_device_trusted() {
    let Request::Login(today) = samples::login() else {
        panic!()
    };
    assert_eq!(
        login("login"),
        Login {
            evidence: None,
            ..today
        }
    );
    let evidence = login("login-after-key").evidence.unwrap();
    assert_eq!(evidence.password, PasswordState::Unknown);
    assert_eq!(evidence.confirms, Confirm::No);
    assert!(evidence.has_default_sshd_config, "security keys need it");
}

#[test]
fn a_login_that_began_before_the_upgrade_finds_no_ticket_in_its_account_phase() {
    let evidence = login("account-confirming").evidence.unwrap();
    assert_eq!(evidence.confirms, Confirm::Record(Ticket(0)));
    assert_eq!(evidence.password, PasswordState::Unknown);
    // The previous module lets it in if it rests on a code, and refuses it if it rests on a trusted device.
    let bytes = sent("login");
    let mut peer = Peer::sending(&bytes);
    let mut broker = BrokerEnd::new(&mut peer);
    broker.request().unwrap();
    broker
        .send(&FromBroker::Done(Done::Login {
            verdict: Verdict::NoTicket,
            why: "why".to_owned(),
            confirm: Confirm::No,
        }))
        .unwrap();
    assert_eq!(peer.is_sent, sent("unavailable"));
}

#[test]
fn what_the_previous_module_says_of_sessions_and_passwords_is_received_whole() {
    for (name, request) in samples::requests().into_iter().skip(3) {
        assert_eq!(received(name), request, "{name}");
    }
}

#[test]
fn an_answer_in_the_previous_version_is_the_same() {
    let mut bytes = sent("login");
    bytes.extend(b"\0\0\0\x09\x01\x01\x06123456");
    let mut broker = BrokerEnd::new(Peer::sending(&bytes));
    broker.request().unwrap();
    broker.send(&FromBroker::Accepted).unwrap();
    broker
        .send(&FromBroker::Prompt(Prompt {
            text: "Code: ".into(),
            echo: true,
            digits_behind_password: None,
            link: None,
        }))
        .unwrap();
    assert_eq!(
        broker.receive().unwrap(),
        FromClient::Answer(Some("123456".into()))
    );
}

#[test]
fn what_the_previous_broker_decides_is_received_and_never_as_more() {
    for (name, messages) in samples::responses().into_iter().skip(4) {
        let [FromBroker::Done(today)] = messages.as_slice() else {
            panic!()
        };
        match (end(name), today) {
            (Done::Session { limit: Some(limit) }, Done::Session { limit: Some(today) }) => {
                assert_eq!(limit.seconds, today.seconds);
                assert_eq!(limit.notice, "");
            }
            (done, today) => assert_eq!(&done, today, "{name}"),
        }
    }
    let unknown = Ticket(0);
    for (name, confirms) in [
        ("passed-unrecorded", Confirm::Record(unknown)),
        ("trusted", Confirm::Trust(unknown)),
    ] {
        assert!(
            matches!(end(name), Done::Login { confirm, .. } if confirm == confirms),
            "{name}"
        );
    }
}

#[test]
fn the_command_line_is_not_served_in_the_previous_version() {
    let status = Request::Status {
        user: "alice".to_owned(),
    };
    let refused = ClientEnd::open_in(Version::Previous, Peer::sending(&[]), status);
    assert!(matches!(
        refused,
        Err(ConnectionError::Codec(CodecError::NotInPrevious))
    ));
    // Its number and the login name, as the previous command line wrote them.
    let opening = b"\0\0\0\x09\0\x06\x02\x05alice";
    let refused = BrokerEnd::new(Peer::sending(opening)).request();
    assert!(matches!(
        refused,
        Err(ConnectionError::Codec(CodecError::Malformed))
    ));
}

#[test]
fn versions_that_are_older_or_newer_are_refused_whatever_follows() {
    for version in [0, 5, 8, 127] {
        let opening = [0, 0, 0, 4, 0, version, 200, 201];
        let refused = BrokerEnd::new(Peer::sending(&opening)).request();
        assert!(
            matches!(refused, Err(ConnectionError::Version(named)) if named == u16::from(version))
        );
    }
    assert_eq!(sent_by_client(Version::Current, samples::login())[5], 7);
}
