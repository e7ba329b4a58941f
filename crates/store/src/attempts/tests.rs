use super::*;
use crate::testing::{Bench, alice, origin};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use twofa_core::user::EnrolledApp;
use twofa_core::{BackupCode, BackupSet};

fn attempt(store: &Store, bench: &Bench) -> Attempt {
    match store
        .count_attempt(&alice(), Tally::Proved, &origin(), bench.now)
        .unwrap()
    {
        Counted::Attempt(attempt, _) => attempt,
        refused => panic!("{refused:?}"),
    }
}

const REFUSED: Event = Event::Refused {
    why: RefusalReason::WrongCode,
};

fn enrolled(bench: &Bench) -> (Store, EnrolledApp) {
    let store = bench.create();
    bench.enrol(&store, &alice(), "phone");
    let app = store.snapshot(&alice()).unwrap().user.apps.remove(0);
    (store, app)
}

fn failures(store: &Store) -> u64 {
    store.snapshot(&alice()).unwrap().user.throttle.failures()
}

/// Types the code of `step`, which the first app accepts if it has accepted none as high.
fn type_step(store: &Store, bench: &Bench, step: u64) -> CodeOutcome<RefusalReason> {
    type_step_at(store, &origin(), bench.now, step)
}

fn type_step_at(
    store: &Store,
    origin: &Origin,
    now: Timestamp,
    step: u64,
) -> CodeOutcome<RefusalReason> {
    let known = store.snapshot(&alice()).unwrap();
    type_step_knowing(store, &known, origin, now, step)
}

fn type_step_knowing(
    store: &Store,
    known: &UserSnapshot,
    origin: &Origin,
    now: Timestamp,
    step: u64,
) -> CodeOutcome<RefusalReason> {
    let attempt = CodeAttempt {
        account: &alice(),
        tally: Tally::Proved,
        origin,
        known,
        settlement: Settlement::Now(None),
    };
    let verify = |user: &User| match user.apps.first() {
        Some(app) if app.app.used.is_none_or(|used| used < step) => Ok(CodeProof::App {
            app: app.id,
            count: step,
        }),
        _ => Err(RefusalReason::Replayed),
    };
    store.try_code(attempt, now, verify).unwrap()
}

fn is_right<W>(outcome: &CodeOutcome<W>) -> bool {
    matches!(outcome, CodeOutcome::Right(_))
}

/// The kinds of the events that are logged, oldest first.
fn log(store: &Store) -> Vec<String> {
    let mut kinds = Vec::new();
    let each = |event: crate::LoggedEvent| {
        kinds.push(event.kind);
        true
    };
    store.events(&crate::EventFilter::default(), each).unwrap();
    kinds
}

const USED: CodeOutcome<RefusalReason> = CodeOutcome::Wrong(RefusalReason::Replayed);

#[test]
fn a_wrong_code_counts_and_a_right_one_takes_back_what_was_counted() {
    let bench = Bench::new();
    let (store, app) = enrolled(&bench);
    let right = CodeProof::App {
        app: app.id,
        count: 100,
    };
    assert_eq!(type_step(&store, &bench, 100), CodeOutcome::Right(right));
    assert_eq!(type_step(&store, &bench, 100), USED);
    assert_eq!(type_step(&store, &bench, 99), USED);
    assert_eq!(failures(&store), 2);
    assert!(is_right(&type_step(&store, &bench, 101)));
    assert_eq!(failures(&store), 0);
    assert_eq!(log(&store)[1..], ["passed", "refused", "refused", "passed"]);
}

#[test]
fn a_code_is_verified_under_the_rules_and_methods_that_it_was_asked_for_by() {
    let bench = Bench::new();
    let (store, _) = enrolled(&bench);
    let other = Store::open(bench.location.clone()).unwrap();
    let (alice, origin) = (alice(), origin());
    let set_policy = |store: &Store, key, value| {
        store
            .change_policy([(key, value)], &origin, bench.now)
            .unwrap();
    };
    let changes: [&dyn Fn(); 5] = [
        &|| set_policy(&store, "mode", "mandatory"),
        &|| set_policy(&other, "methods", "app,backup"),
        &|| bench.enrol(&store, &alice, "second"),
        &|| {
            let required = other.set_required(&alice, true, &origin, bench.now);
            assert!(required.unwrap());
        },
        &|| {
            store.remove_user(&alice, &origin, bench.now).unwrap();
            bench.enrol(&store, &alice, "phone");
        },
    ];
    for (step, change) in (1..).zip(changes) {
        let known = store.snapshot(&alice).unwrap();
        change();
        let outcome = type_step_knowing(&store, &known, &origin, bench.now, step);
        assert_eq!(outcome, CodeOutcome::Outdated, "change {step}");
        assert_eq!(failures(&store), 0, "change {step}");
        assert!(is_right(&type_step(&store, &bench, step)), "change {step}");
    }
}

#[test]
fn a_panic_while_a_code_is_verified_leaves_nothing_and_the_store_goes_on() {
    let bench = Bench::new();
    let (store, _) = enrolled(&bench);
    let (account, origin) = (alice(), origin());
    let known = store.snapshot(&account).unwrap();
    let attempt = CodeAttempt {
        account: &account,
        tally: Tally::Proved,
        origin: &origin,
        known: &known,
        settlement: Settlement::Now(None),
    };
    let verify = |_: &User| -> Result<CodeProof, RefusalReason> { panic!("a defect") };
    let tried = catch_unwind(AssertUnwindSafe(|| {
        store.try_code(attempt, bench.now, verify)
    }));
    assert!(tried.is_err());
    assert_eq!(failures(&store), 0);
    assert!(is_right(&type_step(&store, &bench, 7)));
}

#[test]
fn a_change_of_another_user_by_another_process_does_not_invalidate_a_prompt() {
    let bench = Bench::new();
    let (store, _) = enrolled(&bench);
    let other = Store::open(bench.location.clone()).unwrap();
    let known = store.snapshot(&alice()).unwrap();
    bench.enrol(&other, &crate::testing::bob(), "phone");
    let outcome = type_step_knowing(&store, &known, &origin(), bench.now, 7);
    assert!(is_right(&outcome), "{outcome:?}");
}

/// All 64 type the code of `step` at once, half of them to another process's store. Returns how many passed.
fn race_for_step(bench: &Bench, store: &Store, step: u64) -> usize {
    let other = Store::open(bench.location.clone()).unwrap();
    let start = Barrier::new(64);
    let racer = |store| {
        let known = Store::snapshot(store, &alice());
        // Those who fail come to the start as well, or the others would wait for them for ever.
        start.wait();
        let known = known.unwrap();
        type_step_knowing(store, &known, &origin(), bench.now, step)
    };
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..64)
            .map(|i| if i % 2 == 0 { store } else { &other })
            .map(|store| scope.spawn(move || racer(store)))
            .collect();
        racers
            .into_iter()
            .map(|racer| racer.join().unwrap())
            .collect()
    });
    let passed = outcomes.iter().filter(|outcome| is_right(outcome)).count();
    let refused = outcomes.iter().filter(|outcome| **outcome == USED).count();
    assert_eq!(passed + refused, 64, "{outcomes:?}");
    passed
}

#[test]
fn of_64_that_race_with_one_step_one_passes_and_the_others_count() {
    let bench = Bench::new();
    let (store, _) = enrolled(&bench);
    store
        .change_policy([("lockout.after", "100")], &origin(), bench.now)
        .unwrap();
    for step in 1..=3 {
        store.unlock(&alice(), &origin(), bench.now).unwrap();
        let (counted, logged) = (
            store.snapshot(&alice()).unwrap().user.throttle.attempts,
            log(&store).len(),
        );
        assert_eq!(race_for_step(&bench, &store, step), 1);
        let throttle = store.snapshot(&alice()).unwrap().user.throttle;
        assert_eq!(throttle.attempts - counted, 64, "none is lost");
        let log = &log(&store)[logged..];
        assert_eq!(log.len(), 64);
        let after = log
            .iter()
            .rev()
            .take_while(|kind| *kind == "refused")
            .count();
        assert_eq!(throttle.failures(), after as u64, "{log:?}");
    }
}

#[test]
fn wrong_codes_in_unproved_logins_refuse_further_ones_and_do_not_lock_the_account() {
    let bench = Bench::new();
    let (store, app) = enrolled(&bench);
    let (account, origin) = (alice(), origin());
    let known = store.snapshot(&account).unwrap();
    let attempt = |tally| CodeAttempt {
        account: &account,
        tally,
        origin: &origin,
        known: &known,
        settlement: Settlement::Now(None),
    };
    let guess = |_: &User| Err(RefusalReason::WrongCode);
    for _ in 0..10 {
        let tried = store.try_code(attempt(Tally::Unproved), bench.now, guess);
        assert_eq!(tried.unwrap(), CodeOutcome::Wrong(RefusalReason::WrongCode));
    }
    let tried = store.try_code(attempt(Tally::Unproved), bench.now, guess);
    assert!(matches!(tried, Ok(CodeOutcome::Locked(Lock::Until(_)))));
    assert_eq!(failures(&store), 0);
    let count = 7;
    let proof = CodeProof::App { app: app.id, count };
    let right = |_: &User| Ok::<_, RefusalReason>(proof);
    let tried = store.try_code(attempt(Tally::Proved), bench.now, right);
    assert_eq!(tried.unwrap(), CodeOutcome::Right(proof));
}

#[test]
fn where_nothing_can_be_written_no_code_is_right_and_none_is_wrong() {
    let bench = Bench::on_file();
    drop(enrolled(&bench));
    let mut shm = bench.location.database.clone().into_os_string();
    shm.push("-shm");
    std::os::unix::fs::symlink("nowhere", shm).unwrap();
    let store = Store::open(bench.location.clone()).unwrap();
    assert!(store.is_snapshot());
    let known = store.snapshot(&alice()).unwrap();
    let attempt = CodeAttempt {
        account: &alice(),
        tally: Tally::Proved,
        origin: &origin(),
        known: &known,
        settlement: Settlement::Now(None),
    };
    let app = known.user.apps[0].id;
    for result in [
        Ok(CodeProof::App { app, count: 7 }),
        Err(RefusalReason::WrongCode),
    ] {
        let tried = store.try_code(attempt, bench.now, |_| result);
        assert!(matches!(tried, Err(StoreError::ReadOnly)), "{tried:?}");
    }
}

/// All 64 count an attempt, then all try at once; how many were first, and how many failures stayed.
fn race(
    store: &Store,
    bench: &Bench,
    try_it: impl Fn(Attempt) -> MarkUsedOutcome + Sync,
) -> (usize, u64) {
    store.unlock(&alice(), &origin(), bench.now).unwrap();
    let before = store.snapshot(&alice()).unwrap().user.throttle.attempts;
    let start = Barrier::new(64);
    let racer = || {
        let counted = catch_unwind(AssertUnwindSafe(|| attempt(store, bench)));
        // Those who fail come to the start as well, or the others would wait for them for ever.
        start.wait();
        let attempt = counted.unwrap();
        (attempt.number, try_it(attempt))
    };
    let results: Vec<_> = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..64).map(|_| scope.spawn(racer)).collect();
        racers
            .into_iter()
            .map(|racer| racer.join().unwrap())
            .collect()
    });
    let winners: Vec<_> = results
        .iter()
        .filter(|(_, used)| *used == MarkUsedOutcome::First)
        .collect();
    let [(number, _)] = winners.as_slice() else {
        panic!("{} were first", winners.len())
    };
    (winners.len(), number - before + failures(store))
}

#[test]
fn of_64_that_race_with_one_backup_code_one_is_first() {
    let bench = Bench::new();
    let (store, _) = enrolled(&bench);
    store
        .change_policy([("lockout.after", "100")], &origin(), bench.now)
        .unwrap();
    let set = BackupSet::hash(&[BackupCode::from_random([1; 10])], [3; 16]).unwrap();
    store
        .replace_backup_codes(
            &alice(),
            Bench::generation(&store, &alice()),
            &set,
            &origin(),
            bench.now,
        )
        .unwrap();
    let result = race(&store, &bench, |a| {
        store
            .use_backup_code(a, &set.unused[0], Settlement::Now(None), bench.now)
            .unwrap()
    });
    assert_eq!(result, (1, 64));
}

#[test]
fn of_64_failures_at_once_none_is_lost() {
    let bench = Bench::new();
    let (store, _) = enrolled(&bench);
    store
        .change_policy([("lockout.after", "100")], &origin(), bench.now)
        .unwrap();
    std::thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                let _ = attempt(&store, &bench);
            });
        }
    });
    assert_eq!(failures(&store), 64);
}

#[test]
fn a_code_that_confirms_an_address_counts_while_it_is_the_users_and_lets_nobody_in() {
    let bench = Bench::new();
    let (store, _) = enrolled(&bench);
    let (email, phone) = (Channel::Email, Channel::Sms);
    bench.verify(&store, &alice(), email, "alice@example.org");
    let use_code = |attempt, channel, address: &str| {
        store
            .use_confirming_code(attempt, channel, address, bench.now)
            .unwrap()
    };
    assert_eq!(
        use_code(attempt(&store, &bench), email, "mallory@example.org"),
        MarkUsedOutcome::Already
    );
    assert_eq!(
        use_code(attempt(&store, &bench), phone, "alice@example.org"),
        MarkUsedOutcome::Already
    );
    assert_eq!(failures(&store), 2);
    assert_eq!(
        use_code(attempt(&store, &bench), email, "alice@example.org"),
        MarkUsedOutcome::First
    );
    assert_eq!(failures(&store), 0);

    let begun = attempt(&store, &bench);
    bench.verify(&store, &alice(), email, "new@example.org");
    assert_eq!(
        use_code(begun, email, "alice@example.org"),
        MarkUsedOutcome::Already
    );
    let begun = attempt(&store, &bench);
    store.reset(&alice(), &origin(), bench.now).unwrap();
    assert_eq!(
        use_code(begun, email, "new@example.org"),
        MarkUsedOutcome::Already,
        "it is on file, and no method"
    );
    let passed = |event: &Event| matches!(event, Event::Passed { .. });
    assert!(
        !Bench::log(&store).iter().any(passed),
        "whether the login succeeds is not known yet"
    );
}

#[test]
fn refused_attempts_are_reported_until_the_next_right_code() {
    let bench = Bench::new();
    let (store, _) = enrolled(&bench);
    let missed = || store.snapshot(&alice()).unwrap().missed;
    assert_eq!(missed(), None);
    let alice = alice();
    for _ in 0..2 {
        store
            .record(Some(&alice), &REFUSED, &origin(), bench.now)
            .unwrap();
    }
    let told = missed().unwrap();
    assert_eq!(
        (told.count, told.last_at, told.last_from.as_deref()),
        (2, bench.now, Some("192.0.2.7"))
    );
    assert!(is_right(&type_step(&store, &bench, 7)));
    assert_eq!(missed(), None);
}

#[test]
fn an_enrolment_that_was_reset_or_locked_meanwhile_does_not_pass() {
    let bench = Bench::new();
    let (store, _) = enrolled(&bench);
    let pass = |generation| {
        let by = Proof::EnrolledApp {
            label: "phone".into(),
        };
        store.record_pass(
            &alice(),
            generation,
            &by,
            Settlement::Now(None),
            &origin(),
            bench.now,
        )
    };
    let generation = || Bench::generation(&store, &alice());
    pass(generation()).unwrap();
    let before = generation();
    store.reset(&alice(), &origin(), bench.now).unwrap();
    assert!(matches!(pass(before), Err(StoreError::ChangedMeanwhile)));
    for _ in 0..10 {
        let _ = attempt(&store, &bench);
    }
    assert!(matches!(
        pass(generation()),
        Err(StoreError::ChangedMeanwhile)
    ));
}

#[test]
fn a_code_for_a_change_is_not_a_login() {
    let bench = Bench::new();
    let (store, _) = enrolled(&bench);
    let alice = alice();
    store
        .record(Some(&alice), &REFUSED, &origin(), bench.now)
        .unwrap();
    let command_line = Origin::command_line(1000);
    let outcome = type_step_at(&store, &command_line, bench.now, 7);
    assert!(is_right(&outcome), "{outcome:?}");
    assert_eq!(store.snapshot(&alice).unwrap().missed.unwrap().count, 1);
}

#[test]
fn a_locked_account_verifies_and_counts_nothing_further() {
    let bench = Bench::new();
    let (store, _) = enrolled(&bench);
    assert!(is_right(&type_step(&store, &bench, 7)));
    for _ in 0..10 {
        assert_eq!(type_step(&store, &bench, 7), USED);
    }
    let until = Lock::Until(bench.now.after(900));
    assert_eq!(type_step(&store, &bench, 8), CodeOutcome::Locked(until));
    let counted = store.count_attempt(&alice(), Tally::Proved, &origin(), bench.now);
    assert!(matches!(counted, Ok(Counted::Locked(lock)) if lock == until));
    assert_eq!(failures(&store), 10);
    let locked = log(&store).iter().filter(|kind| *kind == "locked").count();
    assert_eq!(locked, 1);
}

#[test]
fn the_tenth_attempt_may_be_the_right_one_and_locks_nothing_then() {
    let bench = Bench::new();
    let (store, _) = enrolled(&bench);
    assert!(is_right(&type_step(&store, &bench, 7)));
    for _ in 0..9 {
        assert_eq!(type_step(&store, &bench, 7), USED);
    }
    assert!(is_right(&type_step(&store, &bench, 8)));
    let throttle = store.snapshot(&alice()).unwrap().user.throttle;
    assert_eq!((throttle.failures(), throttle.lock(bench.now)), (0, None));
    assert!(!log(&store).iter().any(|kind| kind == "locked"));
}

#[test]
fn an_attempt_whose_user_was_removed_meanwhile_does_not_pass() {
    let bench = Bench::new();
    let (store, _) = enrolled(&bench);
    let known = store.snapshot(&alice()).unwrap();
    let begun = attempt(&store, &bench);
    store.remove_user(&alice(), &origin(), bench.now).unwrap();
    let used = store.use_backup_code(begun, &[0; 32], Settlement::Now(None), bench.now);
    assert_eq!(used.unwrap(), MarkUsedOutcome::Already);
    let outcome = type_step_knowing(&store, &known, &origin(), bench.now, 7);
    assert_eq!(outcome, CodeOutcome::Unknown);
}

#[test]
fn a_code_tried_for_an_unknown_account_is_counted_for_nobody() {
    let bench = Bench::new();
    let store = bench.create();
    assert!(matches!(
        store
            .count_attempt(&alice(), Tally::Proved, &origin(), bench.now)
            .unwrap(),
        Counted::Unknown
    ));
    assert!(!store.knows(&alice()).unwrap());
}

#[test]
fn a_stranger_without_the_first_factor_locks_nobody_but_strangers() {
    let bench = Bench::new();
    let store = bench.create();
    bench.enrol(&store, &alice(), "phone");
    let count = |tally, after| {
        store
            .count_attempt(&alice(), tally, &origin(), bench.now.after(after))
            .unwrap()
    };
    for _ in 0..10 {
        assert!(matches!(count(Tally::Unproved, 0), Counted::Attempt(..)));
    }
    assert!(matches!(
        count(Tally::Unproved, 1),
        Counted::Locked(Lock::Until(_))
    ));
    assert_eq!(
        store.snapshot(&alice()).unwrap().user.throttle.failures(),
        0
    );
    assert!(matches!(count(Tally::Proved, 1), Counted::Attempt(..)));
    // The lock of the account holds for strangers too.
    for _ in 0..9 {
        let _ = count(Tally::Proved, 1);
    }
    assert!(matches!(count(Tally::Proved, 1), Counted::Locked(_)));
    assert!(
        store
            .unlock(&alice(), &origin(), bench.now.after(2))
            .unwrap()
    );
    assert!(
        matches!(count(Tally::Unproved, 2), Counted::Attempt(..)),
        "an unlock opens both"
    );
}
