//! Which accounts of a joined host are the fleet's.

use twofa_core::shared_accounts::Sharing;
use twofa_core::{Account, Membership, Policy, SharedAccounts};

use crate::identity::accounts::{self, Groups, NameServiceError};

/// Whether `account` is one of the fleet's on a host with this `policy`. An error where a source that would know does not
/// answer: neither this host nor a server decides then.
pub fn is_shared(policy: &Policy, account: &Account) -> Result<bool, NameServiceError> {
    match policy.shared_accounts.sharing(account) {
        Sharing::Shared => Ok(true),
        Sharing::Own => Ok(false),
        Sharing::IfOfDirectory => {
            Ok(accounts::is_person(account.uid) && !accounts::is_local(&account.name)?)
        }
        Sharing::IfMember => is_member(policy, account),
    }
}

/// Whether `account`, which is the host's own, has the uid of a shared one of `/etc/passwd`: who logs in to it has the files of
/// the other. No directory is asked, so that the host's own accounts log in without the network.
pub fn has_shared_uid(policy: &Policy, account: &Account) -> Result<bool, NameServiceError> {
    for name in accounts::namesakes(account)? {
        let other = Account {
            name,
            uid: account.uid,
        };
        if is_shared(policy, &other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_member(policy: &Policy, account: &Account) -> Result<bool, NameServiceError> {
    let SharedAccounts::Group(name) = &policy.shared_accounts else {
        return Ok(false);
    };
    // A group that is gone shares nobody, and keeps nobody out either: which accounts are whose is then not known.
    let group = accounts::group(name)?.ok_or_else(|| {
        NameServiceError::new(format!("there is no group '{name}' (fleet.accounts)"))
    })?;
    let mut groups = Groups::new(account);
    match groups.membership(&group) {
        Membership::Member => Ok(true),
        Membership::NotMember => Ok(false),
        Membership::Unknown => Err(NameServiceError::new(groups.doubts().join("; "))),
    }
}
