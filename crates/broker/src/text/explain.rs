//! Why a login is treated as it is: one explanation, for the log and for `twofa class test`.

use twofa_core::decision::Reason;
use twofa_core::{Account, Decision, Denial, Exemption, Lock, Mode, Timestamp};
use twofa_store::event::RefusalReason;

use super::{events, messages};
use crate::text::messages::reasons;

/// What a decision followed from.
#[derive(Debug, Clone, Copy)]
pub struct Grounds<'a> {
    /// The mode of the person's policy.
    pub mode: Mode,
    /// Whether an administrator requires a second factor of the person.
    pub required: bool,
    /// The exemption that covers the login.
    pub exemption: Option<&'a Exemption>,
    /// The account, and the one on record that has its name or its uid, where they are not the same.
    pub mismatch: Option<(&'a Account, &'a Account)>,
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
        Reason::Report => reasons::ONLY_REPORTED.to_owned(),
        Reason::Service => reasons::NOT_AT_THIS_SERVICE.to_owned(),
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
        Denial::IdentityMismatch => {
            let why = events::refusal(RefusalReason::IdentityMismatch, grounds.now);
            match grounds.mismatch {
                Some((account, record)) => format!("{why} ({})", difference(account, record)),
                None => why,
            }
        }
    }
}

/// How `account` differs from the account on `record`, which has its name or its uid.
pub fn difference(account: &Account, record: &Account) -> String {
    let (name, recorded) = (&account.name, &record.name);
    if name == recorded {
        return format!(
            "{name} has user ID {} now, and {} is on record",
            account.uid, record.uid
        );
    }
    if is_other_spelling(name, recorded) {
        return format!("'{recorded}' is on record, and the name service spells it '{name}' now");
    }
    format!(
        "user ID {} is {name}, and {recorded} is on record for it",
        record.uid
    )
}

/// Whether two names are spellings of one: upper or lower case, with or without the domain (`DOM\\alice`,
/// `alice@dom.example`).
fn is_other_spelling(one: &str, other: &str) -> bool {
    let local = |name: &str| {
        let name = name.rsplit_once(['\\', '+']).map_or(name, |(_, name)| name);
        let name = name.split_once('@').map_or(name, |(name, _)| name);
        name.to_lowercase()
    };
    local(one) == local(other)
}

fn obligation(grounds: &Grounds<'_>) -> String {
    if grounds.required {
        "an administrator requires it".to_owned()
    } else {
        format!("the mode is {}", grounds.mode.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_differs_from_its_record_by_uid_spelling_or_name() {
        let account = |name: &str, uid| Account {
            name: name.to_owned(),
            uid,
        };
        let alice = account("alice", 1000);
        for (now, expected) in [
            (
                account("alice", 4242),
                "alice has user ID 4242 now, and 1000 is on record",
            ),
            (
                account("Alice", 1000),
                "'alice' is on record, and the name service spells it 'Alice' now",
            ),
            (
                account("DOM\\alice", 1000),
                "'alice' is on record, and the name service spells it 'DOM\\alice' now",
            ),
            (
                account("alice@dom.example", 1000),
                "'alice' is on record, and the name service spells it 'alice@dom.example' now",
            ),
            (
                account("alicia", 1000),
                "user ID 1000 is alicia, and alice is on record for it",
            ),
        ] {
            assert_eq!(difference(&now, &alice), expected);
        }
    }
}
