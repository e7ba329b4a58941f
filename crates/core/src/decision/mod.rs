//! The decision: must this person show a second factor now?

use crate::exemption::{Exemption, LoginSource};
use crate::lockout::Lock;
use crate::policy::{Enrolment, Mode, Policy};
use crate::time::Timestamp;
use crate::user::{Status, User, Verify};

/// Everything that a decision depends on.
#[derive(Debug, Clone, Copy)]
pub struct DecisionFacts<'a> {
    /// The policy that applies to the user: the machine's with the class's own settings.
    pub policy: &'a Policy,
    /// What is stored about the user.
    pub user: &'a User,
    /// The exemption that covers this login.
    pub exemption: Option<&'a Exemption>,
    /// Where the login comes from.
    pub source: LoginSource<'a>,
    /// Whether the login comes from a device whose grant is believed now ([`crate::Grant::is_believed`]).
    pub has_trusted_device: bool,
    /// Nothing is stored about this account, but there is a record with the same name or the same uid.
    pub has_identity_mismatch: bool,
    /// The time of the decision.
    pub now: Timestamp,
}

/// What a login does about the second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The policy asks nothing of this user. This and [`Decision::Trusted`] are the only ways to log in without a code.
    NotRequired(Reason),
    /// The device was verified before and is still trusted.
    Trusted,
    /// Ask for a code.
    Challenge,
    /// Lead the user through enrolment, then let them in.
    Enrol,
    /// Ask for a code of an enrolled method that is no longer allowed, then go on as with [`Decision::Enrol`].
    Replace,
    /// Refuse the login.
    Deny(Denial),
}

/// Why no code is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The mode is disabled.
    Disabled,
    /// The mode is report: the login records [`would_decide`].
    Report,
    /// The policy asks for no code at this service.
    Service,
    /// The mode is optional, and nothing is enrolled.
    NotEnrolled,
    /// The mode is optional, and the user chose never to be asked.
    OptedOut,
    /// An exemption covers the login.
    Exempt,
}

/// Why a login is refused before anything is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// A second factor is needed and none is enrolled.
    NotEnrolled,
    /// No enrolled method is still allowed, and the policy has users enrol before the login.
    NotAllowed,
    /// Too many wrong codes.
    Locked(Lock),
    /// There is a record with this account's name or uid that is another account's ([`Status::IdentityMismatch`]).
    IdentityMismatch,
}

/// Decides what a login does about the second factor.
pub fn decide(facts: DecisionFacts<'_>) -> Decision {
    let DecisionFacts {
        policy,
        user,
        exemption,
        source,
        has_trusted_device,
        has_identity_mismatch,
        now,
    } = facts;
    if policy.mode.asks() && !policy.services.include(source.service, source.is_sshd) {
        return Decision::NotRequired(Reason::Service);
    }
    let mut status = user.summary().status(policy, exemption, now);
    if has_identity_mismatch {
        status = status.with_identity_mismatch(policy);
    }
    match status {
        Status::IdentityMismatch => Decision::Deny(Denial::IdentityMismatch),
        Status::Off if policy.mode == Mode::Disabled => Decision::NotRequired(Reason::Disabled),
        Status::Reported => Decision::NotRequired(Reason::Report),
        Status::Off if !user.enrolled().is_empty() => Decision::NotRequired(Reason::OptedOut),
        Status::Off => Decision::NotRequired(Reason::NotEnrolled),
        Status::Exempt(_) => Decision::NotRequired(Reason::Exempt),
        Status::Locked(lock) => Decision::Deny(Denial::Locked(lock)),
        Status::Pending => match policy.enrolment {
            Enrolment::AtLogin => Decision::Enrol,
            Enrolment::Beforehand => Decision::Deny(Denial::NotEnrolled),
        },
        Status::NotAllowed => match policy.enrolment {
            Enrolment::AtLogin => Decision::Replace,
            Enrolment::Beforehand => Decision::Deny(Denial::NotAllowed),
        },
        // `never` reads as `new-device` where the policy asks anyway.
        Status::Enabled if has_trusted_device && user.verify != Verify::Always => Decision::Trusted,
        Status::Enabled => Decision::Challenge,
    }
}

/// What [`decide`] would say if the mode were mandatory and nothing else different.
pub fn would_decide(facts: DecisionFacts<'_>) -> Decision {
    let policy = Policy {
        mode: Mode::Mandatory,
        ..facts.policy.clone()
    };
    decide(DecisionFacts {
        policy: &policy,
        ..facts
    })
}

#[cfg(test)]
mod tests;
