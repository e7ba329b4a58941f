//! The schema of a PostgreSQL database, which several servers use at once, of this release and the one before.
//!
//! A migration is therefore a step that both can live with: it *expands* the schema, by what the older program does not look at.
//! A step that takes away what only older programs use *contracts* it, and comes a release later; it says which program is
//! the oldest that can go on.

use super::pool::Pool;
use crate::error::StoreError;
use crate::sql::copy::TABLES;
use crate::sql::{Db, values};

/// What the table of users is called in a store that was moved away.
const MOVED_USERS: &str = "moved_user";
/// What a database of ours calls itself.
const MARK: &str = "twofa";

/// Each runs once, in order, with the number of the oldest migration that a program must know to use what it leaves.
static MIGRATIONS: [(&str, i64); 12] = [
    (
        include_str!("../../../migrations/postgres/0001_first.sql"),
        1,
    ),
    (
        include_str!("../../../migrations/postgres/0002_join_keys.sql"),
        1,
    ),
    (
        include_str!("../../../migrations/postgres/0003_sealing_keys.sql"),
        1,
    ),
    (
        include_str!("../../../migrations/postgres/0004_removing_events.sql"),
        1,
    ),
    (
        include_str!("../../../migrations/postgres/0005_host_sessions.sql"),
        1,
    ),
    (
        include_str!("../../../migrations/postgres/0006_machine_of_session.sql"),
        1,
    ),
    (
        include_str!("../../../migrations/postgres/0007_row_hashes.sql"),
        1,
    ),
    (
        include_str!("../../../migrations/postgres/0008_rescue_codes.sql"),
        1,
    ),
    (
        include_str!("../../../migrations/postgres/0009_ca_rotation.sql"),
        1,
    ),
    (
        include_str!("../../../migrations/postgres/0010_device_hosts.sql"),
        1,
    ),
    (
        include_str!("../../../migrations/postgres/0011_server_counters.sql"),
        1,
    ),
    (
        include_str!("../../../migrations/postgres/0012_refused_of_user.sql"),
        1,
    ),
];

/// Whether a store can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Open,
    /// It is being moved here, and is not closed where it was.
    Arriving,
    /// It was moved to a file.
    Moved,
}

impl State {
    const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Arriving => "arriving",
            Self::Moved => "moved",
        }
    }
}

/// What a database says of itself.
struct Header {
    version: i64,
    oldest: i64,
    state: String,
}

impl Header {
    fn is(&self, state: State) -> bool {
        self.state == state.name()
    }
}

/// The migration after which rows have hashes.
const HASHES: i64 = 7;

/// Gives all rows their hashes.
type HashAll<'a> = &'a dyn Fn(&Db<'_>) -> Result<(), StoreError>;

/// Makes a store of an empty database, or goes on with one that is arriving.
pub(crate) fn make(pool: &Pool, state: State, hash_all: HashAll<'_>) -> Result<(), StoreError> {
    migrate(pool, Some(state), hash_all)
}

/// Brings a store up to date. Those that use it meanwhile wait, but nobody waits for longer than a lock may take.
pub(crate) fn upgrade(pool: &Pool, hash_all: HashAll<'_>) -> Result<(), StoreError> {
    migrate(pool, None, hash_all)
}

fn migrate(pool: &Pool, new: Option<State>, hash_all: HashAll<'_>) -> Result<(), StoreError> {
    pool.transact(true, |db| {
        db.lock("schema", "")?;
        let found = read(db)?;
        let version = match (&found, new) {
            (None, Some(_)) if is_empty(db)? => 0,
            (None, _) => return Err(foreign()),
            (Some(found), Some(_)) if !found.is(State::Arriving) => {
                return Err(StoreError::Unreachable("there is a store in it".to_owned()));
            }
            (Some(found), _) => {
                check_not_newer(found)?;
                found.version
            }
        };
        for (number, (migration, oldest)) in (1..).zip(&MIGRATIONS) {
            if number > version {
                db.run_migration(migration)?;
                set_version(db, number, *oldest)?;
            }
        }
        if version < HASHES {
            hash_all(db)?;
        }
        new.map_or(Ok(()), |state| set_state(db, state))
    })
}

/// Checks that this is a store of ours that this program can use. It changes nothing: to upgrade is for one who says so,
/// before the last server of the release before is upgraded.
pub(crate) fn check(db: &Db<'_>) -> Result<(), StoreError> {
    let header = read(db)?.ok_or_else(foreign)?;
    check_not_newer(&header)?;
    if header.is(State::Moved) {
        return Err(StoreError::Moved("a file".to_owned()));
    }
    if !header.is(State::Open) {
        return Err(StoreError::Unreachable(
            "a store was to be moved to it, which was not finished: run 'twofa store move' again"
                .to_owned(),
        ));
    }
    if header.version < newest() {
        return Err(StoreError::Unreachable(
            "its tables are those of an older twofa: run 'twofa store upgrade' on one server"
                .to_owned(),
        ));
    }
    Ok(())
}

/// Makes a store as a program made it that knew so many migrations.
#[cfg(test)]
pub(crate) fn make_old(pool: &Pool, version: i64) -> Result<(), StoreError> {
    pool.transact(true, |db| {
        for (number, (migration, oldest)) in (1..=version).zip(&MIGRATIONS) {
            db.run_migration(migration)?;
            set_version(db, number, *oldest)?;
        }
        set_state(db, State::Open)
    })
}

fn newest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

fn check_not_newer(header: &Header) -> Result<(), StoreError> {
    if header.oldest > newest() {
        return Err(StoreError::Newer {
            found: header.version,
            known: newest(),
        });
    }
    Ok(())
}

fn foreign() -> StoreError {
    StoreError::Unreachable("it is empty, or a database of another program".to_owned())
}

fn read(db: &Db<'_>) -> Result<Option<Header>, StoreError> {
    let sql = "SELECT 1 WHERE to_regclass('twofa_schema') IS NOT NULL";
    if !db.exists(sql, values![])? {
        return Ok(None);
    }
    let sql = "SELECT version, oldest, state FROM twofa_schema WHERE mark = ?1";
    db.query_opt(sql, values![MARK], |row| {
        Ok(Header {
            version: row.get("version")?,
            oldest: row.get("oldest")?,
            state: row.get("state")?,
        })
    })
}

fn is_empty(db: &Db<'_>) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM pg_class WHERE relnamespace = current_schema()::regnamespace LIMIT 1";
    Ok(!db.exists(sql, values![])?)
}

fn set_version(db: &Db<'_>, version: i64, oldest: i64) -> Result<(), StoreError> {
    let sql = "INSERT INTO twofa_schema (mark, version, oldest) VALUES (?1, ?2, ?3)
               ON CONFLICT (only_row) DO UPDATE SET version = excluded.version, oldest = excluded.oldest";
    db.execute(sql, values![MARK, version, oldest]).map(drop)
}

pub(crate) fn set_state(db: &Db<'_>, state: State) -> Result<(), StoreError> {
    db.execute("UPDATE twofa_schema SET state = ?1", values![state.name()])
        .map(drop)
}

/// Keeps everybody else out until the transaction ends, from a store that was closed already, too.
pub(crate) fn reopen_alone(db: &Db<'_>) -> Result<(), StoreError> {
    let header = read(db)?.ok_or_else(foreign)?;
    if header.is(State::Moved) {
        db.run_migration(&format!("ALTER TABLE {MOVED_USERS} RENAME TO \"user\""))?;
    }
    let tables = TABLES.iter().map(|table| format!("\"{}\"", table.name));
    let tables: Vec<_> = tables.chain(["new_event".to_owned()]).collect();
    let lock = format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", tables.join(", "));
    db.run_migration(&lock)?;
    if db.exists("SELECT 1 FROM new_event", values![])? {
        return Err(StoreError::Conflict);
    }
    Ok(())
}

/// Closes a store that was moved to a file. Programs that have it open find no users.
pub(crate) fn close(db: &Db<'_>) -> Result<(), StoreError> {
    db.run_migration(&format!("ALTER TABLE \"user\" RENAME TO {MOVED_USERS}"))?;
    set_state(db, State::Moved)
}
