//! What SQLite has no statement for: its settings, and the numbers that it keeps in a database's header. All its `PRAGMA`s
//! are here.

use std::time::Duration;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::error::StoreError;

/// Marks a database as ours (`application_id`): "2FA" and a version of the mark.
pub(crate) const APPLICATION_ID: i64 = 0x3246_4101;
/// How long a write waits for another process: less than the module waits for an answer.
const BUSY: Duration = Duration::from_secs(5);
/// Of a new store. A login changes a few dozen bytes on each of four pages, and all of these pages go to the log, so that
/// small pages are written and synced faster. Stores with larger pages stay as they are.
pub(crate) const PAGE_BYTES: u32 = 1024;
/// How many compiled statements are kept: more than there are.
const STATEMENTS: usize = 128;

/// Whether a commit waits for the disk (<https://sqlite.org/pragma.html#pragma_synchronous>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Synchronous {
    /// A commit is on disk when it returns.
    Full,
    /// A commit is on disk with the next one that is [`Synchronous::Full`], or earlier.
    Normal,
}

pub(crate) fn set_synchronous(
    connection: &Connection,
    mode: Synchronous,
) -> Result<(), StoreError> {
    // Not as a cached statement: SQLite carries this out when it compiles it.
    let mode = match mode {
        Synchronous::Full => "full",
        Synchronous::Normal => "normal",
    };
    Ok(connection.pragma_update(None, "synchronous", mode)?)
}

/// What holds for every connection.
pub(crate) fn set_up(connection: &Connection) -> Result<(), StoreError> {
    connection.busy_timeout(BUSY)?;
    // One plan for whatever values. Without this SQLite compiles a statement with an ORDER BY again each time that it
    // asks about somebody else: half of all instructions of a login.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    set_synchronous(connection, Synchronous::Full)?;
    // A few hundred users' pages, in KiB; the system caches the rest.
    Ok(connection.pragma_update(None, "cache_size", -1024)?)
}

/// Has a database that has nothing in it yet use small pages.
pub(crate) fn use_small_pages(connection: &Connection) -> Result<(), StoreError> {
    Ok(connection.pragma_update(None, "page_size", PAGE_BYTES)?)
}

/// Has the database keep a write-ahead log.
pub(crate) fn keep_write_ahead_log(connection: &Connection) -> Result<(), StoreError> {
    let mode = "journal_mode";
    let mut journal: String = connection.pragma_query_value(None, mode, |row| row.get(0))?;
    if journal != "wal" {
        journal = connection.pragma_update_and_check(None, mode, "wal", |row| row.get(0))?;
    }
    if journal == "wal" {
        return Ok(());
    }
    Err(StoreError::Other(format!(
        "its journal cannot be a write-ahead log (it is '{journal}')"
    )))
}

/// Whether the write-ahead log is left when the connection is closed, and not copied back.
pub(crate) fn leave_log(connection: &Connection, leaves: bool) -> Result<bool, StoreError> {
    Ok(connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, leaves)?)
}

/// A number that differs as soon as another connection has changed anything.
pub(crate) fn data_version(db: &Connection) -> Result<i64, StoreError> {
    let sql = "PRAGMA data_version";
    Ok(db.prepare_cached(sql)?.query_one([], |row| row.get(0))?)
}

/// What SQLite's own check finds first (<https://sqlite.org/pragma.html#pragma_quick_check>); `None`: nothing.
pub(crate) fn quick_check(db: &Connection) -> Result<Option<String>, StoreError> {
    let first: String = db.query_one("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok((first != "ok").then_some(first))
}

/// What a database says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// [`APPLICATION_ID`], if it is ours.
    pub application: i64,
    /// How many migrations ran (`user_version`).
    pub schema: i64,
}

pub(crate) fn header(db: &Connection) -> Result<Header, StoreError> {
    Ok(Header {
        application: db.pragma_query_value(None, "application_id", |row| row.get(0))?,
        schema: schema_number(db)?,
    })
}

/// How many migrations ran. Every transaction looks at it.
pub(crate) fn schema_number(db: &Connection) -> Result<i64, StoreError> {
    let mut statement = db.prepare_cached("PRAGMA user_version")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

pub(crate) fn set_header(db: &Connection, header: Header) -> Result<(), StoreError> {
    db.pragma_update(None, "application_id", header.application)?;
    Ok(db.pragma_update(None, "user_version", header.schema)?)
}
