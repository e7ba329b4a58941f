//! A SQLite transaction.

use std::ops::Deref;

use rusqlite::Connection;

use crate::error::StoreError;
use crate::sql::Db;

/// A transaction, rolled back unless it is committed.
///
/// Unlike [`rusqlite::Transaction`] it has the statements that begin and end it compiled once.
#[derive(Debug)]
pub(super) struct Transaction<'a>(&'a Connection);

impl<'a> Transaction<'a> {
    /// One consistent view, from its first statement on.
    pub(super) fn begin_view(connection: &'a mut Connection) -> Result<Self, StoreError> {
        Self::begin(connection, "BEGIN")
    }

    /// A change, which nobody else makes at the same time.
    pub(super) fn begin_change(connection: &'a mut Connection) -> Result<Self, StoreError> {
        Self::begin(connection, "BEGIN IMMEDIATE")
    }

    fn begin(connection: &'a mut Connection, sql: &str) -> Result<Self, StoreError> {
        connection.prepare_cached(sql)?.execute([])?;
        Ok(Self(connection))
    }

    pub(super) fn commit(self) -> Result<(), StoreError> {
        self.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    pub(super) const fn db(&self) -> Db<'_> {
        Db::sqlite(self.0)
    }
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.0
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if !self.is_autocommit() {
            // What fails here has rolled back already, or the next BEGIN fails.
            let rollback = self.prepare_cached("ROLLBACK");
            let _ = rollback.and_then(|mut rollback| rollback.execute([]));
        }
    }
}
