use super::*;
use crate::testing::{Bench, clock};

fn start(bench: &Bench, service: &str, terminal: Option<&str>) -> Request {
    Request::OpenSession(SessionStart {
        user: bench.alice.name.clone(),
        service: service.into(),
        terminal: terminal.map(Into::into),
        process: process(),
        ..SessionStart::default()
    })
}

fn process() -> SessionProcess {
    SessionProcess {
        boot: "boot".into(),
        id: twofa_proto::ProcessId { pid: 1, start: 7 },
        login_uid: None,
    }
}

fn listed(bench: &Bench, peer: Peer, after: i64) -> Done {
    let user = bench.alice.name.clone();
    serve(bench.services(), peer, &Request::Sessions { user, after })
}

fn count(bench: &Bench) -> usize {
    match listed(bench, Peer::ROOT, 0) {
        Done::Sessions { sessions, .. } => sessions.len(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_sessions_of_logins_are_recorded() {
    for (service, terminal, recorded) in [
        ("sshd", None, 1),
        ("login", Some("/dev/tty1"), 1),
        ("su-l", Some("pts/1"), 1),
        ("su-l", None, 0),
        ("sudo", Some("pts/1"), 0),
        ("cron", Some("cron"), 0),
        ("systemd-user", None, 0),
        ("gdm-launch-environment", Some("/dev/tty1"), 0),
    ] {
        let bench = Bench::with_local_account();
        let done = serve(
            bench.services(),
            Peer::ROOT,
            &start(&bench, service, terminal),
        );
        assert_eq!(done, Done::Session { limit: None }, "{service}");
        assert_eq!(count(&bench), recorded, "{service}");
    }
}

#[test]
fn only_root_reports_sessions_and_users_see_only_their_own() {
    let bench = Bench::with_local_account();
    let stranger = Peer::new(bench.alice.uid.wrapping_add(1));
    let user = || bench.alice.name.clone();
    for request in [
        start(&bench, "sshd", None),
        Request::Sessions {
            user: user(),
            after: 0,
        },
        Request::PasswordChanged {
            user: user(),
            service: "passwd".into(),
            login_uid: None,
        },
    ] {
        let done = serve(bench.services(), stranger, &request);
        assert!(
            matches!(
                done,
                Done::Failed {
                    failure: Failure::NotPermitted,
                    ..
                }
            ),
            "{done:?}"
        );
    }
    assert_eq!(count(&bench), 0);
}

#[test]
fn a_session_of_a_system_account_has_no_lifetime() {
    let bench = Bench::with_local_account();
    bench.policy(&[("session.lifetime", "90d")]);
    let Done::Session { limit } = serve(bench.services(), Peer::ROOT, &start(&bench, "sshd", None))
    else {
        panic!("not the beginning of a session")
    };
    if !twofa_names::is_person(bench.alice.uid) {
        assert_eq!(limit, None);
        return;
    }
    let limit = limit.unwrap();
    assert_eq!(limit.seconds, 90 * 24 * 60 * 60);
    let end = clock().after(limit.seconds);
    assert_eq!(limit.notice, messages::session_ends(end, clock()));
}

#[test]
fn many_sessions_are_reported_in_parts() {
    let bench = Bench::with_local_account();
    let origin = Origin::login(0, LoginOrigin::default());
    for pid in 0..60 {
        let new = NewSession {
            account: &bench.alice,
            boot: "boot",
            process: ProcessId { pid, start: 7 },
            login_uid: None,
            is_login: true,
        };
        bench.store.open_session(&new, &origin, clock()).unwrap();
    }
    let (mut after, mut parts) = (0, Vec::new());
    loop {
        let Done::Sessions { sessions, has_more } = listed(&bench, Peer::ROOT, after) else {
            panic!("not a report of sessions")
        };
        parts.push(sessions.len());
        if !has_more {
            break;
        }
        after = sessions.last().unwrap().id;
    }
    assert_eq!(parts, [50, 10]);
}
