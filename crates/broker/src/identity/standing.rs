//! What has become of the accounts on record: renamed, given another uid, spelled otherwise, or gone.
//!
//! At a login the store finds the record of another account
//! ([`identity_mismatch`](twofa_store::UserSnapshot::identity_mismatch)); here the name service is asked about the account of
//! a record. How the two differ is said by one function for both, [`difference`](crate::text::explain::difference).

use std::time::Duration;

use twofa_core::Account;

use crate::identity::accounts::{AccountLookup, NameServiceError};
use crate::text::explain;

/// How long accounts of a directory are asked about. What is left by then is not settled.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);

/// What the name service says of the account that a record is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountState {
    /// It is as it was.
    Current,
    /// This account has its name or its uid now, and not both.
    Differs(Account),
    /// It is not on record, and this record has its name or its uid.
    Mismatched(Account),
    /// No account has its name or its uid. One that is made with both again would take over the record.
    Gone,
    /// The name service does not answer, for this reason.
    Unsettled(String),
}

/// The accounts of many records.
#[derive(Debug)]
pub struct Standings(AccountLookup);

impl AccountState {
    /// How the account and the record differ, in words; `account` is the one listed. `None`: they do not.
    pub fn difference(&self, account: &Account) -> Option<String> {
        match self {
            Self::Differs(now) => Some(explain::difference(now, account)),
            Self::Mismatched(record) => Some(explain::difference(account, record)),
            Self::Current | Self::Gone | Self::Unsettled(_) => None,
        }
    }
}

impl Standings {
    /// Those of this machine and its directories, now.
    pub fn read() -> Self {
        Self(AccountLookup::read_within(LOOKUP_TIMEOUT))
    }

    /// What has become of the account on `record`.
    pub fn state(&mut self, record: &Account) -> AccountState {
        self.look_up(record)
            .unwrap_or_else(|error| AccountState::Unsettled(error.to_string()))
    }

    fn look_up(&mut self, record: &Account) -> Result<AccountState, NameServiceError> {
        Ok(match self.0.account(&record.name)? {
            Some(account) if account == *record => AccountState::Current,
            Some(account) => AccountState::Differs(account),
            None => match self.0.name_of(record.uid)? {
                Some(name) => AccountState::Differs(Account {
                    name,
                    uid: record.uid,
                }),
                None => AccountState::Gone,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_current_differs_or_is_gone() {
        let mut standings = Standings::read();
        let account = |name: &str, uid| Account {
            name: name.to_owned(),
            uid,
        };
        let root = account("root", 0);
        for (record, expected) in [
            (root.clone(), AccountState::Current),
            (
                account("root", 4_000_000_000),
                AccountState::Differs(root.clone()),
            ),
            (
                account("no-such-account", 0),
                AccountState::Differs(root.clone()),
            ),
            (
                account("no-such-account", 4_000_000_000),
                AccountState::Gone,
            ),
        ] {
            assert_eq!(standings.state(&record), expected, "{record:?}");
        }
    }
}
