//! Codes and notices that began to be sent within the last day: the tables `send` and `sms_alarm`.

use twofa_core::{Account, Timestamp};

use super::{Db, Sql, Value, values};
use crate::error::StoreError;

/// One that begins to be sent.
#[derive(Debug)]
pub(crate) struct SendRecord<'a> {
    pub account: &'a Account,
    /// In lower case: another spelling of an address is no other mailbox.
    pub address: String,
    /// A notice, not a code. Limits count each by itself.
    pub is_notice: bool,
    /// A code as a text message.
    pub is_sms: bool,
    /// A notice, or a code to an address of the account that is verified.
    pub is_verified: bool,
    /// The host of the fleet for whose login it is; `None`: this machine.
    pub host: Option<&'a str>,
}

/// Makes what is said to be sent after `now` sent at `now`.
pub(crate) fn pull_back(db: &Db<'_>, now: Timestamp) -> Result<(), StoreError> {
    db.execute(PULL_BACK, values![now])?;
    Ok(())
}

/// Removes the oldest sends up to `until`, at most `most`.
pub(crate) fn delete_old(db: &Db<'_>, until: Timestamp, most: u32) -> Result<(), StoreError> {
    db.execute(DELETE_OLD, values![until, most])?;
    Ok(())
}

/// Adds a send. `place`: where a code for it is awaited.
pub(crate) fn insert(
    db: &Db<'_>,
    send: &SendRecord<'_>,
    place: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql =
        "INSERT INTO send (at, name, uid, address, is_notice, is_sms, is_verified, place, host)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    db.execute(
        sql,
        values![
            now,
            &send.account.name,
            send.account.uid,
            &send.address,
            send.is_notice,
            send.is_sms,
            send.is_verified,
            place,
            send.host
        ],
    )?;
    Ok(())
}

/// When the last code was sent to `account` that is awaited at `place`.
pub(crate) fn last_awaited(
    db: &Db<'_>,
    account: &Account,
    place: &str,
) -> Result<Option<Timestamp>, StoreError> {
    let last: Option<i64> = db.query_one(
        LAST_AWAITED,
        values![&account.name, account.uid, place],
        |row| row.get("last"),
    )?;
    Ok(last.map(Timestamp::from_unix))
}

/// Marks that no code to `account` is awaited.
pub(crate) fn clear_places(db: &Db<'_>, account: &Account) -> Result<(), StoreError> {
    db.execute(CLEAR_PLACES, values![&account.name, account.uid])?;
    Ok(())
}

// The statements below give when the `nth` newest of some sends after `since` began, if there are that many. `nth` counts
// from one.

/// Of what was sent to one user.
pub(crate) fn nth_of_user(
    db: &Db<'_>,
    send: &SendRecord<'_>,
    since: Timestamp,
    nth: u32,
) -> Result<Option<Timestamp>, StoreError> {
    let Account { name, uid } = send.account;
    nth_newest(db, OF_USER, values![since, nth, name, *uid, send.is_notice])
}

/// Of codes to addresses of one user that are not verified.
pub(crate) fn nth_unverified_of_user(
    db: &Db<'_>,
    account: &Account,
    since: Timestamp,
    nth: u32,
) -> Result<Option<Timestamp>, StoreError> {
    let Account { name, uid } = account;
    nth_newest(db, UNVERIFIED_OF_USER, values![since, nth, name, *uid])
}

/// Of all that was sent.
pub(crate) fn nth_of_machine(
    db: &Db<'_>,
    send: &SendRecord<'_>,
    since: Timestamp,
    nth: u32,
) -> Result<Option<Timestamp>, StoreError> {
    nth_newest(db, OF_MACHINE, values![since, nth, send.is_notice])
}

/// Of codes for logins on the same host of the fleet; none on this machine.
pub(crate) fn nth_of_host(
    db: &Db<'_>,
    send: &SendRecord<'_>,
    since: Timestamp,
    nth: u32,
) -> Result<Option<Timestamp>, StoreError> {
    match send.host {
        Some(host) => nth_newest(db, OF_HOST, values![since, nth, host]),
        None => Ok(None),
    }
}

/// Of what was sent to one address, for any user.
pub(crate) fn nth_to_address(
    db: &Db<'_>,
    send: &SendRecord<'_>,
    since: Timestamp,
    nth: u32,
) -> Result<Option<Timestamp>, StoreError> {
    nth_newest(
        db,
        TO_ADDRESS,
        values![since, nth, &send.address, send.is_notice],
    )
}

/// Of what was sent to one address for its own user.
pub(crate) fn nth_to_own_address(
    db: &Db<'_>,
    send: &SendRecord<'_>,
    since: Timestamp,
    nth: u32,
) -> Result<Option<Timestamp>, StoreError> {
    let Account { name, uid } = send.account;
    nth_newest(
        db,
        TO_OWN_ADDRESS,
        values![since, nth, &send.address, send.is_notice, name, *uid],
    )
}

/// Of text messages with codes.
pub(crate) fn nth_sms(
    db: &Db<'_>,
    since: Timestamp,
    nth: u32,
) -> Result<Option<Timestamp>, StoreError> {
    nth_newest(db, SMS, values![since, nth])
}

/// Of text messages with codes to numbers that are not verified.
pub(crate) fn nth_unverified_sms(
    db: &Db<'_>,
    since: Timestamp,
    nth: u32,
) -> Result<Option<Timestamp>, StoreError> {
    nth_newest(db, UNVERIFIED_SMS, values![since, nth])
}

/// How many text messages with codes were sent after `since`: in all, and to numbers that were not verified.
pub(crate) fn count_sms(db: &Db<'_>, since: Timestamp) -> Result<(u32, u32), StoreError> {
    db.query_one(COUNT_SMS, values![since], |row| {
        Ok((row.get("messages")?, row.get("unverified")?))
    })
}

/// Whether the alarm called `alarm` was raised after `since` and not after `now`.
pub(crate) fn was_alarm_raised(
    db: &Db<'_>,
    alarm: &str,
    since: Timestamp,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM sms_alarm WHERE what = ?1 AND at > ?2 AND at <= ?3";
    db.exists(sql, values![alarm, since, now])
}

pub(crate) fn save_alarm(db: &Db<'_>, alarm: &str, now: Timestamp) -> Result<(), StoreError> {
    let sql = "INSERT INTO sms_alarm (what, at) VALUES (?1, ?2)
               ON CONFLICT (what) DO UPDATE SET at = excluded.at";
    db.execute(sql, values![alarm, now])?;
    Ok(())
}

// The conditions are those of the indexes, word by word.
const OF_USER: &str =
    "SELECT at FROM send WHERE name = ?3 AND uid = ?4 AND is_notice = ?5 AND at > ?1
                       ORDER BY at DESC LIMIT 1 OFFSET ?2 - 1";
const UNVERIFIED_OF_USER: &str =
    "SELECT at FROM send WHERE name = ?3 AND uid = ?4 AND is_notice = 0 AND at > ?1 AND is_verified = 0
     ORDER BY at DESC LIMIT 1 OFFSET ?2 - 1";
const OF_MACHINE: &str = "SELECT at FROM send WHERE is_notice = ?3 AND at > ?1
                          ORDER BY at DESC LIMIT 1 OFFSET ?2 - 1";
const OF_HOST: &str =
    "SELECT at FROM send WHERE host = ?3 AND at > ?1 ORDER BY at DESC LIMIT 1 OFFSET ?2 - 1";
const TO_ADDRESS: &str = "SELECT at FROM send WHERE address = ?3 AND is_notice = ?4 AND at > ?1
                          ORDER BY at DESC LIMIT 1 OFFSET ?2 - 1";
const TO_OWN_ADDRESS: &str =
    "SELECT at FROM send WHERE address = ?3 AND is_notice = ?4 AND at > ?1 AND name = ?5 AND uid = ?6
     ORDER BY at DESC LIMIT 1 OFFSET ?2 - 1";
const SMS: &str =
    "SELECT at FROM send WHERE is_sms = 1 AND at > ?1 ORDER BY at DESC LIMIT 1 OFFSET ?2 - 1";
const UNVERIFIED_SMS: &str = "SELECT at FROM send WHERE is_sms = 1 AND is_verified = 0 AND at > ?1
                              ORDER BY at DESC LIMIT 1 OFFSET ?2 - 1";
const COUNT_SMS: &str =
    "SELECT count(*) AS messages, count(*) FILTER (WHERE is_verified = 0) AS unverified
     FROM send WHERE is_sms = 1 AND at > ?1";
// Clocks of servers that are allowed to differ by seconds do not take turns at this.
const PULL_BACK: Sql<'_> = Sql::new(
    "UPDATE send SET at = ?1 WHERE is_notice IN (0, 1) AND at > ?1",
    "UPDATE send SET at = ?1 WHERE is_notice IN (0, 1) AND at > ?1 + 15",
);
const DELETE_OLD: &str = "DELETE FROM send WHERE id IN (
                              SELECT id FROM send WHERE is_notice IN (0, 1) AND at <= ?1 LIMIT ?2
                          )";
const LAST_AWAITED: &str = "SELECT max(at) AS last FROM send WHERE name = ?1 AND uid = ?2 AND is_notice = 0 AND place = ?3";
const CLEAR_PLACES: &str = "UPDATE send SET place = NULL WHERE name = ?1 AND uid = ?2 AND is_notice = 0 AND place IS NOT NULL";

fn nth_newest(
    db: &Db<'_>,
    sql: &str,
    values: &[Value<'_>],
) -> Result<Option<Timestamp>, StoreError> {
    db.query_opt(sql, values, |row| row.get("at"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Bench;

    #[test]
    fn no_statement_looks_through_all_sends() {
        let bench = Bench::on_file();
        let store = bench.create();
        for sql in [
            PULL_BACK,
            OF_USER.into(),
            UNVERIFIED_OF_USER.into(),
            OF_MACHINE.into(),
            OF_HOST.into(),
            TO_ADDRESS.into(),
            TO_OWN_ADDRESS.into(),
            SMS.into(),
            UNVERIFIED_SMS.into(),
            COUNT_SMS.into(),
            DELETE_OLD.into(),
            LAST_AWAITED.into(),
            CLEAR_PLACES.into(),
        ] {
            let plan = Bench::plan(&store, sql);
            assert!(
                plan.contains("SEARCH send USING")
                    && !plan.contains("SCAN send")
                    && !plan.contains("TEMP B-TREE"),
                "{sql:?}: {plan}"
            );
        }
    }
}
