//! Where the store of this machine is: in a file or in a PostgreSQL database.

pub use twofa_store::Moved;
use twofa_store::Store;

use super::AdminError;
use crate::process::location::location;
use crate::process::privileges::service_owner;

/// Moves the store from its file to the empty database at `address`, a URL.
pub fn move_to_server(address: &str) -> Result<Vec<Moved>, AdminError> {
    Ok(Store::move_to_server(&location(), address)?)
}

/// Moves the store from its database to a file.
pub fn move_to_file() -> Result<Vec<Moved>, AdminError> {
    let owner = service_owner()?;
    Ok(Store::move_to_file(&location(), owner)?)
}

/// Brings the tables of the database up to date with this program.
pub fn upgrade() -> Result<(), AdminError> {
    Ok(Store::upgrade_on_server(&location())?)
}
