//! How many wrong codes in a row are too many, and what happens then.
//!
//! RFC 4226 §7.3 (throttling holds across sessions) and NIST SP 800-63B-4 §3.2.2 (at most 100
//! consecutive failures). An attempt is counted before its code is looked at; a right code takes back
//! only what was counted up to itself, so that guesses running beside it stay counted.

use crate::duration::Duration;
use crate::time::Timestamp;

/// After this many consecutive failures only an administrator opens the lock (NIST SP 800-63B-4 §3.2.2).
pub const MOST_FAILURES: u32 = 100;
/// However often it doubled, a lock ends after a day.
pub const LONGEST_LOCK: Duration = Duration::from_seconds(86_400);

/// When and for how long an account is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// This many consecutive failures lock the account, and each as many again.
    pub after: u32,
    /// How long the first lock lasts; each further one twice as long.
    pub for_: Duration,
}

/// An account that is closed to codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// It opens again at this moment.
    Until(Timestamp),
    /// [`MOST_FAILURES`] were reached: an administrator must open it.
    Administrator,
}

/// The failures of one user, across all methods and sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Throttle {
    /// Consecutive attempts that did not end in a right code.
    pub failures: u32,
    /// Set when the count reached the limit.
    pub locked_until: Option<Timestamp>,
}

impl Throttle {
    /// The lock in force at `now`, if there is one.
    pub fn lock(&self, now: Timestamp) -> Option<Lock> {
        if self.failures >= MOST_FAILURES {
            return Some(Lock::Administrator);
        }
        self.locked_until.filter(|until| now < *until).map(Lock::Until)
    }

    /// Counts an attempt at `now`, before it is verified. An attempt that reaches the limit locks the
    /// account for those behind it; if its own code is right, [`Throttle::forgive`] opens it again.
    #[must_use]
    pub fn count(self, now: Timestamp, rules: Rules) -> Self {
        let failures = self.failures.saturating_add(1);
        if !failures.is_multiple_of(rules.after.max(1)) {
            return Self { failures, ..self };
        }
        let doublings = failures / rules.after.max(1) - 1;
        let seconds =
            rules.for_.seconds().checked_shl(doublings).filter(|s| s >> doublings == rules.for_.seconds());
        let seconds = seconds.map_or(LONGEST_LOCK.seconds(), |s| s.min(LONGEST_LOCK.seconds()));
        Self { failures, locked_until: Some(now.after(seconds)) }
    }

    /// Takes back the failures up to and including the attempt that was the `counted`th in a row and
    /// turned out right. Attempts that began after it stay.
    #[must_use]
    pub fn forgive(self, counted: u32) -> Self {
        Self { failures: self.failures.saturating_sub(counted), locked_until: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_unix(1_000_000);
    const RULES: Rules = Rules { after: 10, for_: Duration::from_minutes(15) };

    fn fail(times: u32) -> Throttle {
        (0..times).fold(Throttle::default(), |throttle, _| throttle.count(NOW, RULES))
    }

    #[test]
    fn nine_failures_do_not_lock_and_the_tenth_does_for_a_quarter_of_an_hour() {
        assert_eq!(fail(9).lock(NOW), None);
        assert_eq!(fail(10).lock(NOW), Some(Lock::Until(NOW.after(900))));
        assert_eq!(fail(10).lock(NOW.after(899)), Some(Lock::Until(NOW.after(900))));
        assert_eq!(fail(10).lock(NOW.after(900)), None);
    }

    #[test]
    fn each_further_lock_lasts_twice_as_long_and_none_more_than_a_day() {
        let minutes = [15, 30, 60, 120, 240, 480, 960, 1440, 1440];
        for (n, minutes) in (1..).zip(minutes) {
            assert_eq!(fail(n * 10).lock(NOW), Some(Lock::Until(NOW.after(minutes * 60))), "lock {n}");
        }
    }

    #[test]
    fn a_hundred_failures_need_an_administrator() {
        assert_eq!(fail(100).lock(NOW.after(u32::MAX)), Some(Lock::Administrator));
    }

    #[test]
    fn a_right_code_leaves_the_guesses_that_began_after_it_counted() {
        let throttle = fail(3);
        assert_eq!(throttle.forgive(2).failures, 1);
        assert_eq!(fail(10).forgive(10).lock(NOW), None);
    }

    proptest! {
        #[test]
        fn whoever_failed_as_often_as_the_limit_is_locked(after in 1_u32..=100, rounds in 1_u32..=100, minutes in 1_u32..=1440) {
            let rules = Rules { after, for_: Duration::from_minutes(minutes) };
            let failures = after * rounds;
            let throttle = (0..failures).fold(Throttle::default(), |t, _| t.count(NOW, rules));
            prop_assert!(throttle.lock(NOW).is_some());
            prop_assert_eq!(throttle.failures, failures);
        }

        #[test]
        fn more_failures_never_shorten_a_lock(after in 1_u32..=20, rounds in 1_u32..=30) {
            let rules = Rules { after, for_: Duration::from_minutes(15) };
            let at = |n: u32| (0..n).fold(Throttle::default(), |t, _| t.count(NOW, rules)).locked_until;
            prop_assert!(at(after * rounds) <= at(after * (rounds + 1)));
        }
    }
}
