//! Values on their way to PostgreSQL and back, in the binary format of the protocol.

use std::error::Error;

use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::sql::Value;

type Fallible<T> = Result<T, Box<dyn Error + Sync + Send>>;

impl ToSql for Value<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Fallible<IsNull> {
        match *self {
            Value::Null => return Ok(IsNull::Yes),
            Value::Integer(value) => match *ty {
                Type::INT8 => out.extend_from_slice(&value.to_be_bytes()),
                Type::INT4 => out.extend_from_slice(&i32::try_from(value)?.to_be_bytes()),
                Type::INT2 => out.extend_from_slice(&i16::try_from(value)?.to_be_bytes()),
                _ => return Err(format!("an integer for {ty}").into()),
            },
            // A text is sent as JSON as it is.
            Value::Text(value) if [Type::TEXT, Type::JSON].contains(ty) => {
                out.extend_from_slice(value);
            }
            Value::Blob(value) if *ty == Type::BYTEA => out.extend_from_slice(value),
            Value::Text(_) | Value::Blob(_) => return Err(format!("bytes for {ty}").into()),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Value<'a> {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Fallible<Self> {
        Ok(match *ty {
            Type::INT8 => Value::Integer(i64::from_be_bytes(raw.try_into()?)),
            Type::INT4 => Value::Integer(i32::from_be_bytes(raw.try_into()?).into()),
            Type::INT2 => Value::Integer(i16::from_be_bytes(raw.try_into()?).into()),
            Type::BOOL => Value::Integer(i64::from(raw != [0])),
            Type::BYTEA => Value::Blob(raw),
            Type::TEXT | Type::VARCHAR | Type::NAME => Value::Text(raw),
            _ => return Err(format!("a column of {ty}").into()),
        })
    }

    fn from_sql_null(_: &Type) -> Fallible<Self> {
        Ok(Value::Null)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}
