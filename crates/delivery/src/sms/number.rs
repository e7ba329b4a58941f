//! Phone numbers: as people write them, as the store keeps them, and as providers want them.

use phonenumber::country;
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
    Ok(parsed.format().mode(phonenumber::Mode::E164).to_string())
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
