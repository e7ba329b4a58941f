//! What the certificate and key of one host are good for in other hands: logins on that host, and nothing else.

use twofa_fleet::wire::{
    DeviceClaim, HostRequest, JoinAnswer, JoinRequest, MemberAnswer, MemberRequest, OwnAct,
    ServerJoinAnswer, ServerJoinRequest, SessionClaim, TerminalClaim,
};
use twofa_proto::{AppRequest, Request};

use super::*;

/// The protocols of a server.
const PROTOCOLS: [&[u8]; 5] = [
    twofa_fleet::PROTOCOL,
    twofa_fleet::PREVIOUS_PROTOCOL,
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

/// What a thief can say of a device, having seen what the host said of it before.
fn claims_of_devices(seen: &DeviceClaim) -> Vec<DeviceClaim> {
    let with = |ssh_auth_info: &str| DeviceClaim {
        ssh_auth_info: Some(ssh_auth_info.to_owned()),
        ..seen.clone()
    };
    let session = SessionClaim {
        boot: "b".into(),
        id: "c1".into(),
        start: 1,
    };
    let terminal = TerminalClaim {
        uid: 1000,
        boot: "b".into(),
        device: 34_816,
        leader: 1,
        start: 1,
    };
    vec![
        // To the byte.
        seen.clone(),
        DeviceClaim {
            at_most: u64::MAX,
            is_for_fleet: true,
            ..seen.clone()
        },
        DeviceClaim {
            password: Some([7; 32]),
            ..seen.clone()
        },
        DeviceClaim {
            ssh_auth_info: None,
            ..seen.clone()
        },
        // A fingerprint is no key, and half a key is none.
        with("publickey ssh-ed25519 SHA256:2n2rFH0aDtD1ceZCDXVBUDyrOlS8JtFKoXsGCAtM4kQ"),
        with("publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5"),
        with("publickey ssh-ed25519 FORGED\npublickey \u{1b}[2J"),
        with(
            &seen
                .ssh_auth_info
                .clone()
                .unwrap_or_default()
                .replace("publickey", "hostbased"),
        ),
        with(&"publickey ".repeat(5_000)),
        DeviceClaim {
            ssh_auth_info: None,
            session: Some(session),
            terminal: Some(terminal),
            ..seen.clone()
        },
    ]
}

/// The record is opened by no device, on the host where one is trusted neither.
fn assert_a_change_takes_a_code(server: &Server, own: &Issued) {
    let change = HostRequest {
        conversation: server.login().conversation,
        deadline: 15_000,
        user: server.user.name.clone(),
        uid: server.user.uid,
        act: OwnAct::NewBackupCodes,
        version: String::new(),
        seen: None,
    };
    let mut link = server.connect(own);
    link.send(&FromHost::Own(change)).unwrap();
    assert!(is_prompt(&heard(&mut link).0));
}

/// What a server says to a login with this claim.
fn says(link: &mut ToServer, login: &HostLogin, claim: &DeviceClaim) -> Vec<FromServer> {
    let message = FromHost::LoginFrom(login.clone(), claim.clone());
    link.send(&message).unwrap();
    heard(link).0
}

#[test]
fn what_one_host_said_of_a_device_opens_nothing_on_another() {
    const LAPTOP: &str = "publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMc9QHWWikJ/8eQq47yZ2vh7LGgthe7BBNz2ZSy5wtOW";
    let server = Server::new();
    let (own, other) = (server.joined(), server.joined_as("web2", [2; 32]));
    let origin = Origin::command_line(0);
    let durations = [
        ("trust.remote", "30d"),
        ("trust.console", "30d"),
        ("trust.elevation", "30d"),
    ];
    server
        .store
        .change_policy(durations, &origin, now())
        .unwrap();
    let seen = DeviceClaim {
        ssh_auth_info: Some(LAPTOP.to_owned()),
        at_most: 86_400,
        is_for_fleet: true,
        ..DeviceClaim::default()
    };
    let login = |service: &str| HostLogin {
        service: service.into(),
        remote_host: Some("192.0.2.7".into()),
        terminal: Some("/dev/tty1".into()),
        ..server.login()
    };
    let mut link = server.connect(&other);
    let first = login("sshd");
    assert!(is_prompt(&says(&mut link, &first, &seen)));
    let code = format!("{}+", right_code());
    let typed = FromHost::Answer(answer(&first, 1, &code));
    link.send(&typed).unwrap();
    assert_eq!(verdict(&heard(&mut link).0), Some(Verdict::Passed));
    // There it is trusted.
    let again = says(&mut link, &login("sshd"), &seen);
    assert_eq!(verdict(&again), Some(Verdict::Passed));

    for claim in claims_of_devices(&seen) {
        for service in ["sshd", "login", "su", "sudo", "xrdp"] {
            for remote_host in [Some("192.0.2.7"), Some("127.0.0.1"), None] {
                let login = HostLogin {
                    remote_host: remote_host.map(ToOwned::to_owned),
                    ..login(service)
                };
                let mut stolen = server.connect(&own);
                let said = says(&mut stolen, &login, &claim);
                assert!(is_prompt(&said), "{login:?} {claim:?} {said:?}");
                let nothing = HostAnswer {
                    answer: None,
                    ..answer(&login, 1, "")
                };
                stolen.send(&FromHost::Answer(nothing)).unwrap();
                assert_eq!(verdict(&heard(&mut stolen).0), Some(Verdict::NoAnswer));
            }
        }
    }
    assert_a_change_takes_a_code(&server, &other);
    assert_eq!(server.passes(), 2);
}
