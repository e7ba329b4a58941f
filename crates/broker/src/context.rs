//! What every conversation works with.

use twofa_core::Timestamp;
use twofa_delivery::Sender;
use twofa_store::Store;

use crate::identity::first_factor::Stacks;

/// What every conversation works with.
#[derive(Debug, Clone, Copy)]
pub struct Services<'a> {
    /// Where everything is kept.
    pub store: &'a Store,
    /// Who carries codes to addresses.
    pub sender: &'a dyn Sender,
    /// The PAM stacks that logins come from.
    pub stacks: &'a Stacks,
    /// What the clock says, each time it matters.
    pub clock: fn() -> Timestamp,
}

impl Services<'_> {
    /// Now.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }
}
