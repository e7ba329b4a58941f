//! On a host of a fleet: logging in with a rescue code while no server answers.
//!
//! The host has hashes of the codes. An attempt is counted, synced, before the code is hashed, which no transaction waits for; a
//! right one is marked used, synced, before anybody is let in. So a code lets in once, and five wrong ones lock an account out of
//! this way in until the host has new codes, also if the machine restarts meanwhile.
//!
//! A set stays beside a newer one until servers know that the host has the newer one: whichever of the two a server hands codes
//! out of, they work. Tested with the other end in [`crate::rescue`].

use twofa_core::rescue::{MOST_WRONG, RescueSet};
use twofa_core::{Account, BackupCode, Timestamp};

use crate::database::Store;
use crate::error::StoreError;
use crate::event::{Event, Origin, Proof, RefusalReason};
use crate::rescue::{RescueReport, RescueUse};
use crate::sql::own_rescue::{self, OwnSet};

/// Uses in one report.
const MOST_USES: u32 = 5;

/// What this host tells servers of its rescue codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnRescue {
    /// The report.
    pub report: RescueReport,
    /// The rows of the uses in it.
    uses: Vec<i64>,
}

impl OwnRescue {
    /// Whether servers are to know something that they do not: a code was used, an account is locked out, or there are no codes.
    pub const fn is_urgent(&self) -> bool {
        self.report.held.is_none() || self.report.is_locked || !self.uses.is_empty()
    }
}

/// Whether a rescue code can be tried.
#[derive(Debug)]
pub enum RescueStart {
    /// It can: the attempt is counted as a wrong one until it turns out to be right.
    Attempt(RescueAttempt),
    /// There were too many wrong ones, or this host has no codes.
    Refused,
}

/// An attempt that was counted.
#[derive(Debug)]
pub struct RescueAttempt {
    sets: Vec<OwnSet>,
    host: String,
}

/// A code of this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundRescueCode {
    set: i64,
    position: u32,
}

impl RescueAttempt {
    /// Which code was typed; `None`: none of this host's. It takes long, and no transaction is open.
    pub fn find(
        &self,
        typed: &BackupCode,
    ) -> Result<Option<FoundRescueCode>, twofa_core::backup::HashError> {
        let mut found = None;
        for OwnSet { set, .. } in &self.sets {
            let position = set.find(typed, &self.host)?;
            if let Some(Ok(position)) = position.map(u32::try_from) {
                found = Some(FoundRescueCode {
                    set: set.number,
                    position,
                });
            }
        }
        Ok(found)
    }
}

impl Store {
    /// What this host, which has joined a fleet, is to tell servers of its rescue codes.
    pub fn own_rescue(&self) -> Result<OwnRescue, StoreError> {
        self.read(|view| {
            let sets = own_rescue::sets(view.db)?;
            let uses = own_rescue::uses(view.db, MOST_USES)?;
            Ok(OwnRescue {
                report: RescueReport {
                    held: sets.last().map(|own| own.set.number),
                    is_used: sets.last().is_some_and(|own| own.used != 0),
                    is_locked: own_rescue::is_any_locked(view.db, MOST_WRONG)?,
                    uses: uses
                        .iter()
                        .map(|it| RescueUse {
                            account: it.account.clone(),
                            service: it.service.clone(),
                            at: it.at,
                        })
                        .collect(),
                },
                uses: uses.into_iter().map(|it| it.id).collect(),
            })
        })
    }

    /// Notes that a server has taken what `told` says, that servers know this host to have the set `confirmed`, and that `next`
    /// is to come after it. It is on disk when this returns.
    pub fn take_rescue_news(
        &self,
        told: &OwnRescue,
        confirmed: Option<i64>,
        next: Option<&RescueSet>,
    ) -> Result<(), StoreError> {
        self.write(|view| {
            for id in &told.uses {
                own_rescue::delete_use(view.db, *id)?;
            }
            // Servers may have gone on since; what was not said to be held is not theirs to end.
            if let Some(confirmed) = confirmed.filter(|it| told.report.held == Some(*it))
                && own_rescue::delete_others(view.db, confirmed)?
            {
                own_rescue::clear_wrong(view.db)?;
            }
            match next {
                Some(next) => own_rescue::insert(view.db, next),
                None => Ok(()),
            }
        })
    }

    /// Whether this host would let a rescue code for `account` be tried.
    pub fn may_try_rescue_code(&self, account: &Account) -> Result<bool, StoreError> {
        self.read(|view| {
            let sets = own_rescue::sets(view.db)?;
            let is_unused = |own: &OwnSet| (own.used.count_ones() as usize) < own.set.digests.len();
            let is_open = own_rescue::wrong(view.db, account)? < MOST_WRONG;
            Ok(is_open && sets.iter().any(is_unused))
        })
    }

    /// Counts an attempt with a rescue code for `account`, as a wrong one.
    pub fn begin_rescue(
        &self,
        account: &Account,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<RescueStart, StoreError> {
        self.change(origin, now, |tx| {
            let Some(joined) = crate::sql::fleet::joined(tx.db)? else {
                return Ok(RescueStart::Refused);
            };
            let sets = own_rescue::sets(tx.db)?;
            if sets.is_empty() || !own_rescue::count_wrong(tx.db, account, MOST_WRONG)? {
                return Ok(RescueStart::Refused);
            }
            let host = joined.host;
            Ok(RescueStart::Attempt(RescueAttempt { sets, host }))
        })
    }

    /// Lets `account` in with a code that was found: marks it used, and takes back that the attempt was counted. Says whether it
    /// was unused. It is on disk when this returns.
    pub fn use_rescue_code(
        &self,
        account: &Account,
        found: FoundRescueCode,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.change(origin, now, |tx| {
            if !own_rescue::mark_used(tx.db, found.set, found.position)? {
                let why = RefusalReason::WrongRescueCode;
                tx.record(Some(account), &Event::Refused { why })?;
                return Ok(false);
            }
            own_rescue::forgive(tx.db, account)?;
            let service = origin.service().unwrap_or_default();
            own_rescue::insert_use(tx.db, account, service, now)?;
            let by = Proof::RescueCode;
            tx.record(Some(account), &Event::Passed { by })?;
            Ok(true)
        })
    }
}
