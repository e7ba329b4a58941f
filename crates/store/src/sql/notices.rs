//! Notices that wait to be sent: the table `notice`.

use twofa_core::{Account, Channel, Timestamp};

use super::{Db, Row, Sql, account_of, channel, values};
use crate::error::StoreError;
use crate::event::{NoticeSource, Record, StoredEvent};

/// A notice that waits to be sent to one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Its number, never given to another.
    pub id: i64,
    /// The user whose second factor it is about.
    pub account: Account,
    /// The channel it is sent by.
    pub channel: Channel,
    /// The address that was verified when it was queued.
    pub address: String,
    /// What happened, of which programs make the sentence.
    pub record: Record,
    /// Where the event was caused.
    pub source: NoticeSource,
    /// When it happened.
    pub at: Timestamp,
    /// How many tries there were, the one it was claimed for included.
    pub tries: u32,
}

/// Adds a notice that is due at once.
pub(crate) fn insert(
    db: &Db<'_>,
    account: &Account,
    channel: Channel,
    address: &str,
    event: &StoredEvent,
    source: &NoticeSource,
    now: Timestamp,
) -> Result<(), StoreError> {
    db.execute(
        "INSERT INTO notice (name, uid, channel, address, kind, fields, source, place, at, due_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9)",
        values![
            &account.name,
            account.uid,
            channel.name(),
            address,
            &event.kind,
            &event.fields,
            source.name(),
            source.place(),
            now.unix()
        ],
    )?;
    Ok(())
}

/// Puts off at most `most` notices that are due at `now`, or put off beyond `impossible`, until `until`, and returns them,
/// the oldest first. No two transactions get the same one.
pub(crate) fn claim(
    db: &Db<'_>,
    now: Timestamp,
    impossible: Timestamp,
    until: Timestamp,
    most: u32,
) -> Result<Vec<Notice>, StoreError> {
    macro_rules! claim {
        ($locking:literal) => {
            concat!(
                "UPDATE notice SET due_at = ?2, tries = tries + 1 WHERE id IN (
                     SELECT id FROM notice WHERE due_at <= ?1 OR due_at > ?3 ORDER BY due_at, id LIMIT ?4",
                $locking,
                ") RETURNING id, name, uid, channel, address, kind, fields, what, source, place, at, tries"
            )
        };
    }
    let sql = Sql::new(claim!(""), claim!(" FOR UPDATE SKIP LOCKED"));
    let mut notices = db.query_all(sql, values![now, until, impossible, most], notice)?;
    notices.sort_by_key(|notice| notice.id);
    Ok(notices)
}

/// When a notice was queued and how often it was tried; `None`: it is gone.
pub(crate) fn find(db: &Db<'_>, id: i64) -> Result<Option<(Timestamp, u32)>, StoreError> {
    let sql = "SELECT at, tries FROM notice WHERE id = ?1";
    db.query_opt(sql, values![id], |row| {
        Ok((row.get("at")?, row.get("tries")?))
    })
}

pub(crate) fn put_off(db: &Db<'_>, id: i64, until: Timestamp) -> Result<(), StoreError> {
    db.execute(
        "UPDATE notice SET due_at = ?2 WHERE id = ?1",
        values![id, until],
    )?;
    Ok(())
}

pub(crate) fn delete(db: &Db<'_>, id: i64) -> Result<(), StoreError> {
    db.execute("DELETE FROM notice WHERE id = ?1", values![id])?;
    Ok(())
}

/// Removes the notices about `account` that are older than its newest `most`.
pub(crate) fn delete_old(db: &Db<'_>, account: &Account, most: u32) -> Result<(), StoreError> {
    let sql = "DELETE FROM notice WHERE name = ?1 AND uid = ?2 AND id <= (
                   SELECT id FROM notice WHERE name = ?1 AND uid = ?2 ORDER BY id DESC LIMIT 1 OFFSET ?3
               )";
    db.execute(sql, values![&account.name, account.uid, most])?;
    Ok(())
}

/// When the next notice is due.
pub(crate) fn next_due(db: &Db<'_>) -> Result<Option<Timestamp>, StoreError> {
    let sql = "SELECT min(due_at) AS next FROM notice";
    let next: Option<i64> = db.query_one(sql, values![], |row| row.get("next"))?;
    Ok(next.map(Timestamp::from_unix))
}

fn notice(row: &Row<'_>) -> Result<Notice, StoreError> {
    let kind: Option<String> = row.get("kind")?;
    Ok(Notice {
        id: row.get("id")?,
        account: account_of(row)?,
        channel: channel(row)?,
        address: row.get("address")?,
        record: Record::read(
            kind.as_deref().unwrap_or_default(),
            row.get("fields")?,
            row.get("what")?,
        ),
        source: NoticeSource::stored(&row.get::<String>("source")?, row.get("place")?),
        at: row.get("at")?,
        tries: row.get("tries")?,
    })
}
