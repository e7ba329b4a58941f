//! The audit log.

pub use twofa_store::EventFilter;
pub use twofa_store::SmsCount;
use twofa_store::StoreError;
pub use twofa_store::event::names::{EVENT_NAMES, EventName};
pub use twofa_store::event::{
    AppFields, Attestation, DeviceFields, Event, ExemptionFields, LoggedEvent, LoginOrigin,
    NotSent, Origin, Proof, Record, RefusalReason, ReportedOutcome, SessionEnd, SessionFields,
    SmsAlarm, UnprovedReason, UserChange,
};

use super::{AdminError, Administration};
use crate::journal::{self, Anchored};

pub use twofa_store::journal::{
    Anchor, BadVerificationKey, Finding, SystemLog, Tail, Verification, VerificationKey,
};

impl Administration {
    /// The number of the latest event; 0 if there is none.
    pub fn latest_event(&self) -> Result<i64, AdminError> {
        Ok(self.store().latest_event()?)
    }

    /// Verifies that the log is unchanged, that what `system_log` has is in it, and that the checkpoints since `key` are
    /// sealed.
    pub fn verify_log(
        &self,
        system_log: &SystemLog,
        key: Option<&VerificationKey>,
    ) -> Result<Verification, AdminError> {
        Ok(self.store().verify_log(system_log, key)?)
    }

    /// Makes the key that verifies all checkpoints from now on. It is stored nowhere. `replace`: make one even if there is
    /// one already.
    pub fn make_log_key(&self, replace: bool) -> Result<VerificationKey, AdminError> {
        journal::catch_up(self.store(), self.now(), Anchored::Quietly)?;
        let (origin, now) = (self.origin(), self.now());
        match self.store().make_log_key(replace, &origin, now) {
            Err(StoreError::JournalKeyExists) => Err(AdminError::LogKeyExists),
            made => Ok(made?),
        }
    }

    /// Passes the events that match `filter` to `each`, the earliest first, until it returns `false`.
    pub fn events(
        &self,
        filter: &EventFilter,
        each: impl FnMut(LoggedEvent) -> bool,
    ) -> Result<(), AdminError> {
        Ok(self.store().events(filter, each)?)
    }
}
