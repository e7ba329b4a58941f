//! The audit log.

pub use twofa_store::EventFilter;
pub use twofa_store::SmsCount;
pub use twofa_store::event::names::{EVENT_NAMES, EventName};
pub use twofa_store::event::{
    AppFields, Attestation, DeviceFields, Event, ExemptionFields, LoggedEvent, LoginOrigin,
    NotSent, Origin, Proof, Record, RefusalReason, SmsAlarm, UserChange,
};

use super::{AdminError, Administration};

impl Administration {
    /// The number of the latest event; 0 if there is none.
    pub fn latest_event(&self) -> Result<i64, AdminError> {
        Ok(self.store().latest_event()?)
    }

    /// Passes the events that `filter` lets through to `each`, the earliest first, until it returns `false`.
    pub fn events(
        &self,
        filter: &EventFilter,
        each: impl FnMut(LoggedEvent) -> bool,
    ) -> Result<(), AdminError> {
        Ok(self.store().events(filter, each)?)
    }
}
