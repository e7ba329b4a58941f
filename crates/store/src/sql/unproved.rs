//! What was done by a person who may not be the user: attempts without a proved first factor, and changes that no code
//! allowed. The tables `unproved` and `unproved_change`.

use twofa_core::{Account, Throttle, Timestamp};

use super::{Db, values};
use crate::error::StoreError;

/// Attempts on `user` by people who may not have shown the first factor.
pub(crate) fn throttle(db: &Db<'_>, user: i64) -> Result<Throttle, StoreError> {
    let sql = "SELECT attempts, cleared_through, locked_until FROM unproved WHERE user = ?1";
    let throttle = db.query_opt(sql, values![user], |row| {
        Ok(Throttle {
            attempts: row.get("attempts")?,
            cleared_through: row.get("cleared_through")?,
            locked_until: row.get("locked_until")?,
        })
    });
    Ok(throttle?.unwrap_or_default())
}

pub(crate) fn save_throttle(db: &Db<'_>, user: i64, throttle: Throttle) -> Result<(), StoreError> {
    let until = throttle.locked_until;
    let sql = "INSERT INTO unproved (user, attempts, cleared_through, locked_until) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (user) DO UPDATE SET attempts = excluded.attempts,
                   cleared_through = excluded.cleared_through, locked_until = excluded.locked_until";
    db.execute(
        sql,
        values![user, throttle.attempts, throttle.cleared_through, until],
    )?;
    Ok(())
}

/// Makes what is said to have been changed after `now` a change of now.
pub(crate) fn pull_changes_back(db: &Db<'_>, now: Timestamp) -> Result<(), StoreError> {
    db.execute(
        "UPDATE unproved_change SET at = ?1 WHERE at > ?1",
        values![now],
    )?;
    Ok(())
}

/// Forgets the changes up to `until`.
pub(crate) fn delete_changes(db: &Db<'_>, until: Timestamp) -> Result<(), StoreError> {
    db.execute("DELETE FROM unproved_change WHERE at <= ?1", values![until])?;
    Ok(())
}

/// How many changes of `account` there are, and when the oldest was.
pub(crate) fn count_changes(
    db: &Db<'_>,
    account: &Account,
) -> Result<(u32, Option<Timestamp>), StoreError> {
    let sql = "SELECT count(*) AS changes, min(at) AS oldest FROM unproved_change WHERE name = ?1 AND uid = ?2";
    db.query_one(sql, values![&account.name, account.uid], |row| {
        Ok((row.get("changes")?, row.get("oldest")?))
    })
}

pub(crate) fn insert_change(
    db: &Db<'_>,
    account: &Account,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO unproved_change (at, name, uid) VALUES (?1, ?2, ?3)";
    db.execute(sql, values![now, &account.name, account.uid])?;
    Ok(())
}
