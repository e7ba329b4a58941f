//! Replacing the sealing key while logins go on.

use twofa_store::{Rekeying, Store};

use super::fleet::FleetError;
use super::{AdminError, Administration};
use crate::fleet::files::FleetDirectory;
use crate::process::location::location;
use crate::process::privileges;

pub use twofa_store::Rekeying as KeyRotation;
pub use twofa_store::SealedCount;

/// Only systemd writes below this.
const CREDENTIALS: &str = "/run/credentials";

/// Adds a sealing key to the file of this machine, unless it has several; for root. Returns the number of the newest, and
/// whether it is new.
pub fn add_sealing_key() -> Result<(u32, bool), FleetError> {
    let location = checked_location()?;
    let before = location.read_keys()?.numbers();
    let number = Store::add_sealing_key(&location, privileges::service_owner()?)?;
    Ok((number, !before.contains(&number)))
}

/// Drops all sealing keys but the newest from the file of this machine; for root, after [`Administration::seal_again`]. Says
/// whether there were others.
pub fn drop_sealing_keys() -> Result<bool, FleetError> {
    let location = checked_location()?;
    Ok(Store::drop_sealing_keys(
        &location,
        privileges::service_owner()?,
    )?)
}

fn checked_location() -> Result<twofa_store::Location, FleetError> {
    let location = location();
    if location.key.starts_with(CREDENTIALS) {
        return Err(FleetError::KeyIsCredential);
    }
    Ok(location)
}

impl Administration {
    /// Records that sealing key `number` was added.
    pub fn record_sealing_key_added(&self, number: u32) -> Result<(), AdminError> {
        let (origin, now) = (self.origin(), self.now());
        Ok(self
            .store()
            .record_sealing_key_added(number, &origin, now)?)
    }

    /// How far the replacement of the sealing key is.
    pub fn key_rotation(&self) -> Result<Rekeying, FleetError> {
        let directory = FleetDirectory::default();
        if directory.is_server() {
            // What this machine has now, whether its server runs or not.
            let id = directory.read_server()?.id;
            self.store().note_server_seen(id.as_str(), self.now())?;
        }
        Ok(self.store().rekeying()?)
    }

    /// Seals everything with the newest key, if every server has it. Returns how many values were sealed with another.
    pub fn seal_again(&self) -> Result<u64, FleetError> {
        let without = self.key_rotation()?.without_newest;
        if !without.is_empty() {
            return Err(FleetError::ServersWithoutKey(without));
        }
        Ok(self.store().seal_again(&self.origin(), self.now())?)
    }
}
