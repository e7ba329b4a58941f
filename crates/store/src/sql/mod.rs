//! The statements, and all else that is particular to SQLite. A second engine would be a second set of these functions;
//! `docs/architecture.md` lists what each must guarantee.
//!
//! Each function is one statement, or the few that make one change; none decides anything. They take and give plain
//! values and read columns by their names. One file for each group of tables; [`connection`] and [`schema`] open the
//! database, and [`pragmas`] has what SQLite alone has.

pub(crate) mod apps;
pub(crate) mod backup_codes;
pub(crate) mod connection;
pub(crate) mod devices;
pub(crate) mod event_filter;
pub(crate) mod events;
pub(crate) mod exemptions;
pub(crate) mod journal;
pub(crate) mod notices;
pub(crate) mod policy;
pub(crate) mod pragmas;
pub(crate) mod providers;
pub(crate) mod schema;
pub(crate) mod security_keys;
pub(crate) mod sends;
pub(crate) mod sessions;
pub(crate) mod tickets;
pub(crate) mod unproved;
pub(crate) mod users;

use rusqlite::{ErrorCode, Row};
use twofa_core::{Channel, Timestamp};

use crate::error::StoreError;

pub(crate) use connection::Db;

fn timestamp(row: &Row<'_>, column: &str) -> rusqlite::Result<Timestamp> {
    Ok(Timestamp::from_unix(row.get(column)?))
}

fn optional_timestamp(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_unix))
}

fn channel(row: &Row<'_>) -> Result<Channel, StoreError> {
    row.get::<_, String>("channel")?
        .parse()
        .map_err(|_| StoreError::Damaged("a message in it goes by an unknown channel".to_owned()))
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error;
        if matches!(
            error,
            Error::FromSqlConversionFailure(..)
                | Error::InvalidColumnType(..)
                | Error::IntegralValueOutOfRange(..)
        ) {
            return Self::Damaged("a value in it has the wrong type".to_owned());
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt) => {
                Self::Damaged("SQLite finds it malformed".to_owned())
            }
            Some(ErrorCode::NotADatabase) => Self::Damaged("it is no SQLite database".to_owned()),
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::ReadOnly) => Self::ReadOnly,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy(None),
            Some(ErrorCode::CannotOpen | ErrorCode::SystemIoFailure) => {
                Self::Unusable(error.to_string())
            }
            // rusqlite's own text may quote SQL, which is ours and holds no value.
            _ => Self::Other(error.to_string()),
        }
    }
}
