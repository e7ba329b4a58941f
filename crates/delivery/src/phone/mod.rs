//! Phone numbers: parses what people type and normalises it to E.164.
//!
//! The numbering plans come from rlibphonenumber. [`written`] decides which characters belong to a number. Every number
//! that comes from outside is read here: what people type, and the senders of text messages.

mod written;

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat, PhoneNumberType, Region};
use twofa_core::text::is_unprintable;

use crate::characters;
use written::Written;

/// Why a text is not accepted as a phone number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadNumber {
    /// Not a phone number of any country.
    #[error(
        "this is not a phone number; write it with '+' and the country code, such as +14155552671"
    )]
    Unreadable,
    /// It contains this character, which does not belong to a phone number.
    #[error(
        "{} does not belong to a phone number; write it with '+' and the country code, such as +14155552671",
        characters::describe(*.0)
    )]
    Character(char),
    /// It may be a phone number, but its country is not known.
    #[error("write the number with '+' and the country code, such as +14155552671")]
    NoCountry,
    /// It is well-formed, but no such number exists.
    #[error("there is no such phone number: check the digits and the country code after the '+'")]
    Invalid,
    /// It can be read as a number of one country and as one of another.
    #[error("this can be read as {0} and as {1}; write the number with '+' and the country code")]
    Ambiguous(String, String),
    /// The number exists, but codes are not sent to numbers of its kind, because a text message there may cost many
    /// times the usual price or reach nobody.
    #[error("this is a {0} number: codes are sent only to mobile, fixed-line and VoIP numbers")]
    Costly(&'static str),
    /// The default country is not the code of a country.
    #[error("'{0}' is not a country code: write two letters, such as US or DE")]
    UnknownCountry(String),
}

/// A phone number that codes can be sent to.
#[derive(Debug, Clone, PartialEq)]
pub struct Number(PhoneNumber);

impl Number {
    /// Parses the phone number `text`. A number that begins with `+` or `00` is read by the plan of its own country
    /// alone, and so is one that begins with the international prefix of `default_country` (two letters, ISO 3166-1).
    /// Any other is read as a number of that country. The grouping of the digits does not matter. A text that can be
    /// read as two different numbers is refused.
    pub fn parse(text: &str, default_country: Option<&str>) -> Result<Self, BadNumber> {
        let written = Written::parse(text)?;
        let mut readings = readings(&written.dialled, default_country)?;
        // In Italy the prefix is part of some numbers, and adding it to others makes a different number.
        if let Some(without_prefix) = &written.without_prefix {
            readings.extend(self::readings(without_prefix, default_country)?);
        }
        let mut number: Result<Self, BadNumber> = Err(BadNumber::NoCountry);
        for reading in readings {
            number = match (number, reading) {
                (Ok(one), Ok(other)) if one.e164() != other.e164() => {
                    return Err(BadNumber::Ambiguous(
                        one.international(),
                        other.international(),
                    ));
                }
                (Err(BadNumber::NoCountry), reading) | (Err(_), reading @ Ok(_)) => reading,
                (number, _) => number,
            };
        }
        let number = number?;
        number
            .costly_kind()
            .map_or(Ok(number), |kind| Err(BadNumber::Costly(kind)))
    }

    /// Parses the number `text` that a text message came from. It has its country code; some providers omit the plus sign.
    pub fn parse_sender(text: &str) -> Result<Self, BadNumber> {
        let dialled = Written::parse(text)?.dialled;
        if dialled.starts_with('+') || dialled.starts_with("00") {
            Self::parse(&dialled, None)
        } else {
            Self::parse(&format!("+{dialled}"), None)
        }
    }

    /// The number as it is stored: `+4915123456789` (ITU-T E.164).
    pub fn e164(&self) -> String {
        self.0.format_as(PhoneNumberFormat::E164).into_owned()
    }

    /// The number as it is shown: `+49 1512 3456789` (ITU-T E.123).
    pub fn international(&self) -> String {
        self.0
            .format_as(PhoneNumberFormat::International)
            .into_owned()
    }

    /// Whether it is a number of `country`, two letters. True for each of the countries that share it.
    pub fn is_in(&self, country: &str) -> bool {
        region(country).is_ok_and(|region| {
            // The library's own check ignores the calling code of the region (2.2.15).
            PHONE_NUMBER_UTIL.get_country_code_for_region(region) == Some(self.0.country_code)
                && self.0.is_valid_for_region(region)
        })
    }

    /// The two letters of its country; of the largest if several share it.
    pub fn country(&self) -> Option<String> {
        self.0.get_region_code().map(|region| region.to_string())
    }

    /// Whether it may be the number of a mobile phone. North American numbers do not show whether they are.
    pub fn is_mobile(&self) -> bool {
        matches!(
            self.0.get_type(),
            PhoneNumberType::Mobile | PhoneNumberType::FixedLineOrMobile
        )
    }

    /// The name of its kind if it is not an ordinary phone. Somebody who has codes sent to another kind of number may
    /// earn part of what they cost.
    fn costly_kind(&self) -> Option<&'static str> {
        // Satellites and international services: +800, +808, +870, +878, +881, +882, +883, +888, +979.
        if self.0.get_region_code() == Some(Region::World) {
            return Some("non-geographic");
        }
        match self.0.get_type() {
            PhoneNumberType::FixedLine
            | PhoneNumberType::Mobile
            | PhoneNumberType::FixedLineOrMobile
            | PhoneNumberType::VoIP => None,
            PhoneNumberType::TollFree => Some("toll-free"),
            PhoneNumberType::PremiumRate => Some("premium-rate"),
            PhoneNumberType::SharedCost => Some("shared-cost"),
            PhoneNumberType::PersonalNumber => Some("personal"),
            PhoneNumberType::Pager => Some("pager"),
            PhoneNumberType::UAN => Some("universal-access"),
            PhoneNumberType::VoiceMail => Some("voicemail"),
            PhoneNumberType::Unknown => Some("special-service"),
        }
    }
}

/// The phone number `text` in E.164 format; see [`Number::parse`].
pub fn normalise(text: &str, default_country: Option<&str>) -> Result<String, BadNumber> {
    Number::parse(text, default_country).map(|number| number.e164())
}

/// The sender `text` of a provider's settings: a number without its separators, because providers take nothing else, or
/// a name without invisible characters around it. It need not be a number that can be dialled: it may be a short one.
pub fn normalise_sender(text: &str) -> String {
    match Written::parse(text) {
        // A name may consist of digits and signs, such as 24/7.
        Ok(Written { dialled, .. }) if dialled.starts_with('+') || dialled.len() >= 7 => dialled,
        _ => text
            .trim_matches(|c: char| c.is_whitespace() || is_unprintable(c))
            .to_owned(),
    }
}

/// Whether `code` is the two-letter code of a country that has phone numbers.
pub fn is_country(code: &str) -> bool {
    region(code).is_ok()
}

fn region(code: &str) -> Result<Region, BadNumber> {
    let region = code.to_ascii_uppercase().parse().ok();
    region
        .filter(|region| {
            PHONE_NUMBER_UTIL
                .get_country_code_for_region(*region)
                .is_some()
        })
        .ok_or_else(|| BadNumber::UnknownCountry(code.chars().take(20).collect()))
}

/// The possible readings of `dialled`: as an international number, and as it would be dialled in the default country.
fn readings(
    dialled: &str,
    default_country: Option<&str>,
) -> Result<Vec<Result<Number, BadNumber>>, BadNumber> {
    let mut readings = Vec::new();
    // 00 is the international prefix of most countries (ITU-T E.164). In some it begins a national number or the prefix
    // of a carrier.
    if let Some(digits) = dialled.strip_prefix('+').or(dialled.strip_prefix("00")) {
        readings.push(parse(&format!("+{digits}"), None));
    }
    if let Some(code) = default_country.filter(|_| !dialled.starts_with('+')) {
        readings.push(parse(dialled, Some(region(code)?)));
    }
    Ok(readings)
}

/// Parses `dialled` with the library. A number that could exist and does not is an error.
fn parse(dialled: &str, region: Option<Region>) -> Result<Number, BadNumber> {
    let number = PHONE_NUMBER_UTIL
        .parse(dialled, region)
        .map_err(|_| BadNumber::Unreadable)?;
    if number.is_valid() {
        Ok(Number(number))
    } else {
        Err(BadNumber::Invalid)
    }
}

#[cfg(test)]
mod tests;
