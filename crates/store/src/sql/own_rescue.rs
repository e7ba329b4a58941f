//! On a host: the hashes of its rescue codes. The tables `own_rescue_set`, `own_rescue_guard` and `own_rescue_use`.

use twofa_core::backup::Cost;
use twofa_core::rescue::RescueSet;
use twofa_core::{Account, Timestamp};

use super::{Db, account_of, rescue, values};
use crate::error::StoreError;

/// A set of hashes, and which of its codes were used: one bit for each, the lowest for the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnSet {
    pub set: RescueSet,
    pub used: u64,
}

/// A use of a code of which servers do not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UseRecord {
    pub id: i64,
    pub account: Account,
    pub service: String,
    pub at: Timestamp,
}

/// The sets, the newest last.
pub(crate) fn sets(db: &Db<'_>) -> Result<Vec<OwnSet>, StoreError> {
    let sql =
        "SELECT number, salt, memory_kib, passes, digests, used FROM own_rescue_set ORDER BY id";
    db.query_all(sql, values![], |row| {
        Ok(OwnSet {
            set: rescue::set(row)?,
            used: row.get("used")?,
        })
    })
}

/// Adds a set, unless it is there.
pub(crate) fn insert(db: &Db<'_>, set: &RescueSet) -> Result<(), StoreError> {
    let sql = "INSERT INTO own_rescue_set (number, salt, memory_kib, passes, digests) VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT (number) DO NOTHING";
    let Cost { memory_kib, passes } = set.cost;
    let digests = set.digests.concat();
    let values = values![set.number, set.salt, memory_kib, passes, digests];
    db.execute(sql, values).map(drop)
}

/// Removes all sets but the one of this number. Says whether there were any.
pub(crate) fn delete_others(db: &Db<'_>, number: i64) -> Result<bool, StoreError> {
    let sql = "DELETE FROM own_rescue_set WHERE number <> ?1";
    Ok(db.execute(sql, values![number])? > 0)
}

/// Marks a code used. Says whether it was unused: of any number of transactions that use one code, one gets `true`.
pub(crate) fn mark_used(db: &Db<'_>, number: i64, position: u32) -> Result<bool, StoreError> {
    let bit = 1_u64.checked_shl(position).unwrap_or_default();
    let sql = "UPDATE own_rescue_set SET used = used | ?2 WHERE number = ?1 AND (used & ?2) = 0";
    Ok(bit != 0 && db.execute(sql, values![number, bit])? == 1)
}

/// How many wrong codes there were for `account`.
pub(crate) fn wrong(db: &Db<'_>, account: &Account) -> Result<u32, StoreError> {
    let sql = "SELECT wrong FROM own_rescue_guard WHERE name = ?1 AND uid = ?2";
    let found = db.query_opt(sql, values![account.name, account.uid], |row| {
        row.get("wrong")
    })?;
    Ok(found.unwrap_or_default())
}

/// Counts a wrong code for `account`, unless there were `most`. Says whether it did: of any number of transactions, no more
/// than `most` get `true`.
pub(crate) fn count_wrong(db: &Db<'_>, account: &Account, most: u32) -> Result<bool, StoreError> {
    let sql = "INSERT INTO own_rescue_guard (name, uid, wrong) VALUES (?1, ?2, 1)
               ON CONFLICT (name, uid) DO UPDATE SET wrong = own_rescue_guard.wrong + 1 WHERE own_rescue_guard.wrong < ?3";
    Ok(db.execute(sql, values![account.name, account.uid, most])? == 1)
}

/// Takes one back that turned out to be right.
pub(crate) fn forgive(db: &Db<'_>, account: &Account) -> Result<(), StoreError> {
    let sql =
        "UPDATE own_rescue_guard SET wrong = wrong - 1 WHERE name = ?1 AND uid = ?2 AND wrong > 0";
    db.execute(sql, values![account.name, account.uid])
        .map(drop)
}

/// Whether there were `most` wrong codes for any account.
pub(crate) fn is_any_locked(db: &Db<'_>, most: u32) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM own_rescue_guard WHERE wrong >= ?1 LIMIT 1";
    db.exists(sql, values![most])
}

pub(crate) fn clear_wrong(db: &Db<'_>) -> Result<(), StoreError> {
    db.execute("DELETE FROM own_rescue_guard", values![])
        .map(drop)
}

/// Uses of which servers do not know, oldest first, `limit` at most.
pub(crate) fn uses(db: &Db<'_>, limit: u32) -> Result<Vec<UseRecord>, StoreError> {
    let sql = "SELECT id, name, uid, service, at FROM own_rescue_use ORDER BY id LIMIT ?1";
    db.query_all(sql, values![limit], |row| {
        Ok(UseRecord {
            id: row.get("id")?,
            account: account_of(row)?,
            service: row.get("service")?,
            at: row.get("at")?,
        })
    })
}

pub(crate) fn insert_use(
    db: &Db<'_>,
    account: &Account,
    service: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO own_rescue_use (name, uid, service, at) VALUES (?1, ?2, ?3, ?4)";
    db.execute(sql, values![account.name, account.uid, service, now])
        .map(drop)
}

pub(crate) fn delete_use(db: &Db<'_>, id: i64) -> Result<(), StoreError> {
    db.execute("DELETE FROM own_rescue_use WHERE id = ?1", values![id])
        .map(drop)
}

/// Removes everything, when the host leaves its fleet.
pub(crate) fn forget(db: &Db<'_>) -> Result<(), StoreError> {
    db.execute("DELETE FROM own_rescue_set", values![])?;
    db.execute("DELETE FROM own_rescue_use", values![])?;
    clear_wrong(db)
}
