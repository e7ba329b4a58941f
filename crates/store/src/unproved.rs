//! Attempts of people who may not have shown the first factor: a throttle of their own.

use rusqlite::{OptionalExtension, Transaction};
use twofa_core::Timestamp;
use twofa_core::lockout::Throttle;

use crate::error::StoreError;

pub(crate) fn load(db: &Transaction<'_>, user: i64) -> Result<Throttle, StoreError> {
    let mut statement =
        db.prepare_cached("SELECT counted, forgiven, locked_until FROM unproved WHERE user = ?1")?;
    let throttle = statement
        .query_row([user], |row| {
            Ok(Throttle {
                attempts: row.get(0)?,
                cleared_through: row.get(1)?,
                locked_until: row.get::<_, Option<i64>>(2)?.map(Timestamp::from_unix),
            })
        })
        .optional()?;
    Ok(throttle.unwrap_or_default())
}

pub(crate) fn save(db: &Transaction<'_>, user: i64, throttle: Throttle) -> Result<(), StoreError> {
    let until = throttle.locked_until.map(Timestamp::unix);
    db.prepare_cached(
        "INSERT OR REPLACE INTO unproved (user, counted, forgiven, locked_until) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute((user, throttle.attempts, throttle.cleared_through, until))?;
    Ok(())
}
