//! Several queries as one statement. PostgreSQL takes longer to be told of a statement than to look up a row by its key, so
//! what is asked with the beginning of a transaction is asked in one: each query is a column, whose value is an array of its rows.

use std::sync::Arc;

use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

use super::statement::Compiled;
use super::translate::translate_from;
use crate::error::StoreError;
use crate::sql::{Sql, Value};

/// A row that PostgreSQL gave: of a statement, or of one query among several.
#[derive(Debug)]
pub(crate) enum Found {
    /// Of a statement.
    Whole(Row),
    /// Of a query among several.
    Part(Part),
}

/// A row of a query among several.
#[derive(Debug)]
pub(crate) struct Part {
    columns: Arc<[String]>,
    fields: Vec<Field>,
}

impl Found {
    /// What stands in this column, counted from zero.
    pub(crate) fn value(&self, index: usize) -> Result<Value<'_>, StoreError> {
        match self {
            Self::Whole(row) => Ok(row.try_get(index)?),
            Self::Part(part) => part.value(index),
        }
    }

    /// Where the column of this name stands.
    pub(crate) fn index(&self, column: &str) -> Option<usize> {
        match self {
            Self::Whole(row) => row
                .columns()
                .iter()
                .position(|found| found.name() == column),
            Self::Part(part) => part.columns.iter().position(|found| found == column),
        }
    }
}

impl Part {
    fn value(&self, index: usize) -> Result<Value<'_>, StoreError> {
        let (of_type, bytes) = self.fields.get(index).ok_or_else(StoreError::wrong_type)?;
        let Some(bytes) = bytes else {
            return Ok(Value::Null);
        };
        Value::from_sql(of_type, bytes).map_err(|_| StoreError::wrong_type())
    }
}

/// The text of `queries` as one statement, after the columns `first`, which has so many parameters.
pub(super) fn text(first: &str, parameters: usize, queries: &[(Sql<'_>, usize)]) -> String {
    let mut text = translate_from(first, 0);
    let mut before = parameters;
    for (sql, parameters) in queries {
        let query = translate_from(sql.postgres().0, before);
        let separator = if text == "SELECT" { "" } else { "," };
        text += &format!("{separator} (SELECT array_agg(found) FROM ({query}) AS found)");
        before += parameters;
    }
    text
}

/// The rows of the query that is this column of `row`. They have these columns.
pub(super) fn rows(
    row: &Row,
    column: usize,
    columns: &Arc<[String]>,
) -> Result<Vec<Found>, StoreError> {
    let Records(records) = row.try_get(column)?;
    let parts = records.into_iter().map(|fields| {
        Found::Part(Part {
            columns: columns.clone(),
            fields,
        })
    });
    Ok(parts.collect())
}

/// The names of the columns of a query.
pub(super) fn columns(statement: &Compiled) -> Arc<[String]> {
    match statement {
        Compiled::Once(statement) => {
            let names = statement.columns().iter();
            names.map(|column| column.name().to_owned()).collect()
        }
        // Not known before it has run, and never asked with others.
        Compiled::EachTime { .. } => Arc::default(),
    }
}

/// A field of a record: its type, and its bytes unless it is null.
type Field = (Type, Option<Vec<u8>>);

/// The length of what is null.
const NULL: u32 = u32::MAX;

/// An array of records, as `array_send` and `record_send` of PostgreSQL write it.
struct Records(Vec<Vec<Field>>);

impl<'a> FromSql<'a> for Records {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Bytes(raw)
            .records()
            .map(Self)
            .ok_or_else(|| "an array of records does not read".into())
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        // No row.
        Ok(Self(Vec::new()))
    }

    fn accepts(found: &Type) -> bool {
        *found == Type::RECORD_ARRAY
    }
}

/// What is left to read.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn records(&mut self) -> Option<Vec<Vec<Field>>> {
        let dimensions = self.number()?;
        // Whether any is null, and the type of all.
        self.take(8)?;
        if dimensions == 0 {
            return Some(Vec::new());
        }
        let number = self.number()?;
        // The number of the first.
        self.take(4)?;
        let records = (0..number).map(|_| {
            let length = self.number()?;
            Bytes(self.take(length)?).record()
        });
        records.collect()
    }

    fn record(&mut self) -> Option<Vec<Field>> {
        let number = self.number()?;
        (0..number).map(|_| self.field()).collect()
    }

    fn field(&mut self) -> Option<Field> {
        let of_type = Type::from_oid(self.number()?)?;
        let bytes = match self.number()? {
            NULL => None,
            length => Some(self.take(length)?.to_vec()),
        };
        Some((of_type, bytes))
    }

    fn number(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn take(&mut self, length: u32) -> Option<&'a [u8]> {
        let (taken, left) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = left;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field: the number of its type, and its bytes.
    type Given<'a> = (u32, Option<&'a [u8]>);

    /// An array of records with these fields.
    fn array(records: &[&[Given<'_>]]) -> Vec<u8> {
        let number = |number: usize| u32::try_from(number).unwrap().to_be_bytes();
        let mut array = [
            number(1),
            number(0),
            number(2249),
            number(records.len()),
            number(1),
        ]
        .concat();
        for fields in records {
            let mut record = number(fields.len()).to_vec();
            for (oid, bytes) in *fields {
                record.extend(oid.to_be_bytes());
                record.extend(bytes.map_or(u32::MAX.to_be_bytes(), |bytes| number(bytes.len())));
                record.extend(bytes.unwrap_or_default());
            }
            array.extend(number(record.len()));
            array.extend(record);
        }
        array
    }

    #[test]
    fn records_are_read_and_what_is_cut_off_is_an_error() {
        let array = array(&[
            &[(25, Some(b"alice")), (20, None)],
            &[(25, Some(b"")), (20, Some(&[0; 8]))],
        ]);
        let read = Bytes(&array).records().unwrap();
        assert_eq!(
            read[0],
            [(Type::TEXT, Some(b"alice".to_vec())), (Type::INT8, None)]
        );
        assert_eq!(
            read[1],
            [(Type::TEXT, Some(vec![])), (Type::INT8, Some(vec![0; 8]))]
        );
        for length in 0..array.len() {
            assert!(Bytes(&array[..length]).records().is_none(), "{length}");
        }
        assert_eq!(Bytes(&[0; 12]).records(), Some(Vec::new()));
    }

    #[test]
    fn the_parameters_of_queries_that_are_asked_together_are_numbered_one_after_the_other() {
        let queries = [(Sql::from("SELECT ?1"), 1), (Sql::from("SELECT ?2, ?1"), 2)];
        assert_eq!(
            text("SELECT ?1, ?3", 3, &queries),
            "SELECT $1, $3, (SELECT array_agg(found) FROM (SELECT $4) AS found), \
             (SELECT array_agg(found) FROM (SELECT $6, $5) AS found)"
        );
    }
}
