//! What the certificate and key of one host are good for in other hands: logins on that host, and nothing else.

use twofa_fleet::wire::{
    JoinAnswer, JoinRequest, MemberAnswer, MemberRequest, ServerJoinAnswer, ServerJoinRequest,
};
use twofa_proto::{AppRequest, Request};

use super::*;

/// The protocols of a server.
const PROTOCOLS: [&[u8]; 4] = [
    twofa_fleet::PROTOCOL,
    twofa_fleet::HOST_PROTOCOL,
    twofa_fleet::JOIN_PROTOCOL,
    twofa_fleet::SERVER_PROTOCOL,
];

/// Everything that a person's record and the log say.
fn on_record(server: &Server) -> (String, Vec<String>) {
    let snapshot = server.store.snapshot(&server.user).unwrap();
    let mut kinds = Vec::new();
    let each = |logged: twofa_store::LoggedEvent| {
        kinds.push(logged.kind);
        true
    };
    server.store.events(&EventFilter::default(), each).unwrap();
    let policy = server.store.rulebook().unwrap();
    let record = format!("{:?} {:?} {policy:?}", snapshot.generation, snapshot.user);
    (record, kinds)
}

/// What a broker does for root or a person on its own machine.
fn requests_of_a_machine(user: &str) -> Vec<Request> {
    let user = || user.to_owned();
    vec![
        Request::Status { user: user() },
        Request::EnrolApp {
            user: user(),
            app: AppRequest {
                label: None,
                counter: false,
                algorithm: "SHA1".into(),
                digits: 6,
                period: 30,
            },
        },
        Request::EnrolAddress {
            user: user(),
            method: "email".into(),
            address: Some("thief@example.org".into()),
        },
        Request::EnrolSecurityKey {
            user: user(),
            label: None,
            key: None,
        },
        Request::Remove {
            user: user(),
            method: "app".into(),
        },
        Request::Set {
            user: user(),
            verify: Some("never".into()),
            email: Some("thief@example.org".into()),
            phone: None,
            prefer: None,
            attested: true,
        },
        Request::NewBackupCodes { user: user() },
        Request::Devices { user: user() },
        Request::RevokeDevices {
            user: user(),
            id: None,
        },
    ]
}

/// Speaks `protocol` with the certificate `own`, or without one.
fn speak(server: &Server, own: Option<&Issued>, protocol: &[u8]) -> ToServer {
    let root = certificate::fingerprint(&read_pem(&server.fleet.root.certificate).unwrap()[0]);
    let config = own.map_or_else(
        || tls::joining_host(root).unwrap(),
        |own| server.config(own),
    );
    let mut config = tls::ClientConfig::clone(&config);
    config.alpn_protocols = vec![protocol.to_vec()];
    let until = Instant::now() + TIME;
    client::connect(&Arc::new(config), &server.address, until).unwrap()
}

/// Whatever the server says to `message`, in the bytes of the codec; the end of the connection is nothing.
fn answer_to<T: serde::de::DeserializeOwned>(
    link: &mut ToServer,
    message: &impl serde::Serialize,
) -> Option<T> {
    link.set_deadline(Instant::now() + TIME);
    link.send(message).ok()?;
    match link.receive() {
        Ok(answer) => Some(answer),
        Err(CodecError::TimedOut) => panic!("the server says nothing"),
        Err(_) => None,
    }
}

#[test]
fn a_host_gets_no_administration_in_any_protocol_with_or_without_its_certificate() {
    let server = Server::new();
    let own = server.joined();
    let before = on_record(&server);
    for request in requests_of_a_machine(&server.user.name) {
        for protocol in PROTOCOLS {
            for own in [Some(&own), None] {
                let mut link = speak(&server, own, protocol);
                link.set_deadline(Instant::now() + TIME);
                link.send(&request).unwrap();
                // A message may read as one of another kind. No record is in any answer, and nothing is done.
                while let Ok(message) = link.receive::<FromServer>() {
                    let said = format!("{message:?}");
                    assert!(
                        !matches!(message, FromServer::Prompt { .. }) && !said.contains("Passed"),
                        "{request:?} {said}"
                    );
                }
                drop(link);
                assert_eq!(on_record(&server), before, "{request:?}");
            }
        }
    }
    // The certificate is still good for what it is for.
    let (_, verdict) = converse(
        &server,
        &mut server.connect(&own),
        &server.login(),
        Some(&right_code()),
    );
    assert_eq!(verdict, Verdict::Passed);
}

#[test]
fn a_host_joins_nothing_and_renews_nobody_but_itself() {
    let server = Server::new();
    let (own, other) = (server.joined(), server.joined_as("web2", [2; 32]));
    let hosts = || server.store.hosts().unwrap();
    let before = hosts();
    let request = request_certificate().unwrap().request;
    // A certificate opens no protocol of those who have none.
    let join = JoinRequest {
        secret: Secret::from("guessed"),
        request: request.clone(),
    };
    let as_server = ServerJoinRequest {
        proof: Secret::from("guessed"),
    };
    let mut link = speak(&server, Some(&own), twofa_fleet::JOIN_PROTOCOL);
    assert_eq!(answer_to::<JoinAnswer>(&mut link, &join), None);
    let mut link = speak(&server, Some(&own), twofa_fleet::SERVER_PROTOCOL);
    assert_eq!(answer_to::<ServerJoinAnswer>(&mut link, &as_server), None);
    // Without it, a guessed secret is refused.
    let mut link = speak(&server, None, twofa_fleet::JOIN_PROTOCOL);
    let refused = answer_to(&mut link, &join);
    assert!(matches!(refused, Some(JoinAnswer::Refused(_))));
    let mut link = speak(&server, None, twofa_fleet::SERVER_PROTOCOL);
    let refused = answer_to(&mut link, &as_server);
    assert!(matches!(refused, Some(ServerJoinAnswer::Refused(_))));
    assert_eq!(hosts(), before);

    // What it renews is the host of the certificate that it shows.
    let mut link = speak(&server, Some(&own), twofa_fleet::HOST_PROTOCOL);
    let renewed = answer_to(&mut link, &MemberRequest::Renew { request });
    let Some(MemberAnswer::Member {
        certificate: Some(renewed),
        ..
    }) = renewed
    else {
        panic!("{renewed:?}");
    };
    let identity = |pem: &str| {
        let der = &read_pem(pem).unwrap()[0];
        twofa_fleet::identity::Identity::of_certificate(der).unwrap()
    };
    assert_eq!(identity(&renewed), identity(&own.certificate));
    assert_ne!(identity(&renewed), identity(&other.certificate));
}

#[test]
fn a_host_neither_sees_nor_answers_nor_ends_a_conversation_of_another() {
    let server = Server::new();
    let (own, other) = (server.joined(), server.joined_as("web2", [2; 32]));
    let login = server.login();
    let mut link = server.connect(&other);
    link.send(&FromHost::Login(login.clone())).unwrap();
    assert!(is_prompt(&heard(&mut link).0));

    let again = HostLogin {
        is_again: true,
        ..login.clone()
    };
    let nothing = HostAnswer {
        answer: None,
        ..answer(&login, 1, "")
    };
    for theft in [
        FromHost::Resume(answer(&login, 1, &right_code())),
        FromHost::Resume(answer(&login, 1, "000000")),
        FromHost::Resume(nothing),
        FromHost::Login(again),
        FromHost::Login(login.clone()),
    ] {
        let mut stolen = server.connect(&own);
        stolen.send(&theft).unwrap();
        let (messages, _) = heard(&mut stolen);
        let lets_in = verdict(&messages) == Some(Verdict::Passed);
        assert!(!lets_in && !is_prompt(&messages), "{theft:?} {messages:?}");
    }
    assert_eq!(server.passes(), 0);
    let throttle = server.store.snapshot(&server.user).unwrap().user.throttle;
    assert_eq!(throttle.failures(), 0);
    let code = right_code();
    link.send(&FromHost::Answer(answer(&login, 1, &code)))
        .unwrap();
    assert_eq!(verdict(&heard(&mut link).0), Some(Verdict::Passed));
    // Nor its verdict.
    let mut stolen = server.connect(&own);
    stolen
        .send(&FromHost::Resume(answer(&login, 1, &code)))
        .unwrap();
    assert_ne!(verdict(&heard(&mut stolen).0), Some(Verdict::Passed));
    assert_eq!(server.passes(), 1);
}
