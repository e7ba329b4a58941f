//! Sealed values, whatever they are, and the number of the key that seals: the table `sealing_key`.

use twofa_core::Account;

use super::{Db, Sql, account_of, values};
use crate::error::StoreError;

/// The number of the key that seals from now on. In a change, it stays that until the change ends.
pub(crate) fn in_force(db: &Db<'_>) -> Result<u32, StoreError> {
    let number = "SELECT number FROM sealing_key";
    // Transactions that seal do not wait for each other; one that changes the number waits for them.
    let sql = Sql::new(number, "SELECT number FROM sealing_key FOR SHARE");
    db.query_one(sql, values![], |row| row.get("number"))
}

/// The same where nothing is sealed.
pub(crate) fn look(db: &Db<'_>) -> Result<u32, StoreError> {
    let sql = "SELECT number FROM sealing_key";
    db.query_one(sql, values![], |row| row.get("number"))
}

/// Has the key of this number seal from now on. Waits for all changes that seal with another.
pub(crate) fn set_in_force(db: &Db<'_>, number: u32) -> Result<(), StoreError> {
    let sql = "UPDATE sealing_key SET number = ?1";
    db.execute(sql, values![number]).map(drop)
}

/// A sealed key of an app, with its row and owner.
#[derive(Debug)]
pub(crate) struct SealedKey {
    pub row: i64,
    pub owner: Account,
    pub sealed: Vec<u8>,
}

/// Up to `many` keys of enrolled apps in rows after `after`.
pub(crate) fn apps(db: &Db<'_>, after: i64, many: u32) -> Result<Vec<SealedKey>, StoreError> {
    let sql = "SELECT app.id AS id, app.key AS key, user.name AS name, user.uid AS uid
               FROM app JOIN user ON user.id = app.user WHERE app.id > ?1 ORDER BY app.id LIMIT ?2";
    keys(db, sql, after, many)
}

/// Up to `many` keys of pending apps, of users after `after`.
pub(crate) fn pending(db: &Db<'_>, after: i64, many: u32) -> Result<Vec<SealedKey>, StoreError> {
    let sql = "SELECT user.id AS id, pending_app.key AS key, user.name AS name, user.uid AS uid
               FROM pending_app JOIN user ON user.id = pending_app.user
               WHERE user.id > ?1 ORDER BY user.id LIMIT ?2";
    keys(db, sql, after, many)
}

fn keys(db: &Db<'_>, sql: &str, after: i64, many: u32) -> Result<Vec<SealedKey>, StoreError> {
    db.query_all(sql, values![after, many], |row| {
        Ok(SealedKey {
            row: row.get("id")?,
            owner: account_of(row)?,
            sealed: row.get("key")?,
        })
    })
}

/// Puts `sealed` in the place of `before`, if that is still there. Says whether it was.
pub(crate) fn replace_app(
    db: &Db<'_>,
    id: i64,
    before: &[u8],
    sealed: &[u8],
) -> Result<bool, StoreError> {
    let sql = "UPDATE app SET key = ?3 WHERE id = ?1 AND key = ?2";
    Ok(db.execute(sql, values![id, before, sealed])? == 1)
}

/// The same for a pending app.
pub(crate) fn replace_pending(
    db: &Db<'_>,
    user: i64,
    before: &[u8],
    sealed: &[u8],
) -> Result<bool, StoreError> {
    let sql = "UPDATE pending_app SET key = ?3 WHERE user = ?1 AND key = ?2";
    Ok(db.execute(sql, values![user, before, sealed])? == 1)
}

/// A sealed setting: its provider, its name and its value. There are few.
pub(crate) fn settings(db: &Db<'_>) -> Result<Vec<(i64, String, Vec<u8>)>, StoreError> {
    let sql = "SELECT provider, key, sealed FROM provider_setting WHERE sealed IS NOT NULL ORDER BY provider, key";
    db.query_all(sql, values![], |row| {
        Ok((row.get("provider")?, row.get("key")?, row.get("sealed")?))
    })
}

/// Puts `sealed` in the place of `before`, if that is still there. Says whether it was.
pub(crate) fn replace_setting(
    db: &Db<'_>,
    (provider, name): (i64, &str),
    before: &[u8],
    sealed: &[u8],
) -> Result<bool, StoreError> {
    let sql =
        "UPDATE provider_setting SET sealed = ?4 WHERE provider = ?1 AND key = ?2 AND sealed = ?3";
    Ok(db.execute(sql, values![provider, name, before, sealed])? == 1)
}

/// On a host: the sealed keys of its certificates, by their columns.
pub(crate) fn of_host(db: &Db<'_>) -> Result<Vec<(&'static str, Vec<u8>)>, StoreError> {
    let mut found = Vec::new();
    for column in ["key", "next_key"] {
        let sql = format!("SELECT {column} AS sealed FROM joined_fleet WHERE {column} IS NOT NULL");
        let sealed = db.query_opt(&sql, values![], |row| row.get("sealed"))?;
        found.extend(sealed.map(|sealed| (column, sealed)));
    }
    Ok(found)
}

/// Puts `sealed` in the place of `before` in this column, if that is still there. Says whether it was.
pub(crate) fn replace_of_host(
    db: &Db<'_>,
    column: &'static str,
    before: &[u8],
    sealed: &[u8],
) -> Result<bool, StoreError> {
    let sql = format!("UPDATE joined_fleet SET {column} = ?2 WHERE {column} = ?1");
    Ok(db.execute(&sql, values![before, sealed])? == 1)
}
