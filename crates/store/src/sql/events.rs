//! The audit log: the table `event`.

use rusqlite::Row;
use twofa_core::{Account, Timestamp};

use super::{Db, timestamp};
use crate::error::StoreError;
use crate::event::{LoggedEvent, LoginOrigin, Missed, Origin, Record, Source, StoredEvent};

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
         (at, kind, fields, name, uid, actor, source, service, remote_host, remote_user, terminal)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
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
    ))?)
}

/// Passes the last `most` events, of `user` or of all, to `each`, oldest first, until it returns `false`.
pub(crate) fn each(
    db: &Db<'_>,
    user: Option<&str>,
    most: Option<u32>,
    mut each: impl FnMut(LoggedEvent) -> bool,
) -> Result<(), StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT * FROM (
             SELECT id, at, kind, fields, detail, name, actor, source, service, remote_host, remote_user, terminal
             FROM event WHERE ?1 IS NULL OR name = ?1 ORDER BY id DESC LIMIT ?2
         ) ORDER BY id",
    )?;
    let mut rows = statement.query((user, most.map_or(-1, i64::from)))?;
    while let Some(row) = rows.next()? {
        if !each(logged(row)?) {
            break;
        }
    }
    Ok(())
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

fn logged(row: &Row<'_>) -> rusqlite::Result<LoggedEvent> {
    let kind: String = row.get("kind")?;
    let login = LoginOrigin {
        service: row.get("service")?,
        remote_host: row.get("remote_host")?,
        remote_user: row.get("remote_user")?,
        terminal: row.get("terminal")?,
    };
    Ok(LoggedEvent {
        id: row.get("id")?,
        at: timestamp(row, "at")?,
        user: row.get("name")?,
        origin: Origin {
            actor: row.get("actor")?,
            source: Source::stored(&row.get::<_, String>("source")?, login),
        },
        record: Record::read(&kind, row.get("fields")?, row.get("detail")?),
        kind,
    })
}
