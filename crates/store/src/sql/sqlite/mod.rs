//! What is particular to SQLite: [`connection`] opens a database and runs a [`transaction`], [`schema`] brings it up to date, and
//! [`pragmas`] has what SQLite alone has.

pub(crate) mod connection;
pub(crate) mod export;
pub(crate) mod pragmas;
pub(crate) mod schema;
mod transaction;

use rusqlite::ErrorCode;

use crate::error::StoreError;

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error;
        if matches!(
            error,
            Error::FromSqlConversionFailure(..)
                | Error::InvalidColumnType(..)
                | Error::IntegralValueOutOfRange(..)
        ) {
            return Self::wrong_type();
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
