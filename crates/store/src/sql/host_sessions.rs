//! Login sessions on hosts of the fleet, and orders to end them, on a server: the tables `host_session` and `host_order`.

use twofa_core::{Account, Timestamp};

use super::{Db, Row, account_of, values};
use crate::error::StoreError;

/// A login session on a host, as a server knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostSession {
    /// Its number here.
    pub(crate) id: i64,
    /// The id of the host.
    pub(crate) host_id: String,
    /// The name of the host.
    pub host: String,
    /// What the host calls it: the number that its own list shows.
    pub number: i64,
    /// The login of the session.
    pub login: HostSessionLogin,
    /// The name of the method that was shown; `None`: nothing was asked for.
    pub method: Option<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended, if it has.
    pub ended_at: Option<Timestamp>,
    /// Its host was told to end it.
    pub is_to_end: bool,
}

/// A login as its host described it when a server decided about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostSessionLogin {
    /// The account.
    pub account: Account,
    /// The PAM service.
    pub service: String,
    /// Where it came from.
    pub remote_host: Option<String>,
    /// Who asked for it, if a user became another user.
    pub remote_user: Option<String>,
    /// Its terminal.
    pub terminal: Option<String>,
}

/// What a host is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OrderRecord {
    pub id: i64,
    /// The name of the host.
    pub host: String,
    /// When the host was last heard of.
    pub seen_at: Option<Timestamp>,
    pub confirmed_at: Option<Timestamp>,
}

/// A session that begins.
pub(crate) struct NewHostSession<'a> {
    pub host: &'a str,
    pub conversation: &'a [u8; 16],
    pub number: i64,
    pub login: &'a HostSessionLogin,
    pub method: Option<&'a str>,
}

const SESSION: &str = "SELECT host_session.id AS id, host_session.host AS host_id, host.name AS host, number, host_session.name AS name,
    uid, service, remote_host, remote_user, terminal, method, started_at, ended_at, end_order
    FROM host_session JOIN host ON host.id = host_session.host";

/// Adds a session, unless it is there. Returns its number, or `None` if it is there.
pub(crate) fn insert(
    db: &Db<'_>,
    new: &NewHostSession<'_>,
    now: Timestamp,
) -> Result<Option<i64>, StoreError> {
    let NewHostSession {
        host,
        conversation,
        number,
        login,
        method,
    } = new;
    let sql = "INSERT INTO host_session (host, conversation, number, name, uid, service, remote_host, remote_user, terminal,
                   method, started_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
               ON CONFLICT (host, conversation) DO NOTHING RETURNING id";
    let HostSessionLogin {
        account,
        service,
        remote_host,
        remote_user,
        terminal,
    } = login;
    db.query_opt(
        sql,
        values![
            host,
            conversation,
            *number,
            &account.name,
            account.uid,
            service,
            remote_host,
            remote_user,
            terminal,
            method,
            now
        ],
        |row| row.get("id"),
    )
}

/// Whether there is this session of the host `id`.
pub(crate) fn exists(db: &Db<'_>, host: &str, conversation: &[u8; 16]) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM host_session WHERE host = ?1 AND conversation = ?2";
    db.exists(sql, values![host, conversation])
}

/// Marks a session of the host `id` ended. Says whether there is one.
pub(crate) fn set_ended(
    db: &Db<'_>,
    host: &str,
    conversation: &[u8; 16],
    now: Timestamp,
) -> Result<bool, StoreError> {
    let sql = "UPDATE host_session SET ended_at = coalesce(ended_at, ?3) WHERE host = ?1 AND conversation = ?2";
    Ok(db.execute(sql, values![host, conversation, now])? == 1)
}

/// The sessions that have not ended, by host.
pub(crate) fn open(db: &Db<'_>) -> Result<Vec<HostSession>, StoreError> {
    let sql = format!("{SESSION} WHERE ended_at IS NULL ORDER BY host.name, number");
    db.query_all(&sql, values![], session)
}

/// The sessions that an order is about.
pub(crate) fn of_order(db: &Db<'_>, order: i64) -> Result<Vec<HostSession>, StoreError> {
    let sql = format!("{SESSION} WHERE end_order = ?1 ORDER BY number");
    db.query_all(&sql, values![order], session)
}

/// The conversations of the sessions that an order is about.
pub(crate) fn conversations_of_order(db: &Db<'_>, order: i64) -> Result<Vec<[u8; 16]>, StoreError> {
    let sql = "SELECT conversation FROM host_session WHERE end_order = ?1 ORDER BY id";
    db.query_all(sql, values![order], |row| row.get("conversation"))
}

/// Adds an order for the host `id`. Returns its number.
pub(crate) fn insert_order(db: &Db<'_>, host: &str, now: Timestamp) -> Result<i64, StoreError> {
    let sql = "INSERT INTO host_order (host, asked_at) VALUES (?1, ?2)";
    db.insert(sql, values![host, now])
}

/// Has an order be about this session.
pub(crate) fn set_order(db: &Db<'_>, id: i64, order: i64) -> Result<(), StoreError> {
    let sql = "UPDATE host_session SET end_order = ?2 WHERE id = ?1";
    db.execute(sql, values![id, order]).map(drop)
}

/// Marks the sessions of an order ended.
pub(crate) fn end_of_order(db: &Db<'_>, order: i64, now: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE host_session SET ended_at = ?2 WHERE end_order = ?1 AND ended_at IS NULL";
    db.execute(sql, values![order, now]).map(drop)
}

/// Notes that the host `id` has done this order. Says whether that is an order for it which was open; `None`: it is none for
/// this host.
pub(crate) fn confirm(
    db: &Db<'_>,
    host: &str,
    order: i64,
    now: Timestamp,
) -> Result<Option<bool>, StoreError> {
    let sql = "UPDATE host_order SET confirmed_at = ?3 WHERE id = ?1 AND host = ?2 AND confirmed_at IS NULL";
    if db.execute(sql, values![order, host, now])? == 1 {
        return Ok(Some(true));
    }
    let sql = "SELECT 1 FROM host_order WHERE id = ?1 AND host = ?2";
    Ok(db.exists(sql, values![order, host])?.then_some(false))
}

/// The orders that are open, with the ids of their hosts.
pub(crate) fn open_orders(db: &Db<'_>) -> Result<Vec<(String, i64)>, StoreError> {
    let sql = "SELECT host, id FROM host_order WHERE confirmed_at IS NULL ORDER BY id";
    db.query_all(sql, values![], |row| Ok((row.get("host")?, row.get("id")?)))
}

/// The orders for the host `id` that are open, `limit` at most.
pub(crate) fn open_orders_of(db: &Db<'_>, host: &str, limit: u32) -> Result<Vec<i64>, StoreError> {
    let sql =
        "SELECT id FROM host_order WHERE host = ?1 AND confirmed_at IS NULL ORDER BY id LIMIT ?2";
    db.query_all(sql, values![host, limit], |row| row.get("id"))
}

/// An order, if its host is one of the fleet.
pub(crate) fn order(db: &Db<'_>, id: i64) -> Result<Option<OrderRecord>, StoreError> {
    let sql = "SELECT host_order.id AS id, host.name AS host, seen_at, confirmed_at
               FROM host_order JOIN host ON host.id = host_order.host WHERE host_order.id = ?1";
    db.query_opt(sql, values![id], |row| {
        Ok(OrderRecord {
            id: row.get("id")?,
            host: row.get("host")?,
            seen_at: row.get("seen_at")?,
            confirmed_at: row.get("confirmed_at")?,
        })
    })
}

/// Removes the sessions of `account` that ended, beyond the `most` latest.
pub(crate) fn delete_ended_beyond(
    db: &Db<'_>,
    account: &Account,
    most: u32,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM host_session WHERE id IN (
                   SELECT id FROM host_session WHERE name = ?1 AND uid = ?2 AND ended_at IS NOT NULL
                   ORDER BY id DESC LIMIT 2147483647 OFFSET ?3)";
    db.execute(sql, values![&account.name, account.uid, most])
        .map(drop)
}

/// Removes those of the `most` oldest sessions that ended before `until`.
pub(crate) fn delete_ended_before(
    db: &Db<'_>,
    until: Timestamp,
    most: u32,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM host_session WHERE id IN (
                   SELECT id FROM (SELECT id, ended_at FROM host_session ORDER BY id LIMIT ?2) AS oldest WHERE ended_at < ?1)";
    db.execute(sql, values![until, most]).map(drop)
}

/// Removes the orders that were done before `until`.
pub(crate) fn delete_orders_before(db: &Db<'_>, until: Timestamp) -> Result<(), StoreError> {
    let sql = "DELETE FROM host_order WHERE confirmed_at < ?1";
    db.execute(sql, values![until]).map(drop)
}

fn session(row: &Row<'_>) -> Result<HostSession, StoreError> {
    Ok(HostSession {
        id: row.get("id")?,
        host_id: row.get("host_id")?,
        host: row.get("host")?,
        number: row.get("number")?,
        login: HostSessionLogin {
            account: account_of(row)?,
            service: row.get("service")?,
            remote_host: row.get("remote_host")?,
            remote_user: row.get("remote_user")?,
            terminal: row.get("terminal")?,
        },
        method: row.get("method")?,
        started_at: row.get("started_at")?,
        ended_at: row.get("ended_at")?,
        is_to_end: row.get::<Option<i64>>("end_order")?.is_some(),
    })
}
