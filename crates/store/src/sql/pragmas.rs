//! What SQLite has no statement for: its settings and the numbers it keeps in a database's header.

use super::Db;
use crate::error::StoreError;

/// A number that differs as soon as another connection has changed anything.
pub(crate) fn data_version(db: &Db<'_>) -> Result<i64, StoreError> {
    let sql = "PRAGMA data_version";
    Ok(db.prepare_cached(sql)?.query_one([], |row| row.get(0))?)
}
