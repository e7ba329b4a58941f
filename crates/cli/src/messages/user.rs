//! Sentences about users.

use twofa_broker::UserStatus;
use twofa_broker::admin::listing::ListingGaps;
use twofa_broker::admin::users::{ListedUser, UserChange};
use twofa_broker::identity::standing::AccountState;
use twofa_core::Timestamp;
use twofa_core::text::printable;

use super::{enumerate, moment, rfc3339, until};
use crate::output::Value;

/// A status, in the words of the manual.
pub(crate) fn status(status: UserStatus) -> Value {
    match status {
        UserStatus::Off => Value::Text("off".to_owned()),
        UserStatus::Reported => {
            Value::Warning("not asked, logins are only recorded (mode=report)".to_owned())
        }
        UserStatus::Pending => Value::Warning("pending setup at next login".to_owned()),
        UserStatus::NotAllowed => Value::Warning("enrolled method no longer allowed".to_owned()),
        UserStatus::Enabled => Value::Good("enabled".to_owned()),
        UserStatus::LockedUntil(at) => {
            Value::Bad(format!("locked until {}", moment(Timestamp::from_unix(at))))
        }
        UserStatus::Locked => Value::Bad("locked until an administrator unlocks it".to_owned()),
        UserStatus::Exempt(end) => {
            Value::Warning(format!("exempt {}", until(end.map(Timestamp::from_unix))))
        }
        UserStatus::IdentityMismatch => {
            Value::Bad("refused: registered for a different account".to_owned())
        }
        UserStatus::Gone => Value::Bad("gone: no such account".to_owned()),
    }
}

/// The status of a user in a listing, with what has become of the account.
pub(crate) fn listed_status(user: &ListedUser) -> Value {
    let value = status(user.status);
    let Some(note) = account_note(user) else {
        return value;
    };
    let text = format!("{} ({note})", value.text());
    match user.state {
        AccountState::Unsettled(_) => Value::Warning(text),
        _ => Value::Bad(text),
    }
}

/// How the account and the record differ, or why that is not known; `None`: they do not, or the status says so.
pub(crate) fn account_note(user: &ListedUser) -> Option<String> {
    match &user.state {
        AccountState::Unsettled(why) => Some(format!("cannot be settled: {why}")),
        state => state.difference(&user.account),
    }
}

/// What has become of the account, for scripts.
pub(crate) const fn account_state(state: &AccountState) -> &'static str {
    match state {
        AccountState::Current => "current",
        AccountState::Differs(_) | AccountState::Mismatched(_) => "differs",
        AccountState::Gone => "gone",
        AccountState::Unsettled(_) => "unsettled",
    }
}

/// What a listing of everybody without a second factor may lack.
pub(crate) fn gaps(gaps: &ListingGaps) -> Vec<String> {
    let mut notes = Vec::new();
    if !gaps.incomplete.is_empty() {
        notes.push(format!(
            "accounts of {} are here only as far as the name service lists them ('getent passwd'), and most directories \
             list none: a directory's own tools know who is in it",
            enumerate(&gaps.incomplete)
        ));
    }
    if let Some(why) = &gaps.unanswered {
        notes.push(format!("the name service did not list its accounts: {why}"));
    }
    notes
}

/// When a lock or an exemption ends by itself, for scripts.
pub(crate) fn status_end(status: UserStatus) -> Option<String> {
    match status {
        UserStatus::LockedUntil(at) | UserStatus::Exempt(Some(at)) => {
            Some(rfc3339(Timestamp::from_unix(at)))
        }
        _ => None,
    }
}

/// What a change did to the user called `name`; not `changed`: nothing.
pub(crate) fn changed(change: UserChange, changed: bool, name: &str) -> String {
    match (change, changed) {
        (UserChange::Add, true) => format!("Added {name}."),
        (UserChange::Add, false) => format!("{name} was already on record."),
        (UserChange::Require, true) => format!("A second factor is now required of {name}."),
        (UserChange::Require, false) => {
            format!("A second factor was already required of {name}.")
        }
        (UserChange::Release, true) => format!("A second factor is no longer required of {name}."),
        (UserChange::Release, false) => format!("No second factor was required of {name}."),
        (UserChange::Unlock, true) => format!("Unlocked {name}."),
        (UserChange::Unlock, false) => format!("There was nothing to unlock for {name}."),
        (UserChange::Reset, true) => {
            format!("Removed all methods of {name}; a new one is required.")
        }
        (UserChange::Reset, false) => format!("Nothing was enrolled for {name}."),
    }
}

/// That members of `group` may be missing, if there are `sources` that do not list their accounts.
pub(crate) fn incomplete(group: &str, sources: &[String]) -> Option<String> {
    (!sources.is_empty()).then(|| {
        format!(
            "people of {} whose primary group is '{}' may be missing, because it need not list its accounts: name them too, \
             or set a class for the group",
            sources.join(", "),
            printable(group)
        )
    })
}

/// That a user was removed, with the uids that the record had.
pub(crate) fn removed(name: &str, uids: &[u32]) -> String {
    let uids: Vec<_> = uids.iter().map(u32::to_string).collect();
    format!(
        "Removed everything on record about {name} (uid {}).",
        uids.join(", ")
    )
}
