//! Addresses as people write them, and as they are kept.

use twofa_core::user::{BadAddress, Contact, email, phone};
use twofa_core::{Policy, User};
use twofa_store::AddressKind;

/// The address that `text` means.
pub fn read(_policy: &Policy, which: AddressKind, text: &str) -> Result<String, BadAddress> {
    match which {
        AddressKind::Email => email(text),
        AddressKind::Phone => phone(text),
    }
}

/// What is known of the address of this kind.
pub const fn of(user: &User, which: AddressKind) -> Option<&Contact> {
    match which {
        AddressKind::Email => user.email.as_ref(),
        AddressKind::Phone => user.phone.as_ref(),
    }
}
