//! How long it takes with a million events: `cargo test --release -p twofa-store figures -- --ignored --nocapture`.
#![allow(clippy::print_stdout, reason = "figures are for people")]

use std::time::{Duration, Instant};

use twofa_core::{Account, Timestamp};

use crate::event::{Event, LoginOrigin, Origin, Proof};
use crate::journal::SystemLog;
use crate::testing::Bench;
use crate::{EventFilter, Store};

const EVENTS: u64 = 1_000_000;
const USERS: u64 = 1_000;
/// Seconds over which the events are spread: a month.
const SPAN: u64 = 30 * 86_400;

fn user(number: u64) -> Account {
    Account {
        name: format!("user{number}"),
        uid: u32::try_from(1_000 + number).unwrap(),
    }
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> (T, Duration) {
    let begin = Instant::now();
    let value = work();
    let took = begin.elapsed();
    println!("{what}: {took:?}");
    (value, took)
}

fn fill(bench: &Bench, store: &Store) {
    let passed = Event::Passed {
        by: Proof::App {
            label: "phone".into(),
        },
    };
    for thousand in 0..EVENTS / 1_000 {
        let now = at(bench, thousand * 1_000);
        let login = LoginOrigin {
            service: Some("sshd".into()),
            remote_host: Some(format!("192.0.2.{}", thousand % 250)),
            ..LoginOrigin::default()
        };
        let origin = Origin::login(0, login);
        let logged = store.change_unsynced(&origin, now, |tx| {
            (0..1_000).try_for_each(|i| {
                tx.record(Some(&user((thousand + i) % USERS)), &passed)
                    .map(drop)
            })
        });
        logged.unwrap();
        store.write_last_checkpoint(now).unwrap().unwrap();
    }
}

fn at(bench: &Bench, event: u64) -> Timestamp {
    bench.now.after(event * SPAN / EVENTS)
}

#[test]
#[ignore = "it takes a minute, and only a release build says anything"]
fn a_million_events_are_verified_in_ten_seconds_and_a_users_last_day_is_found_in_50_ms() {
    let bench = Bench::new();
    let store = bench.create();
    let ((), filled) = timed("a million events, and a thousand checkpoints", || {
        fill(&bench, &store);
    });
    println!("each: {:?}", filled / u32::try_from(EVENTS).unwrap());

    let (verified, took) = timed("log verify", || {
        store.verify_log(&SystemLog::default(), None).unwrap()
    });
    assert_eq!((verified.findings, verified.proved), (vec![], EVENTS));
    assert!(took < Duration::from_secs(10));

    let day = |user: Option<String>| EventFilter {
        user,
        since: Some(at(&bench, EVENTS).before(86_400)),
        ..EventFilter::default()
    };
    for (what, filter) in [
        ("log --user user7 --since -1d", day(Some("user7".into()))),
        ("log --since -1d", day(None)),
    ] {
        let mut found = 0;
        let ((), took) = timed(what, || {
            let each = |_| {
                found += 1;
                true
            };
            store.events(&filter, each).unwrap();
        });
        println!("found: {found}");
        assert!(found > 0);
        assert!(filter.user.is_none() || took < Duration::from_millis(50));
    }
}

#[test]
#[ignore = "only a release build says anything"]
fn an_event_costs_a_few_microseconds() {
    let bench = Bench::new();
    let store = bench.create();
    let repeated: u32 = 100_000;
    let each = |what: &str, took: Duration| println!("{what}: {:?}", took / repeated);
    let passed = Event::Passed {
        by: Proof::BackupCode,
    };
    let stored = (&passed).into();
    store
        .change_unsynced(&crate::testing::origin(), bench.now, |tx| {
            let event = crate::sql::events::NewEvent {
                user: Some(&user(1)),
                event: &stored,
                origin: tx.origin,
                at: tx.now,
                is_synced: true,
            };
            let journal = tx.journal.name(tx.db)?;
            let begin = Instant::now();
            for number in 0..repeated {
                std::hint::black_box(super::leaf(tx.key, journal, number.into(), event.columns()));
            }
            each("a leaf", begin.elapsed());
            let begin = Instant::now();
            for _ in 0..repeated {
                std::hint::black_box(crate::sql::events::next_number(tx.db)?);
            }
            each("the next number", begin.elapsed());
            let begin = Instant::now();
            for number in 0..repeated {
                tx.record(Some(&user(number.into())), &passed)?;
            }
            each("an event", begin.elapsed());
            Ok(())
        })
        .unwrap();
}

#[test]
#[ignore = "only a release build says anything"]
fn events_that_wait_for_the_disk_at_64_at_once() {
    const THREADS: u32 = 64;
    const EACH: u32 = 100;
    let bench = Bench::new();
    let store = bench.create();
    let passed = Event::Passed {
        by: Proof::BackupCode,
    };
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (store, passed, bench) = (&store, &passed, &bench);
            scope.spawn(move || {
                for _ in 0..EACH {
                    let origin = crate::testing::origin();
                    let account = user(thread.into());
                    store
                        .record(Some(&account), passed, &origin, bench.now)
                        .unwrap();
                }
            });
        }
    });
    println!("each: {:?}", begin.elapsed() / (THREADS * EACH));
    while store.write_last_checkpoint(bench.now).unwrap().is_some() {}
    assert_eq!(
        store
            .verify_log(&SystemLog::default(), None)
            .unwrap()
            .findings,
        []
    );
}
