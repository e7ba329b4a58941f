//! Logins of hosts that wait for an answer: the table `conversation`.

use twofa_core::Timestamp;

use super::{Ahead, Db, Row, Sql, values};
use crate::error::StoreError;
use crate::event::Answering;

/// A row of `conversation`.
#[derive(Debug)]
pub(crate) struct ConversationRecord {
    pub id: [u8; 16],
    pub host: String,
    pub account: String,
    pub login: String,
    pub state: String,
    pub number: u32,
    pub hash: Option<[u8; 32]>,
    pub verdict: Option<String>,
    pub reply: Option<String>,
    pub is_over: bool,
    pub until: Timestamp,
}

macro_rules! columns {
    () => {
        "id, host, account, login, state, number, hash, verdict, reply, is_over, until"
    };
}
macro_rules! record {
    () => {
        concat!("SELECT ", columns!(), " FROM conversation")
    };
}
const FIND: &str = concat!(record!(), " WHERE id = ?1");

macro_rules! take_old {
    ($others:literal) => {
        concat!(
            "DELETE FROM conversation WHERE id IN (
                 SELECT id FROM conversation WHERE until <= ?1 ORDER BY until LIMIT ?2",
            $others,
            ") RETURNING ",
            columns!()
        )
    };
}
/// Servers that sweep at the same time take different ones.
const TAKE_OLD: Sql<'static> = Sql::new(take_old!(""), take_old!(" FOR UPDATE SKIP LOCKED"));

/// Adds a conversation. There must be none of this id, nor as many that wait of this host (`of_host`) or this account as may.
pub(crate) fn insert(
    db: &Db<'_>,
    record: &ConversationRecord,
    of_host: u32,
    of_account: u32,
    otherwise: fn() -> StoreError,
) -> Result<(), StoreError> {
    let sql = Sql::new(
        "INSERT INTO conversation (id, host, account, login, state, number, reply, is_over, until)
         SELECT ?1, ?2, ?3, ?4, ?5, 0, ?6, 0, ?7
         WHERE NOT EXISTS (SELECT 1 FROM conversation WHERE host = ?2 AND is_over = 0 LIMIT 1 OFFSET ?8 - 1)
             AND NOT EXISTS (SELECT 1 FROM conversation WHERE account = ?3 AND is_over = 0 LIMIT 1 OFFSET ?9 - 1)
         ON CONFLICT (id) DO NOTHING",
        "INSERT INTO conversation (id, host, account, login, state, number, reply, is_over, until)
         SELECT CAST(?1 AS bytea), CAST(?2 AS text), CAST(?3 AS text), CAST(?4 AS text), CAST(?5 AS text), 0,
             CAST(?6 AS text), 0, CAST(?7 AS bigint)
         WHERE NOT EXISTS (SELECT 1 FROM conversation WHERE host = ?2 AND is_over = 0 LIMIT 1
                           OFFSET CAST(?8 AS bigint) - 1)
             AND NOT EXISTS (SELECT 1 FROM conversation WHERE account = ?3 AND is_over = 0 LIMIT 1
                             OFFSET CAST(?9 AS bigint) - 1)
         ON CONFLICT (id) DO NOTHING",
    );
    db.must_change(
        sql,
        values![
            &record.id,
            &record.host,
            &record.account,
            &record.login,
            &record.state,
            &record.reply,
            record.until,
            of_host,
            of_account
        ],
        otherwise,
    )
}

/// [`find`], to be asked later.
pub(crate) fn find_ahead(id: &[u8; 16]) -> Ahead {
    Ahead::new(FIND, values![id])
}

/// Adds a conversation of a host and an account that is over before anything was answered, unless there is one of this id.
pub(crate) fn insert_over(
    db: &Db<'_>,
    id: &[u8; 16],
    (host, account): (&str, &str),
    login: &str,
    reply: &str,
    until: Timestamp,
) -> Result<(), StoreError> {
    let sql =
        "INSERT INTO conversation (id, host, account, login, state, number, reply, is_over, until)
               VALUES (?1, ?2, ?3, ?4, '', 0, ?5, 1, ?6) ON CONFLICT (id) DO NOTHING";
    db.execute(sql, values![id, host, account, login, reply, until])
        .map(drop)
}

pub(crate) fn find(db: &Db<'_>, id: &[u8; 16]) -> Result<Option<ConversationRecord>, StoreError> {
    db.query_opt(FIND, values![id], record)
}

/// Records the verdict on an answer, which must be the next one.
pub(crate) fn set_verdict(
    db: &Db<'_>,
    answering: &Answering,
    verdict: &str,
    is_over: bool,
    until: Timestamp,
) -> Result<(), StoreError> {
    let Answering {
        conversation,
        number,
        hash,
        ..
    } = answering;
    db.must_change(
        "UPDATE conversation SET number = ?2, hash = ?3, verdict = ?4, reply = NULL, is_over = ?5, until = ?6
         WHERE id = ?1 AND number = ?2 - 1 AND reply IS NOT NULL AND is_over = 0",
        values![conversation, *number, hash, verdict, is_over, until],
        || StoreError::AnsweredMeanwhile,
    )
}

/// Replaces the verdict `before` on an answer that has no reply yet. Says whether that was it.
pub(crate) fn replace_verdict(
    db: &Db<'_>,
    answering: &Answering,
    before: &str,
    verdict: &str,
    is_over: bool,
    until: Timestamp,
) -> Result<bool, StoreError> {
    let Answering {
        conversation,
        number,
        hash,
        ..
    } = answering;
    let changed = db.execute(
        "UPDATE conversation SET verdict = ?5, is_over = ?6, until = ?7
         WHERE id = ?1 AND number = ?2 AND hash = ?3 AND verdict = ?4 AND reply IS NULL",
        values![conversation, *number, hash, before, verdict, is_over, until],
    )?;
    Ok(changed == 1)
}

/// Records the reply to an answer and the state after it, unless another answer has that number or there is a reply already.
pub(crate) fn set_reply(
    db: &Db<'_>,
    answering: &Answering,
    state: Option<&str>,
    reply: &str,
    until: Timestamp,
) -> Result<bool, StoreError> {
    let Answering {
        conversation,
        number,
        hash,
        ..
    } = answering;
    let changed = db.execute(
        "UPDATE conversation SET number = ?2, hash = ?3, state = coalesce(?4, state), is_over = ?5, reply = ?6, until = ?7,
             verdict = CASE WHEN number = ?2 THEN verdict END
         WHERE id = ?1 AND ((number = ?2 - 1 AND reply IS NOT NULL AND is_over = 0)
                            OR (number = ?2 AND hash = ?3 AND reply IS NULL AND is_over = 0))",
        values![
            conversation,
            *number,
            hash,
            state,
            state.is_none(),
            reply,
            until
        ],
    )?;
    Ok(changed == 1)
}

/// The same as [`find`]; nobody else changes it until the change ends.
pub(crate) fn find_locked(
    db: &Db<'_>,
    id: &[u8; 16],
) -> Result<Option<ConversationRecord>, StoreError> {
    db.query_opt(Sql::from(FIND).locking(), values![id], record)
}

/// Records what became of an answer, and with `state` what follows from it. Whether it may is known.
pub(crate) fn set_step(
    db: &Db<'_>,
    answering: &Answering,
    verdict: &str,
    state: Option<&str>,
    is_over: bool,
    until: Timestamp,
) -> Result<(), StoreError> {
    let sql = "UPDATE conversation SET number = ?2, hash = ?3, verdict = ?4, state = coalesce(?5, state), reply = NULL,
                   is_over = ?6, until = ?7
               WHERE id = ?1";
    let Answering {
        conversation,
        number,
        hash,
        ..
    } = answering;
    let values = values![conversation, *number, hash, verdict, state, is_over, until];
    db.execute(sql, values).map(drop)
}

/// Writes a conversation once more as it is.
pub(crate) fn rewrite(db: &Db<'_>, id: &[u8; 16]) -> Result<(), StoreError> {
    let sql = "UPDATE conversation SET number = number WHERE id = ?1";
    db.execute(sql, values![id]).map(drop)
}

/// Whether any conversation ended before `now`.
pub(crate) fn is_old(db: &Db<'_>, now: Timestamp) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM conversation WHERE until <= ?1 LIMIT 1";
    db.exists(sql, values![now])
}

/// Removes conversations that ended before `now`, `limit` at most, and returns them.
pub(crate) fn take_old(
    db: &Db<'_>,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<ConversationRecord>, StoreError> {
    db.query_all(TAKE_OLD, values![now, limit], record)
}

fn record(row: &Row<'_>) -> Result<ConversationRecord, StoreError> {
    Ok(ConversationRecord {
        id: row.get("id")?,
        host: row.get("host")?,
        account: row.get("account")?,
        login: row.get("login")?,
        state: row.get("state")?,
        number: row.get("number")?,
        hash: row.get("hash")?,
        verdict: row.get("verdict")?,
        reply: row.get("reply")?,
        is_over: row.get("is_over")?,
        until: row.get("until")?,
    })
}

/// Ends every conversation.
pub(crate) fn delete_all(db: &Db<'_>) -> Result<(), StoreError> {
    db.execute("DELETE FROM conversation", values![]).map(drop)
}
