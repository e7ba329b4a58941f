//! Invitations: the table `invitation`.

use twofa_core::Timestamp;

use super::{Db, values};
use crate::error::StoreError;

/// An invitation on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Invitation {
    pub digest: [u8; 32],
    pub until: Timestamp,
    /// When the user set up a first method; `None`: not yet.
    pub used_at: Option<Timestamp>,
}

pub(crate) fn find(db: &Db<'_>, user: i64) -> Result<Option<Invitation>, StoreError> {
    let sql = "SELECT digest, until, used_at FROM invitation WHERE user = ?1";
    db.query_opt(sql, values![user], |row| {
        Ok(Invitation {
            digest: row.get("digest")?,
            until: row.get("until")?,
            used_at: row.get("used_at")?,
        })
    })
}

/// Puts an invitation in the place of the user's last one.
pub(crate) fn save(
    db: &Db<'_>,
    user: i64,
    invitation: Invitation,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO invitation (user, digest, made_at, until, used_at) VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT (user) DO UPDATE SET digest = excluded.digest, made_at = excluded.made_at,
                   until = excluded.until, used_at = excluded.used_at";
    let Invitation {
        digest,
        until,
        used_at,
    } = invitation;
    db.execute(sql, values![user, &digest, now, until, used_at])?;
    Ok(())
}

/// Notes that the user has set up a first method, so that an invitation is used up.
pub(crate) fn use_up(db: &Db<'_>, user: i64, now: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE invitation SET used_at = ?2 WHERE user = ?1 AND used_at IS NULL";
    db.execute(sql, values![user, now])?;
    Ok(())
}
