//! The boundary between the statements and an engine: [`Db`] runs a statement within a transaction, with [`values`] in and
//! [`Row`]s out.
//!
//! [`values`]: super::values

use rusqlite::CachedStatement;
use rusqlite::types::{ToSqlOutput, ValueRef};

use super::sqlite::pragmas;
use super::value::{Row, Value};
use crate::error::StoreError;

/// A transaction that statements run in.
#[derive(Debug)]
pub(crate) struct Db<'a>(Engine<'a>);

#[derive(Debug)]
enum Engine<'a> {
    Sqlite(&'a rusqlite::Connection),
}

impl<'a> Db<'a> {
    pub(super) const fn sqlite(connection: &'a rusqlite::Connection) -> Self {
        Self(Engine::Sqlite(connection))
    }

    /// The connection, if it is SQLite's.
    #[allow(clippy::unnecessary_wraps, reason = "another engine follows")]
    pub(crate) const fn as_sqlite(&self) -> Option<&'a rusqlite::Connection> {
        match self.0 {
            Engine::Sqlite(connection) => Some(connection),
        }
    }

    /// A number that differs as soon as another connection has changed anything.
    pub(crate) fn data_version(&self) -> Result<i64, StoreError> {
        match self.0 {
            Engine::Sqlite(connection) => pragmas::data_version(connection),
        }
    }

    /// Runs a statement that gives no rows. Returns how many it changed.
    pub(crate) fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<usize, StoreError> {
        match self.0 {
            Engine::Sqlite(connection) => Ok(bound(connection, sql, values)?.raw_execute()?),
        }
    }

    /// Runs an `INSERT` of one row and returns the `id` that it got.
    pub(crate) fn insert(&self, sql: &str, values: &[Value<'_>]) -> Result<i64, StoreError> {
        match self.0 {
            Engine::Sqlite(connection) => {
                bound(connection, sql, values)?.raw_execute()?;
                Ok(connection.last_insert_rowid())
            }
        }
    }

    /// Whether a query gives any row.
    pub(crate) fn exists(&self, sql: &str, values: &[Value<'_>]) -> Result<bool, StoreError> {
        match self.0 {
            Engine::Sqlite(connection) => {
                let mut statement = bound(connection, sql, values)?;
                Ok(statement.raw_query().next()?.is_some())
            }
        }
    }

    /// The first row of a query.
    pub(crate) fn query_opt<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        match self.0 {
            Engine::Sqlite(connection) => {
                let mut statement = bound(connection, sql, values)?;
                let mut rows = statement.raw_query();
                rows.next()?.map(|row| read(&Row::sqlite(row))).transpose()
            }
        }
    }

    /// The first row of a query that always gives one.
    pub(crate) fn query_one<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.query_opt(sql, values, read)?
            .ok_or_else(|| StoreError::Damaged("a row that is always there is missing".to_owned()))
    }

    /// All rows of a query.
    pub(crate) fn query_all<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut all = Vec::new();
        self.each(sql, values, |row| {
            all.push(read(row)?);
            Ok(true)
        })?;
        Ok(all)
    }

    /// Passes the rows of a query to `each`, until that returns `false`. They are not all held in memory.
    pub(crate) fn each(
        &self,
        sql: &str,
        values: &[Value<'_>],
        mut each: impl FnMut(&Row<'_>) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        match self.0 {
            Engine::Sqlite(connection) => {
                let mut statement = bound(connection, sql, values)?;
                let mut rows = statement.raw_query();
                while let Some(row) = rows.next()? {
                    if !each(&Row::sqlite(row))? {
                        break;
                    }
                }
                Ok(())
            }
        }
    }
}

/// A statement, compiled once in the life of the connection, with its parameters.
fn bound<'c>(
    connection: &'c rusqlite::Connection,
    sql: &str,
    values: &[Value<'_>],
) -> Result<CachedStatement<'c>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    if statement.parameter_count() != values.len() {
        return Err(StoreError::Other(
            "a statement was not given its parameters".to_owned(),
        ));
    }
    for (number, value) in (1..).zip(values) {
        let value = match *value {
            Value::Null => ValueRef::Null,
            Value::Integer(value) => ValueRef::Integer(value),
            Value::Text(value) => ValueRef::Text(value),
            Value::Blob(value) => ValueRef::Blob(value),
        };
        statement.raw_bind_parameter(number, ToSqlOutput::Borrowed(value))?;
    }
    Ok(statement)
}
