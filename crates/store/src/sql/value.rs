//! What goes into a statement and comes out of it, whatever the engine: [`Value`], and the [`Row`]s that hold it.

use rusqlite::types::ValueRef;
use twofa_core::Timestamp;

use super::postgres::combined::Found;
use crate::error::StoreError;

/// A parameter of a statement, or what stands in a column of a row. Booleans are 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Null,
    Integer(i64),
    /// Not known to be UTF-8 where it was read.
    Text(&'a [u8]),
    Blob(&'a [u8]),
}

/// The parameters of a statement, in the order of their numbers.
macro_rules! values {
    ($($value:expr),* $(,)?) => { &[$($crate::sql::Parameter::as_value(&$value)),*] };
}
pub(crate) use values;

/// What can be a parameter of a statement.
pub(crate) trait Parameter {
    fn as_value(&self) -> Value<'_>;
}

macro_rules! integers {
    ($($integer:ty),*) => {
        $(impl Parameter for $integer {
            fn as_value(&self) -> Value<'_> {
                Value::Integer((*self).into())
            }
        })*
    };
}
integers!(bool, u8, u32, i32, i64);

impl Parameter for u64 {
    fn as_value(&self) -> Value<'_> {
        // No counter gets there.
        Value::Integer(i64::try_from(*self).unwrap_or(i64::MAX))
    }
}

impl Parameter for Timestamp {
    fn as_value(&self) -> Value<'_> {
        Value::Integer(self.unix())
    }
}

impl Parameter for str {
    fn as_value(&self) -> Value<'_> {
        Value::Text(self.as_bytes())
    }
}

impl Parameter for String {
    fn as_value(&self) -> Value<'_> {
        Value::Text(self.as_bytes())
    }
}

impl Parameter for [u8] {
    fn as_value(&self) -> Value<'_> {
        Value::Blob(self)
    }
}

impl Parameter for Vec<u8> {
    fn as_value(&self) -> Value<'_> {
        Value::Blob(self)
    }
}

impl<const N: usize> Parameter for [u8; N] {
    fn as_value(&self) -> Value<'_> {
        Value::Blob(self)
    }
}

impl<T: Parameter + ?Sized> Parameter for &T {
    fn as_value(&self) -> Value<'_> {
        (**self).as_value()
    }
}

impl<T: Parameter> Parameter for Option<T> {
    fn as_value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, T::as_value)
    }
}

impl<'a> From<ValueRef<'a>> for Value<'a> {
    fn from(value: ValueRef<'a>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(value) => Self::Integer(value),
            // No column of ours has them; reading one as another type finds it damaged.
            ValueRef::Real(_) => Self::Blob(&[]),
            ValueRef::Text(value) => Self::Text(value),
            ValueRef::Blob(value) => Self::Blob(value),
        }
    }
}

/// A row that a statement gave.
pub(crate) struct Row<'r>(EngineRow<'r>);

enum EngineRow<'r> {
    Sqlite(&'r rusqlite::Row<'r>),
    Postgres(&'r Found),
}

impl<'r> Row<'r> {
    pub(super) const fn sqlite(row: &'r rusqlite::Row<'r>) -> Self {
        Self(EngineRow::Sqlite(row))
    }

    pub(super) const fn postgres(row: &'r Found) -> Self {
        Self(EngineRow::Postgres(row))
    }

    /// What stands in the column of this name.
    pub(crate) fn get<T: FromValue>(&self, column: &str) -> Result<T, StoreError> {
        self.at(self.index(column)?)
    }

    /// What stands in this column, counted from zero.
    pub(crate) fn at<T: FromValue>(&self, index: usize) -> Result<T, StoreError> {
        T::from_value(self.value(index)?).ok_or_else(StoreError::wrong_type)
    }

    /// The same, as it is.
    pub(crate) fn value(&self, index: usize) -> Result<Value<'r>, StoreError> {
        match self.0 {
            EngineRow::Sqlite(row) => Ok(row.get_ref(index)?.into()),
            EngineRow::Postgres(row) => row.value(index),
        }
    }

    /// Where the column of this name stands.
    pub(crate) fn index(&self, column: &str) -> Result<usize, StoreError> {
        match self.0 {
            EngineRow::Sqlite(row) => Ok(row.as_ref().column_index(column)?),
            EngineRow::Postgres(row) => row.index(column).ok_or_else(StoreError::wrong_type),
        }
    }
}

impl StoreError {
    /// Something in the database is not what we ever write.
    pub(super) fn wrong_type() -> Self {
        Self::Damaged("a value in it has the wrong type".to_owned())
    }
}

/// What a column can be read as.
pub(crate) trait FromValue: Sized {
    /// `None`: it is something else.
    fn from_value(value: Value<'_>) -> Option<Self>;
}

impl FromValue for i64 {
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Integer(value) => Some(value),
            _ => None,
        }
    }
}

macro_rules! narrower {
    ($($integer:ty),*) => {
        $(impl FromValue for $integer {
            fn from_value(value: Value<'_>) -> Option<Self> {
                i64::from_value(value)?.try_into().ok()
            }
        })*
    };
}
narrower!(u8, i32, u32, u64);

impl FromValue for bool {
    fn from_value(value: Value<'_>) -> Option<Self> {
        i64::from_value(value).map(|value| value != 0)
    }
}

impl FromValue for String {
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Text(value) => Self::from_utf8(value.to_vec()).ok(),
            _ => None,
        }
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Blob(value) => Some(value.to_vec()),
            _ => None,
        }
    }
}

impl<const N: usize> FromValue for [u8; N] {
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Blob(value) => value.try_into().ok(),
            _ => None,
        }
    }
}

impl FromValue for Timestamp {
    fn from_value(value: Value<'_>) -> Option<Self> {
        i64::from_value(value).map(Self::from_unix)
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}
