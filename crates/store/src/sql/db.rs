//! The boundary between the statements and an engine: [`Db`] runs a statement within a transaction, with [`values`] in and
//! [`Row`]s out.
//!
//! [`values`]: super::values

use rusqlite::CachedStatement;
use rusqlite::types::{ToSqlOutput, ValueRef};

use super::postgres::session::Session;
use super::sqlite::pragmas;
use super::value::{Row, Value};
use super::{Ahead, values};
use crate::error::StoreError;

/// A statement. Most texts serve both engines; the parameters are `?1`, `?2` and so on in all of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sql<'a> {
    sqlite: &'a str,
    postgres: &'a str,
    /// Has PostgreSQL lock what is found. SQLite has one writer at a time.
    is_locking: bool,
}

impl<'a> Sql<'a> {
    /// One that each engine says in its own words.
    pub(crate) const fn new(sqlite: &'a str, postgres: &'a str) -> Self {
        Self {
            sqlite,
            postgres,
            is_locking: false,
        }
    }

    /// The same, with the rows that a change finds locked until it ends.
    pub(crate) fn locking(self) -> Self {
        Self {
            is_locking: true,
            ..self
        }
    }

    /// The same in a transaction that may write, or may not and locks nothing.
    pub(super) fn in_change(self, is_change: bool) -> Self {
        Self {
            is_locking: self.is_locking && is_change,
            ..self
        }
    }

    #[cfg(test)]
    pub(crate) const fn sqlite(&self) -> &'a str {
        self.sqlite
    }

    pub(super) const fn postgres(&self) -> (&'a str, bool) {
        (self.postgres, self.is_locking)
    }
}

impl<'a> From<&'a str> for Sql<'a> {
    fn from(text: &'a str) -> Self {
        Self::new(text, text)
    }
}

impl<'a> From<&'a String> for Sql<'a> {
    fn from(text: &'a String) -> Self {
        Self::new(text, text)
    }
}

const RULES_VERSION: &str = "SELECT version FROM rules_version";

/// A transaction that statements run in.
#[derive(Debug)]
pub(crate) struct Db<'a>(Engine<'a>);

#[derive(Debug)]
enum Engine<'a> {
    Sqlite(&'a rusqlite::Connection),
    Postgres {
        session: &'a Session,
        /// It may write, so that what it reads first can be locked.
        is_change: bool,
    },
}

impl<'a> Db<'a> {
    pub(super) const fn sqlite(connection: &'a rusqlite::Connection) -> Self {
        Self(Engine::Sqlite(connection))
    }

    pub(super) const fn postgres(session: &'a Session, is_change: bool) -> Self {
        Self(Engine::Postgres { session, is_change })
    }

    /// The connection, if it is SQLite's.
    pub(crate) const fn as_sqlite(&self) -> Option<&'a rusqlite::Connection> {
        match self.0 {
            Engine::Sqlite(connection) => Some(connection),
            Engine::Postgres { .. } => None,
        }
    }

    /// The host of the database, if it is PostgreSQL's.
    pub(crate) fn host(&self) -> Option<&'a str> {
        match self.0 {
            Engine::Sqlite(_) => None,
            Engine::Postgres { session, .. } => Some(session.host()),
        }
    }

    /// A number that differs as soon as another connection has changed the rules, or anything at all.
    pub(crate) fn data_version(&self) -> Result<i64, StoreError> {
        match self.0 {
            Engine::Sqlite(connection) => pragmas::data_version(connection),
            Engine::Postgres { session, is_change } => {
                // A view is of one moment, of which the version is known since it began.
                match session.rules_version().filter(|_| !is_change) {
                    Some(version) => Ok(version),
                    None => self.query_one(RULES_VERSION, values![], |row| row.get("version")),
                }
            }
        }
    }

    /// [`Self::data_version`], which a change that knows the rules asks for.
    pub(crate) fn data_version_ahead() -> Ahead {
        Ahead::new(RULES_VERSION, values![])
    }

    /// Has all others who begin a change of the rules wait, and gives the rules another [`Self::data_version`]. SQLite does both
    /// by itself.
    pub(crate) fn begin_change_of_rules(&self) -> Result<(), StoreError> {
        match self.0 {
            Engine::Sqlite(_) => Ok(()),
            Engine::Postgres { .. } => {
                let sql = "UPDATE rules_version SET version = nextval('rules_version_number')";
                self.execute(sql, values![]).map(drop)
            }
        }
    }

    /// Has all other changes that lock `what` for `whom` wait until this one ends, where no row can be locked. SQLite has one
    /// change at a time.
    pub(crate) fn lock(&self, what: &str, whom: &str) -> Result<(), StoreError> {
        match self.0 {
            Engine::Postgres {
                is_change: true, ..
            } => {
                // It gives a row of type `void`, which nobody reads.
                let sql = "SELECT 1 FROM pg_advisory_xact_lock(hashtext(?1), hashtext(?2))";
                self.exists(sql, values![what, whom]).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// A text that serves both engines, as this one wants it.
    #[cfg(test)]
    pub(crate) fn in_its_words(&self, sql: &str) -> String {
        match self.0 {
            Engine::Sqlite(_) => sql.to_owned(),
            Engine::Postgres { .. } => super::postgres::translate::translate(sql),
        }
    }

    /// Runs the statements of a migration.
    pub(crate) fn run_migration(&self, sql: &str) -> Result<(), StoreError> {
        match self.0 {
            Engine::Sqlite(connection) => Ok(connection.execute_batch(sql)?),
            Engine::Postgres { session, .. } => session.migrate(sql),
        }
    }

    /// Runs a statement that gives no rows. Returns how many it changed.
    pub(crate) fn execute<'s>(
        &self,
        sql: impl Into<Sql<'s>>,
        values: &[Value<'_>],
    ) -> Result<usize, StoreError> {
        let sql = sql.into();
        match self.0 {
            Engine::Sqlite(connection) => Ok(bound(connection, sql, values)?.raw_execute()?),
            Engine::Postgres { session, .. } => session.execute(sql, values),
        }
    }

    /// Runs a statement of which nothing depends on what it changes. PostgreSQL gets it with the next one that something depends
    /// on, or with the commit.
    pub(crate) fn execute_later<'s>(
        &self,
        sql: impl Into<Sql<'s>>,
        values: &[Value<'_>],
    ) -> Result<(), StoreError> {
        let sql = sql.into();
        match self.0 {
            Engine::Sqlite(_) => self.execute(sql, values).map(drop),
            Engine::Postgres { session, .. } => session.execute_later(sql, values, None),
        }
    }

    /// Runs a statement that must change a row. If it changes none, nothing of the transaction happens, and what fails, this
    /// call or the commit, fails with `otherwise`.
    pub(crate) fn must_change<'s>(
        &self,
        sql: impl Into<Sql<'s>>,
        values: &[Value<'_>],
        otherwise: fn() -> StoreError,
    ) -> Result<(), StoreError> {
        let sql = sql.into();
        match self.0 {
            Engine::Sqlite(_) if self.execute(sql, values)? == 0 => Err(otherwise()),
            Engine::Sqlite(_) => Ok(()),
            Engine::Postgres { session, .. } => session.execute_later(sql, values, Some(otherwise)),
        }
    }

    /// Runs an `INSERT` of one row and returns the `id` that it got.
    pub(crate) fn insert<'s>(
        &self,
        sql: impl Into<Sql<'s>>,
        values: &[Value<'_>],
    ) -> Result<i64, StoreError> {
        let sql = sql.into();
        match self.0 {
            Engine::Sqlite(connection) => {
                bound(connection, sql, values)?.raw_execute()?;
                Ok(connection.last_insert_rowid())
            }
            Engine::Postgres { session, .. } => session.insert(sql, values),
        }
    }

    /// Runs an `INSERT` of one row for each of these parameters and returns the `id`s, in this order. PostgreSQL gets many at
    /// once.
    pub(crate) fn insert_each<'s>(
        &self,
        sql: impl Into<Sql<'s>>,
        rows: &[Vec<Value<'_>>],
    ) -> Result<Vec<i64>, StoreError> {
        let sql = sql.into();
        match self.0 {
            Engine::Sqlite(_) => rows.iter().map(|values| self.insert(sql, values)).collect(),
            Engine::Postgres { session, .. } => session.insert_each(sql, rows),
        }
    }

    /// Asks in one round trip what the transaction asks next. As with the beginning of a transaction, what it asks otherwise is a
    /// query like any other, and what is written forgets the answers.
    pub(crate) fn ask(&self, ahead: &[Ahead]) -> Result<(), StoreError> {
        match self.0 {
            Engine::Sqlite(_) => Ok(()),
            Engine::Postgres { session, is_change } => {
                let ahead = ahead.iter().map(|it| it.in_change(is_change));
                session.ask(&ahead.collect::<Vec<_>>())
            }
        }
    }

    /// Whether a query gives any row.
    pub(crate) fn exists<'s>(
        &self,
        sql: impl Into<Sql<'s>>,
        values: &[Value<'_>],
    ) -> Result<bool, StoreError> {
        let found = self.query_opt(sql, values, |_| Ok(()))?;
        Ok(found.is_some())
    }

    /// The first row of a query.
    pub(crate) fn query_opt<'s, T>(
        &self,
        sql: impl Into<Sql<'s>>,
        values: &[Value<'_>],
        read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let sql = sql.into();
        match self.0 {
            Engine::Sqlite(connection) => {
                let mut statement = bound(connection, sql, values)?;
                let mut rows = statement.raw_query();
                rows.next()?.map(|row| read(&Row::sqlite(row))).transpose()
            }
            Engine::Postgres { session, is_change } => {
                let rows = session.query(sql.in_change(is_change), values)?;
                rows.first()
                    .map(|row| read(&Row::postgres(row)))
                    .transpose()
            }
        }
    }

    /// The first row of a query that always gives one.
    pub(crate) fn query_one<'s, T>(
        &self,
        sql: impl Into<Sql<'s>>,
        values: &[Value<'_>],
        read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.query_opt(sql, values, read)?
            .ok_or_else(|| StoreError::Damaged("a row that is always there is missing".to_owned()))
    }

    /// All rows of a query, which are few.
    pub(crate) fn query_all<'s, T>(
        &self,
        sql: impl Into<Sql<'s>>,
        values: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut all = Vec::new();
        self.each_of_few(sql, values, |row| {
            all.push(read(row)?);
            Ok(())
        })?;
        Ok(all)
    }

    /// Passes all rows of a query, which are few, to `each`.
    pub(crate) fn each_of_few<'s>(
        &self,
        sql: impl Into<Sql<'s>>,
        values: &[Value<'_>],
        mut each: impl FnMut(&Row<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let sql = sql.into();
        match self.0 {
            Engine::Sqlite(_) => self.each(sql, values, |row| each(row).map(|()| true)),
            Engine::Postgres { session, .. } => {
                let rows = session.query(sql, values)?;
                rows.iter().try_for_each(|row| each(&Row::postgres(row)))
            }
        }
    }

    /// Passes the rows of a query to `each`, until that returns `false`. They are not all held in memory, which takes
    /// PostgreSQL several steps.
    pub(crate) fn each<'s>(
        &self,
        sql: impl Into<Sql<'s>>,
        values: &[Value<'_>],
        mut each: impl FnMut(&Row<'_>) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let sql = sql.into();
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
            Engine::Postgres { session, .. } => {
                session.each(sql, values, |row| each(&Row::postgres(row)))
            }
        }
    }
}

/// A statement, compiled once in the life of the connection, with its parameters.
fn bound<'c>(
    connection: &'c rusqlite::Connection,
    sql: Sql<'_>,
    values: &[Value<'_>],
) -> Result<CachedStatement<'c>, StoreError> {
    let mut statement = connection.prepare_cached(sql.sqlite)?;
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
