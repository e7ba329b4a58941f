//! The servers of a fleet: the table `fleet_server`.

use twofa_core::Timestamp;

use super::fleet::split;
use super::postgres::pipeline::DatabaseCounters;
use super::{Db, Row, values};
use crate::error::StoreError;

/// A server of the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its random id, never given to another.
    pub id: String,
    /// The name that an administrator gave it.
    pub name: String,
    /// Where hosts reach it.
    pub addresses: Vec<String>,
    /// When it was added.
    pub added_at: Timestamp,
    /// When it joined; `None`: not yet.
    pub joined_at: Option<Timestamp>,
    /// Until when it can join, or join again; `None`: it has.
    pub token_until: Option<Timestamp>,
    /// When it last served, to within a minute; `None`: not yet.
    pub seen_at: Option<Timestamp>,
    /// The numbers of the sealing keys that it had then; empty: not known.
    pub keys: Vec<u32>,
    /// What had happened then between it and the database since it was started; `None`: not known.
    pub counters: Option<DatabaseCounters>,
}

const SERVER: &str = "SELECT id, name, addresses, added_at, joined_at, token_until, seen_at, sealing_keys, counters FROM fleet_server";

/// Every server, in the order in which they were added.
pub(crate) fn all(db: &Db<'_>) -> Result<Vec<Server>, StoreError> {
    let sql = format!("{SERVER} ORDER BY added_at, name");
    db.query_all(&sql, values![], server)
}

pub(crate) fn find(db: &Db<'_>, name: &str) -> Result<Option<Server>, StoreError> {
    db.query_opt(&format!("{SERVER} WHERE name = ?1"), values![name], server)
}

pub(crate) fn find_by_id(db: &Db<'_>, id: &str) -> Result<Option<Server>, StoreError> {
    db.query_opt(&format!("{SERVER} WHERE id = ?1"), values![id], server)
}

/// The server that may join with this token.
pub(crate) fn find_by_token(db: &Db<'_>, token: &[u8; 32]) -> Result<Option<Server>, StoreError> {
    let sql = format!("{SERVER} WHERE token = ?1");
    db.query_opt(&sql, values![token], server)
}

/// Adds `server`. `join` is the token with which it may join, and its package, if it has not.
pub(crate) fn insert(
    db: &Db<'_>,
    server: &Server,
    join: Option<(&[u8; 32], &[u8])>,
) -> Result<(), StoreError> {
    let (token, package) = join.unzip();
    db.execute(
        "INSERT INTO fleet_server (id, name, addresses, added_at, joined_at, token, token_until, package)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        values![
            &server.id,
            &server.name,
            server.addresses.join(","),
            server.added_at,
            server.joined_at,
            token,
            server.token_until,
            package
        ],
    )?;
    Ok(())
}

/// The package of the server that may join with this token.
pub(crate) fn package(db: &Db<'_>, token: &[u8; 32]) -> Result<Option<Vec<u8>>, StoreError> {
    let sql = "SELECT package FROM fleet_server WHERE token = ?1";
    let found = db.query_opt(sql, values![token], |row| row.get("package"))?;
    Ok(found.flatten())
}

/// Takes token and package of the server, if the token is still the one with which it may join. Says whether it was: of any
/// number of transactions with one token, one gets `true`.
pub(crate) fn join(db: &Db<'_>, token: &[u8; 32], now: Timestamp) -> Result<bool, StoreError> {
    let joined = db.execute(
        "UPDATE fleet_server SET token = NULL, token_until = NULL, package = NULL, joined_at = ?2
         WHERE token = ?1 AND token_until > ?2",
        values![token, now],
    )?;
    Ok(joined == 1)
}

/// Gives the server a token with which it may join, once more, and its package.
pub(crate) fn set_token(
    db: &Db<'_>,
    id: &str,
    (token, package): (&[u8; 32], &[u8]),
    until: Timestamp,
) -> Result<(), StoreError> {
    let sql = "UPDATE fleet_server SET token = ?2, token_until = ?3, package = ?4 WHERE id = ?1";
    db.execute(sql, values![id, token, until, package])
        .map(drop)
}

pub(crate) fn delete(db: &Db<'_>, id: &str) -> Result<(), StoreError> {
    db.execute("DELETE FROM fleet_server WHERE id = ?1", values![id])?;
    Ok(())
}

/// Notes that the server was seen, which sealing keys it has, and its counters, if they are given, as JSON.
pub(crate) fn set_seen(
    db: &Db<'_>,
    id: &str,
    now: Timestamp,
    keys: &[u32],
    counters: Option<&str>,
) -> Result<(), StoreError> {
    let keys: Vec<_> = keys.iter().map(ToString::to_string).collect();
    let sql =
        "UPDATE fleet_server SET seen_at = ?2, sealing_keys = ?3, counters = coalesce(?4, counters)
               WHERE id = ?1";
    db.execute(sql, values![id, now, keys.join(","), counters])?;
    Ok(())
}

fn server(row: &Row<'_>) -> Result<Server, StoreError> {
    Ok(Server {
        id: row.get("id")?,
        name: row.get("name")?,
        addresses: split(&row.get::<String>("addresses")?),
        added_at: row.get("added_at")?,
        joined_at: row.get("joined_at")?,
        token_until: row.get("token_until")?,
        seen_at: row.get("seen_at")?,
        keys: split(
            &row.get::<Option<String>>("sealing_keys")?
                .unwrap_or_default(),
        )
        .iter()
        .filter_map(|number| number.parse().ok())
        .collect(),
        // What a later version wrote is no reason not to show the server.
        counters: row
            .get::<Option<String>>("counters")?
            .and_then(|counters| serde_json::from_str(&counters).ok()),
    })
}
