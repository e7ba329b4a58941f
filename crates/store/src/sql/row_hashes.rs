//! The keyed hashes of rows: which columns they cover, and the column `seal` that has them. Only a database on a server has
//! rows with hashes; in a file the column is empty.

use std::fmt;

use super::{Db, Row, Value, values};
use crate::error::StoreError;

/// What a row has that was just written, before its hash is.
pub(crate) const NO_HASH: &[u8] = &[];

/// A table whose rows have a hash.
#[derive(Debug)]
pub(crate) struct HashedTable {
    pub name: &'static str,
    /// The column that tells one row from the others.
    id: &'static str,
    /// The column that an administrator knows a row by.
    label: &'static str,
    /// The columns that the hash covers.
    columns: &'static [&'static str],
}

pub(crate) static SETTING: HashedTable = HashedTable {
    name: "setting",
    id: "key",
    label: "key",
    columns: &["key", "value"],
};

pub(crate) static EXEMPTION: HashedTable = HashedTable {
    name: "exemption",
    id: "id",
    label: "id",
    columns: &[
        "id",
        "name",
        "uid",
        "unix_group",
        "unix_gid",
        "network",
        "service",
        "reason",
        "granted_by",
        "granted_at",
        "until",
    ],
};

/// What changes with each login, and that the host is cut off, is not covered.
pub(crate) static HOST: HashedTable = HashedTable {
    name: "host",
    id: "id",
    label: "name",
    columns: &[
        "id",
        "name",
        "services",
        "may_enrol",
        "people",
        "token",
        "token_until",
        "key",
        "key_until",
        "previous_key",
        "previous_until",
        "joined_at",
        "copied_at",
        "join_key",
        "lives",
    ],
};

/// How often it was used is not covered.
pub(crate) static JOIN_KEY: HashedTable = HashedTable {
    name: "join_key",
    id: "name",
    label: "name",
    columns: &[
        "name",
        "digest",
        "names",
        "services",
        "people",
        "may_enrol",
        "uses",
        "hourly",
        "host_lives",
        "added_at",
        "until",
    ],
};

/// What the hash of a row covers, as bytes, and the hash that it has.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct RowHash {
    pub covered: Vec<u8>,
    pub hash: Vec<u8>,
}

/// A row with a hash.
#[derive(Debug)]
pub(crate) struct HashedRow {
    pub id: String,
    pub label: String,
    pub hash: RowHash,
}

impl RowHash {
    pub(crate) const NONE: Self = Self {
        covered: Vec::new(),
        hash: Vec::new(),
    };

    /// The hash of `row`, which has all columns that the hash covers, and `seal`.
    pub(crate) fn of(table: &HashedTable, row: &Row<'_>) -> Result<Self, StoreError> {
        let value = |column: &&str| row.value(row.index(column)?);
        let values: Result<Vec<_>, _> = table.columns.iter().map(value).collect();
        Ok(Self {
            covered: covered(table.name, &values?),
            hash: row.get("seal")?,
        })
    }
}

impl fmt::Debug for RowHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RowHash(…)")
    }
}

/// What a hash covers: the table and these values, each with its type and length, so that no two rows give the same.
pub(crate) fn covered(table: &str, row: &[Value<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut add = |kind: u8, value: &[u8]| {
        bytes.push(kind);
        let length = u64::try_from(value.len()).unwrap_or(u64::MAX);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(value);
    };
    add(b't', table.as_bytes());
    for value in row {
        match value {
            Value::Null => add(b'0', &[]),
            Value::Integer(number) => add(b'i', &number.to_be_bytes()),
            Value::Text(text) => add(b's', text),
            Value::Blob(blob) => add(b'b', blob),
        }
    }
    bytes
}

/// Up to `many` rows of `table` after the one with this id, by id.
pub(crate) fn batch(
    db: &Db<'_>,
    table: &HashedTable,
    after: &str,
    many: u32,
) -> Result<Vec<HashedRow>, StoreError> {
    let HashedTable {
        name,
        id,
        label,
        columns,
    } = table;
    let columns = columns.join(", ");
    let sql = format!(
        "SELECT {columns}, seal, CAST({id} AS TEXT) AS row_id, CAST({label} AS TEXT) AS row_label FROM {name}
         WHERE CAST({id} AS TEXT) > ?1 ORDER BY CAST({id} AS TEXT) LIMIT ?2"
    );
    db.query_all(&sql, values![after, many], |row| {
        Ok(HashedRow {
            id: row.get("row_id")?,
            label: row.get("row_label")?,
            hash: RowHash::of(table, row)?,
        })
    })
}

/// The row with this id, which nobody else changes until the transaction ends.
pub(crate) fn lock(
    db: &Db<'_>,
    table: &HashedTable,
    id: &str,
) -> Result<Option<HashedRow>, StoreError> {
    let HashedTable {
        name,
        id: column,
        label,
        columns,
    } = table;
    let columns = columns.join(", ");
    let sql = format!(
        "SELECT {columns}, seal, CAST({label} AS TEXT) AS row_label FROM {name} WHERE CAST({column} AS TEXT) = ?1"
    );
    let sql = super::Sql::from(sql.as_str()).locking();
    db.query_opt(sql, values![id], |row| {
        Ok(HashedRow {
            id: id.to_owned(),
            label: row.get("row_label")?,
            hash: RowHash::of(table, row)?,
        })
    })
}

/// Gives the row with this id its hash, if it still has the one `before`.
pub(crate) fn set(
    db: &Db<'_>,
    table: &HashedTable,
    id: &str,
    before: &[u8],
    hash: &[u8],
) -> Result<(), StoreError> {
    let HashedTable {
        name, id: column, ..
    } = table;
    let sql =
        format!("UPDATE {name} SET seal = ?3 WHERE CAST({column} AS TEXT) = ?1 AND seal = ?2");
    db.execute_later(&sql, values![id, before, hash])
}

/// The same for a class.
pub(crate) fn set_of_class(db: &Db<'_>, class: &str, hash: &[u8]) -> Result<(), StoreError> {
    let sql = "UPDATE class SET seal = ?2 WHERE name = ?1";
    db.execute_later(sql, values![class, hash])
}

/// The same for the version of the policy.
pub(crate) fn set_of_policy(db: &Db<'_>, hash: &[u8]) -> Result<(), StoreError> {
    let sql = "UPDATE policy_version SET seal = ?1";
    db.execute_later(sql, values![hash])
}
