//! Keys in FIDO2 authenticators: the table `security_key`.

use twofa_core::Timestamp;
use twofa_core::user::SecurityKey;

use super::{Db, optional_timestamp, timestamp};
use crate::error::StoreError;

/// The keys of `user` in the order in which they were enrolled.
pub(crate) fn all(db: &Db<'_>, user: i64) -> Result<Vec<SecurityKey>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT id, label, identity, fingerprint, enrolled_at, confirmed_at, without_touch FROM security_key
         WHERE user = ?1 ORDER BY id",
    )?;
    let keys = statement.query_map([user], |row| {
        Ok(SecurityKey {
            id: row.get("id")?,
            label: row.get("label")?,
            identity: row.get("identity")?,
            fingerprint: row.get("fingerprint")?,
            enrolled_at: timestamp(row, "enrolled_at")?,
            confirmed_at: optional_timestamp(row, "confirmed_at")?,
            without_touch: row.get("without_touch")?,
        })
    })?;
    Ok(keys.collect::<Result<_, _>>()?)
}

/// Adds `key`, whose id is chosen here.
pub(crate) fn insert(db: &Db<'_>, user: i64, key: &SecurityKey) -> Result<(), StoreError> {
    let SecurityKey {
        id: _,
        label,
        identity,
        fingerprint,
        enrolled_at,
        confirmed_at,
        without_touch,
    } = key;
    let sql = "INSERT INTO security_key (user, label, identity, fingerprint, enrolled_at, confirmed_at, without_touch)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    db.prepare_cached(sql)?.execute((
        user,
        label,
        identity,
        fingerprint,
        enrolled_at.unix(),
        confirmed_at.map(Timestamp::unix),
        without_touch,
    ))?;
    Ok(())
}

/// Notes that sshd proved that the user holds the key, if it is the first time.
pub(crate) fn set_confirmed(db: &Db<'_>, id: i64, now: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE security_key SET confirmed_at = ?2 WHERE id = ?1 AND confirmed_at IS NULL";
    db.prepare_cached(sql)?.execute((id, now.unix()))?;
    Ok(())
}

/// Returns whether there was such a key.
pub(crate) fn delete(db: &Db<'_>, user: i64, label: &str) -> Result<bool, StoreError> {
    let sql = "DELETE FROM security_key WHERE user = ?1 AND label = ?2";
    Ok(db.prepare_cached(sql)?.execute((user, label))? == 1)
}

/// Returns whether there were any.
pub(crate) fn delete_all(db: &Db<'_>, user: i64) -> Result<bool, StoreError> {
    let sql = "DELETE FROM security_key WHERE user = ?1";
    Ok(db.prepare_cached(sql)?.execute([user])? > 0)
}
