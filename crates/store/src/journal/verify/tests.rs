use super::*;
use crate::event::{Event, Proof, RefusalReason};
use crate::journal::{EventAnchor, Value};
use crate::testing::{Bench, alice, origin};
use std::fs;
use twofa_core::Timestamp;

const REFUSED: Event = Event::Refused {
    why: RefusalReason::WrongCode,
};

fn log(bench: &Bench, store: &Store, events: usize) {
    store
        .change(&origin(), bench.now, |tx| {
            (0..events).try_for_each(|_| tx.record(Some(&alice()), &REFUSED).map(drop))
        })
        .unwrap();
}

fn seal(store: &Store, now: Timestamp) -> Anchor {
    let written = store.write_last_checkpoint(now).unwrap().unwrap();
    assert!(written.trouble.is_none(), "{written:?}");
    written.anchor
}

/// A store with three checkpoints of ten events each, and five events behind them.
fn written(bench: &Bench) -> (Store, Vec<Anchor>) {
    let store = bench.create();
    let mut anchors = Vec::new();
    for _ in 0..3 {
        log(bench, &store, 10);
        anchors.push(seal(&store, bench.now));
    }
    log(bench, &store, 5);
    (store, anchors)
}

fn checkpoints(anchors: &[Anchor]) -> SystemLog {
    SystemLog {
        checkpoints: anchors.to_vec(),
        ..SystemLog::default()
    }
}

fn findings(store: &Store, anchors: &[Anchor]) -> Vec<Finding> {
    store
        .verify_log(&checkpoints(anchors), None)
        .unwrap()
        .findings
}

/// What is found after an intruder without the key of the store ran `sql`.
fn after(sql: &str) -> Vec<Finding> {
    let bench = Bench::on_file();
    let (store, _) = written(&bench);
    Bench::execute(&store, sql);
    findings(&store, &[])
}

#[test]
fn a_log_that_nobody_touched_is_whole() {
    let bench = Bench::new();
    let (store, anchors) = written(&bench);
    let verification = store.verify_log(&checkpoints(&anchors), None).unwrap();
    assert_eq!(verification.findings, []);
    assert_eq!((verification.proved, verification.last), (35, 35));
    assert_eq!((verification.tail.events, verification.anchors), (5, 3));
    assert_eq!(verification.latest.as_ref(), anchors.last());
    let bench = Bench::new();
    assert_eq!(findings(&bench.create(), &[]), [], "an empty one");
}

#[test]
fn an_altered_event_is_named() {
    let finding = Finding::Altered {
        first: 15,
        last: 15,
    };
    for column in [
        "at = at + 1",
        "kind = 'passed'",
        "fields = NULL",
        "name = 'bob'",
        "uid = 1001",
        "actor = 1000",
        "login_uid = 1000",
        "source = 'command-line'",
        "service = 'su'",
        "remote_host = '198.51.100.1'",
        "remote_user = 'bob'",
        "terminal = 'tty1'",
        "detail = 'in words'",
        "unsynced = 1",
        "leaf = zeroblob(32)",
    ] {
        let sql = format!("UPDATE event SET {column} WHERE id = 15");
        assert_eq!(after(&sql), std::slice::from_ref(&finding), "{column}");
    }
    let behind = after("UPDATE event SET kind = 'passed' WHERE id IN (33, 34)");
    assert_eq!(
        behind,
        [Finding::Altered {
            first: 33,
            last: 34
        }]
    );
}

#[test]
fn deleted_events_are_missing() {
    let missing = |first, last| Finding::Missing { first, last };
    assert_eq!(after("DELETE FROM event WHERE id = 15"), [missing(15, 15)]);
    assert_eq!(after("DELETE FROM event WHERE id = 33"), [missing(33, 33)]);
    assert_eq!(
        after("DELETE FROM event WHERE id BETWEEN 5 AND 27"),
        [missing(5, 27)]
    );
    assert_eq!(after("DELETE FROM event"), [missing(1, 30)]);
}

#[test]
fn an_inserted_event_is_told_from_those_that_were_moved_for_it() {
    let inserted = after(
        "UPDATE event SET id = -id - 1 WHERE id >= 15;
         UPDATE event SET id = -id WHERE id < 0;
         INSERT INTO event (id, at, kind, actor, leaf) VALUES (15, 1, 'passed', 0, zeroblob(32))",
    );
    let moved = Finding::Moved {
        first: 16,
        last: 36,
        by: -1,
    };
    assert_eq!(inserted, [Finding::Inserted { event: 15 }, moved]);

    let without_leaf = after("INSERT INTO event (at, kind, actor) VALUES (1, 'passed', 0)");
    assert_eq!(without_leaf, [Finding::Inserted { event: 36 }]);
    let before_all = after("INSERT INTO event (id, at, kind, actor) VALUES (0, 1, 'passed', 0)");
    assert_eq!(
        before_all,
        [Finding::OlderCount {
            expected: 0,
            found: 1
        }]
    );
}

#[test]
fn two_events_that_were_swapped_are_named() {
    let swapped = after("UPDATE event SET at = at + id;");
    assert_eq!(swapped, [Finding::Altered { first: 1, last: 35 }]);
    let swap = "UPDATE event SET id = -id WHERE id IN (12, 18);
                UPDATE event SET id = 30 + id WHERE id < 0";
    let moved = |first, by| Finding::Moved {
        first,
        last: first,
        by,
    };
    assert_eq!(after(swap), [moved(12, 6), moved(18, -6)]);
}

#[test]
fn an_altered_checkpoint_is_named() {
    for column in [
        "first = first + 1",
        "last = last - 1",
        "count = count - 1",
        "at = at + 1",
        "latest_event_at = 0",
        "root = zeroblob(32)",
        "previous = zeroblob(32)",
        "link = zeroblob(32)",
    ] {
        let found = after(&format!("UPDATE checkpoint SET {column} WHERE number = 2"));
        let altered = Finding::CheckpointAltered { number: 2 };
        assert!(found.contains(&altered), "{column}: {found:?}");
    }
    let missing = Finding::CheckpointsMissing { first: 2, last: 2 };
    let found = after("DELETE FROM checkpoint WHERE number = 2");
    assert!(found.contains(&missing), "{found:?}");
    let of_older = after("UPDATE checkpoint SET count = 7 WHERE number = 0");
    assert!(of_older.contains(&Finding::CheckpointAltered { number: 1 }));
}

#[test]
fn a_cut_end_is_found_by_what_the_system_log_has() {
    let bench = Bench::new();
    let (store, anchors) = written(&bench);
    Bench::execute(
        &store,
        "DELETE FROM event WHERE id > 20; DELETE FROM checkpoint WHERE number > 2",
    );
    assert_eq!(
        findings(&store, &anchors[..2]),
        [],
        "without a later anchor"
    );
    let cut = Finding::EndsBefore {
        anchor: anchors[2].clone(),
        number: 2,
        last: 20,
    };
    assert_eq!(findings(&store, &anchors), [cut]);
}

#[test]
fn a_cut_end_is_found_by_what_users_records_know() {
    let bench = Bench::new();
    let (store, _) = written(&bench);
    bench.enrol(&store, &alice(), "phone");
    store
        .record_pass(
            &alice(),
            Bench::generation(&store, &alice()),
            &Proof::BackupCode,
            crate::Settlement::Now(None),
            &origin(),
            bench.now,
        )
        .unwrap();
    let known = store.verify_log(&SystemLog::default(), None).unwrap().last;
    Bench::execute(&store, "DELETE FROM event WHERE id > 34");
    let cut = Finding::Cut { last: 34, known };
    assert_eq!(findings(&store, &[]), [cut]);
}

#[test]
fn an_older_database_that_was_put_back_is_found_by_what_the_system_log_has() {
    let bench = Bench::on_file();
    let (store, _) = written(&bench);
    drop(store);
    let backup = fs::read(&bench.location.database).unwrap();
    let store = Store::open(bench.location.clone()).unwrap();
    let anchor = seal(&store, bench.now);
    drop(store);
    fs::write(&bench.location.database, backup).unwrap();

    let store = Store::open(bench.location.clone()).unwrap();
    let older = Finding::EndsBefore {
        anchor: anchor.clone(),
        number: 3,
        last: 30,
    };
    assert_eq!(findings(&store, std::slice::from_ref(&anchor)), [older]);
    // It goes on, and makes another checkpoint of the same number.
    log(&bench, &store, 5);
    seal(&store, bench.now);
    assert_eq!(
        findings(&store, std::slice::from_ref(&anchor)),
        [Finding::AnchorDiffers(anchor)]
    );
}

#[test]
fn root_who_writes_everything_again_is_found_by_an_anchor() {
    let bench = Bench::new();
    let (store, anchors) = written(&bench);
    Bench::execute(
        &store,
        "DELETE FROM event WHERE id > 10; DELETE FROM checkpoint WHERE number > 1",
    );
    for _ in 0..2 {
        log(&bench, &store, 10);
        store
            .write_last_checkpoint(bench.now.after(1))
            .unwrap()
            .unwrap();
    }
    assert_eq!(
        findings(&store, &[]),
        [],
        "with the key of the store, it is a log like any other"
    );
    let differ = |anchor: &Anchor| Finding::AnchorDiffers(anchor.clone());
    assert_eq!(
        findings(&store, &anchors),
        [differ(&anchors[1]), differ(&anchors[2])]
    );
}

#[test]
fn a_tail_that_a_power_failure_took_is_no_alarm_and_unsynced_events_are_marked() {
    let bench = Bench::new();
    let (store, anchors) = written(&bench);
    let unsynced = store.change_unsynced(&origin(), bench.now, |tx| {
        tx.record(Some(&alice()), &REFUSED).map(drop)
    });
    unsynced.unwrap();
    let tail = store.verify_log(&checkpoints(&anchors), None).unwrap().tail;
    assert_eq!((tail.events, tail.unsynced), (6, 1));
    Bench::execute(&store, "DELETE FROM event WHERE id > 35");
    log(&bench, &store, 1);
    let verification = store.verify_log(&checkpoints(&anchors), None).unwrap();
    assert_eq!((verification.findings, verification.last), (vec![], 36));
}

/// The lines that the system log has of all events of `store`.
fn lines(store: &Store) -> SystemLog {
    let events = store.read(|view| {
        let mut events = Vec::new();
        events::each_in_journal(view.db, |row| {
            let leaf = row.leaf.as_deref().and_then(|leaf| leaf.try_into().ok());
            let is_synced = !row
                .columns()?
                .iter()
                .any(|(name, value)| *name == "unsynced" && matches!(value, Value::Integer(_)));
            let journal = view.journal.name(view.db)?;
            events.push(EventAnchor::new(
                journal,
                row.number,
                leaf.unwrap(),
                is_synced,
            ));
            Ok(())
        })?;
        Ok(events)
    });
    SystemLog {
        events: events.unwrap(),
        ..SystemLog::default()
    }
}

fn log_unsynced(bench: &Bench, store: &Store) {
    let logged = store.change_unsynced(&origin(), bench.now, |tx| {
        (0..2).try_for_each(|_| tx.record(Some(&alice()), &REFUSED).map(drop))
    });
    logged.unwrap();
}

#[test]
fn a_tail_that_was_lost_in_a_crash_is_named_by_the_lines_of_its_events() {
    let bench = Bench::on_file();
    let (store, _) = written(&bench);
    log_unsynced(&bench, &store);
    let lines = lines(&store);
    let whole = store.verify_log(&lines, None).unwrap();
    assert_eq!((whole.findings, whole.lines), (vec![], 37));

    let lost = Finding::LostInCrash {
        first: 36,
        last: 37,
    };
    Bench::execute(&store, "DELETE FROM event WHERE id > 35");
    let found = store.verify_log(&lines, None).unwrap();
    assert_eq!((found.findings, found.lines), (vec![lost.clone()], 35));
    // Their numbers are given again.
    let later = bench.now.after(1);
    store
        .change(&origin(), later, |tx| {
            (0..5).try_for_each(|_| tx.record(Some(&alice()), &REFUSED).map(drop))
        })
        .unwrap();
    assert_eq!(store.verify_log(&lines, None).unwrap().findings, [lost]);
}

#[test]
fn what_was_on_disk_is_not_taken_for_lost_in_a_crash() {
    let bench = Bench::on_file();
    let (store, _) = written(&bench);
    log_unsynced(&bench, &store);
    log(&bench, &store, 1);
    let lines = lines(&store);
    Bench::execute(&store, "DELETE FROM event WHERE id > 35");
    let cut = Finding::NotAsInLines {
        first: 36,
        last: 38,
    };
    assert_eq!(store.verify_log(&lines, None).unwrap().findings, [cut]);
    let other = Bench::on_file();
    let (other, _) = written(&other);
    let found = other.verify_log(&lines, None).unwrap().findings;
    let journal = lines.events[0].journal.clone();
    let of_another = Finding::OtherJournalInLines { journal, lines: 38 };
    assert_eq!(found, [of_another]);
}

#[test]
fn a_checkpoint_is_due_after_a_thousand_events_or_a_minute() {
    let bench = Bench::new();
    let store = bench.create();
    let is_due = |now: Timestamp| store.is_checkpoint_due(now).unwrap();
    assert!(!is_due(bench.now.after(1_000_000)), "nothing to seal");
    log(&bench, &store, 1);
    assert!(!is_due(bench.now.after(59)));
    assert!(is_due(bench.now.after(60)));
    assert!(is_due(bench.now.before(60)), "the clock went back");
    log(&bench, &store, 998);
    assert!(!is_due(bench.now) && !store.journal_may_be_full());
    log(&bench, &store, 2);
    assert!(is_due(bench.now) && store.journal_may_be_full());
    let first = store.write_checkpoint(bench.now).unwrap().unwrap().anchor;
    assert_eq!((first.number, first.last), (1, 1_000));
    assert!(store.write_checkpoint(bench.now).unwrap().is_none());
    let rest = seal(&store, bench.now);
    assert_eq!((rest.number, rest.last), (2, 1_001));
    assert_eq!(findings(&store, &[first, rest]), []);
}

#[test]
fn an_event_whose_content_was_dropped_without_a_sum_is_found() {
    let bench = Bench::new();
    let (store, _) = written(&bench);
    let hidden = "INSERT INTO dropped_event SELECT id, leaf, 20 FROM event WHERE id = 15;
                  DELETE FROM event WHERE id = 15";
    Bench::execute(&store, hidden);
    assert_eq!(findings(&store, &[]), [Finding::SumDiffers { event: 20 }]);
}

#[test]
fn a_sum_stands_for_the_events_it_was_made_of_and_no_others() {
    let bench = Bench::new();
    let store = bench.create();
    log(&bench, &store, 6_100);
    while store.write_last_checkpoint(bench.now).unwrap().is_some() {}
    let sum = store
        .read(|view| Ok(journal::dropped(view.db)?[0].instead))
        .unwrap();
    assert_eq!(findings(&store, &[]), []);
    let hidden = format!(
        "INSERT INTO dropped_event SELECT id, leaf, {sum} FROM event WHERE id = 2000;
         DELETE FROM event WHERE id = 2000"
    );
    Bench::execute(&store, &hidden);
    assert_eq!(findings(&store, &[]), [Finding::SumDiffers { event: sum }]);
}

#[test]
fn events_past_their_age_are_removed_with_their_checkpoints_and_that_is_on_record() {
    let bench = Bench::new();
    let store = bench.create();
    let days = |days: u64| bench.now.after(days * 86_400);
    for day in [0, 300, 500] {
        let logged = store.change(&origin(), days(day), |tx| {
            (0..700).try_for_each(|_| tx.record(Some(&alice()), &REFUSED).map(drop))
        });
        logged.unwrap();
        store.write_last_checkpoint(days(day)).unwrap();
    }
    assert_eq!(store.prune_log(&origin(), days(399)).unwrap(), 0);
    let told = "SELECT count(*) FROM event WHERE kind = 'log-pruned'";
    assert_eq!(
        Bench::number(&store, told),
        0,
        "there was nothing to remove"
    );
    assert_eq!(store.prune_log(&origin(), days(401)).unwrap(), 700);
    assert_eq!(
        store.prune_log(&origin(), days(401)).unwrap(),
        0,
        "once a day"
    );
    let verification = store.verify_log(&SystemLog::default(), None).unwrap();
    assert_eq!(
        (verification.findings, verification.pruned_through),
        (vec![], 700)
    );
    assert_eq!(
        store.prune_log(&origin(), days(2_000)).unwrap(),
        700,
        "the last checkpoint stays"
    );
    assert_eq!(findings(&store, &[]), []);

    Bench::execute(&store, "DELETE FROM event WHERE kind = 'log-pruned'");
    let found = findings(&store, &[]);
    assert!(
        found.contains(&Finding::Missing {
            first: 1,
            last: 1_400
        }),
        "{found:?}"
    );
}

#[test]
fn what_is_removed_because_of_its_age_may_be_half_gone() {
    let bench = Bench::on_file();
    let (store, _) = written(&bench);
    let later = bench.now.after(500 * 86_400);
    store.prune_log(&origin(), later).unwrap();
    assert_eq!(findings(&store, &[]), []);
    let floor = store
        .verify_log(&SystemLog::default(), None)
        .unwrap()
        .pruned_through;
    assert_eq!(floor, 20);
    let back = format!("INSERT INTO event (id, at, kind, actor) VALUES ({floor}, 1, 'passed', 0)");
    Bench::execute(&store, &back);
    assert_eq!(
        store.verify_log(&SystemLog::default(), None).unwrap().older,
        1
    );
    assert_eq!(store.prune_log(&origin(), later).unwrap(), 1);
}

/// A store with a verification key, and two checkpoints before and three after it was made.
fn sealed(bench: &Bench) -> (Store, VerificationKey) {
    let store = bench.create();
    let mut key = None;
    for i in 0..5 {
        log(bench, &store, 10);
        if i == 2 {
            key = Some(store.make_log_key(false, &origin(), bench.now).unwrap());
        }
        seal(&store, bench.now);
    }
    (store, key.unwrap())
}

#[test]
fn root_who_writes_everything_again_is_found_by_the_verification_key() {
    let bench = Bench::new();
    let (store, key) = sealed(&bench);
    let whole = store.verify_log(&SystemLog::default(), Some(&key)).unwrap();
    assert_eq!((whole.findings, whole.seals), (vec![], 3));

    // Root has the key of the store, and the latest sealing key.
    Bench::execute(
        &store,
        "DELETE FROM event WHERE id > 30; DELETE FROM checkpoint WHERE number > 3;
         UPDATE event SET name = 'bob' WHERE id = 29",
    );
    let latest = fs::read(bench.location.journal_key()).unwrap();
    let forge = |number: i64| {
        log(&bench, &store, 10);
        seal(&store, bench.now);
        Bench::execute(
            &store,
            &format!("UPDATE checkpoint SET number = {number} WHERE number > 5"),
        );
        fs::write(bench.location.journal_key(), &latest).unwrap();
    };
    forge(4);
    let found = store
        .verify_log(&SystemLog::default(), Some(&key))
        .unwrap()
        .findings;
    assert!(
        found.contains(&Finding::SealDiffers { first: 4, last: 4 }),
        "{found:?}"
    );
    assert!(
        found.contains(&Finding::EndsBeforeSeal {
            sealed: 5,
            number: 4
        }),
        "{found:?}"
    );
}

#[test]
fn a_checkpoint_without_its_seal_is_found_by_the_verification_key() {
    let bench = Bench::new();
    let (store, key) = sealed(&bench);
    Bench::execute(&store, "UPDATE checkpoint SET seal = NULL WHERE number > 3");
    assert_eq!(
        findings(&store, &[]),
        [],
        "without it, seals are not looked at"
    );
    let found = store
        .verify_log(&SystemLog::default(), Some(&key))
        .unwrap()
        .findings;
    assert_eq!(found, [Finding::SealDiffers { first: 4, last: 5 }]);
}

#[test]
fn an_older_database_that_was_put_back_is_found_by_the_sealing_key_that_went_on() {
    let bench = Bench::on_file();
    let (store, key) = sealed(&bench);
    drop(store);
    let backup = fs::read(&bench.location.database).unwrap();
    let store = Store::open(bench.location.clone()).unwrap();
    log(&bench, &store, 1);
    seal(&store, bench.now);
    drop(store);
    fs::write(&bench.location.database, backup).unwrap();

    let store = Store::open(bench.location.clone()).unwrap();
    let older = Finding::EndsBeforeSeal {
        sealed: 6,
        number: 5,
    };
    assert_eq!(findings(&store, &[]), std::slice::from_ref(&older));
    assert_eq!(
        store
            .verify_log(&SystemLog::default(), Some(&key))
            .unwrap()
            .findings,
        [older]
    );
    // It goes on, with another number.
    log(&bench, &store, 1);
    assert_eq!(seal(&store, bench.now).number, 7);
    let gap = Finding::CheckpointsMissing { first: 6, last: 6 };
    assert_eq!(
        store
            .verify_log(&SystemLog::default(), Some(&key))
            .unwrap()
            .findings,
        [gap]
    );
}

#[test]
fn keys_of_the_past_are_nowhere_on_disk() {
    let bench = Bench::on_file();
    let (store, key) = sealed(&bench);
    let file = fs::read(bench.location.journal_key()).unwrap();
    let places = file.chunks(file.len() / 2);
    let is_erased = |place: &[u8]| place.iter().all(|byte| *byte == 0);
    assert_eq!(places.filter(|place| is_erased(place)).count(), 1);
    drop(store);
    let text = key.expose();
    let digits = text.rsplit('/').next().unwrap().replace('-', "");
    let first: Vec<u8> = (0..32)
        .map(|i| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).unwrap())
        .collect();
    let state = bench.location.database.parent().unwrap();
    for entry in fs::read_dir(state).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(32).any(|window| window == first));
    }
}

#[test]
fn a_second_verification_key_is_made_only_in_place_of_the_first() {
    let bench = Bench::new();
    let (store, first) = sealed(&bench);
    let again = store.make_log_key(false, &origin(), bench.now);
    assert!(matches!(again, Err(StoreError::JournalKeyExists)));
    let second = store.make_log_key(true, &origin(), bench.now).unwrap();
    seal(&store, bench.now);
    let by_second = store
        .verify_log(&SystemLog::default(), Some(&second))
        .unwrap();
    assert_eq!((by_second.findings, by_second.seals), (vec![], 1));
    let by_first = store
        .verify_log(&SystemLog::default(), Some(&first))
        .unwrap()
        .findings;
    assert_eq!(by_first, [Finding::SealDiffers { first: 6, last: 6 }]);
    let other = Bench::new();
    let (_, of_other) = sealed(&other);
    let by_other = store
        .verify_log(&SystemLog::default(), Some(&of_other))
        .unwrap()
        .findings;
    assert_eq!(by_other, [Finding::OtherKey]);
}

#[test]
fn a_verification_key_that_cannot_be_recorded_leaves_the_one_before_in_force() {
    let bench = Bench::on_file();
    let (store, key) = sealed(&bench);
    let before = fs::read(bench.location.journal_key()).unwrap();
    let full = "CREATE TRIGGER full BEFORE INSERT ON event BEGIN SELECT RAISE(ABORT, 'full'); END";
    Bench::execute(&store, full);
    store.make_log_key(true, &origin(), bench.now).unwrap_err();
    Bench::execute(&store, "DROP TRIGGER full");
    assert_eq!(fs::read(bench.location.journal_key()).unwrap(), before);
    assert!(!bench.location.journal_key_draft().exists());

    // A deferred constraint fails in the commit itself.
    let fails = "CREATE TABLE other (id INTEGER PRIMARY KEY REFERENCES event (id) DEFERRABLE INITIALLY DEFERRED);
                 CREATE TRIGGER fails AFTER INSERT ON event BEGIN INSERT INTO other VALUES (-1); END";
    Bench::execute(&store, fails);
    store.make_log_key(true, &origin(), bench.now).unwrap_err();
    Bench::execute(&store, "DROP TRIGGER fails; DROP TABLE other");
    log(&bench, &store, 1);
    seal(&store, bench.now);
    let whole = store.verify_log(&SystemLog::default(), Some(&key)).unwrap();
    assert_eq!((whole.findings, whole.seals), (vec![], 4));
}

#[test]
fn a_draft_that_a_crash_left_is_in_nobodys_way() {
    let bench = Bench::new();
    let (store, _) = sealed(&bench);
    fs::write(bench.location.journal_key_draft(), "half").unwrap();
    let second = store.make_log_key(true, &origin(), bench.now).unwrap();
    seal(&store, bench.now);
    let whole = store
        .verify_log(&SystemLog::default(), Some(&second))
        .unwrap();
    assert_eq!((whole.findings, whole.seals), (vec![], 1));
}

#[test]
fn a_sealing_key_that_is_damaged_stops_no_checkpoint_and_is_reported() {
    let bench = Bench::new();
    let (store, key) = sealed(&bench);
    fs::write(bench.location.journal_key(), [0; 160]).unwrap();
    log(&bench, &store, 1);
    let written = store.write_last_checkpoint(bench.now).unwrap().unwrap();
    assert!(
        matches!(written.trouble, Some(StoreError::JournalKey)),
        "{written:?}"
    );
    assert_eq!(findings(&store, &[written.anchor]), []);
    let found = store
        .verify_log(&SystemLog::default(), Some(&key))
        .unwrap()
        .findings;
    assert_eq!(found, [Finding::SealDiffers { first: 6, last: 6 }]);
}
