//! How `twofa class test` explains a login.

use twofa_broker::admin::class::ClassTest;
use twofa_broker::text::explain::{self, Grounds};
use twofa_broker::text::messages::exemption_scope;
use twofa_core::Decision;
use twofa_core::forecast::LockedOut;

use super::devices;

/// The decision as JSON has it.
pub(crate) const fn decision(test: &ClassTest) -> &'static str {
    if test.by_servers {
        return "by-servers";
    }
    match test.decision {
        Decision::NotRequired(_) => "not-required",
        Decision::Trusted => "trusted",
        Decision::Challenge => "challenge",
        Decision::Enrol => "enrol",
        Decision::Replace => "replace",
        Decision::Deny(_) => "deny",
    }
}

/// Why a user is kept out, as JSON has it: the names of `twofa stats --report`.
pub(crate) const fn kept_out(why: LockedOut) -> &'static str {
    match why {
        LockedOut::NotEnrolled | LockedOut::NotAllowed => "no-method",
        LockedOut::NothingToEnrol | LockedOut::Undeliverable => "no-provider",
        LockedOut::CannotAsk => "cannot-ask",
        LockedOut::Locked => "locked",
        LockedOut::IdentityMismatch => "identity-mismatch",
    }
}

/// Why a login is refused that the decision would have shown or enrolled a method.
const fn obstacle(test: &ClassTest) -> Option<&'static str> {
    match test.kept_out {
        Some(LockedOut::NothingToEnrol) => {
            Some("no provider delivers codes of a method that could be enrolled")
        }
        Some(LockedOut::Undeliverable) => {
            Some("no provider delivers codes of a method that is enrolled")
        }
        _ => None,
    }
}

/// Why it was decided so: the same words as in the log of a login.
pub(crate) fn reason(test: &ClassTest) -> String {
    if test.by_servers {
        return "the account is shared, so a server of the fleet decides".to_owned();
    }
    let grounds = Grounds {
        mode: test.mode,
        required: test.required,
        exemption: test.exemption.as_ref(),
        mismatch: test
            .identity_mismatch
            .as_ref()
            .map(|record| (&test.account, record)),
        now: test.at,
    };
    let reason = explain::decision(test.decision, &grounds);
    match obstacle(test) {
        Some(obstacle) => format!("{reason}, but {obstacle}"),
        None => reason,
    }
}

/// The whole of it, a line each.
pub(crate) fn sentences(test: &ClassTest) -> Vec<String> {
    if test.by_servers {
        let name = &test.account.name;
        return vec![format!(
            "The account is shared, so a server of the fleet decides: run 'twofa class test {name}' there."
        )];
    }
    let login = match test.decision {
        _ if test.kept_out.is_some() => "A login is refused",
        Decision::NotRequired(_) => "A login needs no code",
        Decision::Trusted => "A login passes without a code",
        Decision::Challenge => "A login needs a code",
        Decision::Enrol => "A login goes through enrolment",
        Decision::Replace => {
            "A login needs a code from that method, and then goes through enrolment"
        }
        Decision::Deny(_) => "A login is refused",
    };
    let mut sentences = vec![format!("{login}: {}.", reason(test))];
    if let Some(doubts) = &test.doubts {
        sentences.push(format!(
            "It is not known for certain which class applies, so the strictest that could apply does: {doubts}."
        ));
    }
    let asks = test.kept_out.is_none()
        && matches!(
            test.decision,
            Decision::Challenge | Decision::Enrol | Decision::Replace
        );
    sentences.extend(devices::trust(&test.trust).filter(|_| asks));
    for exemption in &test.narrow_exemptions {
        let only = exemption_scope(exemption).unwrap_or_default();
        sentences.push(format!("A login {only} is exempt: {}.", exemption.reason));
    }
    sentences
}
