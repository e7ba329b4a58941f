//! Leaving a fleet: whom that concerns, and what is left behind.

use std::fs;
use std::io;

use twofa_core::{Methods, Mode};
use twofa_store::JoinedFleet;

use super::fleet::FleetError;
use super::{AdminError, Administration, listing};
use crate::fleet::files::FilesError;
use crate::fleet::{policy_copy, shared};
use crate::identity::accounts;

/// Whom it concerns that this machine leaves its fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaving {
    /// So many accounts that can log in here are shared with the fleet.
    pub shared: usize,
    /// So many of them have no second factor on this machine.
    pub unenrolled: usize,
    /// Some sources of accounts may have more than they list.
    pub is_complete: bool,
    /// The mode of the host's own policy, which applies from then on; `None`: it cannot be read.
    pub mode: Option<Mode>,
}

impl Administration {
    /// Counts whom it concerns that this machine leaves its fleet. `None`: it is in none.
    pub fn whom_leaving_concerns(&self) -> Result<Option<Leaving>, AdminError> {
        let rules = self.store().rules_in_force()?;
        if rules.fleet.is_none() {
            return Ok(None);
        }
        let machine = rules.rulebook.machine();
        let found = accounts::login_accounts();
        let mut is_complete = found.incomplete.is_empty() && found.unanswered.is_none();
        let rows = listing::rows(self.store())?;
        let mut leaving = Leaving {
            shared: 0,
            unenrolled: 0,
            is_complete: true,
            mode: self.own_mode()?,
        };
        for account in found.accounts {
            match shared::is_shared(machine, &account) {
                Ok(true) if account.uid != 0 => {}
                Ok(_) => continue,
                // Rather one too many than one too few.
                Err(_) => is_complete = false,
            }
            leaving.shared += 1;
            let enrolled = rows
                .iter()
                .find(|row| row.account == account)
                .map_or(Methods::NONE, |row| row.summary.enrolled);
            leaving.unenrolled += usize::from(enrolled.is_empty());
        }
        leaving.is_complete = is_complete;
        Ok(Some(leaving))
    }

    fn own_mode(&self) -> Result<Option<Mode>, AdminError> {
        let rules = self.store().rules_in_force()?;
        let Some((_, own)) = rules.rulebook.fleet_and_host() else {
            return Ok(Some(rules.rulebook.machine().mode));
        };
        let settings = own.settings.iter();
        let settings = settings.map(|(key, value)| (key.as_str(), value.as_str()));
        let policy = twofa_core::Policy::from_settings(settings);
        Ok(policy.ok().map(|policy| policy.mode))
    }

    /// How many people have a second factor on this machine.
    pub fn enrolled_here(&self) -> Result<usize, AdminError> {
        let rows = listing::rows(self.store())?;
        let enrolled = rows.iter().filter(|row| !row.summary.enrolled.is_empty());
        Ok(enrolled.count())
    }

    /// Records that this machine is in no fleet, and forgets what it had from there. Returns the fleet that it was in.
    pub fn record_left(&self) -> Result<Option<JoinedFleet>, FleetError> {
        let left = self.store().leave_fleet(&self.origin(), self.now())?;
        // Another fleet has other marks and another policy.
        self.store().forget_mark()?;
        let path = policy_copy::default_path();
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(FilesError::File { path, error }.into())
            }
            _ => Ok(left),
        }
    }
}
