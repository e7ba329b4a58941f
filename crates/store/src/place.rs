//! Where the store is, for administrators.

use std::path::PathBuf;

use crate::database::Store;
use crate::error::StoreError;
use crate::sql::postgres::replication::{self, Replication};

/// The engine of a store, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a file.
    File {
        /// The version of SQLite.
        version: &'static str,
        /// Where it is.
        path: PathBuf,
    },
    /// In a PostgreSQL database.
    Server(ServerPlace),
}

/// A PostgreSQL database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerPlace {
    /// The version of PostgreSQL, such as `15.18`.
    pub version: String,
    /// The host that it was found on: `NAME:PORT`, or the folder of a socket.
    pub host: String,
    /// The name of the database.
    pub database: String,
    /// Its standbys.
    pub replication: Replication,
}

impl Store {
    /// Where it is, and on what.
    pub fn place(&self) -> Result<Place, StoreError> {
        if !self.is_on_server() {
            return Ok(Place::File {
                version: rusqlite::version(),
                path: self.location().database.clone(),
            });
        }
        self.read(|view| {
            let (version, database) = replication::identity(view.db)?;
            Ok(Place::Server(ServerPlace {
                version,
                host: view.db.host().unwrap_or_default().to_owned(),
                database,
                replication: replication::state(view.db)?,
            }))
        })
    }
}
