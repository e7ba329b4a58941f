//! What a login leaves for its later phases: the table `ticket`.

use rusqlite::OptionalExtension;
use twofa_core::{Account, Timestamp};

use super::Db;
use crate::error::StoreError;
use crate::tickets::{LoginProcess, ProcessId};

/// A row of `ticket`.
#[derive(Debug)]
pub(crate) struct TicketRecord {
    pub id: i64,
    pub account: Account,
    pub is_confirmed: bool,
    pub login: String,
}

/// Leaves a ticket, in the place of one of the same process.
pub(crate) fn save(
    db: &Db<'_>,
    process: &LoginProcess,
    account: &Account,
    is_confirmed: bool,
    login: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql =
        "INSERT INTO ticket (boot, pid, start, parent, parent_start, name, uid, is_confirmed, at, login)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
               ON CONFLICT (boot, pid, start) DO UPDATE SET parent = excluded.parent,
                   parent_start = excluded.parent_start, name = excluded.name, uid = excluded.uid,
                   is_confirmed = excluded.is_confirmed, at = excluded.at, login = excluded.login";
    let parent = process.parent;
    db.prepare_cached(sql)?.execute((
        &process.boot,
        process.own.pid,
        process.own.start,
        parent.map(|parent| parent.pid),
        parent.map(|parent| parent.start),
        &account.name,
        account.uid,
        is_confirmed,
        now.unix(),
        login,
    ))?;
    Ok(())
}

/// The ticket that this very process left since `since`.
pub(crate) fn find(
    db: &Db<'_>,
    boot: &str,
    process: ProcessId,
    since: Timestamp,
) -> Result<Option<TicketRecord>, StoreError> {
    let sql = "SELECT id, name, uid, is_confirmed, login FROM ticket
               WHERE boot = ?1 AND pid = ?2 AND start = ?3 AND at >= ?4";
    one(db, sql, boot, process, since)
}

/// The confirmed ticket that this process left since `since`, or the last one that a child of it left.
pub(crate) fn find_of_session(
    db: &Db<'_>,
    boot: &str,
    process: ProcessId,
    since: Timestamp,
) -> Result<Option<TicketRecord>, StoreError> {
    let sql = "SELECT id, name, uid, is_confirmed, login FROM ticket
               WHERE boot = ?1 AND at >= ?4 AND is_confirmed
                   AND ((pid = ?2 AND start = ?3) OR (parent = ?2 AND parent_start = ?3))
               ORDER BY at DESC, id DESC LIMIT 1";
    one(db, sql, boot, process, since)
}

fn one(
    db: &Db<'_>,
    sql: &str,
    boot: &str,
    process: ProcessId,
    since: Timestamp,
) -> Result<Option<TicketRecord>, StoreError> {
    let parameters = (boot, process.pid, process.start, since.unix());
    let found = db.prepare_cached(sql)?.query_row(parameters, |row| {
        Ok(TicketRecord {
            id: row.get("id")?,
            account: Account {
                name: row.get("name")?,
                uid: row.get("uid")?,
            },
            is_confirmed: row.get("is_confirmed")?,
            login: row.get("login")?,
        })
    });
    Ok(found.optional()?)
}

/// Confirms the ticket, and lets it say `login`.
pub(crate) fn confirm(db: &Db<'_>, id: i64, login: &str) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE ticket SET is_confirmed = 1, login = ?2 WHERE id = ?1")?
        .execute((id, login))?;
    Ok(())
}

pub(crate) fn delete(db: &Db<'_>, id: i64) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM ticket WHERE id = ?1")?
        .execute([id])?;
    Ok(())
}

/// Removes the tickets of `account` that the account phase has not confirmed.
pub(crate) fn delete_unconfirmed(db: &Db<'_>, account: &Account) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM ticket WHERE name = ?1 AND uid = ?2 AND NOT is_confirmed")?
        .execute((&account.name, account.uid))?;
    Ok(())
}

/// Removes the tickets from before `until`.
pub(crate) fn delete_old(db: &Db<'_>, until: Timestamp) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM ticket WHERE at < ?1")?
        .execute([until.unix()])?;
    Ok(())
}
