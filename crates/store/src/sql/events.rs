//! The audit log: the table `event`.

use twofa_core::{Account, Timestamp};

use super::{Db, timestamp};
use crate::error::StoreError;
use crate::event::{LoginOrigin, Missed, Origin, StoredEvent};

/// The kinds that the deletion of old events and [`refused_since`] tell from the others.
const PASSED: &str = "passed";
const REFUSED: &str = "refused";
const CODE_SENT: &str = "code-sent";
const CODE_NOT_SENT: &str = "code-not-sent";

/// Adds an event and returns its number. Numbers rise in the order in which transactions are committed; they may have gaps.
pub(crate) fn insert(
    db: &Db<'_>,
    user: Option<&Account>,
    event: &StoredEvent,
    origin: &Origin,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let mut statement = db.prepare_cached(
        "INSERT INTO event
         (at, kind, fields, name, uid, actor, source, service, remote_host, remote_user, terminal, login_uid)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?;
    let none = LoginOrigin::default();
    let login = origin.as_login().unwrap_or(&none);
    Ok(statement.insert((
        now.unix(),
        &event.kind,
        &event.fields,
        user.map(|user| &user.name),
        user.map(|user| user.uid),
        origin.actor,
        origin.source.name(),
        &login.service,
        &login.remote_host,
        &login.remote_user,
        &login.terminal,
        origin.login_uid,
    ))?)
}

/// The number of the latest event; 0 if there is none.
pub(crate) fn latest(db: &Db<'_>) -> Result<i64, StoreError> {
    let mut statement = db.prepare_cached("SELECT coalesce(max(id), 0) AS latest FROM event")?;
    Ok(statement.query_one([], |row| row.get("latest"))?)
}

/// The refused logins of `account` after the event number `after`; changes that were refused are none.
pub(crate) fn refused_since(
    db: &Db<'_>,
    account: &Account,
    after: i64,
) -> Result<Option<Missed>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT at, coalesce(remote_host, terminal) AS place FROM event
         WHERE name = ?1 AND id > ?2 AND uid = ?3 AND kind = ?4 AND source = 'login' ORDER BY id DESC",
    )?;
    let mut rows = statement.query((&account.name, after, account.uid, REFUSED))?;
    let Some(last) = rows.next()? else {
        return Ok(None);
    };
    let mut missed = Missed {
        count: 1,
        last_at: timestamp(last, "at")?,
        last_from: last.get("place")?,
    };
    while rows.next()?.is_some() {
        missed.count += 1;
    }
    Ok(Some(missed))
}

/// Keeps about the newest `most` events of `user`. Of older ones those of codes are left to [`delete_old_codes`], and what
/// an administrator did, or a login other than passed and refused, stays.
pub(crate) fn delete_old(db: &Db<'_>, user: &Account, most: u32) -> Result<(), StoreError> {
    let mut statement = db.prepare_cached(
        "DELETE FROM event WHERE name = ?1 AND kind NOT IN (?3, ?4) AND (kind IN (?5, ?6) OR actor = uid) AND id <= (
             SELECT id FROM event WHERE name = ?1 AND kind NOT IN (?3, ?4) ORDER BY id DESC LIMIT 1 OFFSET ?2
         )",
    )?;
    statement.execute((&user.name, most, CODE_SENT, CODE_NOT_SENT, PASSED, REFUSED))?;
    Ok(())
}

/// Keeps the newest `most` events of codes that were sent to `user` or not.
pub(crate) fn delete_old_codes(db: &Db<'_>, user: &Account, most: u32) -> Result<(), StoreError> {
    let mut statement = db.prepare_cached(
        "DELETE FROM event WHERE name = ?1 AND kind IN (?3, ?4) AND id <= (
             SELECT id FROM event WHERE name = ?1 AND kind IN (?3, ?4) ORDER BY id DESC LIMIT 1 OFFSET ?2
         )",
    )?;
    statement.execute((&user.name, most, CODE_SENT, CODE_NOT_SENT))?;
    Ok(())
}
