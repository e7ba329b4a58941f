//! The order that keeps codes single and failures counted.
//!
//! 1. [`Store::count_attempt`] checks the lock and counts the attempt as a failure, committed;
//! 2. the code is verified, outside of any transaction;
//! 3. [`Store::use_app_code`], [`Store::use_sent_code`] or [`Store::use_backup_code`] marks it used, only if it was
//!    not, takes back the count, committed;
//! 4. only then somebody is let in.
//!
//! The count is committed, and so holds for every attempt after it, without waiting for the disk; the sync of
//! whatever is told in the end, right or wrong, takes it along. So nobody learns anything about a code whose
//! attempt a power cut could still undo.
//!
//! Whatever dies in between, the attempt stays counted and the code stays unused or used up; of any number
//! of logins that race with one code, one finds it unused.

use rusqlite::Transaction;
use twofa_core::backup::DIGEST_BYTES;
use twofa_core::lockout::Lock;
use twofa_core::user::EnrolledApp;
use twofa_core::{Account, Timestamp};

use crate::addresses::AddressKind;
use crate::database::Store;
use crate::error::StoreError;
use crate::events::{self, Event, EventKind, Origin};
use crate::methods::count_to_sql;
use crate::sends;
use crate::unproved;
use crate::users::{self, Generation, Situation};

/// Where an attempt is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tally {
    /// With the account's own: the first factor was right. Too many lock the account.
    Proved,
    /// Apart: a stack that goes on after a wrong password asked, so that anybody may have typed the code. Too many refuse
    /// further attempts of this kind and no others.
    Unproved,
}

/// An attempt that was counted and may now be verified.
#[derive(Debug)]
#[must_use = "an attempt whose code is not marked used stays a failure"]
pub struct Attempt {
    account: Account,
    tally: Tally,
    origin: Origin,
    user: i64,
    /// Its number among the user's attempts.
    number: u64,
}

/// What counting an attempt came to.
#[derive(Debug)]
pub enum Counted {
    /// It was counted. Verify it against this, which is of the same moment.
    Attempt(Attempt, Box<Situation>),
    /// The account is locked; nothing was counted and nothing may be verified.
    Locked(Lock),
    /// Nothing is known of the account, so no code can be right.
    Unknown,
}

/// What marking a code used came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// It was unused, and is used now: let them in.
    First,
    /// Somebody was quicker, or it was removed meanwhile. The attempt stays a failure.
    Already,
}

impl Store {
    /// Checks the lock of `account` and counts an attempt in `tally`, before anything is verified.
    pub fn count_attempt(
        &self,
        account: &Account,
        tally: Tally,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Counted, StoreError> {
        self.write_unsynced(|db| {
            let Some(stored) = users::find(db, account)? else {
                return Ok(Counted::Unknown);
            };
            if let Some(lock) = stored.throttle.lock(now) {
                return Ok(Counted::Locked(lock));
            }
            let before = match tally {
                Tally::Proved => stored.throttle,
                Tally::Unproved => unproved::load(db, stored.id)?,
            };
            if let Some(lock) = before.lock(now) {
                return Ok(Counted::Locked(lock));
            }
            let situation = self.situation_of(db, Some(&stored), account)?;
            let throttle = before.count(now, situation.rules.rulebook.machine().lockout);
            match tally {
                Tally::Proved => users::save_throttle(db, stored.id, throttle)?,
                Tally::Unproved => unproved::save(db, stored.id, throttle)?,
            }
            if tally == Tally::Proved && throttle.lock(now).is_some() {
                let detail = Some(format!(
                    "after {} wrong codes in a row",
                    throttle.failures()
                ));
                let event = Event {
                    kind: EventKind::Locked,
                    user: Some(account),
                    detail,
                };
                events::record(db, &event, origin, now)?;
            }
            let attempt = Attempt {
                account: account.clone(),
                tally,
                origin: origin.clone(),
                user: stored.id,
                number: throttle.counted,
            };
            Ok(Counted::Attempt(attempt, Box::new(situation)))
        })
    }

    #[allow(clippy::needless_pass_by_value, reason = "an attempt is used up")]
    /// Marks the step or counter `count` of the app `app` used, if it is higher than any before it.
    pub fn use_app_code(
        &self,
        attempt: Attempt,
        app: &EnrolledApp,
        count: u64,
        now: Timestamp,
    ) -> Result<Use, StoreError> {
        let count = count_to_sql(count)?;
        self.write(|db| {
            let sql = "UPDATE app SET used = ?3 WHERE id = ?1 AND user = ?2 AND (used IS NULL OR used < ?3)";
            let marked = db.prepare_cached(sql)?.execute((app.id, attempt.user, count))?;
            attempt.finish(db, marked, EventKind::Passed, Some(format!("app '{}'", app.label)), now)
        })
    }

    #[allow(clippy::needless_pass_by_value, reason = "an attempt is used up")]
    /// Takes back the count of an attempt with a code that was sent to `address`, if that is the user's verified
    /// address of its kind still. Such a code is known to one login only, which uses it once.
    pub fn use_sent_code(
        &self,
        attempt: Attempt,
        which: AddressKind,
        address: &str,
        now: Timestamp,
    ) -> Result<Use, StoreError> {
        self.write(|db| {
            let stored = users::find(db, &attempt.account)?;
            let is_theirs = stored.is_some_and(|stored| stored.verified(which) == Some(address));
            if is_theirs {
                sends::was_typed(db, &attempt.account)?;
            }
            let detail = match which {
                AddressKind::Email => "e-mail code",
                AddressKind::Phone => "SMS code",
            };
            attempt.finish(
                db,
                usize::from(is_theirs),
                EventKind::Passed,
                Some(detail.to_owned()),
                now,
            )
        })
    }

    /// Records that `account` passed in another way than by an attempt: the code that confirmed an enrolment.
    pub fn record_pass(
        &self,
        account: &Account,
        expected: Generation,
        detail: String,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(|db| {
            users::unchanged(db, account, expected)?;
            let Some(stored) =
                users::find(db, account)?.filter(|stored| stored.throttle.lock(now).is_none())
            else {
                return Err(StoreError::ChangedMeanwhile);
            };
            let event = Event {
                kind: EventKind::Passed,
                user: Some(account),
                detail: Some(detail),
            };
            let event = events::record(db, &event, origin, now)?;
            // Wrong codes from before stay counted: this was no proof of what was enrolled then.
            users::save_pass(db, stored.id, stored.throttle, event, now)
        })
    }

    #[allow(clippy::needless_pass_by_value, reason = "an attempt is used up")]
    /// Uses up the backup code with this `digest`.
    pub fn use_backup_code(
        &self,
        attempt: Attempt,
        digest: &[u8; DIGEST_BYTES],
        now: Timestamp,
    ) -> Result<Use, StoreError> {
        self.write(|db| {
            let sql = "DELETE FROM backup_code WHERE user = ?1 AND digest = ?2";
            let marked = db.prepare_cached(sql)?.execute((attempt.user, digest))?;
            attempt.finish(db, marked, EventKind::BackupCodeUsed, None, now)
        })
    }
}

impl Attempt {
    fn finish(
        &self,
        db: &Transaction<'_>,
        marked: usize,
        kind: EventKind,
        detail: Option<String>,
        now: Timestamp,
    ) -> Result<Use, StoreError> {
        let stored = users::find(db, &self.account)?.filter(|stored| stored.id == self.user);
        let (Some(stored), 1) = (stored, marked) else {
            return Ok(Use::Already);
        };
        let event = events::record(
            db,
            &Event {
                kind,
                user: Some(&self.account),
                detail,
            },
            &self.origin,
            now,
        )?;
        let throttle = match self.tally {
            Tally::Proved => stored.throttle.forgive(self.number),
            Tally::Unproved => {
                unproved::save(
                    db,
                    stored.id,
                    unproved::load(db, stored.id)?.forgive(self.number),
                )?;
                stored.throttle
            }
        };
        if self.origin.is_command_line() {
            // No login: what was refused before it is still to be told.
            users::save_throttle(db, stored.id, throttle)?;
        } else {
            users::save_pass(db, stored.id, throttle, event, now)?;
        }
        Ok(Use::First)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, alice, origin};
    use std::sync::Barrier;
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

    fn enrolled(bench: &Bench) -> (Store, EnrolledApp) {
        let store = bench.create();
        bench.enrol(&store, &alice(), "phone");
        let app = store.situation(&alice()).unwrap().user.apps.remove(0);
        (store, app)
    }

    fn failures(store: &Store) -> u64 {
        store.situation(&alice()).unwrap().user.throttle.failures()
    }

    #[test]
    fn an_attempt_counts_until_its_code_is_marked_used() {
        let bench = Bench::new();
        let (store, app) = enrolled(&bench);
        let _wrong = attempt(&store, &bench);
        let right = attempt(&store, &bench);
        assert_eq!(failures(&store), 2);
        let used = store.use_app_code(right, &app, 100, bench.now);
        assert_eq!((used.unwrap(), failures(&store)), (Use::First, 0));
    }

    #[test]
    fn the_same_or_an_older_step_is_used_already_and_stays_a_failure() {
        let bench = Bench::new();
        let (store, app) = enrolled(&bench);
        let use_step = |step| {
            store
                .use_app_code(attempt(&store, &bench), &app, step, bench.now)
                .unwrap()
        };
        assert_eq!(
            [use_step(100), use_step(100), use_step(99)],
            [Use::First, Use::Already, Use::Already]
        );
        assert_eq!(failures(&store), 2);
    }

    /// All 64 count an attempt, then all try at once; how many were first, and how many failures stayed.
    fn race(store: &Store, bench: &Bench, try_it: impl Fn(Attempt) -> Use + Sync) -> (usize, u64) {
        store.unlock(&alice(), &origin(), bench.now).unwrap();
        let before = store.situation(&alice()).unwrap().user.throttle.counted;
        let start = Barrier::new(64);
        let racer = || {
            let attempt = attempt(store, bench);
            start.wait();
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
            .filter(|(_, used)| *used == Use::First)
            .collect();
        let [(number, _)] = winners.as_slice() else {
            panic!("{} were first", winners.len())
        };
        (winners.len(), number - before + failures(store))
    }

    #[test]
    fn of_64_that_race_with_one_step_one_is_first() {
        let bench = Bench::new();
        let (store, app) = enrolled(&bench);
        store
            .change_policy([("lockout.after", "100")], &origin(), bench.now)
            .unwrap();
        let result = race(&store, &bench, |attempt| {
            store.use_app_code(attempt, &app, 7, bench.now).unwrap()
        });
        assert_eq!(
            result,
            (1, 64),
            "one first, and all that began after it still counted"
        );
    }

    #[test]
    fn of_64_that_race_with_one_backup_code_one_is_first() {
        let bench = Bench::new();
        let (store, _) = enrolled(&bench);
        store
            .change_policy([("lockout.after", "100")], &origin(), bench.now)
            .unwrap();
        let set = BackupSet::seal(&[BackupCode::from_random([1; 10])], [3; 16]).unwrap();
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
            store.use_backup_code(a, &set.unused[0], bench.now).unwrap()
        });
        assert_eq!(result, (1, 64));
    }

    #[test]
    fn none_of_64_failures_at_once_is_lost() {
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
    fn a_code_that_was_sent_passes_while_its_address_is_the_users() {
        let bench = Bench::new();
        let (store, _) = enrolled(&bench);
        let (email, phone) = (AddressKind::Email, AddressKind::Phone);
        bench.verify(&store, &alice(), email, "alice@example.org");
        let use_code = |attempt, which, address: &str| {
            store
                .use_sent_code(attempt, which, address, bench.now)
                .unwrap()
        };
        assert_eq!(
            use_code(attempt(&store, &bench), email, "mallory@example.org"),
            Use::Already
        );
        assert_eq!(
            use_code(attempt(&store, &bench), phone, "alice@example.org"),
            Use::Already
        );
        assert_eq!(failures(&store), 2);
        assert_eq!(
            use_code(attempt(&store, &bench), email, "alice@example.org"),
            Use::First
        );
        assert_eq!(failures(&store), 0);

        let begun = attempt(&store, &bench);
        bench.verify(&store, &alice(), email, "new@example.org");
        assert_eq!(use_code(begun, email, "alice@example.org"), Use::Already);
        let begun = attempt(&store, &bench);
        store.reset(&alice(), &origin(), bench.now).unwrap();
        assert_eq!(
            use_code(begun, email, "new@example.org"),
            Use::Already,
            "it is on file, and no method"
        );
        let mut details = Vec::new();
        let each = |event: crate::LoggedEvent| {
            details.extend(event.detail.filter(|_| event.kind == "passed"));
            true
        };
        store.events(&crate::EventFilter::default(), each).unwrap();
        assert_eq!(details, ["e-mail code"]);
    }

    #[test]
    fn what_was_refused_is_told_until_the_next_right_code() {
        let bench = Bench::new();
        let (store, app) = enrolled(&bench);
        let missed = || store.situation(&alice()).unwrap().missed;
        assert_eq!(missed(), None);
        let alice = alice();
        for _ in 0..2 {
            let refused = Event {
                kind: EventKind::Refused,
                user: Some(&alice),
                detail: None,
            };
            store.record(&refused, &origin(), bench.now).unwrap();
        }
        let told = missed().unwrap();
        assert_eq!(
            (told.count, told.last_at, told.last_from.as_deref()),
            (2, bench.now, Some("192.0.2.7"))
        );
        let right = attempt(&store, &bench);
        assert_eq!(
            store.use_app_code(right, &app, 7, bench.now).unwrap(),
            Use::First
        );
        assert_eq!(missed(), None);
    }

    #[test]
    fn an_enrolment_that_was_reset_or_locked_meanwhile_does_not_pass() {
        let bench = Bench::new();
        let (store, _) = enrolled(&bench);
        let pass = |generation| {
            store.record_pass(&alice(), generation, String::new(), &origin(), bench.now)
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
    fn a_code_for_a_change_is_no_login() {
        let bench = Bench::new();
        let (store, app) = enrolled(&bench);
        let alice = alice();
        let refused = Event {
            kind: EventKind::Refused,
            user: Some(&alice),
            detail: None,
        };
        store.record(&refused, &origin(), bench.now).unwrap();
        let command_line = Origin {
            actor: 1000,
            service: Some("twofa".into()),
            ..Origin::default()
        };
        let counted = store
            .count_attempt(&alice, Tally::Proved, &command_line, bench.now)
            .unwrap();
        let Counted::Attempt(attempt, _) = counted else {
            panic!("{counted:?}")
        };
        assert_eq!(
            store.use_app_code(attempt, &app, 7, bench.now).unwrap(),
            Use::First
        );
        assert_eq!(store.situation(&alice).unwrap().missed.unwrap().count, 1);
    }

    #[test]
    fn a_locked_account_counts_nothing_further() {
        let bench = Bench::new();
        let (store, _) = enrolled(&bench);
        for _ in 0..10 {
            let _ = attempt(&store, &bench);
        }
        let counted = store
            .count_attempt(&alice(), Tally::Proved, &origin(), bench.now)
            .unwrap();
        assert!(
            matches!(counted, Counted::Locked(Lock::Until(until)) if until == bench.now.after(900))
        );
        assert_eq!(failures(&store), 10);
    }

    #[test]
    fn the_tenth_attempt_may_be_the_right_one() {
        let bench = Bench::new();
        let (store, app) = enrolled(&bench);
        for _ in 0..9 {
            let _ = attempt(&store, &bench);
        }
        let tenth = attempt(&store, &bench);
        assert_eq!(
            store.use_app_code(tenth, &app, 7, bench.now).unwrap(),
            Use::First
        );
        let throttle = store.situation(&alice()).unwrap().user.throttle;
        assert_eq!((throttle.failures(), throttle.lock(bench.now)), (0, None));
    }

    #[test]
    fn an_attempt_whose_user_was_removed_meanwhile_does_not_pass() {
        let bench = Bench::new();
        let (store, app) = enrolled(&bench);
        let begun = attempt(&store, &bench);
        store.remove_user(&alice(), &origin(), bench.now).unwrap();
        assert_eq!(
            store.use_app_code(begun, &app, 7, bench.now).unwrap(),
            Use::Already
        );
    }

    #[test]
    fn a_code_tried_for_somebody_unknown_counts_for_nobody() {
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
            store.situation(&alice()).unwrap().user.throttle.failures(),
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
}
