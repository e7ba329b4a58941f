//! The journal's own tables: `journal`, `checkpoint` and `dropped_event`.

use twofa_core::Timestamp;

use super::{Db, Row, Sql, Value, values};
use crate::error::StoreError;

/// What the journal held up to some event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    /// 0 is the one of the events that are older than the journal.
    pub number: i64,
    /// The first event, by number.
    pub first: i64,
    /// The last one.
    pub last: i64,
    /// How many there were; fewer than the numbers between only in number 0.
    pub count: i64,
    /// When it was written.
    pub at: Timestamp,
    /// The latest time of its events.
    pub latest_event_at: Timestamp,
    /// The Merkle root of the leaves.
    pub root: Vec<u8>,
    /// The link of the checkpoint before.
    pub previous: Vec<u8>,
    /// A keyed hash of all that.
    pub link: Vec<u8>,
    /// A keyed hash of the link, where the journal has a verification key.
    pub seal: Option<Vec<u8>>,
}

/// The name of the journal.
pub(crate) fn name(db: &Db<'_>) -> Result<String, StoreError> {
    db.query_one("SELECT id FROM journal", values![], |row| row.get("id"))
}

/// The latest checkpoint.
pub(crate) fn last_checkpoint(db: &Db<'_>) -> Result<Checkpoint, StoreError> {
    let sql = "SELECT number, first, last, count, at, latest_event_at, root, previous, link, seal
               FROM checkpoint ORDER BY number DESC LIMIT 1";
    db.query_one(sql, values![], checkpoint)
}

/// All checkpoints, by number.
pub(crate) fn checkpoints(db: &Db<'_>) -> Result<Vec<Checkpoint>, StoreError> {
    let sql = "SELECT number, first, last, count, at, latest_event_at, root, previous, link, seal
               FROM checkpoint ORDER BY number";
    db.query_all(sql, values![], checkpoint)
}

pub(crate) fn insert_checkpoint(db: &Db<'_>, checkpoint: &Checkpoint) -> Result<(), StoreError> {
    db.execute("INSERT INTO checkpoint (number, first, last, count, at, latest_event_at, root, previous, link, seal)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)", values![checkpoint.number,
        checkpoint.first,
        checkpoint.last,
        checkpoint.count,
        checkpoint.at,
        checkpoint.latest_event_at,
        &checkpoint.root,
        &checkpoint.previous,
        &checkpoint.link,
        &checkpoint.seal])?;
    Ok(())
}

/// The events behind the last checkpoint, which ends with `last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unsealed {
    /// The number of the last one.
    pub last: i64,
    /// When the first one happened.
    pub since: Timestamp,
}

/// What is behind event number `last`, if anything.
pub(crate) fn unsealed(db: &Db<'_>, last: i64) -> Result<Option<Unsealed>, StoreError> {
    let sql = "SELECT (SELECT max(id) FROM event) AS last, at FROM event WHERE id > ?1 ORDER BY id LIMIT 1";
    db.query_opt(sql, values![last], |row| {
        Ok(Unsealed {
            last: row.get("last")?,
            since: row.get("at")?,
        })
    })
}

/// A leaf, and when its event happened.
#[derive(Debug)]
pub(crate) struct StoredLeaf {
    /// `None`: it is older than the journal.
    pub leaf: Option<Vec<u8>>,
    /// `None`: the event's content was dropped.
    pub at: Option<Timestamp>,
}

/// The leaves of events number `first` to `last`, by number.
pub(crate) fn leaves(db: &Db<'_>, first: i64, last: i64) -> Result<Vec<StoredLeaf>, StoreError> {
    db.query_all(
        "SELECT id, leaf, at FROM event WHERE id BETWEEN ?1 AND ?2
         UNION ALL SELECT id, leaf, NULL FROM dropped_event WHERE id BETWEEN ?1 AND ?2 ORDER BY 1",
        values![first, last],
        |row| {
            Ok(StoredLeaf {
                leaf: row.get("leaf")?,
                at: row.get("at")?,
            })
        },
    )
}

/// The leaf of event `number`, whose content may have been dropped.
pub(crate) fn leaf_of(db: &Db<'_>, number: i64) -> Result<Option<Vec<u8>>, StoreError> {
    let sql = "SELECT leaf FROM event WHERE id = ?1 UNION ALL SELECT leaf FROM dropped_event WHERE id = ?1";
    let leaf = db.query_opt(sql, values![number], |row| row.get("leaf"))?;
    Ok(leaf.flatten())
}

/// An event whose content gave way to another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dropped {
    pub number: i64,
    /// `None`: it is older than the journal.
    pub leaf: Option<Vec<u8>>,
    /// The number of the event that sums it up.
    pub instead: i64,
}

/// All events whose content was dropped, by number.
pub(crate) fn dropped(db: &Db<'_>) -> Result<Vec<Dropped>, StoreError> {
    let sql = "SELECT id, leaf, instead FROM dropped_event ORDER BY id";
    db.query_all(sql, values![], |row| {
        Ok(Dropped {
            number: row.get("id")?,
            leaf: row.get("leaf")?,
            instead: row.get("instead")?,
        })
    })
}

/// The highest number of an event that a user's record knows of: of the last time a code was right.
pub(crate) fn last_known_to_users(db: &Db<'_>) -> Result<i64, StoreError> {
    // PostgreSQL: what they know is under which number an event was written. Those that are gone were behind the last.
    let sql = Sql::new(
        "SELECT coalesce(max(passed_event), 0) AS last FROM user",
        "SELECT (SELECT coalesce(max(id), 0) FROM event) + (SELECT coalesce(max(passed_event), 0) FROM user)
             - greatest((SELECT max(written) FROM event), (SELECT max(id) FROM new_event), 0) AS last",
    );
    db.query_one(sql, values![], |row| row.get("last"))
}

/// Has the content of event `number` give way to event `instead`.
pub(crate) fn drop_event(db: &Db<'_>, number: i64, instead: i64) -> Result<(), StoreError> {
    if db.as_sqlite().is_none() {
        let sql = "SELECT twofa_drop_event(?1, ?2) AS deleted";
        return deleted(db, sql, values![number, instead]).map(drop);
    }
    let kept = "INSERT INTO dropped_event (id, leaf, instead) SELECT id, leaf, ?2 FROM event WHERE id = ?1";
    db.execute(kept, values![number, instead])?;
    let sql = "DELETE FROM event WHERE id = ?1";
    db.execute(sql, values![number])?;
    Ok(())
}

/// When events were removed because of their age for the last time.
pub(crate) fn pruned_at(db: &Db<'_>) -> Result<Option<Timestamp>, StoreError> {
    db.query_one("SELECT pruned_at FROM journal", values![], |row| {
        row.get("pruned_at")
    })
}

pub(crate) fn set_pruned_at(db: &Db<'_>, now: Timestamp) -> Result<(), StoreError> {
    db.execute("UPDATE journal SET pruned_at = ?1", values![now])?;
    Ok(())
}

/// The last of the checkpoints at the beginning all of whose events are from before `limit`. It is not the last one of all.
pub(crate) fn last_before(db: &Db<'_>, limit: Timestamp) -> Result<Option<Checkpoint>, StoreError> {
    let sql = "SELECT number, first, last, count, at, latest_event_at, root, previous, link, seal FROM checkpoint
               WHERE number < coalesce((SELECT min(number) FROM checkpoint WHERE latest_event_at >= ?1),
                                       (SELECT max(number) FROM checkpoint))
               ORDER BY number DESC LIMIT 1";
    db.query_opt(sql, values![limit], checkpoint)
}

/// Deletes the checkpoints up to this one.
pub(crate) fn delete_checkpoints(db: &Db<'_>, last: i64) -> Result<(), StoreError> {
    if db.as_sqlite().is_none() {
        let sql = "SELECT twofa_delete_checkpoints(?1) AS deleted";
        return deleted(db, sql, values![last]).map(drop);
    }
    db.execute("DELETE FROM checkpoint WHERE number <= ?1", values![last])?;
    Ok(())
}

/// PostgreSQL: what a function deletes in the place of a role that must not.
fn deleted(db: &Db<'_>, sql: &str, values: &[Value<'_>]) -> Result<u64, StoreError> {
    db.query_one(sql, values, |row| row.get("deleted"))
}

/// Whether there are events before the first checkpoint.
pub(crate) fn has_pruned(db: &Db<'_>) -> Result<bool, StoreError> {
    let sql =
        "SELECT 1 FROM event WHERE id < (SELECT first FROM checkpoint ORDER BY number LIMIT 1)";
    db.exists(sql, values![])
}

/// Deletes at most `most` of the events before the first checkpoint, and says how many. What is known of those that were
/// summed up stays as long as the sum.
pub(crate) fn delete_pruned(db: &Db<'_>, most: u32) -> Result<u64, StoreError> {
    if db.as_sqlite().is_none() {
        let count = deleted(
            db,
            "SELECT twofa_delete_pruned(?1) AS deleted",
            values![most],
        )?;
        if count == 0 {
            deleted(db, "SELECT twofa_delete_dropped() AS deleted", values![])?;
        }
        return Ok(count);
    }
    let deleted = db.execute("DELETE FROM event WHERE id IN (
             SELECT id FROM event WHERE id < (SELECT first FROM checkpoint ORDER BY number LIMIT 1) ORDER BY id LIMIT ?1
         )", values![most])?;
    if deleted == 0 {
        db.execute("DELETE FROM dropped_event WHERE instead < (SELECT first FROM checkpoint ORDER BY number LIMIT 1)", values![])?;
    }
    Ok(u64::try_from(deleted).unwrap_or(u64::MAX))
}

/// From which event on those of `since` and later are, by the checkpoints: an index by time, so that the log needs none.
pub(crate) fn first_since(db: &Db<'_>, since: Timestamp) -> Result<i64, StoreError> {
    db.query_one(
        "SELECT coalesce((SELECT min(first) FROM checkpoint WHERE latest_event_at >= ?1),
                         (SELECT max(last) FROM checkpoint) + 1, 0) AS first",
        values![since],
        |row| row.get("first"),
    )
}

fn checkpoint(row: &Row<'_>) -> Result<Checkpoint, StoreError> {
    Ok(Checkpoint {
        number: row.get("number")?,
        first: row.get("first")?,
        last: row.get("last")?,
        count: row.get("count")?,
        at: row.get("at")?,
        latest_event_at: row.get("latest_event_at")?,
        root: row.get("root")?,
        previous: row.get("previous")?,
        link: row.get("link")?,
        seal: row.get("seal")?,
    })
}
