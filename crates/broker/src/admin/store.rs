//! Where the store of this machine is: in a file or in a PostgreSQL database.

use std::path::Path;

use twofa_store::Store;
pub use twofa_store::{Moved, Place, Replication, ServerPlace, Standby};

use super::{AdminError, Administration};
use crate::fleet::files::FleetDirectory;
use crate::process::location::location;
use crate::process::privileges::service_owner;
use crate::text::messages::host_name;

impl Administration {
    /// Where the store is, if this machine is a server or the store is on one; `None`: there is one machine and its file.
    pub fn shared_place(&self) -> Result<Option<Place>, AdminError> {
        let is_shared = self.store().is_on_server() || FleetDirectory::default().is_server();
        Ok(is_shared.then(|| self.store().place()).transpose()?)
    }
}

/// Whether anything of this machine may be shared with others: it is a server, has joined a fleet, or has its store in a database.
/// No store is opened for that.
pub fn may_be_shared() -> bool {
    let fleet = FleetDirectory::default();
    fleet.is_server() || fleet.host_file().exists() || location().names_server()
}

/// Moves the store from its file to the empty database at `address`, a URL.
pub fn move_to_server(address: &str) -> Result<Vec<Moved>, AdminError> {
    Ok(Store::move_to_server(&location(), address)?)
}

/// Moves the store from its database to a file.
pub fn move_to_file() -> Result<Vec<Moved>, AdminError> {
    let owner = service_owner()?;
    Ok(Store::move_to_file(&location(), owner)?)
}

/// Exports the store, which is in a file, to `directory`, and closes it. `host`: what this machine is to be called.
pub fn export(directory: &Path, host: Option<String>) -> Result<Vec<Moved>, AdminError> {
    if FleetDirectory::default().is_server() {
        return Err(AdminError::OnServer);
    }
    let host = host.unwrap_or_else(host_name);
    Ok(Store::export(&location(), directory, &host)?)
}

/// Brings the tables of the database up to date with this program.
pub fn upgrade() -> Result<(), AdminError> {
    Ok(Store::upgrade_on_server(&location())?)
}
