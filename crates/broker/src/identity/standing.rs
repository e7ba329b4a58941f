//! Whether the accounts on record still exist, or were renamed, given another uid, spelled differently or deleted.
//!
//! At a login the store finds the record of another account
//! ([`identity_mismatch`](twofa_store::UserSnapshot::identity_mismatch)); here the name service is asked about the account of
//! a record. How the two differ is said by one function for both, [`difference`](crate::text::explain::difference).

use std::time::Duration;

use twofa_core::Account;

use crate::identity::accounts::{AccountLookup, NameServiceError};
use crate::text::explain;

/// How long a directory is asked about accounts. Those that are left by then are unsettled.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);

/// What the name service says of the account that a record is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountState {
    /// It has the same name and uid.
    Current,
    /// This account has its name or its uid now, but not both.
    Differs(Account),
    /// It is not on record itself, and this account on record has its name or its uid.
    Mismatched(Account),
    /// No account has its name or its uid. One that is created with both would take over the record.
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
    /// Reads the accounts of this machine and prepares to ask its directories.
    pub fn read() -> Self {
        Self(AccountLookup::read_within(LOOKUP_TIMEOUT))
    }

    /// The state of the account on `record`.
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
