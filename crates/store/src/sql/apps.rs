//! Authenticator apps and tokens, and those whose key was shown and whose first code has not come back: the tables `app`
//! and `pending_app`.

use twofa_core::app::{OtpKind, Parameters};
use twofa_core::{Account, Timestamp};

use super::{Ahead, Db, Row, Value, account_of, values};
use crate::error::StoreError;

/// An app, its key sealed.
#[derive(Debug)]
pub(crate) struct SealedApp {
    pub parameters: StoredParameters,
    pub key: Vec<u8>,
}

/// The parameters of an app as they are stored.
#[derive(Debug)]
pub(crate) struct StoredParameters {
    /// Seconds of a time step; `None`: it counts codes (HOTP).
    pub period: Option<u32>,
    pub algorithm: String,
    pub digits: u8,
}

/// An app that is enrolled.
#[derive(Debug)]
pub(crate) struct AppRecord {
    /// Never given to another row, because the key is bound to it.
    pub id: i64,
    pub label: String,
    pub app: SealedApp,
    /// The highest step or counter that was accepted; negative: see [`suspect_tokens`].
    pub used: Option<i64>,
    pub enrolled_at: Timestamp,
}

impl From<Parameters> for StoredParameters {
    fn from(parameters: Parameters) -> Self {
        Self {
            period: match parameters.kind() {
                OtpKind::Time { period } => Some(period),
                OtpKind::Counter => None,
            },
            algorithm: parameters.algorithm().name().to_owned(),
            digits: parameters.digits(),
        }
    }
}

const ALL: &str = "SELECT id, label, period, algorithm, digits, key, used, enrolled_at FROM app
                   WHERE user = (SELECT id FROM user WHERE name = ?1 AND uid = ?2) ORDER BY id";

/// [`all`], to be asked later.
pub(crate) fn all_ahead(account: &Account) -> Ahead {
    Ahead::new(ALL, values![account.name, account.uid])
}

/// The apps of `account` in the order in which they were enrolled.
pub(crate) fn all(db: &Db<'_>, account: &Account) -> Result<Vec<AppRecord>, StoreError> {
    db.query_all(ALL, values![account.name, account.uid], |row| {
        Ok(AppRecord {
            id: row.get("id")?,
            label: row.get("label")?,
            app: sealed_app(row)?,
            used: row.get("used")?,
            enrolled_at: row.get("enrolled_at")?,
        })
    })
}

pub(crate) fn count(db: &Db<'_>, user: i64) -> Result<u32, StoreError> {
    let sql = "SELECT count(*) AS apps FROM app WHERE user = ?1";
    db.query_one(sql, values![user], |row| row.get("apps"))
}

pub(crate) fn has_label(db: &Db<'_>, user: i64, label: &str) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM app WHERE user = ?1 AND label = ?2";
    db.exists(sql, values![user, label])
}

/// In the place of a key, until the number of its row is known.
const NO_KEY: &[u8] = &[];
const INSERT: &str =
    "INSERT INTO app (user, label, period, algorithm, digits, key, used, enrolled_at)
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

/// Adds an app without its key and returns its id, which the key is to be sealed to.
pub(crate) fn insert(
    db: &Db<'_>,
    user: i64,
    label: &str,
    parameters: &StoredParameters,
    used: Option<i64>,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let StoredParameters {
        period,
        algorithm,
        digits,
    } = parameters;
    db.insert(
        INSERT,
        values![user, label, period, algorithm, digits, NO_KEY, used, now],
    )
}

/// An app that is added, without its key.
pub(crate) struct NewRow<'a> {
    pub user: i64,
    pub label: &'a str,
    pub parameters: StoredParameters,
    pub used: Option<i64>,
    pub enrolled_at: Timestamp,
}

/// [`insert`] for each of these apps. Returns their numbers.
pub(crate) fn insert_each(db: &Db<'_>, new: &[NewRow<'_>]) -> Result<Vec<i64>, StoreError> {
    let rows: Vec<_> = new.iter().map(NewRow::values).collect();
    db.insert_each(INSERT, &rows)
}

impl NewRow<'_> {
    fn values(&self) -> Vec<Value<'_>> {
        let parameters = &self.parameters;
        values![
            self.user,
            self.label,
            parameters.period,
            parameters.algorithm,
            parameters.digits,
            NO_KEY,
            self.used,
            self.enrolled_at
        ]
        .to_vec()
    }
}

pub(crate) fn set_key(db: &Db<'_>, id: i64, sealed: &[u8]) -> Result<(), StoreError> {
    db.execute_later("UPDATE app SET key = ?2 WHERE id = ?1", values![id, sealed])
}

const RAISE_USED: &str = "UPDATE app SET used = ?2 WHERE id = ?1 AND (used IS NULL OR used < ?2)";

/// Marks a step or counter used, which must be higher than any before it: of any number of transactions that mark the same one,
/// one is committed.
pub(crate) fn mark_used(db: &Db<'_>, id: i64, count: i64) -> Result<(), StoreError> {
    db.must_change(RAISE_USED, values![id, count], || {
        StoreError::ChangedMeanwhile
    })
}

/// Marks a step or counter used, if it is higher than any before it.
pub(crate) fn raise_used(db: &Db<'_>, id: i64, count: i64) -> Result<(), StoreError> {
    db.execute_later(RAISE_USED, values![id, count])
}

/// Marks the step of `now` of each app, and `more` steps, used.
pub(crate) fn use_up(db: &Db<'_>, now: Timestamp, more: u16) -> Result<(), StoreError> {
    let sql = "UPDATE app SET used = ?1 / period + ?2
               WHERE period IS NOT NULL AND (used IS NULL OR used < ?1 / period + ?2)";
    db.execute(sql, values![now, u32::from(more)]).map(drop)
}

/// Has each token that counts (HOTP) show two codes in a row before one is accepted again: codes may have been used that are
/// not on record. A token of which `n` codes are used up, the last of them with the counter n − 1, has −1 − n in `used`
/// meanwhile.
pub(crate) fn suspect_tokens(db: &Db<'_>) -> Result<(), StoreError> {
    let sql = "UPDATE app SET used = -2 - coalesce(used, -1)
               WHERE period IS NULL AND (used IS NULL OR used >= 0)";
    db.execute(sql, values![]).map(drop)
}

/// The users who have tokens that count (HOTP).
pub(crate) fn owners_of_tokens(db: &Db<'_>) -> Result<Vec<Account>, StoreError> {
    let sql = "SELECT name, uid FROM user WHERE id IN (SELECT user FROM app WHERE period IS NULL) ORDER BY name, uid";
    db.query_all(sql, values![], account_of)
}

/// Returns whether there was such an app.
pub(crate) fn delete(db: &Db<'_>, user: i64, label: &str) -> Result<bool, StoreError> {
    let sql = "DELETE FROM app WHERE user = ?1 AND label = ?2";
    Ok(db.execute(sql, values![user, label])? == 1)
}

pub(crate) fn delete_all(db: &Db<'_>, user: i64) -> Result<(), StoreError> {
    db.execute("DELETE FROM app WHERE user = ?1", values![user])?;
    Ok(())
}

/// The pending app of `user`, if it was made between `from` and `to` and shown at `place`.
pub(crate) fn pending(
    db: &Db<'_>,
    user: i64,
    from: Timestamp,
    to: Timestamp,
    place: &str,
) -> Result<Option<SealedApp>, StoreError> {
    let sql = "SELECT period, algorithm, digits, key FROM pending_app
               WHERE user = ?1 AND made_at BETWEEN ?2 AND ?3 AND shown_to = ?4";
    db.query_opt(sql, values![user, from, to, place], sealed_app)
}

/// Puts a pending app in the place of the one there may be.
pub(crate) fn set_pending(
    db: &Db<'_>,
    user: i64,
    app: &SealedApp,
    place: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let SealedApp {
        parameters:
            StoredParameters {
                period,
                algorithm,
                digits,
            },
        key,
    } = app;
    delete_pending(db, user)?;
    let sql = "INSERT INTO pending_app (user, period, algorithm, digits, key, shown_to, made_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    db.execute(
        sql,
        values![user, period, algorithm, digits, key, place, now],
    )?;
    Ok(())
}

pub(crate) fn delete_pending(db: &Db<'_>, user: i64) -> Result<(), StoreError> {
    db.execute("DELETE FROM pending_app WHERE user = ?1", values![user])?;
    Ok(())
}

pub(crate) fn delete_everybodys_pending(db: &Db<'_>) -> Result<(), StoreError> {
    db.execute("DELETE FROM pending_app", values![]).map(drop)
}

fn sealed_app(row: &Row<'_>) -> Result<SealedApp, StoreError> {
    Ok(SealedApp {
        parameters: StoredParameters {
            period: row.get("period")?,
            algorithm: row.get("algorithm")?,
            digits: row.get("digits")?,
        },
        key: row.get("key")?,
    })
}
