use super::*;
use crate::event::LoginOrigin;
use crate::testing::{Bench, alice, bob};

fn sshd() -> Origin {
    let login = LoginOrigin {
        service: Some("sshd".into()),
        remote_host: Some("192.0.2.7".into()),
        terminal: Some("ssh".into()),
        ..LoginOrigin::default()
    };
    Origin::login(0, login)
}

fn process(pid: u32) -> ProcessId {
    ProcessId { pid, start: 7 }
}

fn open(store: &Store, bench: &Bench, account: &Account, boot: &str, pid: u32) -> Option<i64> {
    let new = NewSession {
        account,
        boot,
        process: process(pid),
        login_uid: None,
        is_login: true,
    };
    store.open_session(&new, &sshd(), bench.now).unwrap()
}

fn listed(store: &Store, ended: bool) -> Vec<StoredSession> {
    let mut sessions = Vec::new();
    let filter = SessionFilter {
        ended,
        ..SessionFilter::default()
    };
    let each = |session| {
        sessions.push(session);
        true
    };
    store.sessions(&filter, each).unwrap();
    sessions
}

#[test]
fn a_session_says_who_is_logged_in_since_when_and_from_where() {
    let bench = Bench::new();
    let store = bench.create();
    let id = open(&store, &bench, &alice(), "boot", 1).unwrap();
    let session = store.session(id).unwrap().unwrap();
    assert_eq!(listed(&store, false), std::slice::from_ref(&session));
    assert_eq!(
        (
            session.account,
            session.service.as_str(),
            session.remote_host.as_deref()
        ),
        (alice(), "sshd", Some("192.0.2.7"))
    );
    assert_eq!(
        (session.started_at, session.proof, session.until),
        (bench.now, None, None)
    );
}

#[test]
fn a_program_that_logs_nobody_in_leaves_no_session() {
    let bench = Bench::new();
    let store = bench.create();
    let new = NewSession {
        account: &alice(),
        boot: "boot",
        process: process(1),
        login_uid: None,
        is_login: false,
    };
    assert_eq!(store.open_session(&new, &sshd(), bench.now).unwrap(), None);
    assert_eq!(listed(&store, true), []);
}

#[test]
fn a_reboot_leaves_no_open_session_on_record() {
    let bench = Bench::new();
    let store = bench.create();
    open(&store, &bench, &alice(), "before", 1);
    open(&store, &bench, &bob(), "before", 2);
    let id = open(&store, &bench, &alice(), "after", 1).unwrap();
    let open: Vec<_> = listed(&store, false)
        .iter()
        .map(|session| session.id)
        .collect();
    assert_eq!(open, [id]);
    assert_eq!(listed(&store, true).len(), 3);
}

#[test]
fn a_closed_session_stays_open_on_record_until_it_has_no_processes() {
    let bench = Bench::new();
    let store = bench.create();
    let id = open(&store, &bench, &alice(), "boot", 1).unwrap();
    store.close_session("boot", process(9), bench.now).unwrap();
    assert_eq!(listed(&store, false)[0].closed_at, None);
    let later = bench.now.after(60);
    for now in [bench.now, later] {
        store.close_session("boot", process(1), now).unwrap();
    }
    assert_eq!(listed(&store, false)[0].closed_at, Some(bench.now));
    store.sessions_are_gone(&[id], later).unwrap();
    assert_eq!(listed(&store, false), []);
    assert_eq!(listed(&store, true)[0].ended_at, Some(bench.now));
}

#[test]
fn a_session_that_an_administrator_ends_is_logged() {
    let bench = Bench::new();
    let store = bench.create();
    let id = open(&store, &bench, &alice(), "boot", 1).unwrap();
    let administrator = Origin::command_line(0);
    store
        .sessions_were_ended(
            &[id, 99],
            SessionEnd::Administrator,
            &administrator,
            bench.now,
        )
        .unwrap();
    assert_eq!(listed(&store, false), []);
    let ended = Event::SessionEnded {
        session: SessionFields {
            number: id,
            of_service: "sshd".into(),
            place: Some("192.0.2.7".into()),
        },
        why: SessionEnd::Administrator,
    };
    assert_eq!(Bench::log(&store), [ended]);
}

#[test]
fn nobody_fills_the_disk_by_logging_in() {
    let bench = Bench::new();
    let store = bench.create();
    let kept = open(&store, &bench, &bob(), "boot", 5_000).unwrap();
    for pid in 0..400 {
        open(&store, &bench, &alice(), "boot", pid);
        store
            .close_session("boot", process(pid), bench.now)
            .unwrap();
    }
    let sessions = listed(&store, true);
    assert!(sessions.len() <= 1 + 200 + 16, "{}", sessions.len());
    assert_eq!(sessions[0].id, kept);
}
