//! The journal: what proves that nobody changed the audit log.
//!
//! An event is stored with its number, which has no gaps, and a [`mod@leaf`]: a keyed hash of the journal, the number and
//! everything that is stored. No leaf depends on another one, so that logging touches one row. From time to time a
//! [`checkpoint`] puts the leaves since the one before under one root ([`merkle`]) and is chained to that one. Its link is
//! written to the system log, as an anchor that leaves the machine, and so is the beginning of each leaf ([`system_log`]). If a verification key was made, a checkpoint is
//! sealed with a key that is erased afterwards ([`forward`]). [`summary`] and [`pruning`] keep it small. [`verify`] checks all
//! of it, and [`verification`] is what that finds. On PostgreSQL a login writes its events without a place in the journal, and [`entering`] gives them one.
//!
//! `docs/architecture.md` says what that proves against whom.

mod checkpoint;
mod displaced;
mod entering;
#[cfg(test)]
mod figures;
pub mod forward;
mod leaf;
mod merkle;
mod pruning;
mod summary;
mod system_log;
mod verification;
mod verify;
mod walk;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

pub use checkpoint::{Anchor, Written};
pub use forward::{BadVerificationKey, VerificationKey};
pub use system_log::{EventAnchor, SystemLog};
pub use verification::{Finding, Tail, Verification};

pub(crate) use leaf::{Value, leaf};
#[cfg(test)]
pub(crate) use summary::{LOGINS_OF_A_USER, SUMMED_UP_AT_ONCE};

use crate::error::StoreError;
use crate::sql::{Db, journal};

/// How many events a checkpoint seals.
pub(crate) const EVENTS_OF_A_CHECKPOINT: i64 = 1_000;

/// What a process knows of the journal.
#[derive(Debug, Default)]
pub(crate) struct JournalState {
    name: OnceLock<String>,
    has_logged: AtomicBool,
    may_be_full: AtomicBool,
}

impl JournalState {
    /// The name of the journal in `db`.
    pub(crate) fn name(&self, db: &Db<'_>) -> Result<&str, StoreError> {
        if let Some(name) = self.name.get() {
            return Ok(name);
        }
        let name = journal::name(db)?;
        Ok(self.name.get_or_init(|| name))
    }

    /// Notes that an event was written that has no place in the journal yet.
    pub(crate) fn note_written(&self) {
        self.has_logged.store(true, Ordering::Relaxed);
    }

    /// Notes that event `number` was logged.
    pub(crate) fn note(&self, number: i64) {
        self.has_logged.store(true, Ordering::Relaxed);
        if number % EVENTS_OF_A_CHECKPOINT == 0 {
            self.may_be_full.store(true, Ordering::Relaxed);
        }
    }

    /// Whether anything was logged since this was asked last.
    pub(crate) fn has_logged(&self) -> bool {
        self.has_logged.swap(false, Ordering::Relaxed)
    }

    /// Whether as many events were logged since this was asked last that a checkpoint may be due for their number.
    pub(crate) fn may_be_full(&self) -> bool {
        self.may_be_full.swap(false, Ordering::Relaxed)
    }
}
