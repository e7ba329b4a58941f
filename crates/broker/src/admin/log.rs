//! The audit log.

use twofa_store::EventFilter;
pub use twofa_store::SmsCount;
pub use twofa_store::event::names::{EVENT_NAMES, EventName};
pub use twofa_store::event::{
    AppFields, Attestation, DeviceFields, Event, ExemptionFields, LoggedEvent, NotSent, Proof,
    Record, RefusalReason, SmsAlarm, UserChange,
};

use super::{AdminError, Administration};

impl Administration {
    /// Passes every event to `each`, the earliest first, until it returns `false`: all of them, or those about the user
    /// called `user`, or the `last` of either, as many as it says.
    pub fn events(
        &self,
        user: Option<String>,
        last: Option<u32>,
        each: impl FnMut(LoggedEvent) -> bool,
    ) -> Result<(), AdminError> {
        Ok(self.store().events(&EventFilter { user, last }, each)?)
    }
}
