//! What would come of a login if a second factor were mandatory, for policies that ask nobody yet
//! ([`crate::Mode::Report`]). Nothing is decided by it.

use crate::decision::{Decision, DecisionFacts, Denial, Reason, would_decide};
use crate::method::{Method, Methods};
use crate::policy::{Enrolment, Policy};

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

/// What would come of the login if the mode were mandatory and nothing else different.
pub fn forecast(facts: ForecastFacts<'_>) -> Forecast {
    let policy = facts.login.policy;
    let locked_out = Forecast::LockedOut;
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
            let method = first_method(&facts, policy);
            method.map_or(locked_out(LockedOut::Undeliverable), Forecast::Asked)
        }
        Decision::Enrol if can_enrol(&facts, policy) => Forecast::Enrols,
        Decision::Replace if !can_prove(&facts) => locked_out(LockedOut::Undeliverable),
        Decision::Replace if can_enrol(&facts, policy) => Forecast::Replaces,
        Decision::Enrol | Decision::Replace => locked_out(LockedOut::NothingToEnrol),
    }
}

/// The first method that the user can show.
fn first_method(facts: &ForecastFacts<'_>, policy: &Policy) -> Option<Method> {
    let user = facts.login.user;
    let enrolled = user.enrolled();
    let falls_back = enrolled.contains(Method::Sms)
        && policy.methods.contains(Method::Sms)
        && policy.sms_falls_back_to_email()
        && enrolled.contains(Method::Email)
        && facts.carried.contains(Method::Email);
    let has_backup = user.backup_codes_left() > 0 && policy.methods.contains(Method::Backup);
    let shown = user.methods(policy.methods.intersection(facts.carried));
    let others = [
        falls_back.then_some(Method::Email),
        has_backup.then_some(Method::Backup),
    ];
    shown.into_iter().chain(others.into_iter().flatten()).next()
}

fn can_enrol(facts: &ForecastFacts<'_>, policy: &Policy) -> bool {
    let working = policy.methods.intersection(facts.carried);
    policy.enrolment == Enrolment::AtLogin && working.intersects(Methods::standing_alone())
}

fn can_prove(facts: &ForecastFacts<'_>) -> bool {
    let user = facts.login.user;
    user.backup_codes_left() > 0 || user.is_enrolled(facts.carried)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{Channel, PerChannel};
    use crate::exemption::LoginSource;
    use crate::time::Timestamp;
    use crate::user::{Contact, User};

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
}
