//! What `class test` says about a login.

use twofa_broker::admin::class::ClassTest;
use twofa_broker::words;
use twofa_core::decision::Reason;
use twofa_core::{Decision, Denial, Lock};

use super::moment;

/// The decision as JSON has it.
pub(crate) const fn decision(decision: Decision) -> &'static str {
    match decision {
        Decision::NotRequired(_) => "not-required",
        Decision::Trusted => "trusted",
        Decision::Challenge => "challenge",
        Decision::Enrol => "enrol",
        Decision::Replace => "replace",
        Decision::Deny(_) => "deny",
    }
}

/// Why it was decided so.
pub(crate) fn reason(test: &ClassTest) -> String {
    let must = if test.required {
        "an administrator requires it".to_owned()
    } else {
        format!("the mode is {}", test.mode.name())
    };
    match test.decision {
        Decision::NotRequired(Reason::Disabled) => "the mode is disabled".to_owned(),
        Decision::NotRequired(Reason::NotEnrolled) => {
            "the mode is optional and nothing is enrolled".to_owned()
        }
        Decision::NotRequired(Reason::OptedOut) => {
            "the mode is optional and the user chose verify=never".to_owned()
        }
        Decision::NotRequired(Reason::Exempt) => {
            let reason = test.exemption.as_ref();
            let reason = reason.map_or("", |exemption| &exemption.reason);
            format!("exempt: {reason}")
        }
        Decision::Trusted => "the device is trusted".to_owned(),
        Decision::Challenge => format!("enrolled, and {must}"),
        Decision::Enrol => format!("{must} and nothing is enrolled"),
        Decision::Replace => "the enrolled method is no longer allowed".to_owned(),
        Decision::Deny(denial) => denied(denial, &must),
    }
}

fn denied(denial: Denial, must: &str) -> String {
    match denial {
        Denial::NotAllowed => {
            "the enrolled method is no longer allowed, and enrolment=beforehand".to_owned()
        }
        Denial::NotEnrolled => {
            format!("{must}, nothing is enrolled, and enrolment=beforehand")
        }
        Denial::Locked(Lock::Until(until)) => format!("locked until {}", moment(until)),
        Denial::Locked(Lock::Administrator) => "locked until unlocked".to_owned(),
        Denial::IdentityMismatch => {
            "a second factor is registered for a different account with this name or user ID"
                .to_owned()
        }
    }
}

/// The whole of it, a line each.
pub(crate) fn sentences(test: &ClassTest) -> Vec<String> {
    let login = match test.decision {
        Decision::NotRequired(_) => "A login needs no code",
        Decision::Trusted => "A login passes without a code",
        Decision::Challenge => "A login needs a code",
        Decision::Enrol => "A login leads through enrolment",
        Decision::Replace => {
            "A login needs a code by that method, and then leads through enrolment"
        }
        Decision::Deny(_) => "A login is refused",
    };
    let mut sentences = vec![format!("{login}: {}.", reason(test))];
    if let Some(doubts) = &test.doubts {
        sentences.push(format!(
            "It is not known for certain which class applies, so the strictest that could apply does: {doubts}."
        ));
    }
    for exemption in &test.narrow_exemptions {
        let only = words::exemption_scope(exemption).unwrap_or_default();
        sentences.push(format!("But {only} it is exempt: {}.", exemption.reason));
    }
    sentences
}
