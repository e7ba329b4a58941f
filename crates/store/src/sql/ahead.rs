//! Queries that are known before their transaction begins. PostgreSQL gets them with the beginning, in the same round trip; the
//! transaction asks them later, in any order, and finds the answers there. One that it asks with other parameters is a query
//! like any other, so that what is asked ahead changes how long a transaction takes, and nothing else.

use super::{Sql, Value};

/// A query with its parameters.
#[derive(Debug, Clone)]
pub(crate) struct Ahead {
    sql: Sql<'static>,
    values: OwnedValues,
}

/// The parameters of a statement that is run later.
#[derive(Debug, Clone)]
pub(super) struct OwnedValues(Vec<Owned>);

/// A [`Value`] of its own.
#[derive(Debug, Clone)]
enum Owned {
    Null,
    Integer(i64),
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

impl Ahead {
    pub(crate) fn new(sql: impl Into<Sql<'static>>, values: &[Value<'_>]) -> Self {
        Self {
            sql: sql.into(),
            values: values.into(),
        }
    }

    pub(super) const fn sql(&self) -> Sql<'static> {
        self.sql
    }

    pub(super) fn values(&self) -> Vec<Value<'_>> {
        self.values.as_values().collect()
    }

    /// Whether this is the query `sql` with these `values`.
    pub(super) fn is(&self, sql: Sql<'_>, values: &[Value<'_>]) -> bool {
        self.sql.postgres() == sql.postgres() && self.values.as_values().eq(values.iter().copied())
    }

    /// The same query in a transaction that may write, or may not.
    pub(super) fn in_change(&self, is_change: bool) -> Self {
        Self {
            sql: self.sql.in_change(is_change),
            values: self.values.clone(),
        }
    }
}

impl OwnedValues {
    pub(super) fn as_values(&self) -> impl Iterator<Item = Value<'_>> {
        self.0.iter().map(Owned::as_value)
    }
}

impl From<&[Value<'_>]> for OwnedValues {
    fn from(values: &[Value<'_>]) -> Self {
        Self(values.iter().map(Owned::from).collect())
    }
}

impl Owned {
    fn as_value(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Integer(value) => Value::Integer(*value),
            Self::Text(value) => Value::Text(value),
            Self::Blob(value) => Value::Blob(value),
        }
    }
}

impl From<&Value<'_>> for Owned {
    fn from(value: &Value<'_>) -> Self {
        match *value {
            Value::Null => Self::Null,
            Value::Integer(value) => Self::Integer(value),
            Value::Text(value) => Self::Text(value.to_vec()),
            Value::Blob(value) => Self::Blob(value.to_vec()),
        }
    }
}
