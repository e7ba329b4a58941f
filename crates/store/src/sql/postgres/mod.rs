//! What is particular to PostgreSQL, 15 and later: [`address`] says where a database is, [`tls`] makes sure that it is that one,
//! [`session`] is one connection, on which every call has a deadline, made by [`connecting`]; [`pool`] keeps a few of them and
//! runs transactions, [`schema`] brings the database up to date. With the beginning of each transaction the database is asked
//! whether it is fit for it ([`fitness`]), by what this process knows of it ([`watch`], [`marks`]). [`translate`], [`statement`] and [`value`] adapt
//! statements and what is in them.
//!
//! No cancel request is ever sent: PostgreSQL answers one that comes while a commit waits for its standby as if the commit
//! had succeeded. A connection on which a deadline passes is thrown away instead, and what was to be done counts as refused.

pub(crate) mod address;
pub(crate) mod combined;
mod connecting;
pub(crate) mod fitness;
pub(crate) mod marks;
#[cfg(test)]
mod network_tests;
pub(crate) mod pipeline;
pub(crate) mod pool;
#[cfg(test)]
mod pooler_tests;
pub(crate) mod replication;
#[cfg(test)]
mod role_tests;
pub(crate) mod schema;
pub(crate) mod session;
mod statement;
#[cfg(test)]
mod tests;
mod tls;
pub(super) mod translate;
mod value;
pub(crate) mod watch;

use tokio_postgres::error::SqlState;

use crate::error::StoreError;

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(reported) = error.as_db_error() else {
            return if error.is_closed() {
                Self::Unreachable("it closed the connection".to_owned())
            } else {
                Self::Unreachable(with_cause(&error))
            };
        };
        let code = reported.code();
        match *code {
            SqlState::T_R_SERIALIZATION_FAILURE
            | SqlState::T_R_DEADLOCK_DETECTED
            // Two who add the same: the second finds it when it tries again.
            | SqlState::UNIQUE_VIOLATION => Self::Conflict,
            SqlState::DISK_FULL => Self::Full,
            SqlState::READ_ONLY_SQL_TRANSACTION => Self::ReadOnly,
            SqlState::UNDEFINED_TABLE | SqlState::UNDEFINED_COLUMN => {
                Self::Unreachable("its tables are not those of this twofa".to_owned())
            }
            SqlState::LOCK_NOT_AVAILABLE => Self::Busy(None),
            SqlState::DATA_CORRUPTED | SqlState::INDEX_CORRUPTED => {
                Self::Damaged("PostgreSQL finds it corrupted".to_owned())
            }
            // Of connecting, and of resources: what these say is for administrators and quotes no value.
            _ if ["08", "28", "3D", "53", "57"].iter().any(|class| code.code().starts_with(class)) => {
                Self::Unreachable(reported.message().to_owned())
            }
            // Any other message may quote one.
            _ => Self::Other(format!("PostgreSQL reports error {}", code.code())),
        }
    }
}

/// An error of the driver, with its cause: of the network, of TLS, or of a value that a column does not take.
fn with_cause(error: &(dyn std::error::Error + 'static)) -> String {
    if let Some(why) = tls::bad_certificate(error) {
        return why.to_owned();
    }
    let mut text = error.to_string();
    if let Some(cause) = error.source() {
        text.push_str(": ");
        text.push_str(&cause.to_string());
    }
    text
}
