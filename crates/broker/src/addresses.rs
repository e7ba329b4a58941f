//! Addresses as people write them, and as they are kept.

use twofa_core::user::Contact;
use twofa_core::{Policy, User};
use twofa_delivery::{mail, sms};
use twofa_store::AddressKind;

/// The text is no address of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// No e-mail address.
    #[error(transparent)]
    Email(#[from] mail::NoAddress),
    /// No phone number.
    #[error(transparent)]
    Phone(#[from] sms::BadNumber),
}

/// The address that `text` means: what can be written to, or a number with its country (E.164), where `policy` may say
/// whose numbers are written without it.
pub fn read(policy: &Policy, which: AddressKind, text: &str) -> Result<String, BadAddress> {
    match which {
        AddressKind::Email => Ok(mail::address(text)?),
        AddressKind::Phone => Ok(sms::number(text, policy.phone_country.as_deref())?),
    }
}

/// What is known of the address of this kind.
pub const fn of(user: &User, which: AddressKind) -> Option<&Contact> {
    match which {
        AddressKind::Email => user.email.as_ref(),
        AddressKind::Phone => user.phone.as_ref(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_without_its_country_is_the_one_of_the_policy() {
        let here = Policy::from_settings([("phone.country", "DE")]).unwrap();
        let number = |policy: &Policy, text: &str| read(policy, AddressKind::Phone, text).ok();
        assert_eq!(number(&here, "030 1234567").as_deref(), Some("+49301234567"));
        assert_eq!(number(&here, "+1 415 555 2671").as_deref(), Some("+14155552671"));
        assert_eq!(number(&Policy::default(), "030 1234567"), None);
        assert_eq!(number(&Policy::default(), "+49 (30) 123-4567").as_deref(), Some("+49301234567"));
    }
}
