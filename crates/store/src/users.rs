//! People: what administrators do to their records.

use twofa_core::Account;
use twofa_core::Timestamp;

use crate::database::Store;
use crate::error::StoreError;
use crate::event::{Event, Origin};
use crate::sql::{exemptions, users};

impl Store {
    /// Whether anything is known of `account`.
    pub fn knows(&self, account: &Account) -> Result<bool, StoreError> {
        self.read(|view| Ok(view.find(account)?.is_some()))
    }

    /// The uids under which something is known of the login name `name`, ascending.
    pub fn uids_of(&self, name: &str) -> Result<Vec<u32>, StoreError> {
        self.read(|view| users::uids(view.db, name))
    }

    /// Makes a record of `account`, so that it is listed. Returns whether there was none.
    pub fn add_user(
        &self,
        account: &Account,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.change(origin, now, |tx| {
            if tx.find(account)?.is_some() {
                return Ok(false);
            }
            users::insert(tx.db, account)?;
            tx.record(Some(account), &Event::UserAdded)?;
            Ok(true)
        })
    }

    /// Requires a second factor of `account`, or no longer requires it. Returns whether that changed
    /// anything.
    pub fn set_required(
        &self,
        account: &Account,
        required: bool,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.change(origin, now, |tx| {
            if !required && tx.find(account)?.is_none() {
                return Ok(false);
            }
            let user = tx.find_or_add(account)?;
            if !users::set_required(tx.db, user, required)? {
                return Ok(false);
            }
            let event = if required {
                Event::Required
            } else {
                Event::Released
            };
            tx.record(Some(account), &event)?;
            Ok(true)
        })
    }

    /// Forgets the failures of `account` and removes its lock. Returns whether there was anything to forget.
    pub fn unlock(
        &self,
        account: &Account,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.change(origin, now, |tx| {
            let failures = tx.clear_failures(account)?;
            if failures > 0 {
                tx.record(Some(account), &Event::Unlocked { failures })?;
            }
            Ok(failures > 0)
        })
    }

    /// Removes every method of `account` and opens its lock, for a user who has lost them all: addresses must be verified
    /// again. If there were any, a second factor is required from now on. Returns whether there was anything to remove.
    pub fn reset(
        &self,
        account: &Account,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.change(origin, now, |tx| {
            let Some(user) = tx.find(account)? else {
                return Ok(false);
            };
            let has_any = users::has_anything(tx.db, user.id)?;
            if !has_any && user.throttle.failures() == 0 {
                return Ok(false);
            }
            // While the addresses are still the user's, so that the notice goes there.
            tx.record(Some(account), &Event::Reset)?;
            if has_any {
                tx.remove_all_methods(user.id)?;
                tx.require_another(user.id)?;
            }
            tx.clear_failures(account)?;
            users::raise_generation(tx.db, user.id)?;
            Ok(true)
        })
    }

    /// Removes everything known of `account` but what was logged. Returns whether there was anything.
    pub fn remove_user(
        &self,
        account: &Account,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.change(origin, now, |tx| {
            let Some(user) = tx.find(account)? else {
                return Ok(false);
            };
            // While the addresses are still known, so that the notice goes there.
            tx.record(Some(account), &Event::UserRemoved)?;
            users::delete(tx.db, user.id)?;
            // Nobody inherits an exemption with a name and a number that are given out again.
            tx.rules.forget(tx.db)?;
            exemptions::delete_of_user(tx.db, account)?;
            Ok(true)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, alice, origin};

    #[test]
    fn an_account_made_again_with_another_uid_has_nothing_of_the_old_one_and_is_a_mismatch() {
        let bench = Bench::new();
        let store = bench.create();
        bench.enrol(&store, &alice(), "phone");
        let bob = Account {
            name: "bob".into(),
            uid: 1001,
        };
        for stranger in [
            Account {
                uid: 2000,
                ..alice()
            },
            Account {
                name: "alicia".into(),
                ..alice()
            },
        ] {
            let snapshot = store.snapshot(&stranger).unwrap();
            assert!(
                snapshot.user.apps.is_empty() && snapshot.identity_mismatch.is_some(),
                "{stranger:?}"
            );
        }
        assert!(store.snapshot(&bob).unwrap().identity_mismatch.is_none());
        assert!(
            store
                .snapshot(&alice())
                .unwrap()
                .identity_mismatch
                .is_none()
        );
        assert_eq!(store.uids_of("alice").unwrap(), [1000]);
        // An administrator who knows better says so.
        let alicia = Account {
            name: "alicia".into(),
            ..alice()
        };
        store.add_user(&alicia, &origin(), bench.now).unwrap();
        assert!(store.snapshot(&alicia).unwrap().identity_mismatch.is_none());
    }

    #[test]
    fn a_reset_leaves_nothing_but_a_requirement() {
        let bench = Bench::new();
        let store = bench.create();
        bench.enrol(&store, &alice(), "phone");
        assert!(store.reset(&alice(), &origin(), bench.now).unwrap());
        assert!(!store.reset(&alice(), &origin(), bench.now).unwrap());
        let user = store.snapshot(&alice()).unwrap().user;
        assert!(user.required && user.apps.is_empty() && user.backup.is_none());
    }

    #[test]
    fn a_removed_user_is_as_if_never_seen() {
        let bench = Bench::new();
        let store = bench.create();
        bench.enrol(&store, &alice(), "phone");
        assert!(store.remove_user(&alice(), &origin(), bench.now).unwrap());
        assert!(!store.remove_user(&alice(), &origin(), bench.now).unwrap());
        assert!(!store.knows(&alice()).unwrap());
    }
}
