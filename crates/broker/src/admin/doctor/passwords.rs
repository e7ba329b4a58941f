//! Accounts whose devices stay trusted when their password changes, because the module neither sees it nor is told of it.

use std::collections::{BTreeSet, HashSet};
use std::fs;

use twofa_core::Account;

use super::finding::{DeviceFinding, Finding};
use crate::admin::listing::{holds_back, rows};
use crate::admin::{AdminError, Administration};
use crate::identity::standing::{AccountState, Standings};

/// A finding about the accounts of a directory that trust devices, or can under some policy. It is one where nothing tells the
/// module of a new password.
pub(super) fn finding(admin: &Administration) -> Result<Option<Finding>, AdminError> {
    // If this file has an account whose password is not in /etc/shadow, none of its devices is trusted.
    let Ok(passwd) = fs::read("/etc/passwd") else {
        return Ok(None);
    };
    let mut accounts = outside(admin, &String::from_utf8_lossy(&passwd))?;
    if !accounts.is_empty() {
        let mut standings = Standings::read();
        // Accounts that were deleted or have changed are other findings.
        accounts.retain(|account| matches!(standings.state(account), AccountState::Current));
    }
    let names: Vec<_> = accounts.into_iter().map(|account| account.name).collect();
    let is_found = !names.is_empty();
    Ok(is_found.then_some(Finding::Devices(DeviceFinding::PasswordsUnseen { names })))
}

/// The accounts that are not in `passwd` and have trusted devices, or may have some when they log in next.
fn outside(admin: &Administration, passwd: &str) -> Result<BTreeSet<Account>, AdminError> {
    let mut found = BTreeSet::new();
    admin.store().devices(None, admin.now(), |device| {
        found.insert(device.account);
        true
    })?;
    let rulebook = admin.rulebook()?;
    let is_trusting = rulebook.policies().any(|(_, policy)| {
        let trust = &policy.trust;
        [trust.console, trust.remote, trust.elevation]
            .iter()
            .any(|duration| duration.seconds() > 0)
    });
    if is_trusting {
        let rows = rows(admin.store())?.into_iter();
        found.extend(
            rows.filter(|row| holds_back(&row.summary))
                .map(|row| row.account),
        );
    }
    let local: HashSet<_> = passwd
        .lines()
        .filter_map(|line| line.split(':').next())
        .collect();
    found.retain(|account| !local.contains(account.name.as_str()));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::testing::Bench;

    #[test]
    fn accounts_of_a_directory_are_found_once_a_policy_trusts_devices() {
        let bench = Bench::new();
        bench.enrol_account("alice", 1000);
        bench.enrol_account("dora", 2000);
        let passwd = "root:x:0:0::/:\nalice:x:1000:1000::/:\n";
        let names = |bench: &Bench| -> Vec<_> {
            let accounts = outside(bench, passwd).unwrap();
            accounts.into_iter().map(|account| account.name).collect()
        };
        assert!(names(&bench).is_empty());
        bench.policy(&[("trust.remote", "30d")]);
        assert_eq!(names(&bench), ["dora"]);
        // Neither is an account of this machine that runs the tests, so there is nothing to say of them.
        assert_eq!(finding(&bench).unwrap(), None);
    }
}
