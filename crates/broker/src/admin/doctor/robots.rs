//! Accounts that log in without a person: exempt, with a key and without a password.

use twofa_core::exemption::{Exemption, Subject};
use twofa_core::{Account, Membership};

use super::finding::{Finding, HostFinding};
use crate::admin::{AdminError, Administration};
use crate::identity::accounts::{self, Groups};

/// A finding about those accounts among `stuck`, which have no password and need more than a key, that are exempt at sshd.
pub(super) fn finding(
    admin: &Administration,
    stuck: &[String],
) -> Result<Option<Finding>, AdminError> {
    let exemptions: Vec<_> = admin
        .store()
        .exemptions()?
        .into_iter()
        .map(|stored| stored.exemption)
        .filter(|exemption| exemption.is_in_force(admin.now()))
        .filter(|exemption| {
            exemption
                .service
                .as_deref()
                .is_none_or(|name| name == "sshd")
        })
        .collect();
    let is_exempt = |name: &&String| {
        // If the name service does not answer, other findings say so.
        let account = accounts::find(name).ok().flatten();
        account.is_some_and(|account| exemptions.iter().any(|one| covers(one, &account)))
    };
    let accounts: Vec<_> = stuck.iter().filter(is_exempt).cloned().collect();
    let robots = HostFinding::RobotsNeedMore {
        accounts: accounts.clone(),
    };
    Ok((!accounts.is_empty()).then_some(Finding::Host(robots)))
}

fn covers(exemption: &Exemption, account: &Account) -> bool {
    match &exemption.subject {
        Subject::User(user) => user == account,
        Subject::Group(group) => Groups::new(account).membership(group) == Membership::Member,
    }
}
