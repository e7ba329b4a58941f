//! Phone numbers: as people write them, as the store keeps them, and as providers want them.

use phonenumber::metadata::DATABASE;
use phonenumber::{PhoneNumber, Type, country};
use serde::Deserialize;

use crate::error::{SendError, Step};

/// How a provider wants to have a number. Kept is E.164 with the plus sign.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Form {
    /// `+15551234567`.
    #[default]
    E164,
    /// `15551234567`.
    Digits,
    /// `5551234567`: without the calling code, for a provider that serves only one.
    National,
}

/// A text is no phone number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadNumber {
    /// No number anywhere.
    #[error("this is no phone number; write it with '+' and the country's code, such as +14155552671")]
    Unreadable,
    /// It may be one, but not without knowing the country.
    #[error("write the number with '+' and the country's code in front, such as +14155552671")]
    NoCountry,
    /// It is well-formed, but there is no such number.
    #[error("there is no such phone number: check the digits, and the country's code after the '+'")]
    Invalid,
    /// There is such a number, and it is none that a code goes to: what is sent there may cost a multiple of a text
    /// message, or reach nobody.
    #[error("this is a {0} number: codes go only to mobile, fixed-line and internet numbers")]
    Costly(&'static str),
    /// The default country is no country's code.
    #[error("'{0}' is no country; write its two letters, such as US or DE")]
    UnknownCountry(String),
}

/// The phone number `text` in the form E.164, such as `+14155552671`. A number without a country's code is taken as
/// one of `default_country` (two letters, ISO 3166-1). Spaces, hyphens, dots and brackets do not matter.
pub fn number(text: &str, default_country: Option<&str>) -> Result<String, BadNumber> {
    let text = text.trim();
    // Letters on a dial are an invitation to typing errors, and an extension cannot take a text message.
    let is_plain =
        |c: char| c.is_ascii_digit() || matches!(c, '+' | ' ' | '\u{a0}' | '-' | '.' | '(' | ')' | '/');
    if text.is_empty() || text.len() > 40 || !text.chars().all(is_plain) {
        return Err(BadNumber::Unreadable);
    }
    let country: Option<country::Id> = match default_country {
        Some(code) => {
            let known = code.to_ascii_uppercase().parse();
            Some(known.map_err(|_| BadNumber::UnknownCountry(code.chars().take(20).collect()))?)
        }
        None => None,
    };
    if country.is_none() && !text.starts_with('+') {
        return Err(BadNumber::NoCountry);
    }
    let parsed = phonenumber::parse(country, text).map_err(|_| BadNumber::Unreadable)?;
    if !phonenumber::is_valid(&parsed) {
        return Err(BadNumber::Invalid);
    }
    if let Some(kind) = costly(&parsed) {
        return Err(BadNumber::Costly(kind));
    }
    Ok(parsed.format().mode(phonenumber::Mode::E164).to_string())
}

/// Kinds of numbers in the order in which a number is known by them, and what those are called that no code goes to.
/// All others are mobile or fixed lines.
const KINDS: [(Type, Option<&str>); 8] = [
    (Type::PremiumRate, Some("premium-rate")),
    (Type::TollFree, Some("toll-free")),
    (Type::SharedCost, Some("shared-cost")),
    (Type::Voip, None),
    (Type::PersonalNumber, Some("personal")),
    (Type::Pager, Some("pager")),
    (Type::Uan, Some("universal-access")),
    (Type::Voicemail, Some("voice-mail")),
];

/// What `number` is called if it is not somebody's ordinary telephone. Who has codes sent to another kind may earn by
/// it what we pay.
///
/// The crate's own `number_type` forgets the zeros that begin numbers in Italy and some countries of Africa.
fn costly(number: &PhoneNumber) -> Option<&'static str> {
    let national = number.national().to_string();
    let regions = DATABASE.by_code(&number.code().value()).unwrap_or_default();
    // Satellites and services of no country: +800, +808, +870, +878, +881, +882, +883, +888, +979.
    if regions.iter().any(|region| region.id() == "001") {
        return Some("no country's");
    }
    let is = |kind: Type| {
        regions.iter().map(|region| region.descriptors()).any(|of| {
            of.general().is_match(&national) && of.get(kind).is_some_and(|kind| kind.is_match(&national))
        })
    };
    KINDS.into_iter().find(|(kind, _)| is(*kind)).and_then(|(_, name)| name)
}

/// The number `to`, kept as E.164, in the `form` the provider wants, which serves `calling_codes` (empty: all).
pub(super) fn in_form(to: &str, form: Form, calling_codes: &[String]) -> Result<String, SendError> {
    let digits = to.strip_prefix('+').filter(|digits| is_e164(digits));
    let digits = digits.ok_or_else(|| {
        SendError::at(Step::Recipient, "the number is not written with '+' and the country's code")
            .hinted("write it such as +14155552671")
    })?;
    let code = calling_codes.iter().find(|code| digits.starts_with(code.as_str()));
    if code.is_none() && !calling_codes.is_empty() {
        let reason = format!("this provider reaches only numbers with +{}", calling_codes.join(", +"));
        return Err(SendError::at(Step::Recipient, reason).hinted("add a provider that reaches this country"));
    }
    Ok(match (form, code) {
        (Form::E164, _) => to.to_owned(),
        (Form::National, Some(code)) => digits.get(code.len()..).unwrap_or_default().to_owned(),
        (Form::Digits | Form::National, _) => digits.to_owned(),
    })
}

/// ITU-T E.164: fifteen digits at most, and none of them a leading zero.
fn is_e164(digits: &str) -> bool {
    (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_kept_in_one_form_however_they_are_written() {
        for text in ["+14155552671", "+1 (415) 555-2671", " +1.415.555.2671 "] {
            assert_eq!(number(text, None).unwrap(), "+14155552671", "{text}");
        }
        assert_eq!(number("(415) 555-2671", Some("US")).unwrap(), "+14155552671");
        assert_eq!(number("030 901820", Some("de")).unwrap(), "+4930901820");
        assert_eq!(number("+44 20 7946 0958", Some("US")).unwrap(), "+442079460958");
    }

    #[test]
    fn what_is_no_number_is_refused_and_says_how_to_write_one() {
        assert_eq!(number("415 555 2671", None), Err(BadNumber::NoCountry));
        assert_eq!(number("alice", Some("US")), Err(BadNumber::Unreadable));
        assert_eq!(number("", None), Err(BadNumber::Unreadable));
        assert_eq!(number("+1 800 FLOWERS", None), Err(BadNumber::Unreadable));
        assert_eq!(number("+14155552671 ext. 5", None), Err(BadNumber::Unreadable));
        assert_eq!(number("+1415555", None), Err(BadNumber::Invalid));
        assert!(number("+999123456789", None).is_err());
        assert_eq!(number("415 555 2671", Some("XX")), Err(BadNumber::UnknownCountry("XX".to_owned())));
        assert!(number("1", None).unwrap_err().to_string().contains("+14155552671"));
        assert!(number("+", Some("US")).is_err());
        assert!(number("++++", None).is_err());
        assert!(number(&"1".repeat(41), Some("US")).is_err());
    }

    #[test]
    fn a_number_that_costs_more_than_a_text_message_is_refused_by_its_kind() {
        for (text, kind) in [
            ("+1 900 234 5678", "premium-rate"),
            ("+49 900 1 234567", "premium-rate"),
            ("+44 909 879 0000", "premium-rate"),
            ("+33 892 70 1239", "premium-rate"),
            ("+979 123456789", "no country's"),
            ("+49 180 5 123456", "shared-cost"),
            ("+39 848 123 456", "shared-cost"),
            ("+1 800 234 5678", "toll-free"),
            ("+800 12345678", "no country's"),
            ("+808 12345678", "no country's"),
            ("+870 773 111 632", "no country's"),
            ("+878 10 1234567890", "no country's"),
            ("+881 6 3145 1234", "no country's"),
            ("+882 16 50000000", "no country's"),
            ("+883 510 012 345 678", "no country's"),
            ("+44 70 1234 5678", "personal"),
            ("+1 500 234 5678", "personal"),
            ("+44 76 4012 3456", "pager"),
            ("+44 55 1234 5678", "universal-access"),
            ("+49 177 99 1234567", "voice-mail"),
        ] {
            let refused = number(text, Some("DE")).unwrap_err();
            assert!(matches!(refused, BadNumber::Costly(_)), "{text}: {refused:?}");
            assert!(refused.to_string().contains(kind), "{text}: {refused}");
        }
    }

    #[test]
    fn of_every_country_mobile_numbers_are_taken_and_premium_rate_numbers_are_not() {
        assert!(DATABASE.iter().count() > 200);
        for metadata in DATABASE.iter() {
            let taken = |kind| {
                let example = metadata.descriptors().get(kind)?.example()?;
                Some(number(&format!("+{}{example}", metadata.country_code()), None).is_ok())
            };
            // Tristan da Cunha has none.
            let has_mobiles = !["001", "TA"].contains(&metadata.id());
            assert_eq!(taken(Type::Mobile).unwrap_or_default(), has_mobiles, "{}", metadata.id());
            for kind in [Type::PremiumRate, Type::SharedCost, Type::PersonalNumber, Type::Uan] {
                assert_ne!(taken(kind), Some(true), "{} {kind:?}", metadata.id());
            }
        }
    }

    #[test]
    fn fixed_lines_and_internet_numbers_are_taken_as_well() {
        for text in [
            "+49 30 901820",
            "+39 02 3661 8300",
            "+39 06 698 12345",
            "+44 20 7946 0958",
            "+44 56 1234 5678",
            "+81 50 1234 5678",
            "+1 876 210 1234",
        ] {
            assert!(number(text, None).is_ok(), "{text}: {:?}", number(text, None));
        }
    }

    #[test]
    fn each_provider_gets_the_form_it_wants() {
        let us = ["1".to_owned()];
        assert_eq!(in_form("+15551234567", Form::E164, &[]).unwrap(), "+15551234567");
        assert_eq!(in_form("+15551234567", Form::Digits, &[]).unwrap(), "15551234567");
        assert_eq!(in_form("+15551234567", Form::National, &us).unwrap(), "5551234567");
        let elsewhere = in_form("+4930901820", Form::National, &us).unwrap_err();
        assert_eq!(elsewhere.step, Step::Recipient);
        assert!(elsewhere.reason.contains("+1"), "{elsewhere}");
    }

    #[test]
    fn what_is_not_e164_is_never_sent_to() {
        for to in ["15551234567", "+1", "+0123456789", "+1555123456789012", "+1555;rm", "", "+"] {
            assert_eq!(in_form(to, Form::Digits, &[]).unwrap_err().step, Step::Recipient, "{to}");
        }
    }
}
