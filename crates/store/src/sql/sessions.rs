//! Login sessions: the table `session`.

use twofa_core::{Account, Timestamp};

use super::{Db, Row, Sql, account_of, values};
use crate::error::StoreError;
use crate::event::Origin;
use crate::model::session::{Machine, NewSession, SessionFilter, StoredSession};
use crate::model::ticket::{ProcessId, TicketLogin};

const COLUMNS: &str = "id, name, uid, boot, pid, start, login_uid, service, remote_host, remote_user, terminal, proof, keys,
    started_at, until, scope, closed_at, ended_at, end_order";

/// Of this machine only, if that is given. Servers of the release before have not said whose a session is: it is everybody's.
macro_rules! is_of {
    ($parameter:literal) => {
        concat!(
            "(CAST(",
            $parameter,
            " AS TEXT) IS NULL OR coalesce(machine, ",
            $parameter,
            ") = ",
            $parameter,
            ")"
        )
    };
}

/// Adds a session, in the place of one of the same process. Returns its number.
pub(crate) fn insert(
    db: &Db<'_>,
    machine: Machine<'_>,
    new: &NewSession<'_>,
    ticket: Option<&TicketLogin>,
    keys: &[String],
    origin: &Origin,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let unwritable = |error| StoreError::Other(format!("a session cannot be written: {error}"));
    let fleet = ticket.and_then(|ticket| ticket.fleet);
    let proof = ticket
        .filter(|_| fleet.is_none_or(|fleet| fleet.is_asked))
        .map(|ticket| serde_json::to_string(&ticket.by))
        .transpose()
        .map_err(unwritable)?;
    let keys = serde_json::to_string(keys).map_err(unwritable)?;
    let login = origin.as_login().cloned().unwrap_or_default();
    db.execute(
        "DELETE FROM session WHERE boot = ?1 AND pid = ?2 AND start = ?3",
        values![new.boot, new.process.pid, new.process.start],
    )?;
    let sql = "INSERT INTO session (name, uid, boot, pid, start, login_uid, service, remote_host, remote_user, terminal,
                   proof, keys, code_at, started_at, conversation, machine)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";
    db.insert(
        sql,
        values![
            &new.account.name,
            new.account.uid,
            new.boot,
            new.process.pid,
            new.process.start,
            new.login_uid,
            login.service.unwrap_or_default(),
            login.remote_host,
            login.remote_user,
            login.terminal,
            proof,
            keys,
            ticket.and_then(|ticket| ticket.code_at),
            now,
            fleet.map(|fleet| fleet.conversation),
            machine.name
        ],
    )
}

pub(crate) fn find(db: &Db<'_>, id: i64) -> Result<Option<StoredSession>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM session WHERE id = ?1");
    db.query_opt(&sql, values![id], read)
}

/// Passes the sessions of `machine` that `filter` lets through to `each`, by number, until it returns `false`.
pub(crate) fn each(
    db: &Db<'_>,
    machine: Machine<'_>,
    filter: &SessionFilter,
    mut each: impl FnMut(StoredSession) -> bool,
) -> Result<(), StoreError> {
    let sql = select(filter.user.is_some(), filter.ended);
    let machine = machine.filter();
    db.each(&sql, values![&filter.user, filter.after, machine], |row| {
        Ok(each(read(row)?))
    })
}

/// The statement of [`each`]. Open sessions are few, and found in an index that has no others.
pub(crate) fn select(of_user: bool, ended: bool) -> String {
    let user = if of_user {
        "name = ?1"
    } else {
        "CAST(?1 AS TEXT) IS NULL"
    };
    // `+` keeps SQLite from reading the whole table in the order of the numbers.
    let (state, id) = if ended {
        ("TRUE", "id")
    } else {
        ("ended_at IS NULL", "+id")
    };
    let machine = is_of!("?3");
    format!(
        "SELECT {COLUMNS} FROM session WHERE {user} AND {state} AND {id} > ?2 AND {machine} ORDER BY {id}"
    )
}

/// The open sessions of `account` on `machine` whose login rests on a code that was right between `since` and `now`.
pub(crate) fn verified(
    db: &Db<'_>,
    machine: Machine<'_>,
    account: &Account,
    since: Timestamp,
    now: Timestamp,
) -> Result<Vec<StoredSession>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM session
         WHERE name = ?1 AND uid = ?2 AND closed_at IS NULL AND ended_at IS NULL AND code_at BETWEEN ?3 AND ?4
             AND coalesce(until > ?4, TRUE) AND {}",
        is_of!("?5")
    );
    let Account { name, uid } = account;
    let machine = machine.filter();
    db.query_all(&sql, values![name, uid, since, now, machine], read)
}

/// Lets no session of `account`, or of anybody, rest on a code any longer, nor one whose login is under way.
pub(crate) fn forget_codes(db: &Db<'_>, account: Option<&Account>) -> Result<(), StoreError> {
    let Some(Account { name, uid }) = account else {
        // The condition on `boot` holds for all, and has SQLite use the index of open sessions.
        let sql = "UPDATE session SET code_at = NULL WHERE boot >= '' AND ended_at IS NULL AND code_at IS NOT NULL";
        db.execute(sql, values![])?;
        let sql = Sql::new(
            "UPDATE ticket SET login = json_set(login, '$.code_at', NULL)",
            "UPDATE ticket SET login = CAST(jsonb_set(CAST(login AS jsonb), '{code_at}', 'null') AS TEXT)",
        );
        return db.execute(sql, values![]).map(drop);
    };
    let sql =
        "UPDATE session SET code_at = NULL WHERE name = ?1 AND uid = ?2 AND code_at IS NOT NULL";
    db.execute(sql, values![name, uid])?;
    let sql = Sql::new(
        "UPDATE ticket SET login = json_set(login, '$.code_at', NULL) WHERE name = ?1 AND uid = ?2",
        "UPDATE ticket SET login = CAST(jsonb_set(CAST(login AS jsonb), '{code_at}', 'null') AS TEXT)
         WHERE name = ?1 AND uid = ?2",
    );
    db.execute(sql, values![name, uid]).map(drop)
}

fn read(row: &Row<'_>) -> Result<StoredSession, StoreError> {
    let proof: Option<String> = row.get("proof")?;
    let keys: String = row.get("keys")?;
    Ok(StoredSession {
        id: row.get("id")?,
        account: account_of(row)?,
        boot: row.get("boot")?,
        process: ProcessId {
            pid: row.get("pid")?,
            start: row.get("start")?,
        },
        login_uid: row.get("login_uid")?,
        service: row.get("service")?,
        remote_host: row.get("remote_host")?,
        remote_user: row.get("remote_user")?,
        terminal: row.get("terminal")?,
        // What a later version wrote is shown as nothing; it is no reason not to list the session.
        proof: proof.and_then(|proof| serde_json::from_str(&proof).ok()),
        keys: serde_json::from_str(&keys).unwrap_or_default(),
        started_at: row.get("started_at")?,
        until: row.get("until")?,
        scope: row.get("scope")?,
        closed_at: row.get("closed_at")?,
        ended_at: row.get("ended_at")?,
        is_to_end: row.get::<Option<i64>>("end_order")?.is_some(),
    })
}

pub(crate) fn set_until(db: &Db<'_>, id: i64, until: Timestamp) -> Result<(), StoreError> {
    db.execute(
        "UPDATE session SET until = ?2 WHERE id = ?1",
        values![id, until],
    )?;
    Ok(())
}

pub(crate) fn set_scope(db: &Db<'_>, id: i64, scope: &str) -> Result<(), StoreError> {
    db.execute(
        "UPDATE session SET scope = ?2 WHERE id = ?1",
        values![id, scope],
    )?;
    Ok(())
}

/// Marks the session of `process` on `machine` closed, unless it is already.
pub(crate) fn set_closed(
    db: &Db<'_>,
    machine: Machine<'_>,
    boot: &str,
    process: ProcessId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = concat!(
        "UPDATE session SET closed_at = ?4
         WHERE boot = ?1 AND pid = ?2 AND start = ?3 AND closed_at IS NULL AND ended_at IS NULL AND ",
        is_of!("?5")
    );
    let machine = machine.filter();
    db.execute(sql, values![boot, process.pid, process.start, now, machine])?;
    Ok(())
}

/// Marks the session ended, at the time when its program closed it if it did.
pub(crate) fn set_ended(db: &Db<'_>, id: i64, now: Timestamp) -> Result<(), StoreError> {
    let sql =
        "UPDATE session SET ended_at = coalesce(closed_at, ?2) WHERE id = ?1 AND ended_at IS NULL";
    db.execute(sql, values![id, now])?;
    Ok(())
}

/// Two statements, because SQLite looks up neither `<>` nor `OR` in the index.
pub(crate) const END_OF_OTHER_BOOTS: [&str; 2] = [
    concat!(
        "UPDATE session SET ended_at = coalesce(closed_at, ?2) WHERE boot < ?1 AND ended_at IS NULL AND ",
        is_of!("?3")
    ),
    concat!(
        "UPDATE session SET ended_at = coalesce(closed_at, ?2) WHERE boot > ?1 AND ended_at IS NULL AND ",
        is_of!("?3")
    ),
];

/// Marks the sessions of other boots of `machine` than `boot` ended.
pub(crate) fn end_of_other_boots(
    db: &Db<'_>,
    machine: Machine<'_>,
    boot: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    for sql in END_OF_OTHER_BOOTS {
        db.execute(sql, values![boot, now, machine.filter()])?;
    }
    Ok(())
}

/// Removes the sessions of `account` that were closed or ended, beyond the `most` latest.
pub(crate) fn delete_closed_beyond(
    db: &Db<'_>,
    account: &Account,
    most: u32,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM session WHERE id IN (
                   SELECT id FROM session WHERE name = ?1 AND uid = ?2
                       AND (closed_at IS NOT NULL OR ended_at IS NOT NULL)
                   ORDER BY id DESC LIMIT 2147483647 OFFSET ?3)";
    db.execute(sql, values![&account.name, account.uid, most])?;
    Ok(())
}

/// Removes the sessions of `account` beyond the `most` latest.
pub(crate) fn delete_beyond(db: &Db<'_>, account: &Account, most: u32) -> Result<(), StoreError> {
    let sql = "DELETE FROM session WHERE id IN (
                   SELECT id FROM session WHERE name = ?1 AND uid = ?2 ORDER BY id DESC LIMIT 2147483647 OFFSET ?3)";
    db.execute(sql, values![&account.name, account.uid, most])?;
    Ok(())
}

/// Removes those of the `most` oldest sessions that ended before `until`.
pub(crate) fn delete_ended_before(
    db: &Db<'_>,
    until: Timestamp,
    most: u32,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM session WHERE id IN (
                   SELECT id FROM (SELECT id, ended_at FROM session ORDER BY id LIMIT ?2) AS oldest WHERE ended_at < ?1)";
    db.execute(sql, values![until, most])?;
    Ok(())
}
