//! The order of operations by which each code works once and each failure is counted.
//!
//! A code that is verified in microseconds, of an app or one that was sent, is one write transaction with one sync
//! ([`Store::try_code`]): the lock is checked, the code is verified against what is stored at this moment, and either the
//! code is marked used or the failure is counted. The result is on disk before anybody learns it. Of any number of logins
//! that race with one code, the first in the database's own order passes; the others find it used.
//!
//! A backup code takes argon2id a tenth of a second or more, which nobody may wait for:
//!
//! 1. [`Store::count_attempt`] checks the lock and counts the attempt as a failure, committed;
//! 2. the code is verified, outside of any transaction;
//! 3. [`Store::use_backup_code`] deletes it, if it is still there, and takes back the count, committed;
//! 4. only then is the user let in.
//!
//! That count is committed without waiting for the disk, and every later attempt sees it. The sync before the result is
//! reported, right or wrong, includes it. So nobody learns anything about a code whose attempt a power cut could
//! still undo. If a process ends in between, the attempt stays counted and the code is either unused or used up.

use std::sync::Arc;

use twofa_core::backup::DIGEST_BYTES;
use twofa_core::lockout::Lock;
use twofa_core::{Account, Channel, Method, Throttle, Timestamp, User};

use crate::app_sealing::stored_count;
use crate::database::Store;
use crate::error::StoreError;
use crate::event::{Event, Origin, Proof, RefusalReason, Source};
use crate::fleet;
use crate::generation::Generation;
use crate::host_limits;
use crate::model::ticket::Settlement;
use crate::snapshot::UserSnapshot;
use crate::sql::fleet::{self as sql_fleet, HostAttempt};
use crate::sql::users::UserRecord;
use crate::sql::{Ahead, Db, apps, backup_codes, sends, unproved, users};
use crate::tx::Tx;

/// Where an attempt is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tally {
    /// With the account's own: the first factor was right. Too many lock the account. On a host of the fleet, with the account's
    /// own on that host: too many lock the account there, and many more everywhere.
    Proved,
    /// Apart: a stack that goes on after a wrong password asked, so that anybody may have typed the code. Too many refuse
    /// further attempts of this kind and no others.
    Unproved,
    /// Nowhere: the login passes without a code, and what ends its password may be one or belong to the password. What is
    /// wrong tells nobody anything and leaves nothing behind.
    Uncounted,
}

/// A code that somebody typed, before it is verified.
#[derive(Debug, Clone, Copy)]
pub struct CodeAttempt<'a> {
    /// The account that the code should belong to.
    pub account: &'a Account,
    /// Where a failure is counted.
    pub tally: Tally,
    /// Where it was typed.
    pub origin: &'a Origin,
    /// What was known of the account when it was decided which methods count.
    pub known: &'a UserSnapshot,
    /// When a right code counts as a login. Without effect on the command line.
    pub settlement: Settlement<'a>,
}

/// What a right code proves, and how it is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeProof {
    /// It belongs to this time step or counter of an app, which is marked used.
    App {
        /// [`twofa_core::user::EnrolledApp::id`].
        app: i64,
        /// The step or counter.
        count: u64,
    },
    /// It was sent to this address of the account. It is known to one login only, which uses it once.
    Sent(Channel),
}

impl CodeProof {
    /// The method of the code.
    pub const fn method(self) -> Method {
        match self {
            Self::App { .. } => Method::App,
            Self::Sent(channel) => channel.method(),
        }
    }
}

/// The outcome of verifying a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CodeOutcome<W> {
    /// It is right and marked used: let them in.
    Right(CodeProof),
    /// It is wrong; that is counted and logged.
    Wrong(W),
    /// The account is locked: nothing was verified or counted.
    Locked(Lock),
    /// Nothing is known of the account, so no code can be right. Nothing was counted.
    Unknown,
    /// The rules or the account's methods are no longer those of [`CodeAttempt::known`], so that other methods may count
    /// now. Nothing was verified or counted.
    Outdated,
}

/// An attempt that was counted and may now be verified.
#[derive(Debug)]
#[must_use = "an attempt whose code is not marked used stays a failure"]
pub struct Attempt {
    account: Account,
    tally: Tally,
    origin: Origin,
    user: i64,
    /// Its number among the user's attempts.
    number: u64,
}

/// The outcome of counting an attempt.
#[derive(Debug)]
pub enum Counted {
    /// It was counted. Verify it against this, which is of the same moment.
    Attempt(Attempt, Box<UserSnapshot>),
    /// The account is locked; nothing was counted and nothing may be verified.
    Locked(Lock),
    /// Nothing is known of the account, so no code can be right.
    Unknown,
}

/// The outcome of marking a code used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkUsedOutcome {
    /// It was unused, and is used now: let them in.
    First,
    /// Somebody was quicker, or it was removed meanwhile. The attempt stays a failure.
    Already,
}

impl Store {
    /// Checks the lock, runs `verify`, and marks the code used or counts and logs the failure, all in one transaction.
    ///
    /// `verify` sees the account as it is stored at this moment, without backup codes and security keys. It runs
    /// under the write lock of the store, so it must be quick and ask nobody. Its error says why the code is wrong.
    pub fn try_code<W: AsRef<RefusalReason>>(
        &self,
        attempt: CodeAttempt<'_>,
        now: Timestamp,
        verify: impl Fn(&User) -> Result<CodeProof, W>,
    ) -> Result<CodeOutcome<W>, StoreError> {
        let CodeAttempt {
            account,
            tally,
            origin,
            known,
            settlement,
        } = attempt;
        let ahead = || attempt_ahead(account, known, origin);
        self.change_ahead(ahead, origin, now, |tx| {
            let Some(record) = tx.find(account)? else {
                return Ok(CodeOutcome::Unknown);
            };
            let before = match attempts_before(tx, &record, tally)? {
                Ok(before) => before,
                Err(lock) => return Ok(CodeOutcome::Locked(lock)),
            };
            let rules = tx.rules()?;
            let user = tx.user_with_apps(account, &record)?;
            if !Arc::ptr_eq(&rules, &known.rules) || !known.is_about(&record) {
                return Ok(CodeOutcome::Outdated);
            }
            let counted = before.count(now, rules.rulebook.machine().lockout);
            match verify(&user) {
                Ok(proof) => {
                    let by = use_up(tx, account, &user, proof)?;
                    save_cleared(tx, &record, tally, counted.clear())?;
                    let event = Event::Passed { by: by.clone() };
                    settle(tx, account, &record, settlement, by, &event)?;
                    tx.answer_is_right(proof.method())?;
                    Ok(CodeOutcome::Right(proof))
                }
                Err(wrong) => {
                    save_failure(tx, account, &record, tally, counted)?;
                    let why = *wrong.as_ref();
                    if tally != Tally::Uncounted {
                        tx.record(Some(account), &Event::Refused { why })?;
                    }
                    tx.answer_is_wrong(why)?;
                    Ok(CodeOutcome::Wrong(wrong))
                }
            }
        })
    }

    /// Checks the lock of `account` and counts an attempt in `tally`, before anything is verified. It is on disk with the
    /// next change that is, which the result of a backup code always comes with.
    pub fn count_attempt(
        &self,
        account: &Account,
        tally: Tally,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Counted, StoreError> {
        self.change_unsynced(origin, now, |tx| count_attempt(tx, account, tally))
    }

    /// The same for an attempt whose failure is reported without another change: it is on disk when this returns.
    pub fn count_attempt_durably(
        &self,
        account: &Account,
        tally: Tally,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Counted, StoreError> {
        self.change(origin, now, |tx| count_attempt(tx, account, tally))
    }

    #[allow(clippy::needless_pass_by_value, reason = "an attempt is used up")]
    /// Takes back the count of an attempt with the code that confirmed `address`, if that is the user's verified address of
    /// its kind still. Such a code is known to one request only, which uses it once. Nobody has passed with that: whether
    /// a login succeeds is recorded at its end ([`Self::record_pass`]).
    pub fn use_confirming_code(
        &self,
        attempt: Attempt,
        channel: Channel,
        address: &str,
        now: Timestamp,
    ) -> Result<MarkUsedOutcome, StoreError> {
        self.change(&attempt.origin, now, |tx| {
            let record = tx.find(&attempt.account)?;
            let is_theirs = record.is_some_and(|record| record.verified(channel) == Some(address));
            if is_theirs {
                sends::clear_places(tx.db, &attempt.account)?;
            }
            attempt.finish(tx, is_theirs, None)
        })
    }

    /// Records that `account` passed in another way than by an attempt: `by` the code that confirmed an enrolment.
    pub fn record_pass(
        &self,
        account: &Account,
        expected: Generation,
        by: &Proof,
        settlement: Settlement<'_>,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        // Wrong codes from before stay counted: this was no proof of what was enrolled then.
        self.change(origin, now, |tx| {
            tx.answer_passes(account)?;
            settle_without_code(tx, account, expected, settlement, by.clone())?;
            tx.answer_has_passed(by)
        })
    }

    #[allow(clippy::needless_pass_by_value, reason = "an attempt is used up")]
    /// Uses up the backup code with this `digest`.
    pub fn use_backup_code(
        &self,
        attempt: Attempt,
        digest: &[u8; DIGEST_BYTES],
        settlement: Settlement<'_>,
        now: Timestamp,
    ) -> Result<MarkUsedOutcome, StoreError> {
        self.change(&attempt.origin, now, |tx| {
            let is_deleted = backup_codes::delete_code(tx.db, attempt.user, digest)?;
            let settled = Settled {
                settlement,
                by: Proof::BackupCode,
                event: Event::BackupCodeUsed,
            };
            attempt.finish(tx, is_deleted, Some(settled))
        })
    }
}

/// What an attempt asks, the person first, whose row it locks.
fn attempt_ahead(account: &Account, known: &UserSnapshot, origin: &Origin) -> Vec<Ahead> {
    let mut ahead = vec![users::find_ahead(account)];
    if let Some(user) = known.generation.user() {
        let key = origin.host.as_ref().and_then(|host| host.key.as_ref());
        ahead.extend(key.map(|key| sql_fleet::throttle_ahead(user, key)));
        ahead.push(fleet::lock_ahead(user));
        ahead.push(Db::data_version_ahead());
        ahead.push(apps::all_ahead(account));
    }
    ahead
}

/// How a code that was used is recorded as a login.
struct Settled<'a> {
    settlement: Settlement<'a>,
    by: Proof,
    event: Event,
}

impl Attempt {
    /// `is_first`: its code was marked used just now. `settled`: how it counts as a login, if it does.
    fn finish(
        &self,
        tx: &Tx<'_>,
        is_first: bool,
        settled: Option<Settled<'_>>,
    ) -> Result<MarkUsedOutcome, StoreError> {
        let record = tx
            .find(&self.account)?
            .filter(|record| record.id == self.user && is_first);
        let Some(record) = record else {
            return Ok(MarkUsedOutcome::Already);
        };
        let counted = throttle(tx, &record, self.tally)?;
        let cleared = counted.clear_through(self.number);
        save_cleared(tx, &record, self.tally, cleared)?;
        if let Some(Settled {
            settlement,
            by,
            event,
        }) = settled
        {
            settle(tx, &self.account, &record, settlement, by, &event)?;
            tx.counted_answer_is(&tx.right(Method::Backup))?;
        }
        Ok(MarkUsedOutcome::First)
    }
}

fn count_attempt(tx: &Tx<'_>, account: &Account, tally: Tally) -> Result<Counted, StoreError> {
    let Some(record) = tx.find(account)? else {
        return Ok(Counted::Unknown);
    };
    let before = match attempts_before(tx, &record, tally)? {
        Ok(before) => before,
        Err(lock) => return Ok(Counted::Locked(lock)),
    };
    let snapshot = tx.snapshot(account, Some(&record))?;
    let throttle = before.count(tx.now, snapshot.rules.rulebook.machine().lockout);
    save_failure(tx, account, &record, tally, throttle)?;
    tx.answer_is_counted()?;
    let attempt = Attempt {
        account: account.clone(),
        tally,
        origin: tx.origin.clone(),
        user: record.id,
        number: throttle.attempts,
    };
    Ok(Counted::Attempt(attempt, Box::new(snapshot)))
}

/// The attempts in `tally` so far, or the lock that refuses further ones.
pub(crate) fn attempts_before(
    tx: &Tx<'_>,
    record: &UserRecord,
    tally: Tally,
) -> Result<Result<Throttle, Lock>, StoreError> {
    // The lock of the account holds where anybody may have typed the code, too.
    if let Some(lock) = record.throttle.lock(tx.now) {
        return Ok(Err(lock));
    }
    // Asked once, though it is both.
    let on_host = throttle_on_host(tx, record.id)?;
    let lock = fleet::lock(tx, record.id, on_host)?;
    let before = match (tally, on_host) {
        (Tally::Proved, Some(on_host)) => on_host,
        _ => throttle(tx, record, tally)?,
    };
    Ok(lock.or(before.lock(tx.now)).map_or(Ok(before), Err))
}

/// The attempts so far that one in `tally` is counted with: on a host of the fleet, those of that host.
fn throttle(tx: &Tx<'_>, record: &UserRecord, tally: Tally) -> Result<Throttle, StoreError> {
    match (tally, tx.host_key()) {
        (Tally::Proved, Some(key)) => sql_fleet::throttle(tx.db, record.id, key),
        (Tally::Proved | Tally::Uncounted, _) => Ok(record.throttle),
        (Tally::Unproved, _) => unproved::throttle(tx.db, record.id),
    }
}

/// The attempts on the host of the fleet for which `tx` is.
fn throttle_on_host(tx: &Tx<'_>, user: i64) -> Result<Option<Throttle>, StoreError> {
    tx.host_key()
        .map(|key| sql_fleet::throttle(tx.db, user, key))
        .transpose()
}

/// Saves the attempts that one in [`Tally::Proved`] is counted with, which ended so.
fn save_throttle(
    tx: &Tx<'_>,
    record: &UserRecord,
    throttle: Throttle,
    last: HostAttempt,
) -> Result<(), StoreError> {
    match tx.host_key() {
        Some(key) => sql_fleet::save_throttle(tx.db, record.id, key, throttle, last, tx.now),
        None => users::save_throttle(tx.db, record.id, throttle),
    }
}

/// Saves `throttle`, in which an attempt was just counted, and logs the lock that comes of it.
pub(crate) fn save_failure(
    tx: &Tx<'_>,
    account: &Account,
    record: &UserRecord,
    tally: Tally,
    throttle: Throttle,
) -> Result<(), StoreError> {
    match tally {
        Tally::Proved => {}
        Tally::Unproved => return unproved::save_throttle(tx.db, record.id, throttle),
        Tally::Uncounted => return Ok(()),
    }
    save_throttle(tx, record, throttle, HostAttempt::Failed)?;
    host_limits::cut_off_if_due(tx)?;
    let failures = if throttle.lock(tx.now).is_some() {
        throttle.failures()
    } else if fleet::lock(tx, record.id, throttle_on_host(tx, record.id)?)?.is_some() {
        fleet::failures(tx, record.id)?
    } else {
        return Ok(());
    };
    tx.record(Some(account), &Event::Locked { failures })
        .map(drop)
}

/// Saves `throttle`, in which an attempt was just taken back.
fn save_cleared(
    tx: &Tx<'_>,
    record: &UserRecord,
    tally: Tally,
    throttle: Throttle,
) -> Result<(), StoreError> {
    match tally {
        Tally::Proved => save_throttle(tx, record, throttle, HostAttempt::Passed),
        Tally::Unproved => unproved::save_throttle(tx.db, record.id, throttle),
        Tally::Uncounted => Ok(()),
    }
}

/// Records that `account` passed `by` something else than a counted code, as long as its methods are those of `expected` and
/// it is not locked.
pub(crate) fn settle_without_code(
    tx: &Tx<'_>,
    account: &Account,
    expected: Generation,
    settlement: Settlement<'_>,
    by: Proof,
) -> Result<(), StoreError> {
    tx.unchanged(account, expected)?;
    let record = tx
        .find(account)?
        .filter(|record| record.throttle.lock(tx.now).is_none())
        .ok_or(StoreError::ChangedMeanwhile)?;
    if let Some(key) = tx.host_key() {
        let throttle = sql_fleet::throttle(tx.db, record.id, key)?;
        let last = HostAttempt::Passed;
        sql_fleet::save_throttle(tx.db, record.id, key, throttle, last, tx.now)?;
    }
    let event = Event::Passed { by: by.clone() };
    settle(tx, account, &record, settlement, by, &event)
}

/// Records a login that passed `by` this, which `event` logs, or leaves that to the account phase.
pub(crate) fn settle(
    tx: &Tx<'_>,
    account: &Account,
    record: &UserRecord,
    settlement: Settlement<'_>,
    by: Proof,
    event: &Event,
) -> Result<(), StoreError> {
    if tx.origin.source == Source::CommandLine {
        // No login: refusals before it are still to be reported.
        return tx.record(Some(account), event).map(drop);
    }
    match settlement {
        Settlement::Now(pass) => {
            let event = tx.record(Some(account), event)?;
            users::set_passed(tx.db, record.id, event, tx.now)?;
            match pass {
                Some(pass) => tx.leave_ticket(account, pass, by, true),
                None => Ok(()),
            }
        }
        Settlement::Trusting(trust) => {
            let event = tx.record(Some(account), event)?;
            users::set_passed(tx.db, record.id, event, tx.now)?;
            tx.trust_reported(account, record, trust)
        }
        Settlement::InAccount(pass) => {
            // The code is used up, so the log says so at once, even if the login is never confirmed.
            if *event == Event::BackupCodeUsed {
                tx.record(Some(account), event)?;
            }
            tx.leave_ticket(account, pass, by, false)
        }
    }
}

/// Marks the code that gave `proof` used, and says for the log which it was.
fn use_up(
    tx: &Tx<'_>,
    account: &Account,
    user: &User,
    proof: CodeProof,
) -> Result<Proof, StoreError> {
    let (app, count) = match proof {
        CodeProof::App { app, count } => (app, count),
        CodeProof::Sent(channel) => {
            sends::clear_places(tx.db, account)?;
            return Ok(Proof::SentCode { channel });
        }
    };
    apps::mark_used(tx.db, app, stored_count(count)?)?;
    // What was verified is what was read in this very transaction.
    let app = user.apps.iter().find(|enrolled| enrolled.id == app);
    let app = app.ok_or(StoreError::ChangedMeanwhile)?;
    Ok(Proof::App {
        label: app.label.clone(),
    })
}

#[cfg(test)]
mod tests;
