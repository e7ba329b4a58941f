//! What hosts of the fleet asked about and got wrong: the table `host_person`, and columns of `host` and `host_attempts`.

use twofa_core::{Account, Timestamp};

use super::{Ahead, Db, account_of, values};
use crate::error::StoreError;

const ASKED_AT: &str = "SELECT asked_at FROM host_person
                        WHERE host = (SELECT id FROM host WHERE key = ?1 OR previous_key = ?1) AND name = ?2 AND uid = ?3";

/// [`asked_at`], to be asked later.
pub(crate) fn asked_at_ahead(key: &[u8; 32], account: &Account) -> Ahead {
    Ahead::new(ASKED_AT, values![key, &account.name, account.uid])
}

/// When the host whose certificate has this key first asked about `account`, unless that was forgotten.
pub(crate) fn asked_at(
    db: &Db<'_>,
    key: &[u8; 32],
    account: &Account,
) -> Result<Option<Timestamp>, StoreError> {
    db.query_opt(ASKED_AT, values![key, &account.name, account.uid], |row| {
        row.get("asked_at")
    })
}

/// Notes that the host `id` asks about `account` now.
pub(crate) fn note_asked(
    db: &Db<'_>,
    id: &str,
    account: &Account,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO host_person (host, name, uid, asked_at) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (host, name, uid) DO UPDATE SET asked_at = excluded.asked_at";
    db.execute(sql, values![id, &account.name, account.uid, now])?;
    Ok(())
}

/// Forgets whom the host `id` asked about until `until`.
pub(crate) fn forget_asked(db: &Db<'_>, id: &str, until: Timestamp) -> Result<(), StoreError> {
    let sql = "DELETE FROM host_person WHERE host = ?1 AND asked_at <= ?2";
    db.execute(sql, values![id, until])?;
    Ok(())
}

/// How many people the host `id` has asked about, as far as that is not forgotten.
pub(crate) fn count_asked(db: &Db<'_>, id: &str) -> Result<u64, StoreError> {
    let sql = "SELECT count(*) AS people FROM host_person WHERE host = ?1";
    db.query_one(sql, values![id], |row| row.get("people"))
}

/// Whether a code of `account` was ever right on the host `id`.
pub(crate) fn has_passed(db: &Db<'_>, id: &str, account: &Account) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM host_attempts JOIN user ON user.id = host_attempts.user
               WHERE host = ?1 AND name = ?2 AND uid = ?3 AND host_attempts.passed_at IS NOT NULL";
    db.exists(sql, values![id, &account.name, account.uid])
}

/// The accounts of which a code was ever right on the host `id`, `limit` at most.
pub(crate) fn passed_on(db: &Db<'_>, id: &str, limit: u32) -> Result<Vec<Account>, StoreError> {
    let sql = "SELECT name, uid FROM user WHERE id IN (
                   SELECT user FROM host_attempts WHERE host = ?1 AND passed_at IS NOT NULL)
               ORDER BY name, uid LIMIT ?2";
    db.query_all(sql, values![id, limit], account_of)
}

/// For how many people wrong codes came from the host `id` after `since`, with no right one after them.
pub(crate) fn count_wrong(db: &Db<'_>, id: &str, since: Timestamp) -> Result<u64, StoreError> {
    let sql = "SELECT count(*) AS people FROM host_attempts
               WHERE host = ?1 AND wrong_at > ?2 AND attempts > cleared_through";
    db.query_one(sql, values![id, since], |row| row.get("people"))
}

/// Notes that the host `id` is cut off.
pub(crate) fn cut_off(db: &Db<'_>, id: &str, now: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE host SET cut_off_at = ?2 WHERE id = ?1";
    db.execute(sql, values![id, now])?;
    Ok(())
}

/// Notes that the host `id` is not cut off any longer.
pub(crate) fn unlock(db: &Db<'_>, id: &str, now: Timestamp) -> Result<(), StoreError> {
    let sql =
        "UPDATE host SET cut_off_at = NULL, people_alarm_at = NULL, unlocked_at = ?2 WHERE id = ?1";
    db.execute(sql, values![id, now])?;
    db.execute("DELETE FROM host_person WHERE host = ?1", values![id])?;
    Ok(())
}

/// Notes that the host `id` asks about too many people, unless that was noted after `since`. Says whether it was not.
pub(crate) fn raise_alarm(
    db: &Db<'_>,
    id: &str,
    since: Timestamp,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let sql = "UPDATE host SET people_alarm_at = ?3
               WHERE id = ?1 AND (people_alarm_at IS NULL OR people_alarm_at <= ?2)";
    Ok(db.execute(sql, values![id, since, now])? == 1)
}
