//! A store as it was exported from a host, to be merged into that of a fleet. Nothing else opens it.

use super::connection::{self, Connection};
use super::pragmas::{self, APPLICATION_ID, Header};
use super::schema::{self, EXPORTED};
use super::transaction::Transaction;
use crate::error::StoreError;
use crate::location::Location;
use crate::sql::{Db, values};

/// Makes a copy of a store one that can only be merged. `host` is where it comes from.
pub(crate) fn seal(db: &Db<'_>, host: &str) -> Result<(), StoreError> {
    let Some(connection) = db.as_sqlite() else {
        return Ok(());
    };
    connection.execute_batch(
        "CREATE TABLE export (host TEXT NOT NULL, schema INTEGER NOT NULL, merged_into TEXT) STRICT;
         CREATE TABLE merged (user INTEGER PRIMARY KEY) STRICT;",
    )?;
    let schema = schema::newest_schema();
    db.execute(
        "INSERT INTO export (host, schema) VALUES (?1, ?2)",
        values![host, schema],
    )?;
    let header = Header {
        application: APPLICATION_ID,
        schema: EXPORTED,
    };
    pragmas::set_header(connection, header)
}

/// An export that is open.
#[derive(Debug)]
pub(crate) struct ExportFile(Connection);

impl ExportFile {
    /// Opens the export at `location`, whose schema is brought up to date.
    pub(crate) fn open(location: &Location) -> Result<Self, StoreError> {
        location.inspect_database()?;
        let mut connection = connection::open_closed(location)?;
        {
            let change = Transaction::begin_change(&mut connection)?;
            let found = pragmas::header(&change)?;
            if found.application != APPLICATION_ID || found.schema != EXPORTED {
                return Err(StoreError::NotExported(location.database.clone()));
            }
            let schema = change.query_one("SELECT schema FROM export", [], |row| row.get(0))?;
            if schema != schema::newest_schema() {
                schema::bring_up_to_date(&change, schema, EXPORTED)?;
                change.execute("UPDATE export SET schema = ?1", [schema::newest_schema()])?;
                change.commit()?;
            }
        }
        Ok(Self(connection))
    }

    /// Runs `work` on one consistent view.
    pub(crate) fn view<T>(
        &mut self,
        work: impl FnOnce(&Db<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        connection::view_closed(&mut self.0, work)
    }

    /// Has it be merged into the store called `target` and no other one. Says whether it can be.
    pub(crate) fn claim(&mut self, target: &str) -> Result<bool, StoreError> {
        let change = Transaction::begin_change(&mut self.0)?;
        let claimed = change.execute(
            "UPDATE export SET merged_into = ?1 WHERE merged_into IS NULL OR merged_into = ?1",
            [target],
        )?;
        change.commit()?;
        Ok(claimed == 1)
    }

    /// Notes that these users are in the store that it is merged into.
    pub(crate) fn note_merged(&mut self, users: &[i64]) -> Result<(), StoreError> {
        // If a power cut undoes it, they are merged once more, which changes nothing.
        pragmas::set_synchronous(&self.0, pragmas::Synchronous::Normal)?;
        let change = Transaction::begin_change(&mut self.0)?;
        for user in users {
            change.execute("INSERT OR IGNORE INTO merged VALUES (?1)", [user])?;
        }
        change.commit()
    }
}

/// The host that an export comes from.
pub(crate) fn host(db: &Db<'_>) -> Result<String, StoreError> {
    db.query_one("SELECT host FROM export", values![], |row| row.get("host"))
}

/// The users that [`ExportFile::note_merged`] has noted.
pub(crate) fn merged(db: &Db<'_>) -> Result<Vec<i64>, StoreError> {
    db.query_all("SELECT user FROM merged", values![], |row| row.get("user"))
}
