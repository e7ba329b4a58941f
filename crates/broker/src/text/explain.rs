//! Why a login is treated as it is: one explanation, for the log and for `twofa class test`.

use twofa_core::decision::Reason;
use twofa_core::{Decision, Denial, Exemption, Lock, Mode, Timestamp};
use twofa_store::event::RefusalReason;

use super::{events, messages};

/// What a decision followed from.
#[derive(Debug, Clone, Copy)]
pub struct Grounds<'a> {
    /// The mode of the person's policy.
    pub mode: Mode,
    /// Whether an administrator requires a second factor of the person.
    pub required: bool,
    /// The exemption that covers the login.
    pub exemption: Option<&'a Exemption>,
    /// The time of the decision.
    pub now: Timestamp,
}

/// Why `decision` was made: a clause without a full stop.
pub fn decision(decision: Decision, grounds: &Grounds<'_>) -> String {
    match decision {
        Decision::NotRequired(reason) => not_required(reason, grounds.exemption),
        Decision::Trusted => "the device is trusted".to_owned(),
        Decision::Challenge => format!("enrolled, and {}", obligation(grounds)),
        Decision::Enrol => format!("{} and nothing is enrolled", obligation(grounds)),
        Decision::Replace => "the enrolled method is no longer allowed".to_owned(),
        Decision::Deny(denial) => denied(denial, grounds),
    }
}

fn not_required(reason: Reason, exemption: Option<&Exemption>) -> String {
    match reason {
        Reason::Disabled => "the mode is disabled".to_owned(),
        Reason::NotEnrolled => "the mode is optional and nothing is enrolled".to_owned(),
        Reason::OptedOut => "the mode is optional and the user chose verify=never".to_owned(),
        Reason::Exempt => {
            let reason = exemption.map_or("", |exemption| &exemption.reason);
            format!("exempt: {reason}")
        }
    }
}

fn denied(denial: Denial, grounds: &Grounds<'_>) -> String {
    match denial {
        Denial::NotEnrolled => {
            let obligation = obligation(grounds);
            format!("{obligation}, nothing is enrolled, and enrolment=beforehand")
        }
        Denial::NotAllowed => events::refusal(RefusalReason::NotAllowed, grounds.now),
        Denial::Locked(Lock::Until(until)) => {
            format!("locked until {}", messages::moment(until, grounds.now))
        }
        Denial::Locked(Lock::Administrator) => {
            "locked until an administrator unlocks it".to_owned()
        }
        Denial::IdentityMismatch => events::refusal(RefusalReason::IdentityMismatch, grounds.now),
    }
}

fn obligation(grounds: &Grounds<'_>) -> String {
    if grounds.required {
        "an administrator requires it".to_owned()
    } else {
        format!("the mode is {}", grounds.mode.name())
    }
}
