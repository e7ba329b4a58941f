//! Users as changes find them: the same as when a change was allowed, or not.

use serde::{Deserialize, Serialize};
use twofa_core::Account;

use crate::error::StoreError;
use crate::sql::users::{self, UserRecord};
use crate::tx::View;

/// Identifies a user's methods as they were at one moment. A change that was allowed because of them is made only
/// while they are the same: a person who was asked for a code, or for none because nothing was enrolled,
/// must not change what somebody else has enrolled, or an administrator has reset, since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation(Option<(i64, u64)>);

impl Generation {
    /// Of a user of whom nothing is known.
    pub(crate) const UNKNOWN: Self = Self(None);

    /// The id of the user; `None`: nothing was known of them.
    pub(crate) fn user(self) -> Option<i64> {
        self.0.map(|(user, _)| user)
    }
}

impl From<&UserRecord> for Generation {
    fn from(user: &UserRecord) -> Self {
        Self(Some((user.id, user.generation)))
    }
}

impl View<'_> {
    pub(crate) fn find(&self, account: &Account) -> Result<Option<UserRecord>, StoreError> {
        users::find(self.db, account)
    }

    /// The id of `account`, of which a record is made if there is none.
    pub(crate) fn find_or_add(&self, account: &Account) -> Result<i64, StoreError> {
        match self.find(account)? {
            Some(user) => Ok(user.id),
            None => users::insert(self.db, account),
        }
    }

    /// The id of `account`, if its methods are still those of `expected`.
    pub(crate) fn unchanged(
        &self,
        account: &Account,
        expected: Generation,
    ) -> Result<i64, StoreError> {
        let user = self.find(account)?;
        let found = user.as_ref().map_or(Generation::UNKNOWN, Generation::from);
        match user {
            _ if found != expected => Err(StoreError::ChangedMeanwhile),
            Some(user) => Ok(user.id),
            None => users::insert(self.db, account),
        }
    }

    /// The generation of `account`, which has a record.
    pub(crate) fn generation(&self, account: &Account) -> Result<Generation, StoreError> {
        let user = self.find(account)?.ok_or(StoreError::ChangedMeanwhile)?;
        Ok(Generation::from(&user))
    }
}
