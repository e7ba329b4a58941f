//! The schema of a database of PostgreSQL's, which several servers use at once, of this release and the one before.
//!
//! A migration is therefore a step that both can live with: it *expands* the schema, by what the older program does not look at.
//! A step that takes away what only older programs use *contracts* it, and comes a release later; it says which program is
//! the oldest that can go on.

use super::pool::Pool;
use crate::error::StoreError;
use crate::sql::{Db, values};

/// What a database of ours calls itself.
const MARK: &str = "twofa";

/// Each runs once, in order, with the number of the oldest migration that a program must know to use what it leaves.
static MIGRATIONS: [(&str, i64); 1] = [(
    include_str!("../../../migrations/postgres/0001_first.sql"),
    1,
)];

/// What a database is.
struct State {
    version: i64,
    oldest: i64,
}

/// Makes a store of an empty database.
pub(crate) fn make(pool: &Pool) -> Result<(), StoreError> {
    migrate(pool, true)
}

/// Brings a store up to date. Those that use it meanwhile wait, but nobody waits for longer than a lock may take.
pub(crate) fn upgrade(pool: &Pool) -> Result<(), StoreError> {
    migrate(pool, false)
}

fn migrate(pool: &Pool, is_new: bool) -> Result<(), StoreError> {
    pool.transact(true, |db| {
        db.lock("schema", "")?;
        let state = match (read(db)?, is_new) {
            (None, true) if is_empty(db)? => State {
                version: 0,
                oldest: 0,
            },
            (None, _) => return Err(foreign()),
            (Some(_), true) => {
                return Err(StoreError::Unreachable(
                    "there is a store in it already".to_owned(),
                ));
            }
            (Some(state), false) => state,
        };
        check_not_newer(&state)?;
        for (number, (migration, oldest)) in (1..).zip(&MIGRATIONS) {
            if number > state.version {
                db.run_migration(migration)?;
                set(db, number, *oldest)?;
            }
        }
        Ok(())
    })
}

/// Checks that this is a store of ours that this program can use. It changes nothing: to upgrade is for one who says so,
/// before the last server of the release before is upgraded.
pub(crate) fn check(db: &Db<'_>) -> Result<(), StoreError> {
    let state = read(db)?.ok_or_else(foreign)?;
    check_not_newer(&state)?;
    if state.version < newest() {
        return Err(StoreError::Unreachable(
            "its tables are those of an older twofa: run 'twofa store upgrade' on one server"
                .to_owned(),
        ));
    }
    Ok(())
}

fn newest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

fn check_not_newer(state: &State) -> Result<(), StoreError> {
    if state.oldest > newest() {
        return Err(StoreError::Newer {
            found: state.version,
            known: newest(),
        });
    }
    Ok(())
}

fn foreign() -> StoreError {
    StoreError::Unreachable("it is empty, or a database of another program".to_owned())
}

fn read(db: &Db<'_>) -> Result<Option<State>, StoreError> {
    let sql = "SELECT 1 WHERE to_regclass('twofa_schema') IS NOT NULL";
    if !db.exists(sql, values![])? {
        return Ok(None);
    }
    let sql = "SELECT mark, version, oldest FROM twofa_schema";
    let (mark, state) = db.query_one(sql, values![], |row| {
        let state = State {
            version: row.get("version")?,
            oldest: row.get("oldest")?,
        };
        Ok((row.get::<String>("mark")?, state))
    })?;
    Ok((mark == MARK).then_some(state))
}

fn is_empty(db: &Db<'_>) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM pg_class WHERE relnamespace = current_schema()::regnamespace LIMIT 1";
    Ok(!db.exists(sql, values![])?)
}

fn set(db: &Db<'_>, version: i64, oldest: i64) -> Result<(), StoreError> {
    let sql = "INSERT INTO twofa_schema (mark, version, oldest) VALUES (?1, ?2, ?3)
               ON CONFLICT (only_row) DO UPDATE SET version = excluded.version, oldest = excluded.oldest";
    db.execute(sql, values![MARK, version, oldest]).map(drop)
}
