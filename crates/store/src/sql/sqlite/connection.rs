//! A connection to the database: opened, and used for one transaction after the other.

use std::path::PathBuf;

use rusqlite::OpenFlags;

pub(crate) use rusqlite::Connection;

use super::pragmas;
use super::schema::{self, Schema};
use super::transaction::Transaction;
use crate::error::StoreError;
use crate::location::{Location, Snapshot};
use crate::sql::Db;

/// Runs `work` on one consistent view.
pub(crate) fn view<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Db<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let view = Transaction::begin_view(connection)?;
    schema::check_known(&view)?;
    work(&view.db())
}

/// Runs `work` as one write transaction: on any error nothing of it happened.
pub(crate) fn transact<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Db<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let change = Transaction::begin_change(connection)?;
    schema::check_known(&change)?;
    let value = work(&change.db())?;
    change.commit()?;
    Ok(value)
}

/// Runs `work` as one write transaction on a database that may be closed with a mark.
pub(crate) fn transact_closed<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Db<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let change = Transaction::begin_change(connection)?;
    let value = work(&change.db())?;
    change.commit()?;
    Ok(value)
}

/// Runs `work` on one consistent view of a database that may be closed with a mark.
pub(crate) fn view_closed<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Db<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    work(&Transaction::begin_view(connection)?.db())
}

/// Opens a database that may be closed with a mark, as it is.
pub(crate) fn open_closed(location: &Location) -> Result<Connection, StoreError> {
    connect(location, Schema::Existing)
}

/// Opens the database, and brings its schema up to date.
pub(crate) fn open(location: &Location, schema: Schema) -> Result<Connection, StoreError> {
    let before = location.snapshot();
    let mut connection = connect(location, schema)?;
    // SQLite does this at each first commit of a process; here the process that makes the log does it. While we have the log
    // open, nobody removes it; and who finds something in it comes after a commit, which came after its maker got here.
    let has_log_of = |before: &Snapshot| location.snapshot()?.has_log_of(before).then_some(());
    if before.as_ref().and_then(has_log_of).is_none() {
        location.sync_names()?;
    }
    schema::migrate(&mut connection, schema)?;
    Ok(connection)
}

/// The database where nothing can be written beside it (<https://sqlite.org/uri.html>). With an empty write-ahead log it
/// is read as if it stood on a medium that never changes, as everything that needs a log, or a lock, fails on any other
/// connection. Else it is read through the log; SQLite does that only where the log's index is there as well.
pub(crate) fn open_snapshot(
    location: &Location,
    snapshot: &Snapshot,
) -> Result<Connection, StoreError> {
    let path = resolved(location)?;
    let path = path
        .to_str()
        .ok_or_else(|| StoreError::Other("its path is not UTF-8".to_owned()))?;
    let path = path
        .replace('%', "%25")
        .replace('?', "%3f")
        .replace('#', "%23");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NOFOLLOW
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let how = if snapshot.has_empty_log() {
        "immutable=1"
    } else {
        "readonly_shm=1"
    };
    let mut connection = Connection::open_with_flags(format!("file:{path}?{how}"), flags)?;
    pragmas::set_up(&connection)?;
    if schema::is_newest(&mut connection)? {
        Ok(connection)
    } else {
        Err(StoreError::ReadOnly)
    }
}

/// The path of the database. NOFOLLOW is about the whole path for SQLite; a link further up is the administrator's own.
fn resolved(location: &Location) -> Result<PathBuf, StoreError> {
    let path = &location.database;
    path.parent()
        .zip(path.file_name())
        .and_then(|(directory, name)| Some(directory.canonicalize().ok()?.join(name)))
        .ok_or_else(|| StoreError::Missing(path.clone()))
}

fn connect(location: &Location, schema: Schema) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NOFOLLOW
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let connection = Connection::open_with_flags(resolved(location)?, flags)?;
    pragmas::set_up(&connection)?;
    if schema == Schema::New {
        pragmas::use_small_pages(&connection)?;
    }
    pragmas::keep_write_ahead_log(&connection)?;
    Ok(connection)
}
