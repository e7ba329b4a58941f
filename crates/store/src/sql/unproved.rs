//! What was done by a person who may not be the user: attempts without a proved first factor, and changes that no code
//! allowed. The tables `unproved` and `unproved_change`.

use rusqlite::OptionalExtension;
use twofa_core::{Account, Throttle, Timestamp};

use super::{Db, optional_timestamp};
use crate::error::StoreError;

/// Attempts on `user` by people who may not have shown the first factor.
pub(crate) fn throttle(db: &Db<'_>, user: i64) -> Result<Throttle, StoreError> {
    let sql = "SELECT attempts, cleared_through, locked_until FROM unproved WHERE user = ?1";
    let throttle = db.prepare_cached(sql)?.query_row([user], |row| {
        Ok(Throttle {
            attempts: row.get("attempts")?,
            cleared_through: row.get("cleared_through")?,
            locked_until: optional_timestamp(row, "locked_until")?,
        })
    });
    Ok(throttle.optional()?.unwrap_or_default())
}

pub(crate) fn save_throttle(db: &Db<'_>, user: i64, throttle: Throttle) -> Result<(), StoreError> {
    let until = throttle.locked_until.map(Timestamp::unix);
    let sql = "INSERT INTO unproved (user, attempts, cleared_through, locked_until) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (user) DO UPDATE SET attempts = excluded.attempts,
                   cleared_through = excluded.cleared_through, locked_until = excluded.locked_until";
    db.prepare_cached(sql)?
        .execute((user, throttle.attempts, throttle.cleared_through, until))?;
    Ok(())
}

/// Makes what is said to have been changed after `now` a change of now.
pub(crate) fn pull_changes_back(db: &Db<'_>, now: Timestamp) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE unproved_change SET at = ?1 WHERE at > ?1")?
        .execute([now.unix()])?;
    Ok(())
}

/// Forgets the changes up to `until`.
pub(crate) fn delete_changes(db: &Db<'_>, until: Timestamp) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM unproved_change WHERE at <= ?1")?
        .execute([until.unix()])?;
    Ok(())
}

/// How many changes of `account` there are, and when the oldest was.
pub(crate) fn count_changes(
    db: &Db<'_>,
    account: &Account,
) -> Result<(u32, Option<Timestamp>), StoreError> {
    let sql = "SELECT count(*) AS changes, min(at) AS oldest FROM unproved_change WHERE name = ?1 AND uid = ?2";
    Ok(db
        .prepare_cached(sql)?
        .query_one((&account.name, account.uid), |row| {
            Ok((row.get("changes")?, optional_timestamp(row, "oldest")?))
        })?)
}

pub(crate) fn insert_change(
    db: &Db<'_>,
    account: &Account,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO unproved_change (at, name, uid) VALUES (?1, ?2, ?3)";
    db.prepare_cached(sql)?
        .execute((now.unix(), &account.name, account.uid))?;
    Ok(())
}
