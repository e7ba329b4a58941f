//! On a server: the rescue codes of hosts. The table `rescue_set`.

use twofa_core::Timestamp;
use twofa_core::backup::{Cost, DIGEST_BYTES};
use twofa_core::rescue::RescueSet;

use super::{Db, Row, values};
use crate::error::StoreError;

/// A set of codes, as it is stored.
#[derive(Debug)]
pub(crate) struct RescueRecord {
    pub set: RescueSet,
    /// The codes, sealed.
    pub codes: Vec<u8>,
    pub made_at: Timestamp,
    /// When the host said that it has the set; `None`: it may be on its way.
    pub confirmed_at: Option<Timestamp>,
    /// So many of the codes were shown, from the first one on.
    pub shown: u32,
    /// The last of them.
    pub shown_at: Option<Timestamp>,
    /// When the host said that one was used.
    pub used_at: Option<Timestamp>,
}

/// A sealed value, with its place.
pub(crate) struct SealedCodes {
    pub number: i64,
    pub host: String,
    pub sealed: Vec<u8>,
}

/// The sets of the host with this id: one that it has confirmed, and one that may be on its way.
pub(crate) fn of_host(db: &Db<'_>, host: &str) -> Result<Vec<RescueRecord>, StoreError> {
    let sql = "SELECT number, salt, memory_kib, passes, codes, digests, made_at, confirmed_at, shown, shown_at, used_at
               FROM rescue_set WHERE host = ?1 ORDER BY made_at, number";
    db.query_all(sql, values![host], |row| {
        Ok(RescueRecord {
            set: set(row)?,
            codes: row.get("codes")?,
            made_at: row.get("made_at")?,
            confirmed_at: row.get("confirmed_at")?,
            shown: row.get("shown")?,
            shown_at: row.get("shown_at")?,
            used_at: row.get("used_at")?,
        })
    })
}

/// A set in a row of `rescue_set` or `own_rescue_set`.
pub(super) fn set(row: &Row<'_>) -> Result<RescueSet, StoreError> {
    let digests: Vec<u8> = row.get("digests")?;
    let (digests, []) = digests.as_chunks::<DIGEST_BYTES>() else {
        return Err(StoreError::wrong_type());
    };
    Ok(RescueSet {
        number: row.get("number")?,
        salt: row.get("salt")?,
        cost: Cost {
            memory_kib: row.get("memory_kib")?,
            passes: row.get("passes")?,
        },
        digests: digests.to_vec(),
    })
}

/// Adds a set that the host does not have yet.
pub(crate) fn insert(
    db: &Db<'_>,
    host: &str,
    set: &RescueSet,
    codes: &[u8],
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql =
        "INSERT INTO rescue_set (number, host, salt, memory_kib, passes, codes, digests, made_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let Cost { memory_kib, passes } = set.cost;
    let digests = set.digests.concat();
    let values = values![
        set.number, host, set.salt, memory_kib, passes, codes, digests, now
    ];
    db.execute(sql, values).map(drop)
}

pub(crate) fn delete(db: &Db<'_>, number: i64) -> Result<(), StoreError> {
    db.execute("DELETE FROM rescue_set WHERE number = ?1", values![number])
        .map(drop)
}

pub(crate) fn set_confirmed(db: &Db<'_>, number: i64, now: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE rescue_set SET confirmed_at = ?2 WHERE number = ?1";
    db.execute(sql, values![number, now]).map(drop)
}

/// Notes that one more of the codes is shown, of which `shown` were. Says whether it was so: of any number of transactions that
/// show one code, one gets `true`.
pub(crate) fn set_shown(
    db: &Db<'_>,
    number: i64,
    shown: u32,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let sql =
        "UPDATE rescue_set SET shown = shown + 1, shown_at = ?3 WHERE number = ?1 AND shown = ?2";
    Ok(db.execute(sql, values![number, shown, now])? == 1)
}

pub(crate) fn set_used(db: &Db<'_>, number: i64, now: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE rescue_set SET used_at = ?2 WHERE number = ?1 AND used_at IS NULL";
    db.execute(sql, values![number, now]).map(drop)
}

/// Up to `many` sealed values, of sets after the number `after`.
pub(crate) fn sealed(db: &Db<'_>, after: i64, many: u32) -> Result<Vec<SealedCodes>, StoreError> {
    let sql =
        "SELECT number, host, codes FROM rescue_set WHERE number > ?1 ORDER BY number LIMIT ?2";
    db.query_all(sql, values![after, many], |row| {
        Ok(SealedCodes {
            number: row.get("number")?,
            host: row.get("host")?,
            sealed: row.get("codes")?,
        })
    })
}

/// Puts `sealed` in the place of `before`, if that is still there. Says whether it was.
pub(crate) fn replace_sealed(
    db: &Db<'_>,
    number: i64,
    before: &[u8],
    sealed: &[u8],
) -> Result<bool, StoreError> {
    let sql = "UPDATE rescue_set SET codes = ?3 WHERE number = ?1 AND codes = ?2";
    Ok(db.execute(sql, values![number, before, sealed])? == 1)
}
