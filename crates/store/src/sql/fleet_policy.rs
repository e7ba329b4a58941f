//! The number of the rules, and a host's copy of its fleet's: the tables `policy_version` and `fleet_policy`.

use twofa_core::Timestamp;

use super::row_hashes::NO_HASH;
use super::{Db, values};
use crate::error::StoreError;

/// The rules of its fleet that a host was last given by a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownFleetPolicy {
    /// Their version.
    pub version: i64,
    /// Since when they are in force here.
    pub since: Timestamp,
    /// The rules, as [`twofa_core::FleetPolicy::write`] writes them.
    pub text: String,
}

/// The number of the policy and the classes, with the hash that covers those of all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HashedVersion {
    pub version: i64,
    pub hash: Vec<u8>,
}

/// [`version`], with its hash.
pub(crate) fn hashed_version(db: &Db<'_>) -> Result<HashedVersion, StoreError> {
    let sql = "SELECT version, seal FROM policy_version";
    db.query_one(sql, values![], |row| {
        Ok(HashedVersion {
            version: row.get("version")?,
            hash: row.get("seal")?,
        })
    })
}

/// The number of the policy and the classes.
pub(crate) fn version(db: &Db<'_>) -> Result<i64, StoreError> {
    let sql = "SELECT version FROM policy_version";
    db.query_one(sql, values![], |row| row.get("version"))
}

/// Gives the policy and the classes another number, which is greater, and not less than the time: after a backup is restored,
/// too, the next change has a number that no host has seen. It gets its hash afterwards.
pub(crate) fn raise_version(db: &Db<'_>, now: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE policy_version SET version = CASE WHEN version >= ?1 THEN version + 1 ELSE ?1 END, seal = ?2";
    db.execute(sql, values![now.unix(), NO_HASH]).map(drop)
}

/// The rules that this host was last given.
pub(crate) fn known(db: &Db<'_>) -> Result<Option<KnownFleetPolicy>, StoreError> {
    let sql = "SELECT version, since, rules FROM fleet_policy";
    db.query_opt(sql, values![], |row| {
        Ok(KnownFleetPolicy {
            version: row.get("version")?,
            since: row.get("since")?,
            text: row.get("rules")?,
        })
    })
}

pub(crate) fn set_known(db: &Db<'_>, policy: &KnownFleetPolicy) -> Result<(), StoreError> {
    delete_known(db)?;
    db.execute(
        "INSERT INTO fleet_policy (id, version, since, rules) VALUES (1, ?1, ?2, ?3)",
        values![policy.version, policy.since, &policy.text],
    )?;
    Ok(())
}

pub(crate) fn delete_known(db: &Db<'_>) -> Result<(), StoreError> {
    db.execute("DELETE FROM fleet_policy", values![]).map(drop)
}
