//! The marks that servers give a database: the tables `mark` and `mark_head`. Only PostgreSQL has them, since only there can
//! another database stand in the place of the one before without anybody of this machine noticing.

use twofa_core::Timestamp;

use crate::error::StoreError;
use crate::model::mark::Mark;
use crate::sql::{Ahead, Db, values};

/// How many marks are kept: those of one server in a day. An older one counts as known.
const KEPT: u64 = 90_000;

/// Gives the database another mark, and returns it. Marks are numbered in the order of their commits.
pub(crate) fn give(db: &Db<'_>, value: [u8; 16], at: Timestamp) -> Result<Mark, StoreError> {
    let sql = "WITH head AS (UPDATE mark_head SET last = last + 1 RETURNING last)
               INSERT INTO mark (number, value, at) SELECT last, ?1, ?2 FROM head RETURNING number";
    let number = db.query_one(sql, values![value, at], |row| row.get("number"))?;
    let old = "DELETE FROM mark WHERE number <= ?1";
    db.execute(old, values![u64::saturating_sub(number, KEPT)])?;
    Ok(Mark { number, value, at })
}

/// The last mark.
pub(crate) fn last(db: &Db<'_>) -> Result<Option<Mark>, StoreError> {
    let sql = "SELECT number, value, at FROM mark ORDER BY number DESC LIMIT 1";
    db.query_opt(sql, values![], |row| {
        Ok(Mark {
            number: row.get("number")?,
            value: row.get("value")?,
            at: row.get("at")?,
        })
    })
}

const IS_KNOWN: &str = "SELECT 1 WHERE EXISTS (SELECT 1 FROM mark WHERE number = ?1 AND value = ?2)
                            OR ?1 < (SELECT min(number) FROM mark) OR ?3 <= (SELECT resumed_at FROM mark_head)";

/// [`is_known`], to be asked later.
pub(crate) fn is_known_ahead(mark: &Mark) -> Ahead {
    let Mark { number, value, at } = mark;
    Ahead::new(IS_KNOWN, values![number, value, at])
}

/// Whether the database has had `mark`, as far as its history goes back and nobody resumed it since.
pub(crate) fn is_known(db: &Db<'_>, mark: &Mark) -> Result<bool, StoreError> {
    let Mark { number, value, at } = mark;
    db.exists(IS_KNOWN, values![number, value, at])
}

/// Has every mark up to now, by the clock of the database, count as known.
pub(crate) fn resume_now(db: &Db<'_>) -> Result<(), StoreError> {
    let sql = "UPDATE mark_head SET resumed_at = CAST(floor(extract(epoch FROM clock_timestamp())) AS bigint)";
    db.execute(sql, values![]).map(drop)
}

/// Has every mark up to `until` count as known.
pub(crate) fn resume(db: &Db<'_>, until: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE mark_head SET resumed_at = greatest(resumed_at, ?1)";
    db.execute(sql, values![until]).map(drop)
}
