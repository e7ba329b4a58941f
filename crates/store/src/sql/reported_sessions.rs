//! On a host of a fleet: what its servers know of its sessions and want with them. The table `server_order`, and columns of
//! `session`.

use twofa_core::Timestamp;

use super::{Db, values};
use crate::error::StoreError;

/// The sessions of which a server is to be told that they began, `limit` at most, with their numbers.
pub(crate) fn begun(db: &Db<'_>, limit: u32) -> Result<Vec<([u8; 16], i64)>, StoreError> {
    let sql = "SELECT conversation, id FROM session WHERE conversation IS NOT NULL AND reported < 2 AND reported = 0
               ORDER BY id LIMIT ?1";
    db.query_all(sql, values![limit], |row| {
        Ok((row.get("conversation")?, row.get("id")?))
    })
}

/// The same of those that ended.
pub(crate) fn ended(db: &Db<'_>, limit: u32) -> Result<Vec<[u8; 16]>, StoreError> {
    let sql = "SELECT conversation FROM session WHERE conversation IS NOT NULL AND reported < 2 AND ended_at IS NOT NULL
               ORDER BY id LIMIT ?1";
    db.query_all(sql, values![limit], |row| row.get("conversation"))
}

/// The sessions that their programs closed and that may have processes.
pub(crate) fn closing(db: &Db<'_>) -> Result<Vec<i64>, StoreError> {
    let sql = "SELECT id FROM session
               WHERE conversation IS NOT NULL AND reported < 2 AND closed_at IS NOT NULL AND ended_at IS NULL ORDER BY id";
    db.query_all(sql, values![], |row| row.get("id"))
}

/// Notes what servers know of the session: 1 that it began, 2 that it ended, or that they want to know nothing of it.
pub(crate) fn set_reported(
    db: &Db<'_>,
    conversation: &[u8; 16],
    reported: u8,
) -> Result<(), StoreError> {
    let sql = "UPDATE session SET reported = ?2 WHERE conversation = ?1 AND reported < ?2";
    // The first condition is that of the index.
    let sql = format!("{sql} AND conversation IS NOT NULL AND reported < 2");
    db.execute(&sql, values![conversation, reported]).map(drop)
}

/// Has no server know of any session any longer.
pub(crate) fn forget(db: &Db<'_>) -> Result<(), StoreError> {
    let sql =
        "UPDATE session SET conversation = NULL, end_order = NULL WHERE conversation IS NOT NULL";
    db.execute(sql, values![])?;
    db.execute("DELETE FROM server_order", values![]).map(drop)
}

/// Adds an order, unless it is there.
pub(crate) fn insert_order(db: &Db<'_>, id: i64, now: Timestamp) -> Result<(), StoreError> {
    let sql =
        "INSERT INTO server_order (id, received_at) VALUES (?1, ?2) ON CONFLICT (id) DO NOTHING";
    db.execute(sql, values![id, now]).map(drop)
}

/// Has an order be about this session, if it has not ended.
pub(crate) fn set_order(
    db: &Db<'_>,
    conversation: &[u8; 16],
    order: i64,
) -> Result<(), StoreError> {
    let sql = "UPDATE session SET end_order = ?2
               WHERE conversation = ?1 AND ended_at IS NULL AND conversation IS NOT NULL AND reported < 2";
    db.execute(sql, values![conversation, order]).map(drop)
}

/// The orders whose sessions have all ended, `limit` at most.
pub(crate) fn done(db: &Db<'_>, limit: u32) -> Result<Vec<i64>, StoreError> {
    let sql = "SELECT id FROM server_order WHERE NOT EXISTS (
                   SELECT 1 FROM session WHERE end_order = server_order.id AND ended_at IS NULL)
               ORDER BY id LIMIT ?1";
    db.query_all(sql, values![limit], |row| row.get("id"))
}

/// Whether a session is to end that has not.
pub(crate) fn is_any_to_end(db: &Db<'_>) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM server_order WHERE EXISTS (
                   SELECT 1 FROM session WHERE end_order = server_order.id AND ended_at IS NULL) LIMIT 1";
    db.exists(sql, values![])
}

pub(crate) fn delete_order(db: &Db<'_>, id: i64) -> Result<(), StoreError> {
    db.execute("DELETE FROM server_order WHERE id = ?1", values![id])
        .map(drop)
}
