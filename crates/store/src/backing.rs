//! What the store is kept in: a file of SQLite's, or a PostgreSQL database. It begins and ends transactions.

use std::sync::{Mutex, MutexGuard};

use crate::error::StoreError;
use crate::location::{FileId, Location, Snapshot};
use crate::sql::postgres::pool::Pool;
use crate::sql::sqlite::connection::{self, Connection};
use crate::sql::sqlite::pragmas::{self, Synchronous, set_synchronous};
use crate::sql::sqlite::schema::Schema;
use crate::sql::{Ahead, Db};

/// The longest log that [`FileBacking::leave_short_log`] leaves, in bytes. The next process that opens the store reads all of it,
/// which takes about a microsecond for a page; a login writes four pages or five.
pub(crate) const LONGEST_LOG_LEFT: u64 = 128 * 1024;

#[derive(Debug)]
pub(crate) enum Backing {
    File(FileBacking),
    Server(Pool),
}

impl Backing {
    /// Runs `work` on one consistent view.
    pub(crate) fn view<T>(
        &self,
        work: impl FnOnce(&Db<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.view_ahead(Vec::new, work)
    }

    /// The same, where a server is asked some things `ahead`.
    pub(crate) fn view_ahead<T>(
        &self,
        ahead: impl FnOnce() -> Vec<Ahead>,
        work: impl FnOnce(&Db<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match self {
            Self::File(file) => file.view(work),
            Self::Server(pool) => pool.view_ahead(&ahead(), work),
        }
    }

    /// Runs `work` as one write transaction, more than once if others are in its way.
    pub(crate) fn transact<T>(
        &self,
        synchronous: Synchronous,
        work: impl Fn(&Db<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.transact_ahead(synchronous, Vec::new, work)
    }

    /// The same, where a server is asked some things `ahead`.
    pub(crate) fn transact_ahead<T>(
        &self,
        synchronous: Synchronous,
        ahead: impl FnOnce() -> Vec<Ahead>,
        work: impl Fn(&Db<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match self {
            Self::File(file) => file.transact(synchronous, work),
            Self::Server(pool) => {
                pool.transact_ahead(synchronous == Synchronous::Full, &ahead(), work)
            }
        }
    }

    pub(crate) const fn as_server(&self) -> Option<&Pool> {
        match self {
            Self::Server(pool) => Some(pool),
            Self::File(_) => None,
        }
    }

    pub(crate) const fn as_file(&self) -> Option<&FileBacking> {
        match self {
            Self::File(file) => Some(file),
            Self::Server(_) => None,
        }
    }
}

/// A database of SQLite's.
#[derive(Debug)]
pub(crate) struct FileBacking {
    location: Location,
    file: FileId,
    /// One for all threads: a write by another connection would invalidate what it has cached.
    connection: Mutex<Connection>,
    /// The state of the database file where nothing can be written beside it; `None`: SQLite detects changes itself.
    snapshot: Option<Snapshot>,
}

impl FileBacking {
    pub(crate) fn open(location: &Location, schema: Schema) -> Result<Self, StoreError> {
        let file = location.inspect_database()?;
        let (connection, snapshot) = match connection::open(location, schema) {
            Ok(connection) => (connection, None),
            // Whom the policy asks for nothing must not be kept out by a disk that cannot be written.
            Err(error)
                if schema == Schema::Existing && error.may_be_a_disk_that_takes_nothing() =>
            {
                let snapshot = location.snapshot();
                let opened = snapshot.and_then(|it| {
                    Some((connection::open_snapshot(location, &it).ok()?, Some(it)))
                });
                opened.ok_or(error)?
            }
            Err(error) => return Err(error),
        };
        Ok(Self {
            location: location.clone(),
            file,
            connection: Mutex::new(connection),
            snapshot,
        })
    }

    pub(crate) const fn is_snapshot(&self) -> bool {
        self.snapshot.is_some()
    }

    /// See [`crate::Store::leave_short_log`].
    pub(crate) fn leave_short_log(&self) -> Result<bool, StoreError> {
        let is_short = self.location.log_length()? <= LONGEST_LOG_LEFT;
        let connection = self.connection()?;
        pragmas::leave_log(&connection, is_short)
    }

    fn view<T>(
        &self,
        work: impl FnOnce(&Db<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut connection = self.connection()?;
        let value = connection::view(&mut connection, work)?;
        self.check_snapshot()?;
        Ok(value)
    }

    fn transact<T>(
        &self,
        synchronous: Synchronous,
        work: impl Fn(&Db<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut connection = self.connection()?;
        let result = match synchronous {
            Synchronous::Full => connection::transact(&mut connection, work),
            Synchronous::Normal => {
                set_synchronous(&connection, Synchronous::Normal)?;
                let result = connection::transact(&mut connection, work);
                set_synchronous(&connection, Synchronous::Full)?;
                result
            }
        };
        result.map_err(|error| error.name_holder(&self.location.database))
    }

    /// SQLite takes no lock on a snapshot, so what was read from one counts only if nobody has changed it meanwhile.
    fn check_snapshot(&self) -> Result<(), StoreError> {
        let is_same = |then: &Snapshot| self.location.snapshot().as_ref() == Some(then);
        if self.snapshot.as_ref().is_none_or(is_same) {
            Ok(())
        } else {
            Err(StoreError::ChangedMeanwhile)
        }
    }

    /// The connection, as long as the file it has open is the one at its path: a database that was
    /// deleted or replaced under a running broker must not go on answering.
    fn connection(&self) -> Result<MutexGuard<'_, Connection>, StoreError> {
        if self.location.inspect_database()? != self.file {
            return Err(StoreError::Replaced(self.location.database.clone()));
        }
        self.check_snapshot()?;
        match self.connection.lock() {
            Ok(connection) => Ok(connection),
            Err(poisoned) => {
                // A panic in a transaction rolled it back, but may have left it without its sync.
                let connection = poisoned.into_inner();
                set_synchronous(&connection, Synchronous::Full)?;
                self.connection.clear_poison();
                Ok(connection)
            }
        }
    }
}
