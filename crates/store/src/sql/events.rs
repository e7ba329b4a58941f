//! The audit log: the table `event`.

use twofa_core::{Account, Timestamp};

use super::value;
use super::{Ahead, Db, Parameter, Row, Sql, values};
use crate::error::StoreError;
use crate::event::{LoginOrigin, Missed, Origin, StoredEvent};
use crate::journal::Value;
use crate::seal::HASH_BYTES;

// The kind is written out, because PostgreSQL uses an index of some rows only for what a statement says whatever its parameters are.
pub(super) const REFUSED_SINCE_PASS: Sql<'_> = Sql::new(
    "SELECT at, coalesce(remote_host, terminal) AS place FROM event
     WHERE name = ?1 AND id > (SELECT passed_event FROM user WHERE name = ?1 AND uid = ?2)
         AND uid = ?2 AND kind = 'refused' AND source = 'login' ORDER BY id DESC",
    "SELECT at, coalesce(remote_host, terminal) AS place FROM (
         SELECT written, at, name, uid, kind, source, remote_host, terminal FROM event
         UNION ALL SELECT id, at, name, uid, kind, source, remote_host, terminal FROM new_event) AS logged
     WHERE name = ?1 AND written > (SELECT passed_event FROM user WHERE name = ?1 AND uid = ?2)
         AND uid = ?2 AND kind = 'refused' AND source = 'login' ORDER BY written DESC",
);

/// The columns of an event that its leaf proves, in this order.
const COLUMNS: [&str; 15] = [
    "at",
    "kind",
    "fields",
    "detail",
    "name",
    "uid",
    "actor",
    "login_uid",
    "source",
    "service",
    "remote_host",
    "remote_user",
    "terminal",
    "unsynced",
    "host",
];

/// A new event.
#[derive(Debug)]
pub(crate) struct NewEvent<'a> {
    pub user: Option<&'a Account>,
    pub event: &'a StoredEvent,
    pub origin: &'a Origin,
    pub at: Timestamp,
    /// Whether the commit waits for the disk.
    pub is_synced: bool,
}

impl NewEvent<'_> {
    /// What is stored of it, by column.
    pub(crate) fn columns(&self) -> impl Iterator<Item = (&'static str, Value<'_>)> {
        fn text(text: Option<&String>) -> Value<'_> {
            text.map_or(Value::Null, |text| Value::Text(text.as_bytes()))
        }
        let number =
            |number: Option<u32>| number.map_or(Value::Null, |it| Value::Integer(it.into()));
        let login = self.origin.as_login();
        let of_login = |part: fn(&LoginOrigin) -> &Option<String>| {
            text(login.and_then(|login| part(login).as_ref()))
        };
        let values = [
            Value::Integer(self.at.unix()),
            text(Some(&self.event.kind)),
            text(self.event.fields.as_ref()),
            Value::Null,
            text(self.user.map(|user| &user.name)),
            number(self.user.map(|user| user.uid)),
            Value::Integer(self.origin.actor.into()),
            number(self.origin.login_uid),
            Value::Text(self.origin.source.name().as_bytes()),
            of_login(|login| &login.service),
            of_login(|login| &login.remote_host),
            of_login(|login| &login.remote_user),
            of_login(|login| &login.terminal),
            if self.is_synced {
                Value::Null
            } else {
                Value::Integer(1)
            },
            text(self.origin.host.as_ref().map(|host| &host.name)),
        ];
        COLUMNS.into_iter().zip(values)
    }
}

/// The number of the next event: one more than that of any before, those included that are only in a checkpoint.
pub(crate) fn next_number(db: &Db<'_>) -> Result<i64, StoreError> {
    macro_rules! next {
        ($greatest:literal) => {
            concat!(
                "SELECT 1 + ",
                $greatest,
                "(coalesce((SELECT max(id) FROM event), 0),
                  coalesce((SELECT last FROM checkpoint ORDER BY number DESC LIMIT 1), 0)) AS next"
            )
        };
    }
    let sql = Sql::new(next!("max"), next!("greatest"));
    db.query_one(sql, values![], |row| row.get("next"))
}

/// Adds an event under this number, which no other has.
pub(crate) fn insert(
    db: &Db<'_>,
    number: i64,
    event: &NewEvent<'_>,
    leaf: &[u8; HASH_BYTES],
) -> Result<(), StoreError> {
    macro_rules! insert {
        ($column:literal, $value:literal) => {
            concat!(
                "INSERT INTO event (id, leaf, at, kind, fields, detail, name, uid, actor, login_uid, source, service,
                     remote_host, remote_user, terminal, unsynced, host",
                $column,
                ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17",
                $value,
                ")"
            )
        };
    }
    let sql = Sql::new(
        insert!("", ""),
        insert!(
            ", written",
            ", nextval(pg_get_serial_sequence('new_event', 'id'))"
        ),
    );
    let mut values = [value::Value::Null; FIRST_COLUMN + COLUMNS.len()];
    values[0] = number.as_value();
    values[1] = leaf.as_value();
    for (value, (_, column)) in values[FIRST_COLUMN..].iter_mut().zip(event.columns()) {
        *value = parameter(column);
    }
    db.execute(sql, &values).map(drop)
}

const fn parameter(value: Value<'_>) -> value::Value<'_> {
    match value {
        Value::Null => value::Value::Null,
        Value::Integer(value) => value::Value::Integer(value),
        Value::Text(value) => value::Value::Text(value),
    }
}

/// The number of an event that was just logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoggedAs {
    /// This one.
    Number(i64),
    /// PostgreSQL: the last one that this transaction wrote.
    Last,
}

/// PostgreSQL: adds an event that has no place in the journal yet.
pub(crate) fn write(db: &Db<'_>, event: &NewEvent<'_>) -> Result<(), StoreError> {
    let sql = "INSERT INTO new_event (at, kind, fields, detail, name, uid, actor, login_uid, source, service, remote_host,
                   remote_user, terminal, unsynced, host)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";
    let mut values = [value::Value::Null; COLUMNS.len()];
    for (value, (_, column)) in values.iter_mut().zip(event.columns()) {
        *value = parameter(column);
    }
    db.execute_later(sql, &values)
}

/// How many events have no place in the journal yet.
pub(crate) fn count_written(db: &Db<'_>) -> Result<u64, StoreError> {
    db.query_one(
        "SELECT count(*) AS events FROM new_event",
        values![],
        |row| row.get("events"),
    )
}

/// PostgreSQL: passes the `most` oldest events without a place in the journal to `each`, with the number that each is written
/// under.
pub(crate) fn each_written(
    db: &Db<'_>,
    most: u32,
    mut each: impl FnMut(JournalRow<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let sql = "SELECT id, CAST(NULL AS bytea) AS leaf, at, kind, fields, detail, name, uid, actor, login_uid, source,
               service, remote_host, remote_user, terminal, unsynced, host FROM new_event ORDER BY id LIMIT ?1";
    db.each_of_few(sql, values![most], |row| {
        each(JournalRow {
            number: row.get("id")?,
            leaf: None,
            row,
        })
    })
}

/// PostgreSQL: moves events to their places in the journal: a JSON list of `written`, `number` and `leaf` (in hexadecimal).
pub(crate) fn enter(db: &Db<'_>, places: &str) -> Result<(), StoreError> {
    let sql = "INSERT INTO event (id, written, leaf, at, kind, fields, detail, name, uid, actor, login_uid, source, service,
                   remote_host, remote_user, terminal, unsynced, host)
               SELECT number, id, decode(leaf, 'hex'), at, kind, fields, detail, name, uid, actor, login_uid, source, service,
                   remote_host, remote_user, terminal, unsynced, host
               FROM json_to_recordset(CAST(?1 AS json)) AS place (written bigint, number bigint, leaf text)
               JOIN new_event ON id = written";
    db.execute(sql, values![places])?;
    let sql = "SELECT twofa_delete_entered(CAST(?1 AS json))";
    db.exists(sql, values![places]).map(drop)
}

/// Where [`COLUMNS`] begin in [`each_in_journal`].
const FIRST_COLUMN: usize = 2;

/// An event as the journal sees it.
pub(crate) struct JournalRow<'a> {
    pub number: i64,
    /// `None`: it is older than the journal.
    pub leaf: Option<Vec<u8>>,
    row: &'a Row<'a>,
}

impl JournalRow<'_> {
    /// What is stored of it, by column.
    pub(crate) fn columns(&self) -> Result<[(&'static str, Value<'_>); 15], StoreError> {
        let mut columns = COLUMNS.map(|name| (name, Value::Null));
        for (i, (_, column)) in columns.iter_mut().enumerate() {
            *column = match self.row.value(i + FIRST_COLUMN)? {
                value::Value::Null => Value::Null,
                value::Value::Integer(value) => Value::Integer(value),
                value::Value::Text(value) => Value::Text(value),
                value::Value::Blob(_) => return Err(StoreError::wrong_type()),
            };
        }
        Ok(columns)
    }
}

/// Passes every event to `each`, by number.
pub(crate) fn each_in_journal(
    db: &Db<'_>,
    mut each: impl FnMut(JournalRow<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let sql = "SELECT id, leaf, at, kind, fields, detail, name, uid, actor, login_uid, source, service, remote_host,
        remote_user, terminal, unsynced, host FROM event ORDER BY id";
    db.each(sql, values![], |row| {
        each(JournalRow {
            number: row.get("id")?,
            leaf: row.get("leaf")?,
            row,
        })?;
        Ok(true)
    })
}

/// The number of the latest event; 0 if there is none.
pub(crate) fn latest(db: &Db<'_>) -> Result<i64, StoreError> {
    let sql = "SELECT coalesce(max(id), 0) AS latest FROM event";
    db.query_one(sql, values![], |row| row.get("latest"))
}

/// The refused logins of `account` since the last time that a code of theirs was right.
pub(crate) fn refused_since_pass(
    db: &Db<'_>,
    account: &Account,
) -> Result<Option<Missed>, StoreError> {
    missed(db, REFUSED_SINCE_PASS, values![account.name, account.uid])
}

/// [`refused_since_pass`], to be asked later.
pub(crate) fn refused_since_pass_ahead(account: &Account) -> Ahead {
    let values = values![account.name, account.uid];
    Ahead::new(REFUSED_SINCE_PASS, values)
}

/// The refused logins of `account` after the event number `after`; changes that were refused are none.
pub(crate) fn refused_since(
    db: &Db<'_>,
    account: &Account,
    after: i64,
) -> Result<Option<Missed>, StoreError> {
    let sql = Sql::new(
        "SELECT at, coalesce(remote_host, terminal) AS place FROM event
         WHERE name = ?1 AND id > ?2 AND uid = ?3 AND kind = 'refused' AND source = 'login' ORDER BY id DESC",
        "SELECT at, coalesce(remote_host, terminal) AS place FROM (
             SELECT written, at, name, uid, kind, source, remote_host, terminal FROM event
             UNION ALL SELECT id, at, name, uid, kind, source, remote_host, terminal FROM new_event) AS logged
         WHERE name = ?1 AND written > ?2 AND uid = ?3 AND kind = 'refused' AND source = 'login' ORDER BY written DESC",
    );
    missed(db, sql, values![account.name, after, account.uid])
}

fn missed(
    db: &Db<'_>,
    sql: Sql<'_>,
    values: &[value::Value<'_>],
) -> Result<Option<Missed>, StoreError> {
    let mut missed: Option<Missed> = None;
    db.each_of_few(sql, values, |row| {
        if let Some(missed) = &mut missed {
            missed.count += 1;
        } else {
            missed = Some(Missed {
                count: 1,
                last_at: row.get("at")?,
                last_from: row.get("place")?,
            });
        }
        Ok(())
    })?;
    Ok(missed)
}

/// Events that are counted together when there are too many of a user's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Logins that passed or were refused, renewed trust, and what users do to their own record.
    Logins,
    /// Codes that were sent or not.
    Codes,
}

/// An event that may give way to a sum.
#[derive(Debug)]
pub(crate) struct OldEvent {
    pub number: i64,
    pub leaf: Option<Vec<u8>>,
    pub at: Timestamp,
    pub kind: String,
    pub actor: u32,
    pub source: String,
    pub service: Option<String>,
    pub remote_host: Option<String>,
    pub terminal: Option<String>,
}

impl OldEvent {
    /// The host, else the terminal.
    pub(crate) fn place(&self) -> Option<&str> {
        self.remote_host.as_deref().or(self.terminal.as_deref())
    }
}

/// Whether there are more than `most` events of `user`, of whatever kind: by the index alone.
pub(crate) fn has_more_than(db: &Db<'_>, user: &Account, most: u32) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM event WHERE name = ?1 LIMIT 1 OFFSET ?2";
    db.exists(sql, values![&user.name, most])
}

/// The `at_once` oldest events of `user` in `class`, if there are that many more than `kept`; else none.
pub(crate) fn beyond(
    db: &Db<'_>,
    user: &Account,
    class: Class,
    kept: u32,
    at_once: u32,
) -> Result<Vec<OldEvent>, StoreError> {
    let sql = match class {
        Class::Logins => {
            "SELECT id, leaf, at, kind, actor, source, service, remote_host, terminal FROM event
             WHERE name = ?1 AND kind NOT IN ('code-sent', 'code-not-sent', 'summed-up')
             AND (kind IN ('passed', 'refused', 'reported', 'trust-renewed') OR actor = uid) AND EXISTS (
                 SELECT 1 FROM event WHERE name = ?1 AND kind NOT IN ('code-sent', 'code-not-sent', 'summed-up')
                 AND (kind IN ('passed', 'refused', 'reported', 'trust-renewed') OR actor = uid)
                 LIMIT 1 OFFSET ?2
             ) ORDER BY id LIMIT ?3"
        }
        Class::Codes => {
            "SELECT id, leaf, at, kind, actor, source, service, remote_host, terminal FROM event
             WHERE name = ?1 AND kind IN ('code-sent', 'code-not-sent') AND EXISTS (
                 SELECT 1 FROM event WHERE name = ?1 AND kind IN ('code-sent', 'code-not-sent')
                 LIMIT 1 OFFSET ?2
             ) ORDER BY id LIMIT ?3"
        }
    };
    let others = kept + at_once - 1;
    db.query_all(sql, values![user.name, others, at_once], |row| {
        Ok(OldEvent {
            number: row.get("id")?,
            leaf: row.get("leaf")?,
            at: row.get("at")?,
            kind: row.get("kind")?,
            actor: row.get("actor")?,
            source: row.get("source")?,
            service: row.get("service")?,
            remote_host: row.get("remote_host")?,
            terminal: row.get("terminal")?,
        })
    })
}
