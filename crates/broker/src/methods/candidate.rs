//! An address that is to be verified.

use twofa_core::Channel;
use twofa_core::channel::AddressKind;
use twofa_core::user::masked;

use crate::sending::addresses;

/// An address that is to be verified.
pub(super) struct Candidate {
    pub(super) address: String,
    /// As much of the address as the person may see.
    pub(super) shown: String,
}

impl Candidate {
    /// An address that the person has not typed.
    pub(super) fn masked(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            shown: masked(address),
        }
    }

    /// An address that the person has typed. A number is shown as it was read.
    pub(super) fn typed(channel: Channel, address: String) -> Self {
        let shown = match channel.address_kind() {
            AddressKind::Email => masked(&address),
            AddressKind::Phone => addresses::readable(&address),
        };
        Self { address, shown }
    }
}
