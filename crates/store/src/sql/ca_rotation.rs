//! Rotations of the fleet's certificate authority: the table `ca_rotation`, and who knows of them.

use twofa_core::Timestamp;

use super::{Db, Row, values};
use crate::error::StoreError;

/// A rotation of the fleet's certificate authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaRotation {
    /// Its number.
    pub id: i64,
    /// SHA-256 of the new authority for servers, as hexadecimal digits.
    pub servers: String,
    /// The same of the one for hosts.
    pub hosts: String,
    /// When it began.
    pub started_at: Timestamp,
    /// Since when the new authority signs the certificates of hosts; `None`: servers lack it.
    pub opened_at: Option<Timestamp>,
    /// When it was finished.
    pub finished_at: Option<Timestamp>,
    /// Until when a host that slept can renew a certificate of the old one; `None`: not at all, or it is not finished.
    pub kept_until: Option<Timestamp>,
}

/// What a host that has joined knows of the authorities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostCa {
    /// Its name.
    pub name: String,
    /// When it was last seen.
    pub seen_at: Option<Timestamp>,
    /// The version of the authorities that it knows; `None`: it did not say.
    pub version: Option<i64>,
    /// SHA-256 of the authority that signed the certificate that it last showed; `None`: not known.
    pub issuer: Option<String>,
}

/// The last one.
pub(crate) fn latest(db: &Db<'_>) -> Result<Option<CaRotation>, StoreError> {
    let sql =
        "SELECT id, servers, hosts, started_at, opened_at, finished_at, kept_until FROM ca_rotation
               ORDER BY id DESC LIMIT 1";
    db.query_opt(sql, values![], rotation)
}

/// Adds one that begins at `now`.
pub(crate) fn insert(
    db: &Db<'_>,
    (servers, hosts): (&str, &str),
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO ca_rotation (servers, hosts, started_at) VALUES (?1, ?2, ?3)";
    db.execute(sql, values![servers, hosts, now]).map(drop)
}

/// Says whether it was not open before.
pub(crate) fn set_opened(db: &Db<'_>, id: i64, now: Timestamp) -> Result<bool, StoreError> {
    let sql = "UPDATE ca_rotation SET opened_at = ?2 WHERE id = ?1 AND opened_at IS NULL";
    Ok(db.execute(sql, values![id, now])? == 1)
}

/// Says whether it was not finished before.
pub(crate) fn set_finished(
    db: &Db<'_>,
    id: i64,
    now: Timestamp,
    kept_until: Option<Timestamp>,
) -> Result<bool, StoreError> {
    let sql = "UPDATE ca_rotation SET finished_at = ?2, kept_until = ?3 WHERE id = ?1 AND finished_at IS NULL";
    Ok(db.execute(sql, values![id, now, kept_until])? == 1)
}

/// What each host that has joined knows, by name.
pub(crate) fn hosts(db: &Db<'_>) -> Result<Vec<HostCa>, StoreError> {
    let sql = "SELECT name, seen_at, ca_version, issuer FROM host WHERE joined_at IS NOT NULL ORDER BY name";
    db.query_all(sql, values![], |row| {
        Ok(HostCa {
            name: row.get("name")?,
            seen_at: row.get("seen_at")?,
            version: row.get("ca_version")?,
            issuer: row.get("issuer")?,
        })
    })
}

/// How many hosts have joined.
pub(crate) fn count_hosts(db: &Db<'_>) -> Result<u64, StoreError> {
    let sql = "SELECT count(*) AS many FROM host WHERE joined_at IS NOT NULL";
    db.query_one(sql, values![], |row| row.get("many"))
}

/// Whether the host of this id knows this version, and its certificate is of this issuer.
pub(crate) fn is_noted(
    db: &Db<'_>,
    id: &str,
    version: i64,
    issuer: Option<&str>,
) -> Result<bool, StoreError> {
    let sql = "SELECT ca_version, issuer FROM host WHERE id = ?1";
    let found: Option<(Option<i64>, Option<String>)> = db.query_opt(sql, values![id], |row| {
        Ok((row.get("ca_version")?, row.get("issuer")?))
    })?;
    Ok(found.is_some_and(|(known, of)| known == Some(version) && of.as_deref() == issuer))
}

pub(crate) fn note_host(
    db: &Db<'_>,
    id: &str,
    version: i64,
    issuer: Option<&str>,
) -> Result<(), StoreError> {
    let sql = "UPDATE host SET ca_version = ?2, issuer = ?3 WHERE id = ?1";
    db.execute(sql, values![id, version, issuer]).map(drop)
}

/// The servers that have joined, with SHA-256 of the authorities that each has; empty: not known.
pub(crate) fn servers(db: &Db<'_>) -> Result<Vec<(String, Vec<String>)>, StoreError> {
    let sql = "SELECT name, authorities FROM fleet_server WHERE joined_at IS NOT NULL ORDER BY added_at, name";
    db.query_all(sql, values![], |row| {
        let authorities: Option<String> = row.get("authorities")?;
        Ok((
            row.get("name")?,
            super::fleet::split(&authorities.unwrap_or_default()),
        ))
    })
}

/// Notes which authorities the server of this id has.
pub(crate) fn note_server(db: &Db<'_>, id: &str, authorities: &[String]) -> Result<(), StoreError> {
    let sql = "UPDATE fleet_server SET authorities = ?2 WHERE id = ?1";
    db.execute(sql, values![id, authorities.join(",")])
        .map(drop)
}

fn rotation(row: &Row<'_>) -> Result<CaRotation, StoreError> {
    Ok(CaRotation {
        id: row.get("id")?,
        servers: row.get("servers")?,
        hosts: row.get("hosts")?,
        started_at: row.get("started_at")?,
        opened_at: row.get("opened_at")?,
        finished_at: row.get("finished_at")?,
        kept_until: row.get("kept_until")?,
    })
}
