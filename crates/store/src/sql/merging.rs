//! What a merge writes of a user apart from methods, and what it reads of all at once.

use std::collections::HashMap;

use twofa_core::user::Verify;
use twofa_core::{Method, Timestamp};

use super::{Db, Sql, values};
use crate::error::StoreError;

/// How many devices are trusted, by the number of their user.
pub(crate) fn devices(db: &Db<'_>) -> Result<HashMap<i64, u64>, StoreError> {
    let sql = "SELECT user, count(*) AS devices FROM device GROUP BY user";
    let devices = db.query_all(sql, values![], |row| {
        Ok((row.get("user")?, row.get("devices")?))
    });
    Ok(devices?.into_iter().collect())
}

/// Settings of a user that a merge changes.
#[derive(Debug)]
pub(crate) struct MergedUser {
    pub required: bool,
    pub verify: Verify,
    pub preferred: Option<Method>,
    /// When a code was right last, unless that was later here.
    pub passed_at: Option<Timestamp>,
}

pub(crate) fn save_user(db: &Db<'_>, id: i64, user: &MergedUser) -> Result<(), StoreError> {
    const LATER: &str = "max(coalesce(passed_at, ?5), coalesce(?5, passed_at))";
    let set = "UPDATE user SET required = ?2, verify = ?3, preferred = ?4, passed_at =";
    let (sqlite, postgres) = (
        format!("{set} {LATER} WHERE id = ?1"),
        format!("{set} greatest(passed_at, ?5) WHERE id = ?1"),
    );
    let MergedUser {
        required,
        verify,
        preferred,
        passed_at,
    } = user;
    db.execute_later(
        Sql::new(&sqlite, &postgres),
        values![
            id,
            required,
            verify.to_string(),
            preferred.map(Method::name),
            passed_at
        ],
    )
}
