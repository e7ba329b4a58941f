//! What would come of a login if a second factor were mandatory, for policies that ask nobody yet
//! ([`crate::Mode::Report`]). Nothing is decided by it.

use crate::decision::{Decision, DecisionFacts, Denial, Reason, would_decide};
use crate::method::{Method, Methods};
use crate::policy::{Enrolment, Policy};
use crate::user::{Status, User};

/// Everything that a forecast depends on.
#[derive(Debug, Clone, Copy)]
pub struct ForecastFacts<'a> {
    /// What the decision would depend on.
    pub login: DecisionFacts<'a>,
    /// The methods whose codes reach people: those that need no provider, and those that have one.
    pub carried: Methods,
    /// Whether sshd has verified a security key of the user's that counts.
    pub has_security_key: bool,
    /// Whether the program that logs the user in can ask for a code and return an answer.
    pub can_ask: bool,
}

/// What would come of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Forecast {
    /// Nothing is asked.
    NotAsked(Reason),
    /// A trusted device stands in for a code.
    Trusted,
    /// The user shows a second factor, first by this method.
    Asked(Method),
    /// The user is led through enrolment, and can complete it.
    Enrols,
    /// The user shows a code of a method that is no longer allowed, and enrols another.
    Replaces,
    /// The login is refused, and the user can do nothing about it there.
    LockedOut(LockedOut),
}

/// Why a user could not get in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockedOut {
    /// Nothing is enrolled, and the policy has users enrol before the login.
    NotEnrolled,
    /// No enrolled method is allowed, and the policy has users enrol before the login.
    NotAllowed,
    /// Nothing usable is enrolled, and nothing can be: no provider delivers codes of an allowed method.
    NothingToEnrol,
    /// Something is enrolled, but no provider delivers its codes, and no backup code is left.
    Undeliverable,
    /// The program that logs the user in cannot ask for a code.
    CannotAsk,
    /// Too many wrong codes.
    Locked,
    /// There is a record with this account's name or uid that is another account's.
    IdentityMismatch,
}

/// What a user has to show, and could enrol, under a policy.
#[derive(Debug, Clone, Copy)]
pub struct Means<'a> {
    /// The policy that applies to the user.
    pub policy: &'a Policy,
    /// The enrolled methods that can stand alone.
    pub enrolled: Methods,
    /// Whether a backup code is left.
    pub has_backup_codes: bool,
    /// As in [`ForecastFacts`].
    pub carried: Methods,
}

impl Means<'_> {
    /// Why a user of this `status` is kept out, or would be; `None`: the user gets in.
    pub fn locked_out(&self, status: Status) -> Option<LockedOut> {
        let is_beforehand = self.policy.enrolment == Enrolment::Beforehand;
        match status {
            Status::Off | Status::Reported | Status::Exempt(_) => None,
            Status::Locked(_) => Some(LockedOut::Locked),
            Status::IdentityMismatch => Some(LockedOut::IdentityMismatch),
            Status::Enabled => (!self.can_show()).then_some(LockedOut::Undeliverable),
            Status::Pending if is_beforehand => Some(LockedOut::NotEnrolled),
            Status::NotAllowed if is_beforehand => Some(LockedOut::NotAllowed),
            Status::NotAllowed if !self.can_prove() => Some(LockedOut::Undeliverable),
            Status::Pending | Status::NotAllowed => {
                (!self.can_enrol()).then_some(LockedOut::NothingToEnrol)
            }
        }
    }

    fn can_show(&self) -> bool {
        let allowed = self.policy.methods;
        let has_backup = self.has_backup_codes && allowed.contains(Method::Backup);
        self.enrolled.intersects(allowed.intersection(self.carried))
            || self.falls_back_to_email()
            || has_backup
    }

    fn falls_back_to_email(&self) -> bool {
        let Self {
            policy, enrolled, ..
        } = self;
        enrolled.contains(Method::Sms)
            && policy.methods.contains(Method::Sms)
            && policy.sms_falls_back_to_email()
            && enrolled.contains(Method::Email)
            && self.carried.contains(Method::Email)
    }

    fn can_enrol(&self) -> bool {
        let working = self.policy.methods.intersection(self.carried);
        working.intersects(Methods::standing_alone())
    }

    /// Whether a code of a method that is no longer allowed can be shown once more.
    fn can_prove(&self) -> bool {
        self.has_backup_codes || self.enrolled.intersects(self.carried)
    }
}

/// What would come of the login if the mode were mandatory and nothing else different.
pub fn forecast(facts: ForecastFacts<'_>) -> Forecast {
    let (policy, user) = (facts.login.policy, facts.login.user);
    let means = Means {
        policy,
        enrolled: user.enrolled(),
        has_backup_codes: user.backup_codes_left() > 0,
        carried: facts.carried,
    };
    let locked_out = Forecast::LockedOut;
    let kept_out = |status| means.locked_out(status).map(locked_out);
    match would_decide(facts.login) {
        Decision::NotRequired(reason) => Forecast::NotAsked(reason),
        Decision::Trusted => Forecast::Trusted,
        Decision::Deny(Denial::NotEnrolled) => locked_out(LockedOut::NotEnrolled),
        Decision::Deny(Denial::NotAllowed) => locked_out(LockedOut::NotAllowed),
        Decision::Deny(Denial::Locked(_)) => locked_out(LockedOut::Locked),
        Decision::Deny(Denial::IdentityMismatch) => locked_out(LockedOut::IdentityMismatch),
        Decision::Challenge if facts.has_security_key => Forecast::Asked(Method::SecurityKey),
        _ if !facts.can_ask => locked_out(LockedOut::CannotAsk),
        Decision::Challenge => {
            let method = first_method(&means, user);
            method.map_or(locked_out(LockedOut::Undeliverable), Forecast::Asked)
        }
        Decision::Enrol => kept_out(Status::Pending).unwrap_or(Forecast::Enrols),
        Decision::Replace => kept_out(Status::NotAllowed).unwrap_or(Forecast::Replaces),
    }
}

/// The first method that the user can show.
fn first_method(means: &Means<'_>, user: &User) -> Option<Method> {
    let allowed = means.policy.methods;
    let has_backup = means.has_backup_codes && allowed.contains(Method::Backup);
    let shown = user.methods(allowed.intersection(means.carried));
    let others = [
        means.falls_back_to_email().then_some(Method::Email),
        has_backup.then_some(Method::Backup),
    ];
    shown.into_iter().chain(others.into_iter().flatten()).next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{Channel, PerChannel};
    use crate::exemption::LoginSource;
    use crate::time::Timestamp;
    use crate::user::Contact;

    const NO_CHANNEL: Methods = Methods::ALL.without(Method::Email).without(Method::Sms);

    fn facts<'a>(policy: &'a Policy, user: &'a User) -> ForecastFacts<'a> {
        ForecastFacts {
            login: DecisionFacts {
                policy,
                user,
                exemption: None,
                source: LoginSource {
                    service: Some("sshd"),
                    ..LoginSource::default()
                },
                has_trusted_device: false,
                has_identity_mismatch: false,
                now: Timestamp::from_unix(1_800_000_000),
            },
            carried: Methods::ALL,
            has_security_key: false,
            can_ask: true,
        }
    }

    fn reporting(settings: &[(&str, &str)]) -> Policy {
        let settings = settings.iter().copied();
        Policy::from_settings([("mode", "report")].into_iter().chain(settings)).unwrap()
    }

    fn with(channels: &[Channel]) -> User {
        let contact = |channel| {
            channels.contains(&channel).then(|| Contact {
                address: "somewhere".into(),
                verified: true,
                by_owner: false,
            })
        };
        User {
            contacts: PerChannel::from_fn(contact),
            ..User::default()
        }
    }

    #[test]
    fn who_has_a_method_is_asked_for_the_first_that_works() {
        let (policy, user) = (reporting(&[]), with(&[Channel::Email, Channel::Sms]));
        let facts = facts(&policy, &user);
        assert_eq!(forecast(facts), Forecast::Asked(Method::Email));
        let carried = Methods::ALL.without(Method::Email);
        let by_text = ForecastFacts { carried, ..facts };
        assert_eq!(forecast(by_text), Forecast::Asked(Method::Sms));
    }

    #[test]
    fn who_has_no_way_to_verify_is_locked_out() {
        let locked_out = Forecast::LockedOut;
        let policy = reporting(&[("methods", "email,backup")]);
        let (by_mail, nothing) = (with(&[Channel::Email]), User::default());
        let uncarried = |user| ForecastFacts {
            carried: NO_CHANNEL,
            ..facts(&policy, user)
        };
        let undeliverable = forecast(uncarried(&by_mail));
        assert_eq!(undeliverable, locked_out(LockedOut::Undeliverable));
        let not_enrolled = forecast(uncarried(&nothing));
        assert_eq!(not_enrolled, locked_out(LockedOut::NothingToEnrol));
        let unasked = ForecastFacts {
            can_ask: false,
            ..facts(&policy, &by_mail)
        };
        assert_eq!(forecast(unasked), locked_out(LockedOut::CannotAsk));
        let by_key = ForecastFacts {
            has_security_key: true,
            ..unasked
        };
        assert_eq!(forecast(by_key), Forecast::Asked(Method::SecurityKey));
        let beforehand = reporting(&[("enrolment", "beforehand")]);
        let refused = forecast(facts(&beforehand, &nothing));
        assert_eq!(refused, locked_out(LockedOut::NotEnrolled));
    }

    #[test]
    fn who_has_nothing_that_is_allowed_enrols() {
        let policy = reporting(&[("methods", "app,backup")]);
        let (by_mail, nothing) = (with(&[Channel::Email]), User::default());
        assert_eq!(forecast(facts(&policy, &nothing)), Forecast::Enrols);
        assert_eq!(forecast(facts(&policy, &by_mail)), Forecast::Replaces);
    }

    #[test]
    fn a_listing_and_a_login_agree_on_who_is_kept_out() {
        let now = Timestamp::from_unix(1_800_000_000);
        let users = [
            User::default(),
            with(&[Channel::Email]),
            with(&[Channel::Sms]),
            with(&[Channel::Email, Channel::Sms]),
        ];
        let settings = [
            [("methods", "email,sms,backup"), ("enrolment", "at-login")],
            [("methods", "app,backup"), ("enrolment", "at-login")],
            [("methods", "sms,backup"), ("fallback.sms-to-email", "on")],
            [("methods", "email"), ("enrolment", "beforehand")],
        ];
        for (settings, user) in settings
            .iter()
            .flat_map(|it| users.iter().map(move |user| (it, user)))
        {
            let policy = reporting(settings);
            for carried in [Methods::ALL, NO_CHANNEL, Methods::ALL.without(Method::Sms)] {
                let facts = ForecastFacts {
                    carried,
                    ..facts(&policy, user)
                };
                let means = Means {
                    policy: &policy,
                    enrolled: user.enrolled(),
                    has_backup_codes: false,
                    carried,
                };
                let status = user.summary().status_if_mandatory(&policy, None, now);
                let kept_out = match forecast(facts) {
                    Forecast::LockedOut(why) => Some(why),
                    _ => None,
                };
                assert_eq!(
                    means.locked_out(status),
                    kept_out,
                    "{settings:?} {user:?} {carried:?}"
                );
            }
        }
    }
}
