//! The one decision: must this person show a second factor now?

use crate::lockout::Lock;
use crate::policy::Policy;
use crate::time::Timestamp;
use crate::user::{Status, User};

/// What a login does about the second factor.
///
/// A trusted device will be a further arm here, and so will enrolment at login, which takes over
/// what [`Denial::NotEnrolled`] refuses today.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Policy asks nothing of this person. The only way to a login without a code.
    NotRequired,
    /// Ask for a code.
    Challenge,
    /// Refuse.
    Deny(Denial),
}

/// Why a login is refused before anything is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// A second factor is needed and none is enrolled.
    NotEnrolled,
    /// Too many wrong codes.
    Locked(Lock),
}

/// Decides for `user` under `policy` at `now`.
pub fn decide(policy: &Policy, user: &User, now: Timestamp) -> Decision {
    match user.status(policy, now) {
        Status::Off => Decision::NotRequired,
        Status::Pending => Decision::Deny(Denial::NotEnrolled),
        Status::Enabled => Decision::Challenge,
        Status::Locked(lock) => Decision::Deny(Denial::Locked(lock)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{App, Parameters};
    use crate::key::Key;
    use crate::lockout::{MOST_FAILURES, Throttle};
    use crate::policy::{Methods, Mode};
    use crate::user::EnrolledApp;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    fn enrolled() -> Vec<EnrolledApp> {
        let key = Key::new(vec![1; 20]).unwrap();
        let app = App { parameters: Parameters::default(), key, used: None };
        vec![EnrolledApp { id: 1, label: "phone".into(), enrolled_at: NOW, app }]
    }

    #[test]
    fn mode_requirement_and_enrolment_decide() {
        use Decision::{Challenge, Deny, NotRequired};
        const REFUSED: Decision = Deny(Denial::NotEnrolled);
        let rows = [
            // mode, required, enrolled
            (Mode::Disabled, false, false, NotRequired),
            (Mode::Disabled, false, true, NotRequired),
            (Mode::Disabled, true, false, NotRequired),
            (Mode::Disabled, true, true, NotRequired),
            (Mode::Optional, false, false, NotRequired),
            (Mode::Optional, false, true, Challenge),
            (Mode::Optional, true, false, REFUSED),
            (Mode::Optional, true, true, Challenge),
            (Mode::Mandatory, false, false, REFUSED),
            (Mode::Mandatory, false, true, Challenge),
            (Mode::Mandatory, true, false, REFUSED),
            (Mode::Mandatory, true, true, Challenge),
        ];
        for (mode, required, has_app, decision) in rows {
            let policy = Policy { mode, ..Policy::default() };
            let apps = if has_app { enrolled() } else { Vec::new() };
            let user = User { required, apps, ..User::default() };
            assert_eq!(
                decide(&policy, &user, NOW),
                decision,
                "{mode:?} required={required} enrolled={has_app}"
            );
        }
    }

    #[test]
    fn a_lock_refuses_until_its_end() {
        let policy = Policy { mode: Mode::Optional, ..Policy::default() };
        let throttle = Throttle { failures: 10, locked_until: Some(NOW.after(60)) };
        let user = User { apps: enrolled(), throttle, ..User::default() };
        let locked = Decision::Deny(Denial::Locked(Lock::Until(NOW.after(60))));
        assert_eq!(decide(&policy, &user, NOW), locked);
        assert_eq!(decide(&policy, &user, NOW.after(60)), Decision::Challenge);
    }

    #[test]
    fn a_hundred_failures_refuse_for_good() {
        let policy = Policy { mode: Mode::Mandatory, ..Policy::default() };
        let throttle = Throttle { failures: MOST_FAILURES, locked_until: None };
        let user = User { apps: enrolled(), throttle, ..User::default() };
        assert_eq!(decide(&policy, &user, NOW), Decision::Deny(Denial::Locked(Lock::Administrator)));
    }

    #[test]
    fn a_method_the_policy_no_longer_allows_does_not_count_as_enrolled() {
        let policy = Policy {
            mode: Mode::Mandatory,
            methods: Methods { app: false, backup: true },
            ..Policy::default()
        };
        let user = User { apps: enrolled(), ..User::default() };
        assert_eq!(decide(&policy, &user, NOW), Decision::Deny(Denial::NotEnrolled));
    }
}
