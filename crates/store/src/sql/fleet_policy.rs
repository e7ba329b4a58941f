//! The number of the rules, and a host's copy of its fleet's: the tables `policy_version` and `fleet_policy`.

use twofa_core::Timestamp;

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

/// The number of the policy and the classes.
pub(crate) fn version(db: &Db<'_>) -> Result<i64, StoreError> {
    let sql = "SELECT version FROM policy_version";
    db.query_one(sql, values![], |row| row.get("version"))
}

/// Gives the policy and the classes another number, which is greater, and not less than the time: after a backup is restored,
/// too, the next change has a number that no host has seen.
pub(crate) fn raise_version(db: &Db<'_>, now: Timestamp) -> Result<(), StoreError> {
    let sql =
        "UPDATE policy_version SET version = CASE WHEN version >= ?1 THEN version + 1 ELSE ?1 END";
    db.execute(sql, values![now.unix()]).map(drop)
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
