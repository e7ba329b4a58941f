//! Which PostgreSQL it is, and how far its standbys are.

use crate::error::StoreError;
use crate::sql::{Db, values};

/// Where commits are stored in addition to the primary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replication {
    /// The setting `synchronous_standby_names`; empty: a commit waits for no standby.
    pub synchronous: String,
    /// The standbys that are connected; `None`: the role may not see them (`pg_monitor`).
    pub standbys: Option<Vec<Standby>>,
}

/// A standby that is connected to the primary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standby {
    /// Its `application_name`.
    pub name: String,
    /// `streaming`, or what it does before that.
    pub state: String,
    /// Whether commits wait for it, or for enough others like it.
    pub is_synchronous: bool,
    /// How much it has not replayed yet, in bytes of the write-ahead log.
    pub lag_bytes: i64,
    /// How long it took to replay what it replayed last, in milliseconds; `None`: nothing was written lately.
    pub lag_milliseconds: Option<i64>,
}

/// The version of PostgreSQL, such as `15.18`, and the name of the database.
pub(crate) fn identity(db: &Db<'_>) -> Result<(String, String), StoreError> {
    let sql = "SELECT split_part(current_setting('server_version'), ' ', 1) AS version, current_database() AS name";
    db.query_one(sql, values![], |row| {
        Ok((row.get("version")?, row.get("name")?))
    })
}

/// Where commits are stored in addition to the primary.
pub(crate) fn state(db: &Db<'_>) -> Result<Replication, StoreError> {
    let sql = "SELECT current_setting('synchronous_standby_names') AS names,
                   pg_has_role('pg_read_all_stats', 'USAGE') AS may_see";
    let (synchronous, may_see) = db.query_one(sql, values![], |row| {
        Ok((row.get("names")?, row.get::<bool>("may_see")?))
    })?;
    let standbys = may_see.then(|| standbys(db)).transpose()?;
    Ok(Replication {
        synchronous,
        standbys,
    })
}

fn standbys(db: &Db<'_>) -> Result<Vec<Standby>, StoreError> {
    let sql = "SELECT application_name AS name, state, sync_state IN ('sync', 'quorum') AS is_synchronous,
                   coalesce(CAST(pg_current_wal_lsn() - replay_lsn AS bigint), 0) AS lag_bytes,
                   CAST(extract(epoch FROM replay_lag) * 1000 AS bigint) AS lag_milliseconds
               FROM pg_stat_replication ORDER BY application_name, pid";
    db.query_all(sql, values![], |row| {
        Ok(Standby {
            name: row.get("name")?,
            state: row.get("state")?,
            is_synchronous: row.get("is_synchronous")?,
            lag_bytes: row.get("lag_bytes")?,
            lag_milliseconds: row.get("lag_milliseconds")?,
        })
    })
}

/// Whether a commit waits for a standby. A store in a file has none.
pub(crate) fn waits_for_standby(db: &Db<'_>) -> Result<bool, StoreError> {
    let sql = "SELECT 1 WHERE current_setting('synchronous_standby_names') <> ''";
    Ok(db.as_sqlite().is_none() && db.exists(sql, values![])?)
}
