//! Keys with which many hosts may join: the table `join_key`, and what it has in the table `host`.

use twofa_core::Timestamp;

use super::fleet::{HostRights, split};
use super::row_hashes::{JOIN_KEY as HASHED, NO_HASH, RowHash};
use super::{Db, Row, values};
use crate::error::StoreError;

/// A key with which many hosts may join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinKey {
    /// Its name.
    pub name: String,
    /// The pattern that the names of its hosts match.
    pub names: String,
    /// What its hosts may do.
    pub rights: HostRights,
    /// How many hosts may join with it.
    pub uses: u64,
    /// How many may within an hour.
    pub hourly: u64,
    /// After so many seconds of silence a host of it is removed; `None`: it never is.
    pub host_lives: Option<u64>,
    /// When it was made.
    pub added_at: Timestamp,
    /// When it ends.
    pub until: Timestamp,
    /// How many hosts have joined with it.
    pub used: u64,
    /// When the last one did; `None`: none has.
    pub used_at: Option<Timestamp>,
}

/// How the host joined that had a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedToken {
    /// The name of the host.
    pub host: String,
    /// When it joined.
    pub at: Timestamp,
    /// The address that it came from.
    pub from: Option<String>,
    /// SHA-256 of the public key of the certificate that it was given.
    pub key: [u8; 32],
}

const JOIN_KEY: &str = "SELECT name, names, services, people, may_enrol, uses, hourly, host_lives, added_at, until, used, used_at,
                               digest, seal FROM join_key";

/// Every key, by name.
pub(crate) fn all(db: &Db<'_>) -> Result<Vec<JoinKey>, StoreError> {
    db.query_all(&format!("{JOIN_KEY} ORDER BY name"), values![], join_key)
}

pub(crate) fn find(db: &Db<'_>, name: &str) -> Result<Option<JoinKey>, StoreError> {
    db.query_opt(
        &format!("{JOIN_KEY} WHERE name = ?1"),
        values![name],
        join_key,
    )
}

/// The key with this SHA-256, with the hash of its row.
pub(crate) fn find_by_digest(
    db: &Db<'_>,
    digest: &[u8; 32],
) -> Result<Option<(JoinKey, RowHash)>, StoreError> {
    let sql = format!("{JOIN_KEY} WHERE digest = ?1");
    db.query_opt(&sql, values![digest], |row| {
        Ok((join_key(row)?, RowHash::of(&HASHED, row)?))
    })
}

/// Adds a key, which gets its hash afterwards.
pub(crate) fn insert(db: &Db<'_>, key: &JoinKey, digest: &[u8; 32]) -> Result<(), StoreError> {
    db.execute(
        "INSERT INTO join_key (name, digest, names, services, people, may_enrol, uses, hourly, host_lives, added_at, until, seal)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        values![
            &key.name,
            digest,
            &key.names,
            key.rights.services.join(","),
            key.rights.people.as_deref(),
            key.rights.may_enrol,
            key.uses,
            key.hourly,
            key.host_lives,
            key.added_at,
            key.until,
            NO_HASH
        ],
    )?;
    Ok(())
}

pub(crate) fn delete(db: &Db<'_>, name: &str) -> Result<(), StoreError> {
    db.execute("DELETE FROM join_key WHERE name = ?1", values![name])?;
    Ok(())
}

/// Counts one more host, if the key lets one join. Says whether it does: of any number of transactions with a key that has one
/// use left, one gets `true`. `an_hour_ago` is an hour before `now`.
pub(crate) fn use_up(
    db: &Db<'_>,
    digest: &[u8; 32],
    now: Timestamp,
    an_hour_ago: Timestamp,
) -> Result<bool, StoreError> {
    let used = db.execute(
        "UPDATE join_key SET used = used + 1, used_at = ?2,
                             hour_used = CASE WHEN hour_at > ?3 THEN hour_used + 1 ELSE 1 END,
                             hour_at = CASE WHEN hour_at > ?3 THEN hour_at ELSE ?2 END
         WHERE digest = ?1 AND used < uses AND until > ?2 AND (hour_at IS NULL OR hour_at <= ?3 OR hour_used < hourly)",
        values![digest, now, an_hour_ago],
    )?;
    Ok(used == 1)
}

/// Notes that the host, which has joined, did so with the key `join_key`, and how long it may be silent.
pub(crate) fn set_origin(
    db: &Db<'_>,
    id: &str,
    join_key: &str,
    lives: Option<u64>,
) -> Result<(), StoreError> {
    let sql = "UPDATE host SET join_key = ?2, lives = ?3, seal = ?4 WHERE id = ?1";
    db.execute(sql, values![id, join_key, lives, NO_HASH])?;
    Ok(())
}

/// Notes how a host has joined just now, with the token that has this SHA-256.
pub(crate) fn set_joined(
    db: &Db<'_>,
    id: &str,
    token: &[u8; 32],
    from: Option<&str>,
    key: &[u8; 32],
) -> Result<(), StoreError> {
    let sql = "UPDATE host SET used_token = ?2, joined_from = ?3, joined_key = ?4 WHERE id = ?1";
    db.execute(sql, values![id, token, from, key])?;
    Ok(())
}

/// How the host joined whose token this was.
pub(crate) fn find_used_token(
    db: &Db<'_>,
    token: &[u8; 32],
) -> Result<Option<UsedToken>, StoreError> {
    let sql = "SELECT name, joined_at, joined_from, joined_key FROM host
               WHERE used_token = ?1 AND join_key IS NULL AND joined_at IS NOT NULL AND joined_key IS NOT NULL";
    db.query_opt(sql, values![token], |row| {
        Ok(UsedToken {
            host: row.get("name")?,
            at: row.get("joined_at")?,
            from: row.get("joined_from")?,
            key: row.get("joined_key")?,
        })
    })
}

/// Notes that the host asked about itself, if it is removed when it is silent.
pub(crate) fn set_heard(db: &Db<'_>, id: &str, now: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE host SET heard_at = ?2 WHERE id = ?1 AND lives IS NOT NULL";
    db.execute(sql, values![id, now])?;
    Ok(())
}

/// A host has been silent for as long as it may when this is true of its row.
const IS_SILENT: &str = "lives IS NOT NULL AND coalesce(joined_at, ?1) <= ?1 - lives AND coalesce(heard_at, 0) <= ?1 - lives
                         AND coalesce(seen_at, 0) <= ?1 - lives";

/// The ids and names of the hosts that have been silent for longer than they may, by name.
pub(crate) fn silent(db: &Db<'_>, now: Timestamp) -> Result<Vec<(String, String)>, StoreError> {
    let sql = format!("SELECT id, name FROM host WHERE {IS_SILENT} ORDER BY name");
    db.query_all(&sql, values![now], |row| {
        Ok((row.get("id")?, row.get("name")?))
    })
}

/// Deletes the host if it is still silent. Says whether it was.
pub(crate) fn delete_silent(db: &Db<'_>, id: &str, now: Timestamp) -> Result<bool, StoreError> {
    let sql = format!("DELETE FROM host WHERE {IS_SILENT} AND id = ?2");
    Ok(db.execute(&sql, values![now, id])? == 1)
}

fn join_key(row: &Row<'_>) -> Result<JoinKey, StoreError> {
    Ok(JoinKey {
        name: row.get("name")?,
        names: row.get("names")?,
        rights: HostRights {
            services: split(&row.get::<String>("services")?),
            people: row.get("people")?,
            may_enrol: row.get("may_enrol")?,
        },
        uses: row.get("uses")?,
        hourly: row.get("hourly")?,
        host_lives: row.get("host_lives")?,
        added_at: row.get("added_at")?,
        until: row.get("until")?,
        used: row.get("used")?,
        used_at: row.get("used_at")?,
    })
}
