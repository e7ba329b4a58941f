//! What this process demands of its database from one moment to the next: the last mark that it has seen, and that its own
//! marks are committed.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use twofa_core::Timestamp;

use super::fitness::{Demands, Found};
use crate::error::StoreError;
use crate::seen_mark::SeenMark;

/// A process that gives marks serves nobody when its last one was committed longer ago than this.
const LONGEST_SILENCE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Watch {
    /// `None`: no history is demanded.
    seen: Option<Arc<SeenMark>>,
    clock: OnceLock<fn() -> Timestamp>,
    clock_ahead: AtomicI64,
    /// Reading needs no standby, whatever the policy says.
    reads_without_standby: AtomicBool,
    /// Nor does writing.
    writes_without_standby: AtomicBool,
    /// When the last mark of this process was given, which is then committed; `None`: it gives none.
    given: Mutex<Option<Instant>>,
}

impl Watch {
    pub(crate) fn new(seen: Arc<SeenMark>) -> Self {
        Self {
            seen: Some(seen),
            ..Self::without_marks()
        }
    }

    /// For a database that may have gone back.
    pub(crate) fn without_marks() -> Self {
        Self {
            seen: None,
            clock: OnceLock::new(),
            clock_ahead: AtomicI64::new(0),
            reads_without_standby: AtomicBool::new(false),
            writes_without_standby: AtomicBool::new(false),
            given: Mutex::default(),
        }
    }

    /// Has the database's clock compared with this one.
    pub(crate) fn compare_clock(&self, clock: fn() -> Timestamp) {
        // Only the first is kept, and every program has one.
        let _ = self.clock.set(clock);
    }

    /// How many seconds the database's clock was ahead last; negative: behind.
    pub(crate) fn clock_ahead(&self) -> i64 {
        self.clock_ahead.load(Ordering::Relaxed)
    }

    /// Has the database read although the policy demands a standby and there is none: for administrators, who let nobody in.
    pub(crate) fn read_without_standby(&self, may: bool) {
        self.reads_without_standby.store(may, Ordering::Relaxed);
    }

    /// Has it written as well, so that the policy can stop demanding one.
    pub(crate) fn write_without_standby(&self) {
        self.writes_without_standby.store(true, Ordering::Relaxed);
    }

    /// What a transaction demands that writes, or only reads; one that is not synced may be undone by a power cut.
    pub(super) fn demands(&self, is_change: bool, is_synced: bool) -> Result<Demands, StoreError> {
        let waived = if is_change {
            &self.writes_without_standby
        } else {
            &self.reads_without_standby
        };
        Ok(Demands {
            mark: match &self.seen {
                Some(seen) => seen.last()?,
                None => None,
            },
            clock: self.clock.get().copied(),
            is_synced,
            needs_standby: is_synced && !waived.load(Ordering::Relaxed),
        })
    }

    pub(super) fn note(&self, found: Found) {
        self.clock_ahead.store(found.clock_ahead, Ordering::Relaxed);
    }

    /// Notes that a mark that was given at `moment` is committed.
    pub(crate) fn note_given(&self, moment: Instant) {
        *self.given() = Some(moment);
    }

    /// Fails at `moment` if this process gives marks, and could not for too long.
    pub(crate) fn check_given(&self, moment: Instant) -> Result<(), StoreError> {
        match *self.given() {
            Some(given) if moment.saturating_duration_since(given) > LONGEST_SILENCE => {
                Err(StoreError::NoMark)
            }
            _ => Ok(()),
        }
    }

    fn given(&self) -> MutexGuard<'_, Option<Instant>> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
