//! Lockout: how many wrong codes in a row are too many, and what happens then.
//!
//! RFC 4226 §7.3 (throttling spans sessions) and NIST SP 800-63B-4 §3.2.2 (at most 100 consecutive failures). An attempt
//! is counted before anybody learns its result; a right code clears only the attempts up to and including its own, so
//! that guesses made at the same time stay counted.

use crate::duration::Duration;
use crate::time::Timestamp;

/// After this many consecutive failures only an administrator can unlock the account (NIST SP 800-63B-4 §3.2.2).
pub const MAX_FAILURES: u32 = 100;
/// The longest lock: a day.
pub const MAX_LOCK: Duration = Duration::from_seconds(86_400);

/// When and for how long an account is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockoutRules {
    /// How many consecutive failures lock the account; each further multiple locks it again.
    pub after: u32,
    /// How long the first lock lasts. Each further lock lasts twice as long, up to [`MAX_LOCK`].
    pub duration: Duration,
}

/// Why an account accepts no codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// It is locked until this time.
    Until(Timestamp),
    /// There were [`MAX_FAILURES`]: it is locked until an administrator unlocks it.
    Administrator,
}

/// The attempts of one user, across all methods and sessions.
///
/// Attempts are numbered in the order in which they are counted, and no number is used twice: a right code clears the
/// attempts up to its own number, so that right codes at the same time do not clear anything twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Throttle {
    /// How many attempts were ever counted, which is the number of the last one.
    pub attempts: u64,
    /// Attempts up to and including this number are not failures: a right code or an administrator cleared them.
    pub cleared_through: u64,
    /// The end of the lock that the failures caused; it may have passed.
    pub locked_until: Option<Timestamp>,
}

impl Throttle {
    /// How many attempts in a row were not right.
    pub const fn failures(&self) -> u64 {
        self.attempts.saturating_sub(self.cleared_through)
    }

    /// The lock in force at `now`.
    pub fn lock(&self, now: Timestamp) -> Option<Lock> {
        if self.failures() >= MAX_FAILURES.into() {
            return Some(Lock::Administrator);
        }
        self.locked_until
            .filter(|until| now < *until)
            .map(Lock::Until)
    }

    /// Counts an attempt at `now`; its number is `attempts` afterwards. An attempt that reaches the limit locks the account
    /// for those after it; if its own code is right, [`Throttle::clear_through`] unlocks it.
    #[must_use]
    pub fn count(self, now: Timestamp, rules: LockoutRules) -> Self {
        let counted = Self {
            attempts: self.attempts.saturating_add(1),
            ..self
        };
        let limit = u64::from(rules.after.max(1));
        if !counted.failures().is_multiple_of(limit) {
            return counted;
        }
        let doublings = counted.failures() / limit - 1;
        // 2^40 times the shortest lock is far above the limit.
        let seconds = rules
            .duration
            .seconds()
            .saturating_mul(1 << doublings.min(40))
            .min(MAX_LOCK.seconds());
        Self {
            locked_until: Some(now.after(seconds)),
            ..counted
        }
    }

    /// Clears the failures up to and including the attempt number `attempt`, which was right. Attempts that were counted
    /// after it stay.
    #[must_use]
    pub fn clear_through(self, attempt: u64) -> Self {
        Self {
            cleared_through: self.cleared_through.max(attempt.min(self.attempts)),
            locked_until: None,
            ..self
        }
    }

    /// Clears all failures, for an administrator.
    #[must_use]
    pub fn clear(self) -> Self {
        self.clear_through(self.attempts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_unix(1_000_000);
    const RULES: LockoutRules = LockoutRules {
        after: 10,
        duration: Duration::from_minutes(15),
    };

    fn fail(times: u32) -> Throttle {
        (0..times).fold(Throttle::default(), |throttle, _| {
            throttle.count(NOW, RULES)
        })
    }

    #[test]
    fn nine_failures_do_not_lock_and_the_tenth_does_for_a_quarter_of_an_hour() {
        assert_eq!(fail(9).lock(NOW), None);
        assert_eq!(fail(10).lock(NOW), Some(Lock::Until(NOW.after(900))));
        assert_eq!(
            fail(10).lock(NOW.after(899)),
            Some(Lock::Until(NOW.after(900)))
        );
        assert_eq!(fail(10).lock(NOW.after(900)), None);
    }

    #[test]
    fn each_further_lock_lasts_twice_as_long_and_none_more_than_a_day() {
        let minutes = [15, 30, 60, 120, 240, 480, 960, 1440, 1440];
        for (n, minutes) in (1..).zip(minutes) {
            assert_eq!(
                fail(n * 10).lock(NOW),
                Some(Lock::Until(NOW.after(minutes * 60))),
                "lock {n}"
            );
        }
    }

    #[test]
    fn a_hundred_failures_need_an_administrator() {
        assert_eq!(
            fail(100).lock(NOW.after(u64::MAX)),
            Some(Lock::Administrator)
        );
    }

    #[test]
    fn a_right_code_leaves_the_guesses_that_began_after_it_counted() {
        let throttle = fail(3);
        assert_eq!(throttle.clear_through(2).failures(), 1);
        assert_eq!(fail(10).clear_through(10).lock(NOW), None);
    }

    #[test]
    fn two_right_codes_at_once_clear_nothing_twice() {
        assert_eq!(fail(10).clear_through(5).clear_through(6).failures(), 4);
        assert_eq!(fail(10).clear_through(6).clear_through(5).failures(), 4);
    }

    #[test]
    fn an_attempt_from_before_an_unlock_clears_nothing_from_after_it() {
        let unlocked = fail(8).clear();
        let throttle = (0..5).fold(unlocked, |throttle, _| throttle.count(NOW, RULES));
        assert_eq!(throttle.clear_through(8).failures(), 5);
    }

    proptest! {
        #[test]
        fn an_account_with_as_many_failures_as_the_limit_is_locked(after in 1_u32..=100, rounds in 1_u32..=100, minutes in 1_u32..=1440) {
            let rules = LockoutRules { after, duration: Duration::from_minutes(minutes) };
            let failures = after * rounds;
            let throttle = (0..failures).fold(Throttle::default(), |t, _| t.count(NOW, rules));
            prop_assert!(throttle.lock(NOW).is_some());
            prop_assert_eq!(throttle.failures(), u64::from(failures));
        }

        #[test]
        fn more_failures_never_shorten_a_lock(after in 1_u32..=20, rounds in 1_u32..=30) {
            let rules = LockoutRules { after, duration: Duration::from_minutes(15) };
            let at = |n: u32| (0..n).fold(Throttle::default(), |t, _| t.count(NOW, rules)).locked_until;
            prop_assert!(at(after * rounds) <= at(after * (rounds + 1)));
        }
    }
}
