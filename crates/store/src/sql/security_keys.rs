//! Keys in FIDO2 authenticators: the table `security_key`.

use twofa_core::user::SecurityKey;
use twofa_core::{Account, Timestamp};

use super::{Ahead, Db, values};
use crate::error::StoreError;

const ALL: &str = "SELECT id, label, identity, fingerprint, enrolled_at, confirmed_at, without_touch FROM security_key
                   WHERE user = (SELECT id FROM user WHERE name = ?1 AND uid = ?2) ORDER BY id";

/// [`all`], to be asked later.
pub(crate) fn all_ahead(account: &Account) -> Ahead {
    Ahead::new(ALL, values![account.name, account.uid])
}

/// The keys of `account` in the order in which they were enrolled.
pub(crate) fn all(db: &Db<'_>, account: &Account) -> Result<Vec<SecurityKey>, StoreError> {
    db.query_all(ALL, values![account.name, account.uid], |row| {
        Ok(SecurityKey {
            id: row.get("id")?,
            label: row.get("label")?,
            identity: row.get("identity")?,
            fingerprint: row.get("fingerprint")?,
            enrolled_at: row.get("enrolled_at")?,
            confirmed_at: row.get("confirmed_at")?,
            without_touch: row.get("without_touch")?,
        })
    })
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
    db.execute_later(
        sql,
        values![
            user,
            label,
            identity,
            fingerprint,
            enrolled_at,
            confirmed_at,
            without_touch
        ],
    )
}

/// Notes that sshd proved that the user holds the key, if it is the first time.
pub(crate) fn set_confirmed(db: &Db<'_>, id: i64, now: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE security_key SET confirmed_at = ?2 WHERE id = ?1 AND confirmed_at IS NULL";
    db.execute(sql, values![id, now])?;
    Ok(())
}

/// Returns whether there was such a key.
pub(crate) fn delete(db: &Db<'_>, user: i64, label: &str) -> Result<bool, StoreError> {
    let sql = "DELETE FROM security_key WHERE user = ?1 AND label = ?2";
    Ok(db.execute(sql, values![user, label])? == 1)
}

/// Returns whether there were any.
pub(crate) fn delete_all(db: &Db<'_>, user: i64) -> Result<bool, StoreError> {
    let sql = "DELETE FROM security_key WHERE user = ?1";
    Ok(db.execute(sql, values![user])? > 0)
}
