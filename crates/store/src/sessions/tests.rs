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

/// The store as another machine has it, with this machine-id(5).
fn on_machine(bench: &Bench, id: &str) -> Store {
    let mut location = bench.location.clone();
    location.machine = location.database.with_file_name(format!("machine-{id}"));
    std::fs::write(&location.machine, format!("{id}\n")).unwrap();
    Store::open(location).unwrap()
}

#[test]
fn a_server_ends_lists_closes_and_trusts_no_session_of_another_server() {
    let bench = Bench::new();
    drop(bench.create());
    let (one, two) = (on_machine(&bench, "1"), on_machine(&bench, "2"));
    let numbers = |store| -> Vec<i64> {
        let sessions = listed(store, false);
        sessions.iter().map(|session| session.id).collect()
    };
    let on_one = open(&one, &bench, &alice(), "boot of 1", 1).unwrap();
    let sql = format!("UPDATE session SET code_at = {}", bench.now.unix());
    Bench::execute(&one, &sql);
    let is_verified = |store: &Store| {
        let (since, now) = (bench.now.before(60), bench.now);
        let verified = store.has_verified_session(&alice(), LockerPlace::Unknown, since, now);
        verified.unwrap()
    };
    Bench::execute(&one, "UPDATE session SET remote_host = NULL");
    assert!(is_verified(&one));
    if bench.database.is_none() {
        // There is one machine, whatever it is called.
        assert_eq!(numbers(&two), [on_one]);
        let after = open(&two, &bench, &bob(), "boot of 2", 1).unwrap();
        assert_eq!(numbers(&one), [after]);
        return;
    }
    assert!(!is_verified(&two), "that is another screen");
    assert!(numbers(&two).is_empty());
    let on_two = open(&two, &bench, &bob(), "boot of 2", 1).unwrap();
    two.close_session("boot of 1", process(1), bench.now)
        .unwrap();
    assert_eq!((numbers(&one), numbers(&two)), (vec![on_one], vec![on_two]));
    assert_eq!(listed(&one, false)[0].closed_at, None);
    // Its own of before a reboot it does end.
    let after = open(&one, &bench, &alice(), "next boot of 1", 1).unwrap();
    assert_eq!((numbers(&one), numbers(&two)), (vec![after], vec![on_two]));
    // So it does with those that the release before recorded.
    Bench::execute(&one, "UPDATE session SET machine = NULL");
    assert_eq!((numbers(&one).len(), numbers(&two).len()), (2, 2));
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

#[test]
fn where_nobody_looks_whether_sessions_have_ended_their_number_is_limited_too() {
    let bench = Bench::new();
    let store = bench.create();
    for pid in 0..2_100 {
        open(&store, &bench, &alice(), "boot", pid);
    }
    let sessions = listed(&store, false);
    assert!(sessions.len() <= 2_000 + 16, "{}", sessions.len());
    assert_eq!(sessions.last().unwrap().process.pid, 2_099);
}

#[test]
fn sessions_that_ended_long_ago_are_removed_and_open_ones_stay() {
    let mut bench = Bench::new();
    let store = bench.create();
    let open_still = open(&store, &bench, &bob(), "boot", 1).unwrap();
    let gone = open(&store, &bench, &bob(), "boot", 2).unwrap();
    store.sessions_are_gone(&[gone], bench.now).unwrap();
    bench.now = bench.now.after(KEPT_FOR + 1);
    for pid in 10..26 {
        open(&store, &bench, &alice(), "boot", pid);
    }
    assert_eq!(store.session(gone).unwrap(), None);
    assert!(store.session(open_still).unwrap().is_some());
}

#[test]
fn sessions_are_listed_by_number_of_everybody_or_of_one_user() {
    let bench = Bench::new();
    let store = bench.create();
    let ids: Vec<_> = [alice(), bob(), alice()]
        .iter()
        .zip(0..)
        .map(|(account, pid)| open(&store, &bench, account, "boot", pid).unwrap())
        .collect();
    store.sessions_are_gone(&[ids[0]], bench.now).unwrap();
    for (user, ended, after, found) in [
        (None, true, 0, vec![ids[0], ids[1], ids[2]]),
        (None, false, 0, vec![ids[1], ids[2]]),
        (Some("alice"), true, 0, vec![ids[0], ids[2]]),
        (Some("alice"), false, 0, vec![ids[2]]),
        (Some("alice"), true, ids[0], vec![ids[2]]),
        (Some("nobody"), true, 0, vec![]),
    ] {
        let filter = SessionFilter {
            user: user.map(Into::into),
            ended,
            after,
        };
        let mut listed = Vec::new();
        let each = |session: StoredSession| {
            listed.push(session.id);
            true
        };
        store.sessions(&filter, each).unwrap();
        assert_eq!(listed, found, "{filter:?}");
    }
}

#[test]
fn open_sessions_are_found_without_reading_those_that_ended() {
    let bench = Bench::on_file();
    let store = bench.create();
    let plan = |sql: &str| Bench::plan(&store, sql);
    let everybodys = plan(&sessions::select(false, false));
    assert!(
        everybodys.contains("USING INDEX open_session"),
        "{everybodys}"
    );
    let of_user = plan(&sessions::select(true, false));
    assert!(of_user.contains("USING INDEX session_of_user"), "{of_user}");
    for sql in sessions::END_OF_OTHER_BOOTS {
        let plan = plan(sql);
        assert!(
            plan.contains("SEARCH session USING INDEX open_session"),
            "{plan}"
        );
    }
}

#[test]
fn a_screen_is_unlocked_only_in_an_open_session_that_a_code_opened_not_long_ago() {
    let bench = Bench::new();
    let store = bench.create();
    let (soon, since) = (bench.now.after(60), bench.now.before(60));
    let own = LockerPlace::Session {
        boot: "boot",
        opener: process(1),
    };
    let unlocks = |account: &Account, place, since, now| {
        let found = store.has_verified_session(account, place, since, now);
        found.unwrap()
    };
    assert!(!unlocks(&alice(), LockerPlace::Unknown, since, soon));
    let sql = |change: &str| {
        let at = bench.now.unix();
        let reset = format!(
            "DELETE FROM session;
             INSERT INTO session (name, uid, boot, pid, start, service, proof, code_at, started_at)
             VALUES ('alice', 1000, 'boot', 1, 7, 'login', '\"BackupCode\"', {at}, {at}); {change}"
        );
        Bench::execute(&store, &reset);
    };
    sql("");
    for place in [own, LockerPlace::Unknown] {
        assert!(unlocks(&alice(), place, since, soon));
        assert!(!unlocks(&bob(), place, since, soon));
        assert!(
            !unlocks(&alice(), place, soon, soon.after(60)),
            "too long ago"
        );
        assert!(
            !unlocks(&alice(), place, since, since),
            "the clock is wrong"
        );
    }
    for (change, is_its_own) in [
        ("code_at = NULL", false),
        ("closed_at = 1", false),
        ("ended_at = 1", false),
        ("until = 1", false),
        ("uid = 1001", false),
        ("remote_host = '192.0.2.7'", true),
        ("service = 'su'", true),
    ] {
        sql(&format!("UPDATE session SET {change}"));
        assert!(
            !unlocks(&alice(), LockerPlace::Unknown, since, soon),
            "{change}"
        );
        assert_eq!(unlocks(&alice(), own, since, soon), is_its_own, "{change}");
    }
    for change in ["boot = 'other'", "pid = 2", "start = 8"] {
        sql(&format!("UPDATE session SET {change}"));
        assert!(!unlocks(&alice(), own, since, soon), "{change}");
        assert!(
            unlocks(&alice(), LockerPlace::Unknown, since, soon),
            "{change}"
        );
    }
}

#[test]
fn an_end_of_trust_ends_that_of_screen_lockers_in_open_sessions_as_well() {
    type End = fn(&Store, &Bench);
    let ends: [(&str, End); 4] = [
        ("all devices are revoked", |store, bench| {
            let revoked = store.revoke_all_devices(Some(&alice()), &sshd(), bench.now);
            assert_eq!(revoked.unwrap(), 0);
        }),
        ("everybody's devices are revoked", |store, bench| {
            let revoked = store.revoke_all_devices(None, &sshd(), bench.now);
            assert_eq!(revoked.unwrap(), 0);
        }),
        ("the password changes", |store, bench| {
            let ended = store.end_trust_with_password(&alice(), &sshd(), bench.now);
            assert_eq!(ended.unwrap(), 0);
        }),
        ("the methods change", |store, bench| {
            bench.enrol(store, &alice(), "tablet");
        }),
    ];
    for (what, end) in ends {
        let bench = Bench::new();
        let store = bench.create();
        bench.enrol(&store, &alice(), "phone");
        let at = bench.now.unix();
        let sql = format!(
            "INSERT INTO session (name, uid, boot, pid, start, service, proof, code_at, started_at)
             VALUES ('alice', 1000, 'boot', 1, 7, 'login', '\"BackupCode\"', {at}, {at}),
                    ('bob', 1001, 'boot', 2, 7, 'login', '\"BackupCode\"', {at}, {at})"
        );
        Bench::execute(&store, &sql);
        let unlocks = |account: &Account| {
            let (since, until) = (bench.now.before(60), bench.now.after(60));
            let found = store.has_verified_session(account, LockerPlace::Unknown, since, until);
            found.unwrap()
        };
        assert!(unlocks(&alice()) && unlocks(&bob()));
        end(&store, &bench);
        assert!(!unlocks(&alice()), "{what}");
        let is_everybodys = what.starts_with("everybody");
        assert_eq!(unlocks(&bob()), !is_everybodys, "{what}");
    }
}
