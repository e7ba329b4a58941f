//! Backup codes that were not used yet: the tables `backup_set` and `backup_code`.

use twofa_core::Account;
use twofa_core::backup::{BackupSet, Cost, DIGEST_BYTES};

use super::{Ahead, Db, account_of, values};
use crate::error::StoreError;

/// The users who have backup codes.
pub(crate) fn owners(db: &Db<'_>) -> Result<Vec<Account>, StoreError> {
    let sql =
        "SELECT name, uid FROM user WHERE id IN (SELECT user FROM backup_code) ORDER BY name, uid";
    db.query_all(sql, values![], account_of)
}

const FIND: &str = "SELECT salt, memory_kib, passes, digest
                    FROM backup_set LEFT JOIN backup_code ON backup_code.user = backup_set.user
                    WHERE backup_set.user = (SELECT id FROM user WHERE name = ?1 AND uid = ?2)";

/// [`find`], to be asked later.
pub(crate) fn find_ahead(account: &Account) -> Ahead {
    Ahead::new(FIND, values![account.name, account.uid])
}

pub(crate) fn find(db: &Db<'_>, account: &Account) -> Result<Option<BackupSet>, StoreError> {
    let mut found: Option<BackupSet> = None;
    db.each_of_few(FIND, values![account.name, account.uid], |row| {
        let set = match &mut found {
            Some(set) => set,
            None => found.insert(BackupSet {
                salt: row.get("salt")?,
                cost: Cost {
                    memory_kib: row.get("memory_kib")?,
                    passes: row.get("passes")?,
                },
                unused: Vec::new(),
            }),
        };
        set.unused
            .extend(row.get::<Option<[u8; DIGEST_BYTES]>>("digest")?);
        Ok(())
    })?;
    Ok(found)
}

/// Adds a set where there is none.
pub(crate) fn insert(db: &Db<'_>, user: i64, set: &BackupSet) -> Result<(), StoreError> {
    let Cost { memory_kib, passes } = set.cost;
    let sql = "INSERT INTO backup_set (user, salt, memory_kib, passes) VALUES (?1, ?2, ?3, ?4)";
    db.execute_later(sql, values![user, set.salt, memory_kib, passes])?;
    let sql = "INSERT INTO backup_code (user, digest) VALUES (?1, ?2)";
    set.unused
        .iter()
        .try_for_each(|digest| db.execute_later(sql, values![user, digest]))
}

/// Removes the set with its codes. Returns whether there was one.
pub(crate) fn delete(db: &Db<'_>, user: i64) -> Result<bool, StoreError> {
    let sql = "DELETE FROM backup_set WHERE user = ?1";
    Ok(db.execute(sql, values![user])? == 1)
}

/// Removes one code. Returns whether it was there: of any number of transactions that use one code, one gets `true`.
pub(crate) fn delete_code(
    db: &Db<'_>,
    user: i64,
    digest: &[u8; DIGEST_BYTES],
) -> Result<bool, StoreError> {
    let sql = "DELETE FROM backup_code WHERE user = ?1 AND digest = ?2";
    Ok(db.execute(sql, values![user, digest])? == 1)
}
