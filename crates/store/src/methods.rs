//! What follows from a change of somebody's methods, whichever method it is.

use twofa_core::Account;
use twofa_core::user::Verify;

use crate::error::StoreError;
use crate::event::Event;
use crate::sql::{apps, backup_codes, fleet, invitations, security_keys, unproved, users};
use crate::tx::Tx;

impl Tx<'_> {
    /// A user who sets up a first method wants to be asked for it, whatever was set before there was one, and an invitation is
    /// used up.
    pub(crate) fn ask_from_now_on(&self, user: i64) -> Result<(), StoreError> {
        invitations::use_up(self.db, user, self.now)?;
        users::end_opt_out(self.db, user)
    }

    /// Backup codes and security keys cannot stand alone: they go with the last method. Returns whether none is left.
    pub(crate) fn remove_what_cannot_stand_alone(
        &self,
        account: &Account,
        user: i64,
    ) -> Result<bool, StoreError> {
        let is_left = users::has_method(self.db, user)?;
        if !is_left {
            self.delete_backup_codes(account, user)?;
            self.delete_security_keys(account, user)?;
        }
        Ok(!is_left)
    }

    fn delete_security_keys(&self, account: &Account, user: i64) -> Result<(), StoreError> {
        for key in security_keys::all(self.db, account)? {
            let label = key.label;
            self.record(Some(account), &Event::SecurityKeyRemoved { label })?;
        }
        security_keys::delete_all(self.db, user).map(drop)
    }

    /// Returns whether there were any.
    pub(crate) fn delete_backup_codes(
        &self,
        account: &Account,
        user: i64,
    ) -> Result<bool, StoreError> {
        let were_there = backup_codes::delete(self.db, user)?;
        if were_there {
            self.record(Some(account), &Event::BackupCodesRemoved)?;
        }
        Ok(were_there)
    }

    /// A user who had a second factor must set one up again, and not get by without.
    pub(crate) fn require_another(&self, user: i64) -> Result<(), StoreError> {
        users::set_required(self.db, user, true)?;
        users::set_verify(self.db, user, Verify::NewDevice)?;
        Ok(())
    }

    /// Removes every method of `user`. The addresses stay on file, not verified: nobody has to type them again.
    pub(crate) fn remove_all_methods(&self, user: i64) -> Result<(), StoreError> {
        apps::delete_all(self.db, user)?;
        apps::delete_pending(self.db, user)?;
        security_keys::delete_all(self.db, user)?;
        backup_codes::delete(self.db, user)?;
        users::set_codes_shown(self.db, user, None)?;
        users::unverify_contacts(self.db, user)?;
        users::set_preferred(self.db, user, None)?;
        Ok(())
    }

    /// Forgets all failures of `user` and removes its locks. Returns how many there were.
    pub(crate) fn clear_failures(&self, account: &Account) -> Result<u64, StoreError> {
        let Some(user) = self.find(account)? else {
            return Ok(0);
        };
        let unproved = unproved::throttle(self.db, user.id)?;
        let on_hosts = fleet::failures(self.db, user.id, u32::MAX)?.count;
        let failures = user.throttle.failures() + unproved.failures() + on_hosts;
        if failures > 0 {
            users::save_throttle(self.db, user.id, user.throttle.clear())?;
            unproved::save_throttle(self.db, user.id, unproved.clear())?;
            fleet::clear_failures(self.db, user.id)?;
        }
        Ok(failures)
    }
}
