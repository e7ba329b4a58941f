//! Addresses as people write them, and as they are stored.

use twofa_core::channel::AddressKind;
use twofa_core::{Channel, Policy};
use twofa_delivery::mail;
use twofa_delivery::phone::{self, Number};

use crate::text::messages;

/// Why a text is not an address that a user may have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// It is not an e-mail address.
    #[error(transparent)]
    Email(#[from] mail::BadEmailAddress),
    /// It is not a phone number.
    #[error(transparent)]
    Phone(#[from] phone::BadNumber),
    /// The number is in a country where users' numbers may not be.
    #[error("{}", messages::number_elsewhere(.number, .country.as_deref(), .allowed))]
    Elsewhere {
        /// The number in international notation.
        number: String,
        /// Its country (ISO 3166), if it is known.
        country: Option<String>,
        /// The countries where it may be (ISO 3166).
        allowed: Vec<String>,
    },
    /// The number is not that of a mobile phone.
    #[error("{}", messages::number_not_mobile(.0))]
    NotMobile(String),
}

/// The address that `text` means: what can be written to, or a number with its country (E.164), where `policy` may say
/// whose numbers are written without it. An administrator may give any.
pub fn read(policy: &Policy, channel: Channel, text: &str) -> Result<String, BadAddress> {
    match channel.address_kind() {
        AddressKind::Email => Ok(mail::address(text)?),
        AddressKind::Phone => Ok(number(policy, text)?.e164()),
    }
}

/// The address that `text` means, if users may enrol it themselves: text messages to other countries and to premium numbers
/// can cost much, and some operators earn by them.
pub fn read_of_user(policy: &Policy, channel: Channel, text: &str) -> Result<String, BadAddress> {
    if channel.address_kind() == AddressKind::Email {
        return read(policy, channel, text);
    }
    let number = in_allowed_country(policy, number(policy, text)?)?;
    if number.is_mobile() {
        Ok(number.e164())
    } else {
        Err(BadAddress::NotMobile(number.international()))
    }
}

/// The number `text` that a text message came from. It can send one, so it can receive one.
pub fn read_of_sender(policy: &Policy, text: &str) -> Result<String, BadAddress> {
    Ok(in_allowed_country(policy, Number::parse_sender(text)?)?.e164())
}

fn number(policy: &Policy, text: &str) -> Result<Number, BadAddress> {
    Ok(Number::parse(text, policy.phone_country.as_deref())?)
}

fn in_allowed_country(policy: &Policy, number: Number) -> Result<Number, BadAddress> {
    if policy
        .countries()
        .iter()
        .any(|country| number.is_in(country))
    {
        return Ok(number);
    }
    let allowed = policy.countries().to_vec();
    Err(BadAddress::Elsewhere {
        number: number.international(),
        country: number.country(),
        allowed,
    })
}

/// A stored number in international notation, such as `+49 1512 3456789`.
pub fn readable(number: &str) -> String {
    Number::parse(number, None).map_or_else(|_| number.to_owned(), |number| number.international())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_without_a_country_is_in_that_of_the_policy() {
        let here = Policy::from_settings([("phone.country", "DE")]).unwrap();
        let number = |policy: &Policy, text: &str| read(policy, Channel::Sms, text).ok();
        assert_eq!(
            number(&here, "030 1234567").as_deref(),
            Some("+49301234567")
        );
        assert_eq!(
            number(&here, "+1 415 555 2671").as_deref(),
            Some("+14155552671")
        );
        assert_eq!(number(&Policy::default(), "030 1234567"), None);
        assert_eq!(
            number(&Policy::default(), "+49 (30) 123-4567").as_deref(),
            Some("+49301234567")
        );
    }

    #[test]
    fn users_enrol_mobile_numbers_of_the_countries_that_the_policy_names() {
        let read = |settings: &[(&str, &str)], text: &str| {
            let policy = Policy::from_settings(settings.iter().copied()).unwrap();
            read_of_user(&policy, Channel::Sms, text)
        };
        let germany = [("phone.country", "DE")];
        assert_eq!(read(&germany, "0176 12345678").unwrap(), "+4917612345678");
        // Jamaica has the calling code of the United States, and text messages to it cost many times as much.
        for (settings, text) in [
            (&germany[..], "+43 664 123456"),
            (&[("phone.country", "US")], "+1 876 210 1234"),
            (
                &[("phone.country", "DE"), ("phone.countries", "AT")],
                "0176 12345678",
            ),
        ] {
            let error = read(settings, text).unwrap_err();
            assert!(
                matches!(error, BadAddress::Elsewhere { .. }),
                "{text}: {error}"
            );
        }
        assert_eq!(
            read(&[("phone.countries", "DE,AT")], "+43 664 123456").unwrap(),
            "+43664123456"
        );
        let error = read(&[], "+49 176 12345678").unwrap_err().to_string();
        assert!(
            error.contains("twofa policy set phone.countries"),
            "{error}"
        );
        let error = read(&germany, "030 1234567").unwrap_err();
        assert_eq!(error, BadAddress::NotMobile("+49 30 1234567".to_owned()));
    }

    #[test]
    fn a_sender_is_read_with_its_country_with_or_without_a_plus_sign() {
        let here =
            Policy::from_settings([("phone.country", "US"), ("phone.countries", "DE")]).unwrap();
        for text in [
            "+4917612345678",
            " 4917612345678",
            "493012345678",
            "\u{202a}+49\u{a0}176\u{2011}12345678\u{202c}",
        ] {
            assert!(
                read_of_sender(&here, text).unwrap().starts_with("+49"),
                "{text}"
            );
        }
        assert!(matches!(
            read_of_sender(&here, "+14155552671"),
            Err(BadAddress::Elsewhere { .. })
        ));
        assert!(read_of_sender(&here, "INFO").is_err());
    }
}
