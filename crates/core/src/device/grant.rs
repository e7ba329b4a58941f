//! The grant by which a device is trusted.

use crate::duration::Duration;
use crate::time::Timestamp;

/// A device that a code made trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// When the code was right.
    pub granted_at: Timestamp,
    /// The end that was set when it was granted.
    pub until: Timestamp,
    /// When it last stood in for a code.
    pub used_at: Timestamp,
}

impl Grant {
    /// A grant at `now` for as long as `duration`; `None` for zero.
    pub fn new(duration: Duration, now: Timestamp) -> Option<Self> {
        (duration.seconds() > 0).then(|| Self {
            granted_at: now,
            until: now.after(duration.seconds()),
            used_at: now,
        })
    }

    /// When it ends if devices of its kind are now trusted for `duration`. A shorter duration shortens the grant; a longer one
    /// does not extend it.
    pub fn end(&self, duration: Duration) -> Timestamp {
        self.until.min(self.granted_at.after(duration.seconds()))
    }

    /// Whether it stands in for a code at `now`. A clock that is earlier than the grant or its last use is wrong, as on a
    /// board without a battery until its clock is set: the grant is kept but not believed.
    pub fn is_believed(&self, duration: Duration, now: Timestamp) -> bool {
        self.granted_at.max(self.used_at) <= now && now < self.end(duration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_unix(1_000_000);
    const HOUR: Duration = Duration::from_minutes(60);
    const DAY: Duration = Duration::from_minutes(24 * 60);

    fn at(seconds: u64) -> Timestamp {
        NOON.after(seconds)
    }

    #[test]
    fn a_grant_is_believed_until_its_end() {
        let grant = Grant::new(HOUR, NOON).unwrap();
        for (now, believed) in [(0, true), (3599, true), (3600, false)] {
            assert_eq!(grant.is_believed(HOUR, at(now)), believed, "{now}");
        }
        assert_eq!(Grant::new(Duration::from_seconds(0), NOON), None);
    }

    #[test]
    fn a_shorter_duration_shortens_it_and_a_longer_one_does_not_lengthen_it() {
        let grant = Grant::new(HOUR, NOON).unwrap();
        assert_eq!(grant.end(Duration::from_minutes(10)), at(600));
        assert_eq!(grant.end(DAY), at(3600));
        assert!(!grant.is_believed(Duration::from_seconds(0), NOON));
    }

    #[test]
    fn a_clock_before_the_grant_or_its_last_use_is_not_believed() {
        let grant = Grant {
            used_at: at(600),
            ..Grant::new(DAY, NOON).unwrap()
        };
        for (now, believed) in [
            (NOON.before(1), false),
            (Timestamp::from_unix(0), false),
            (at(599), false),
            (at(600), true),
        ] {
            assert_eq!(grant.is_believed(DAY, now), believed, "{now:?}");
        }
    }

    #[test]
    fn the_longest_duration_does_not_overflow() {
        let longest: Duration = "99999d".parse().unwrap();
        let grant = Grant::new(longest, NOON).unwrap();
        assert!(grant.is_believed(longest, at(99_999 * 86_400 - 1)));
    }
}
