//! Backup codes, made and removed.

use twofa_core::backup::BackupSet;
use twofa_core::{Account, Timestamp};

use crate::database::Store;
use crate::error::StoreError;
use crate::event::{Event, Origin};
use crate::generation::Generation;
use crate::sql::{backup_codes, users};

impl Store {
    /// Puts `set` in the place of whatever backup codes there were.
    pub fn replace_backup_codes(
        &self,
        account: &Account,
        expected: Generation,
        set: &BackupSet,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Generation, StoreError> {
        self.change(origin, now, |tx| {
            tx.answer_enrols(account)?;
            let user = tx.unchanged(account, expected)?;
            users::raise_generation(tx.db, user)?;
            let event = if backup_codes::delete(tx.db, user)? {
                Event::BackupCodesReplaced
            } else {
                Event::BackupCodesMade
            };
            backup_codes::insert(tx.db, user, set)?;
            users::set_codes_shown(tx.db, user, None)?;
            tx.record(Some(account), &event)?;
            tx.answer_has_enrolled(tx.generation(account)?)
        })
    }

    /// Records that codes are shown to the user of `account` now. They do not work until [`Self::replace_backup_codes`] stores
    /// them. The generation stays as it is, because no method changes.
    pub fn note_codes_shown(
        &self,
        account: &Account,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.change(origin, now, |tx| match tx.find(account)? {
            Some(user) => users::set_codes_shown(tx.db, user.id, Some(now)),
            None => Ok(()),
        })
    }

    /// Forgets that codes were shown and not confirmed, once their owner was told that they do not work.
    pub fn forget_codes_shown(
        &self,
        account: &Account,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.change_unsynced(origin, now, |tx| match tx.find(account)? {
            Some(user) => users::set_codes_shown(tx.db, user.id, None),
            None => Ok(()),
        })
    }

    /// Removes the backup codes. Returns whether there were any.
    pub fn remove_backup_codes(
        &self,
        account: &Account,
        expected: Generation,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.change(origin, now, |tx| {
            tx.answer_changes(account)?;
            let user = tx.unchanged(account, expected)?;
            users::raise_generation(tx.db, user)?;
            let were_there = tx.delete_backup_codes(account, user)?;
            if were_there {
                tx.answer_has_changed()?;
            }
            Ok(were_there)
        })
    }
}
