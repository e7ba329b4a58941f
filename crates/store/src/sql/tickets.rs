//! What a login leaves for its later phases: the table `ticket`.

use twofa_core::{Account, Timestamp};

use super::{Db, Row, Sql, account_of, values};
use crate::error::StoreError;
use crate::model::ticket::{LoginProcess, ProcessId, TicketNumber};

/// A row of `ticket`.
#[derive(Debug)]
pub(crate) struct TicketRecord {
    pub id: i64,
    pub account: Account,
    pub is_confirmed: bool,
    pub login: String,
}

/// Leaves a ticket with this number.
pub(crate) fn save(
    db: &Db<'_>,
    number: TicketNumber,
    process: &LoginProcess,
    account: &Account,
    is_confirmed: bool,
    login: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql =
        "INSERT INTO ticket (number, boot, pid, start, parent, parent_start, name, uid, is_confirmed, at, login)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    let parent = process.parent;
    db.execute(
        sql,
        values![
            number.0,
            &process.boot,
            process.own.pid,
            process.own.start,
            parent.map(|parent| parent.pid),
            parent.map(|parent| parent.start),
            &account.name,
            account.uid,
            is_confirmed,
            now,
            login
        ],
    )?;
    Ok(())
}

/// The ticket of this number, if it was left since `since`.
pub(crate) fn find(
    db: &Db<'_>,
    number: TicketNumber,
    since: Timestamp,
) -> Result<Option<TicketRecord>, StoreError> {
    let sql =
        "SELECT id, name, uid, is_confirmed, login FROM ticket WHERE number = ?1 AND at >= ?2";
    db.query_opt(Sql::from(sql).locking(), values![number.0, since], record)
}

/// The confirmed ticket that this process left since `since`, or the last one that a child of it left.
pub(crate) fn find_of_session(
    db: &Db<'_>,
    boot: &str,
    process: ProcessId,
    since: Timestamp,
) -> Result<Option<TicketRecord>, StoreError> {
    let sql = "SELECT id, name, uid, is_confirmed, login FROM ticket
               WHERE boot = ?1 AND at >= ?4 AND is_confirmed = 1
                   AND ((pid = ?2 AND start = ?3) OR (parent = ?2 AND parent_start = ?3))
               ORDER BY at DESC, id DESC LIMIT 1";
    let sql = Sql::from(sql).locking();
    db.query_opt(
        sql,
        values![boot, process.pid, process.start, since],
        record,
    )
}

fn record(row: &Row<'_>) -> Result<TicketRecord, StoreError> {
    Ok(TicketRecord {
        id: row.get("id")?,
        account: account_of(row)?,
        is_confirmed: row.get("is_confirmed")?,
        login: row.get("login")?,
    })
}

/// Confirms the ticket in the account phase, which `process` came to, and lets it say `login`.
pub(crate) fn confirm(
    db: &Db<'_>,
    id: i64,
    process: &LoginProcess,
    login: &str,
) -> Result<(), StoreError> {
    let sql = "UPDATE ticket SET is_confirmed = 1, login = ?2, boot = ?3, pid = ?4, start = ?5, parent = ?6,
                   parent_start = ?7 WHERE id = ?1";
    let parent = process.parent;
    db.execute(
        sql,
        values![
            id,
            login,
            &process.boot,
            process.own.pid,
            process.own.start,
            parent.map(|parent| parent.pid),
            parent.map(|parent| parent.start)
        ],
    )?;
    Ok(())
}

pub(crate) fn delete(db: &Db<'_>, id: i64) -> Result<(), StoreError> {
    db.execute("DELETE FROM ticket WHERE id = ?1", values![id])?;
    Ok(())
}

/// Removes the tickets of `account` that the account phase has not confirmed.
pub(crate) fn delete_unconfirmed(db: &Db<'_>, account: &Account) -> Result<(), StoreError> {
    db.execute(
        "DELETE FROM ticket WHERE name = ?1 AND uid = ?2 AND is_confirmed = 0",
        values![&account.name, account.uid],
    )?;
    Ok(())
}

/// Lets the unconfirmed tickets of `account`, or of everybody, make no device trusted.
pub(crate) fn forget_grants(db: &Db<'_>, account: Option<&Account>) -> Result<(), StoreError> {
    let sql = Sql::new(
        "UPDATE ticket SET login = json_set(login, '$.grant', NULL)
         WHERE is_confirmed = 0 AND json_extract(login, '$.grant.seconds') IS NOT NULL
             AND (?1 IS NULL OR (name = ?1 AND uid = ?2))",
        "UPDATE ticket SET login = CAST(jsonb_set(CAST(login AS jsonb), '{grant}', 'null') AS TEXT)
         WHERE is_confirmed = 0 AND CAST(login AS jsonb) #>> '{grant,seconds}' IS NOT NULL
             AND (CAST(?1 AS TEXT) IS NULL OR (name = ?1 AND uid = ?2))",
    );
    let (name, uid) = (
        account.map(|account| &account.name),
        account.map(|account| account.uid),
    );
    db.execute(sql, values![name, uid])?;
    Ok(())
}

/// Removes the tickets from before `until`.
pub(crate) fn delete_old(db: &Db<'_>, until: Timestamp) -> Result<(), StoreError> {
    db.execute("DELETE FROM ticket WHERE at < ?1", values![until])?;
    Ok(())
}
