//! On a server: the rescue codes of hosts, with which root and a rescue group log in to a host that reaches no server.
//!
//! Servers draw the codes and keep them sealed; a host fetches their hashes. `twofa host rescue` hands out those of the set that
//! the host has confirmed, each once, in order. The codes of a host are replaced after a use, some time after one was shown, and
//! if the host does not have those that it should have: the host fetches another set, and when it has confirmed that, the one
//! before is deleted.

use twofa_core::rescue::RescueSet;
use twofa_core::{Account, BackupCode, Timestamp};

use crate::database::Store;
use crate::error::StoreError;
use crate::event::{Event, Origin, StoredEvent};
use crate::host_in_force::find_in_force;
use crate::notices;
use crate::seal::{AssociatedData, Owner};
use crate::sql::fleet;
use crate::sql::rescue::{self, RescueRecord};
use crate::tx::Tx;

/// A host that has locked an account out gets new codes at most so often, in seconds: an hour.
const AFTER_LOCK: u64 = 3_600;

/// What a host says of its rescue codes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RescueReport {
    /// The number of the newest set that it has; `None`: none.
    pub held: Option<i64>,
    /// A code of that set was used.
    pub is_used: bool,
    /// Too many wrong codes were typed for an account.
    pub is_locked: bool,
    /// Logins with a rescue code of which it has not told.
    pub uses: Vec<RescueUse>,
}

/// A login with a rescue code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RescueUse {
    /// The account on the host.
    pub account: Account,
    /// The PAM service.
    pub service: String,
    /// When, as the host has it.
    pub at: Timestamp,
}

/// What a host is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RescueNews {
    /// The id of the host.
    pub host: String,
    /// The set that it is known to have.
    pub confirmed: Option<i64>,
    /// The set that it is to have.
    pub next: Option<RescueSet>,
    /// A set is to be made for it ([`Store::add_rescue_set`]).
    pub is_due: bool,
}

/// Codes that were drawn, with their hashes.
#[derive(Debug)]
pub struct NewRescueSet {
    /// The codes.
    pub codes: Vec<BackupCode>,
    /// Their hashes.
    pub set: RescueSet,
}

/// What became of the wish for a code.
#[derive(Debug)]
pub enum ShownRescueCode {
    /// The code.
    Code(BackupCode),
    /// There is no such host.
    NoHost,
    /// The host has never fetched the hashes of codes.
    NoCodes,
    /// All codes that the host has hashes of were shown.
    AllShown,
}

impl Store {
    /// Takes what the host with this `key` says of its rescue codes, and says what the host is to be told. Its codes are replaced
    /// `lifetime` seconds after one was shown. `told` are the administrators who get a notice of a use.
    pub fn take_rescue_report(
        &self,
        key: &[u8; 32],
        report: &RescueReport,
        lifetime: u64,
        told: &[Account],
        origin: &Origin,
        now: Timestamp,
    ) -> Result<RescueNews, StoreError> {
        self.change(origin, now, |tx| {
            let host = find_in_force(tx, key, now)?;
            tx.db.lock("rescue", &host.id)?;
            let sets = confirm(tx, &host.id, report.held)?;
            note_uses(tx, &host.name, &sets, report, told)?;
            let is_confirmed = |it: &&RescueRecord| it.confirmed_at.is_some();
            let confirmed = sets.iter().find(is_confirmed);
            let next = sets.iter().find(|it| it.confirmed_at.is_none());
            Ok(RescueNews {
                confirmed: confirmed.map(|it| it.set.number),
                next: next.map(|it| it.set.clone()),
                is_due: next.is_none() && is_due(confirmed, report, lifetime, now),
                host: host.id,
            })
        })
    }

    /// Adds the next set for the host with this `key`, unless another server has added one. Returns the one that the host is to
    /// have.
    pub fn add_rescue_set(
        &self,
        key: &[u8; 32],
        new: &NewRescueSet,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<RescueSet, StoreError> {
        self.change(origin, now, |tx| {
            let host = find_in_force(tx, key, now)?;
            tx.db.lock("rescue", &host.id)?;
            let sets = rescue::of_host(tx.db, &host.id)?;
            if let Some(next) = sets.into_iter().find(|it| it.confirmed_at.is_none()) {
                return Ok(next.set);
            }
            let mut plain = zeroize::Zeroizing::new(Vec::new());
            for code in &new.codes {
                plain.extend_from_slice(code.bare().as_bytes());
            }
            let sealed = tx.seal(place(new.set.number, &host.id), &plain)?;
            rescue::insert(tx.db, &host.id, &new.set, &sealed, now)?;
            Ok(new.set.clone())
        })
    }

    /// The next rescue code of the host `name`, which counts as shown from now on. `told` are the administrators who get a notice.
    pub fn show_rescue_code(
        &self,
        name: &str,
        reason: &str,
        told: &[Account],
        origin: &Origin,
        now: Timestamp,
    ) -> Result<ShownRescueCode, StoreError> {
        self.change(origin, now, |tx| {
            let Some(host) = fleet::find(tx.db, name)? else {
                return Ok(ShownRescueCode::NoHost);
            };
            tx.db.lock("rescue", &host.id)?;
            let sets = rescue::of_host(tx.db, &host.id)?;
            let Some(found) = sets.iter().find(|it| it.confirmed_at.is_some()) else {
                return Ok(ShownRescueCode::NoCodes);
            };
            let number = found.set.number;
            let Some(code) = code(tx, found, &host.id)? else {
                return Ok(ShownRescueCode::AllShown);
            };
            if !rescue::set_shown(tx.db, number, found.shown, now)? {
                return Err(StoreError::ChangedMeanwhile);
            }
            let event = Event::RescueShown {
                name: name.to_owned(),
                reason: reason.to_owned(),
            };
            tell(tx, told, &event)?;
            Ok(ShownRescueCode::Code(code))
        })
    }
}

/// The sets of a host that has the one with the number `held`, after that is noted.
fn confirm(tx: &Tx<'_>, host: &str, held: Option<i64>) -> Result<Vec<RescueRecord>, StoreError> {
    let mut sets = rescue::of_host(tx.db, host)?;
    let is_new = |it: &RescueRecord| it.confirmed_at.is_none() && Some(it.set.number) == held;
    if !sets.iter().any(is_new) {
        return Ok(sets);
    }
    for old in sets.iter().filter(|it| !is_new(it)) {
        rescue::delete(tx.db, old.set.number)?;
    }
    sets.retain(is_new);
    for new in &mut sets {
        rescue::set_confirmed(tx.db, new.set.number, tx.now)?;
        new.confirmed_at = Some(tx.now);
    }
    Ok(sets)
}

/// Logs what the host says of uses, and notes it, so that its codes are replaced.
fn note_uses(
    tx: &Tx<'_>,
    host: &str,
    sets: &[RescueRecord],
    report: &RescueReport,
    told: &[Account],
) -> Result<(), StoreError> {
    for used in &report.uses {
        let event = Event::RescueUsed {
            name: host.to_owned(),
            of_user: used.account.name.clone(),
            of_service: used.service.clone(),
            since: used.at.unix(),
        };
        tell(tx, told, &event)?;
    }
    if report.is_used || !report.uses.is_empty() {
        for set in sets.iter().filter(|it| it.confirmed_at.is_some()) {
            rescue::set_used(tx.db, set.set.number, tx.now)?;
        }
    }
    Ok(())
}

/// Whether the host is to have other codes than those that are `confirmed`.
fn is_due(
    confirmed: Option<&RescueRecord>,
    report: &RescueReport,
    lifetime: u64,
    now: Timestamp,
) -> bool {
    let Some(confirmed) = confirmed else {
        return true;
    };
    report.held != Some(confirmed.set.number)
        || report.is_used
        || !report.uses.is_empty()
        || confirmed.used_at.is_some()
        || confirmed
            .shown_at
            .is_some_and(|at| at.after(lifetime) <= now)
        || report.is_locked && confirmed.made_at.after(AFTER_LOCK) <= now
}

/// The first code of the set that was not shown; `None`: all were.
fn code(tx: &Tx<'_>, found: &RescueRecord, host: &str) -> Result<Option<BackupCode>, StoreError> {
    let position = usize::try_from(found.shown).unwrap_or(usize::MAX);
    if position >= found.set.digests.len() {
        return Ok(None);
    }
    let plain = tx.key.open(place(found.set.number, host), &found.codes)?;
    let length = plain.len() / found.set.digests.len();
    let bare = plain.chunks_exact(length.max(1)).nth(position);
    let bare = bare.and_then(|bare| std::str::from_utf8(bare).ok());
    let code = bare.and_then(BackupCode::from_bare);
    code.map(Some)
        .ok_or_else(|| StoreError::Damaged("a rescue code in it is none".to_owned()))
}

/// Where the codes of a set are sealed.
pub(crate) const fn place(number: i64, host: &str) -> AssociatedData<'_> {
    AssociatedData {
        table: "rescue_set",
        column: "codes",
        row: number,
        owner: Owner::Host(host),
    }
}

/// Logs `event`, and queues a notice of it for each of the administrators.
fn tell(tx: &Tx<'_>, told: &[Account], event: &Event) -> Result<(), StoreError> {
    tx.record(None, event)?;
    let stored = StoredEvent::from(event);
    for account in told {
        notices::queue(tx, account, &stored)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
