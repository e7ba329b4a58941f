//! What only a server can do to a store: it goes away, it does not answer, and it serves many at once.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use twofa_core::{Account, Timestamp, User};

use super::session::Session;
use crate::attempts::{CodeAttempt, CodeOutcome, CodeProof, Tally};
use crate::event::{FleetHost, LoginOrigin, Origin, RefusalReason};
use crate::journal::SystemLog;
use crate::model::ticket::Settlement;
use crate::sql::{events, values};
use crate::testing::postgres::{Database, Server};
use crate::testing::{Bench, alice, app, origin};
use crate::tx::View;
use crate::{HostJoin, HostRights, NewConversation, NewHost, Place, Store, StoreError, deadline};

/// A server and a store on it, and somebody else's connection to the same database.
pub(super) struct Remote {
    pub(super) bench: Bench,
    store: Store,
    pub(super) admin: Session,
    _server: Server,
}

impl Remote {
    pub(super) fn new() -> Self {
        let server = Server::start(&[]);
        let database = Database::create(server.folder.path().to_owned());
        let admin = Session::connect(&database.address().parse().unwrap()).unwrap();
        let bench = Bench::in_database(database);
        let store = bench.create();
        Self {
            bench,
            store,
            admin,
            _server: server,
        }
    }

    /// Adds those of so many people who are missing. Their keys cannot be opened: they are there to be searched through.
    fn fill(&self, people: u32) {
        for first in (0..people).step_by(10_000) {
            let last = people.min(first + 10_000) - 1;
            let add = format!(
                "WITH added AS (
                     INSERT INTO \"user\" (name, uid) SELECT 'person' || n, 10000 + n FROM generate_series({first}, {last}) AS n
                     ON CONFLICT DO NOTHING RETURNING id
                 )
                 INSERT INTO app (\"user\", label, period, algorithm, digits, key, enrolled_at)
                     SELECT id, 'phone', 30, 'SHA1', 6, '\\x00', 0 FROM added"
            );
            self.admin.batch(&add).unwrap();
        }
        self.admin.batch("ANALYZE").unwrap();
    }

    /// Has every commit wait for a standby that is not there.
    fn lose_standby(&self) {
        for sql in [
            "ALTER SYSTEM SET synchronous_standby_names = 'lost'",
            "SELECT pg_reload_conf()",
        ] {
            self.admin.batch(sql).unwrap();
        }
        while self
            .admin
            .batch("SELECT 1 / (current_setting('synchronous_standby_names') = 'lost')::integer")
            .is_err()
        {
            thread::yield_now();
        }
        // The checkpointer tells all others that commits are to wait, when it reads the setting before its next checkpoint.
        for _ in 0..2 {
            self.admin.batch("CHECKPOINT").unwrap();
        }
    }
}

#[test]
fn a_commit_that_no_standby_confirms_is_a_refusal_in_time_and_is_not_cancelled() {
    let remote = Remote::new();
    remote.bench.enrol(&remote.store, &alice(), "phone");
    remote.lose_standby();
    let begin = Instant::now();
    let changed = remote
        .store
        .set_required(&alice(), true, &origin(), remote.bench.now);
    assert!(
        matches!(changed, Err(StoreError::Unanswered)),
        "{changed:?}"
    );
    assert!(begin.elapsed() < Duration::from_secs(8));
    // It still waits: nobody sent it a cancel request.
    let waits = "SELECT 1 / (SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep')";
    remote.admin.batch(waits).unwrap();
    // The same person is not let in on what may be there.
    let again = remote
        .store
        .set_required(&alice(), false, &origin(), remote.bench.now);
    assert!(matches!(again, Err(StoreError::Busy(_))), "{again:?}");
}

#[test]
fn a_verdict_that_no_standby_has_is_not_repeated() {
    let remote = Remote::new();
    let (store, now, key) = (&remote.store, remote.bench.now, [2; 32]);
    let new = NewHost {
        id: "h1".into(),
        name: "web1".into(),
        rights: HostRights::default(),
        token: [1; 32],
    };
    store.add_host(&new, &origin(), now).unwrap();
    let join = HostJoin {
        token: [1; 32],
        key,
        key_until: now.after(86_400),
    };
    assert!(store.join_host(join, &origin(), now).unwrap());
    let conversation = NewConversation {
        id: &[3; 16],
        host: "h1",
        account: "alice",
        login: "{}",
        state: "",
        reply: "[]",
        is_secret: false,
        until: now.after(60),
    };
    let host = FleetHost::connected("web1".into(), key);
    let on_host = Origin::login(0, LoginOrigin::default()).on_host(host);
    store
        .note_passed_conversation(conversation, &on_host, now)
        .unwrap();
    store.confirm_verdict(&[3; 16]).unwrap();

    remote.lose_standby();
    let confirmed = store.confirm_verdict(&[3; 16]);
    assert!(
        matches!(confirmed, Err(StoreError::Unanswered)),
        "{confirmed:?}"
    );
}

#[test]
fn a_transaction_that_another_one_was_in_the_way_of_runs_again_and_is_counted() {
    let remote = Remote::new();
    let tries = Cell::new(0);
    let twice = |_: &View<'_>| {
        tries.set(tries.get() + 1);
        if tries.get() < 3 {
            return Err(StoreError::Conflict);
        }
        Ok(())
    };
    let before = remote.store.database_counters().retries;
    remote.store.write_unsynced(twice).unwrap();
    let after = remote.store.database_counters().retries;
    assert_eq!((tries.get(), after - before), (3, 2));
}

#[test]
fn a_transaction_that_waited_for_a_connection_is_counted() {
    let remote = Remote::new();
    let location = &remote.bench.location;
    let address = std::fs::read_to_string(&location.server).unwrap();
    let join = if address.contains('?') { '&' } else { '?' };
    let one = format!("{}{join}connections=1", address.trim());
    std::fs::write(&location.server, one).unwrap();
    let store = Store::open(location.clone()).unwrap();
    assert_eq!(store.database_counters().waits, 0);
    let soon = Instant::now() + Duration::from_millis(50);
    store
        .write_unsynced(|_| {
            let second = thread::scope(|scope| {
                let waiting = || deadline::within(soon, || store.snapshot(&alice()).map(drop));
                scope.spawn(waiting).join().unwrap()
            });
            assert!(matches!(second, Err(StoreError::Busy(None))), "{second:?}");
            Ok(())
        })
        .unwrap();
    let counters = store.database_counters();
    assert_eq!(counters.waits, 1);
    assert!(counters.waited_microseconds > 0);
}

#[test]
fn refused_logins_are_found_without_reading_the_others_of_their_user() {
    let remote = Remote::new();
    let (sql, _) = events::REFUSED_SINCE_PASS.postgres();
    let sql = format!("EXPLAIN {sql}");
    let explain = |view: &View<'_>| {
        // The tables are empty.
        view.db
            .run_migration("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")?;
        let (name, uid) = ("alice", 1000_u32);
        view.db
            .query_all(&sql, values![name, uid], |row| row.at::<String>(0))
    };
    let plan = remote.store.write_unsynced(explain).unwrap().join("\n");
    assert!(plan.contains("using refused_of_user on event"), "{plan}");
}

#[test]
fn a_commit_with_a_warning_is_a_refusal() {
    let remote = Remote::new();
    remote.bench.enrol(&remote.store, &alice(), "phone");
    remote.lose_standby();
    let changed = thread::scope(|scope| {
        let store = &remote.store;
        let changing =
            scope.spawn(|| store.set_required(&alice(), true, &origin(), remote.bench.now));
        let cancel = "SELECT 1 / (SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep')";
        while !changing.is_finished() && remote.admin.batch(cancel).is_err() {
            thread::yield_now();
        }
        changing.join().unwrap()
    });
    assert!(
        matches!(changed, Err(StoreError::Unanswered)),
        "{changed:?}"
    );
    assert_eq!(remote.store.database_counters().unknown_commits, 1);
}

#[test]
fn the_calls_of_a_request_share_its_deadline_and_a_commit_is_not_cancelled_when_it_passes() {
    let remote = Remote::new();
    remote.bench.enrol(&remote.store, &alice(), "phone");
    let set = || {
        remote
            .store
            .set_required(&alice(), true, &origin(), remote.bench.now)
    };
    let second = || Instant::now() + Duration::from_secs(1);
    remote
        .admin
        .batch("BEGIN; SELECT 1 FROM \"user\" FOR UPDATE")
        .unwrap();
    let begin = Instant::now();
    // Each by itself would wait for the lock for four seconds.
    deadline::within(second(), || {
        for _ in 0..10 {
            let waited = set();
            assert!(matches!(waited, Err(StoreError::Unanswered)), "{waited:?}");
        }
    });
    assert!(begin.elapsed() < Duration::from_secs(4));
    remote.admin.batch("ROLLBACK").unwrap();
    remote.lose_standby();
    let committed = deadline::within(second(), set);
    assert!(
        matches!(committed, Err(StoreError::Unanswered)),
        "{committed:?}"
    );
    let waits = "SELECT 1 / (SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep')";
    remote.admin.batch(waits).unwrap();
}

#[test]
fn connections_that_broke_are_replaced() {
    let remote = Remote::new();
    remote.store.rulebook().unwrap();
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname IS NOT NULL";
    remote.admin.batch(end).unwrap();
    remote.store.rulebook().unwrap();
    remote.bench.enrol(&remote.store, &alice(), "phone");
}

#[test]
fn a_database_in_which_commits_could_be_lost_is_refused() {
    let remote = Remote::new();
    let off = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$";
    remote.admin.batch(off).unwrap();
    let refused = Store::open(remote.bench.location.clone()).unwrap_err();
    assert!(
        refused.to_string().contains("commits could be lost"),
        "{refused}"
    );
}

#[test]
fn where_the_policy_demands_a_standby_and_there_is_none_nobody_is_served_but_the_policy_can_be_changed()
 {
    let remote = Remote::new();
    remote.bench.enrol(&remote.store, &alice(), "phone");
    let set = |store: &Store, durability| {
        let settings = [("fleet.durability", durability)];
        store.change_policy(settings, &origin(), remote.bench.now)
    };
    let refused = set(&remote.store, "replicated").unwrap_err();
    assert!(matches!(refused, StoreError::CannotReplicate), "{refused}");
    // As after a fail-over to a primary without the setting.
    let set_beside = |view: &View<'_>| {
        let sql =
            "INSERT INTO setting SELECT 'fleet.durability', 'replicated', seal FROM policy_version";
        view.db.run_migration(sql)?;
        view.hasher().write_all()
    };
    remote.store.write_unsynced(set_beside).unwrap();
    let refused = remote.store.snapshot(&alice()).unwrap_err();
    assert!(matches!(refused, StoreError::NoStandby), "{refused}");
    let changed = remote
        .store
        .set_required(&alice(), true, &origin(), remote.bench.now);
    assert!(matches!(changed, Err(StoreError::NoStandby)), "{changed:?}");

    // An administrator's process may look, and change nothing but that.
    let store = Store::open(remote.bench.location.clone()).unwrap();
    store.read_without_standby();
    let Place::Server(place) = store.place().unwrap() else {
        panic!("it is on a server");
    };
    assert_eq!(place.replication.synchronous, "");
    assert_eq!(place.replication.standbys, Some(Vec::new()));
    assert!(place.version.starts_with(char::is_numeric), "{place:?}");
    let changed = store.set_required(&alice(), true, &origin(), remote.bench.now);
    assert!(matches!(changed, Err(StoreError::NoStandby)), "{changed:?}");
    assert_eq!(set(&store, "local").unwrap().len(), 1);
    remote.store.snapshot(&alice()).unwrap();
}

#[test]
fn of_64_connections_one_passes_with_each_code_among_60_people() {
    race(60, 20);
}

#[test]
fn of_64_connections_one_passes_with_each_code_among_100_000_people() {
    race(100_000, 40);
}

pub(super) fn person(number: u32) -> Account {
    Account {
        name: format!("person{number}"),
        uid: 10_000 + number,
    }
}

/// 64 threads type the same `codes`, of one person after the other.
fn race(people: u32, codes: u32) {
    let remote = Remote::new();
    let (store, now) = (&remote.store, remote.bench.now);
    let raced: BTreeSet<u32> = (1..=codes).map(|step| step * 37 % people).collect();
    let enrolled = raced.iter().map(|number| (person(*number), app("phone")));
    store
        .enrol_many(enrolled, &origin(), remote.bench.now)
        .unwrap();
    remote.fill(people);
    store
        .change_policy([("lockout.after", "100")], &origin(), remote.bench.now)
        .unwrap();
    let passed: Vec<_> = (0..codes).map(|_| AtomicU32::new(0)).collect();
    thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                for (step, passed) in (1..).zip(&passed) {
                    let account = person(step * 37 % people);
                    if types(store, now, &account, step.into()) {
                        passed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    for passed in passed {
        assert_eq!(passed.into_inner(), 1);
    }
    let attempts = |number: &u32| {
        let known = store.snapshot(&person(*number)).unwrap();
        known.user.throttle.attempts
    };
    let attempts: u64 = raced.iter().map(attempts).sum();
    assert_eq!(attempts, u64::from(codes) * 64, "none is lost");
    let findings = store
        .verify_log(&SystemLog::default(), None)
        .unwrap()
        .findings;
    assert_eq!(findings, []);
}

pub(super) fn types(store: &Store, now: Timestamp, account: &Account, count: u64) -> bool {
    let known = store.snapshot(account).unwrap();
    let origin = origin();
    let attempt = CodeAttempt {
        account,
        tally: Tally::Proved,
        origin: &origin,
        known: &known,
        settlement: Settlement::Now(None),
    };
    let verify = |user: &User| {
        let app = &user.apps[0];
        let is_fresh = app.app.used.is_none_or(|used| used < count);
        if is_fresh {
            Ok(CodeProof::App { app: app.id, count })
        } else {
            Err(RefusalReason::Replayed)
        }
    };
    let outcome = store.try_code(attempt, now, verify).unwrap();
    matches!(outcome, CodeOutcome::Right(_))
}
