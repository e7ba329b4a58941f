//! Phone numbers: as people write them, as the store keeps them, and as providers want them.

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat, PhoneNumberType, Region};
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
    #[error(
        "this is no phone number; write it with '+' and the country's code, such as +14155552671"
    )]
    Unreadable,
    /// It may be one, but not without knowing the country.
    #[error("write the number with '+' and the country's code in front, such as +14155552671")]
    NoCountry,
    /// It is well-formed, but there is no such number.
    #[error(
        "there is no such phone number: check the digits, and the country's code after the '+'"
    )]
    Invalid,
    /// It can be read as a number of one country and as one of another.
    #[error(
        "this can be read as {0} and as {1}; write the number with '+' and the country's code in front"
    )]
    Ambiguous(String, String),
    /// There is such a number, and it is none that a code goes to: what is sent there may cost a multiple of a text
    /// message, or reach nobody.
    #[error("this is a {0} number: codes go only to mobile, fixed-line and internet numbers")]
    Costly(&'static str),
    /// The default country is no country's code.
    #[error("'{0}' is no country; write its two letters, such as US or DE")]
    UnknownCountry(String),
}

/// A phone number that somebody can have.
#[derive(Debug, Clone, PartialEq)]
pub struct Number(PhoneNumber);

impl Number {
    /// The phone number that `text` means. One with `+` or `00` in front is read by its own country alone, and so is one
    /// with the prefix that is dialled for foreign numbers in `default_country` (two letters, ISO 3166-1). Any other is a
    /// number of that country. How it is grouped does not matter. What can be read as two numbers is neither.
    pub fn read(text: &str, default_country: Option<&str>) -> Result<Self, BadNumber> {
        let mut readings = readings(text, default_country)?;
        // The prefix within a country, as it is written for those who call from abroad. In Italy it belongs to some
        // numbers and makes another one of others.
        if text.contains("(0)") {
            readings.extend(self::readings(
                &text.replacen("(0)", "", 1),
                default_country,
            )?);
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
            .costly()
            .map_or(Ok(number), |kind| Err(BadNumber::Costly(kind)))
    }

    /// As it is kept: `+4915123456789` (ITU-T E.164).
    pub fn e164(&self) -> String {
        self.0.format_as(PhoneNumberFormat::E164).into_owned()
    }

    /// As people read it: `+49 1512 3456789` (ITU-T E.123).
    pub fn international(&self) -> String {
        self.0
            .format_as(PhoneNumberFormat::International)
            .into_owned()
    }

    /// Whether it is a number of `country`, two letters. Where countries share numbers, of each of them.
    pub fn is_in(&self, country: &str) -> bool {
        self::country(country).is_ok_and(|region| {
            // The library's own check looks at the calling code of no region (2.2.15).
            PHONE_NUMBER_UTIL.get_country_code_for_region(region) == Some(self.0.country_code)
                && self.0.is_valid_for_region(region)
        })
    }

    /// The two letters of its country, the largest where several share it.
    pub fn country(&self) -> Option<String> {
        self.0.get_region_code().map(|region| region.to_string())
    }

    /// Whether it may be a mobile phone's, as far as the number shows: in North America it does not.
    pub fn is_mobile(&self) -> bool {
        matches!(
            self.0.get_type(),
            PhoneNumberType::Mobile | PhoneNumberType::FixedLineOrMobile
        )
    }

    /// What it is called if it is not somebody's ordinary telephone. Who has codes sent to another kind may earn by it
    /// what we pay.
    fn costly(&self) -> Option<&'static str> {
        // Satellites and services of no country: +800, +808, +870, +878, +881, +882, +883, +888, +979.
        if self.0.get_region_code() == Some(Region::World) {
            return Some("no country's");
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
            PhoneNumberType::VoiceMail => Some("voice-mail"),
            PhoneNumberType::Unknown => Some("special"),
        }
    }
}

/// The phone number `text` as it is kept: see [`Number::read`] and [`Number::e164`].
pub fn number(text: &str, default_country: Option<&str>) -> Result<String, BadNumber> {
    Number::read(text, default_country).map(|number| number.e164())
}

/// Whether `code` is two letters of a country that has phone numbers.
pub fn is_country(code: &str) -> bool {
    country(code).is_ok()
}

fn country(code: &str) -> Result<Region, BadNumber> {
    let region = code.to_ascii_uppercase().parse().ok();
    region
        .filter(|region| {
            PHONE_NUMBER_UTIL
                .get_country_code_for_region(*region)
                .is_some()
        })
        .ok_or_else(|| BadNumber::UnknownCountry(code.chars().take(20).collect()))
}

/// How `text` can be read: by itself, and as somebody in `country` would dial it.
fn readings(
    text: &str,
    default_country: Option<&str>,
) -> Result<Vec<Result<Number, BadNumber>>, BadNumber> {
    let dialled = dialled(text).ok_or(BadNumber::Unreadable)?;
    let mut readings = Vec::new();
    // Most countries dial 00 for foreign numbers (ITU-T E.164); in some a number at home or a carrier's prefix begins so.
    if let Some(digits) = dialled.strip_prefix('+').or(dialled.strip_prefix("00")) {
        readings.push(parse(&format!("+{digits}"), None));
    }
    if let Some(code) = default_country.filter(|_| !dialled.starts_with('+')) {
        readings.push(parse(&dialled, Some(country(code)?)));
    }
    Ok(readings)
}

/// What the library makes of it. One that could be a number and is none is never made one.
fn parse(dialled: &str, country: Option<Region>) -> Result<Number, BadNumber> {
    let number = PHONE_NUMBER_UTIL
        .parse(dialled, country)
        .map_err(|_| BadNumber::Unreadable)?;
    if number.is_valid() {
        Ok(Number(number))
    } else {
        Err(BadNumber::Invalid)
    }
}

/// More than a number with prefixes has, and more than anybody writes around it.
const MOST_DIGITS: usize = 30;
const LONGEST: usize = 200;

/// What would be dialled for `text`: its digits, behind a plus sign if it has one. `None`: there is something in it that
/// has no place in a number. Letters on a dial are an invitation to typing errors, and an extension cannot take a text
/// message.
fn dialled(text: &str) -> Option<String> {
    let mut dialled = String::new();
    for c in text.chars() {
        match c {
            '+' | '\u{fe62}' | '\u{ff0b}' if dialled.is_empty() => dialled.push('+'),
            c if is_separator(c) || is_invisible(c) => {}
            c if c.is_ascii_digit() => dialled.push(c),
            // The digits of all scripts; what is none becomes nothing.
            c => match PHONE_NUMBER_UTIL.normalize_digits_only(c.to_string()) {
                digit if digit.is_empty() => return None,
                digit => dialled.push_str(&digit),
            },
        }
    }
    let digits = dialled.trim_start_matches('+').len();
    ((1..=MOST_DIGITS).contains(&digits) && text.len() <= LONGEST).then_some(dialled)
}

/// What people group digits with: spaces, brackets, and all that looks like a hyphen, a dot, a slash or a tilde.
fn is_separator(c: char) -> bool {
    c.is_whitespace()
        || matches!(c,
            '(' | ')' | '[' | ']' | '-' | '.' | '/' | '~'
            | '\u{b7}' | '\u{2d7}' | '\u{2010}'..='\u{2015}' | '\u{2024}' | '\u{2027}' | '\u{2043}' | '\u{2044}'
            | '\u{2053}' | '\u{2212}' | '\u{2215}' | '\u{2219}' | '\u{223c}' | '\u{22c5}' | '\u{30fb}' | '\u{30fc}'
            | '\u{fe58}' | '\u{fe59}' | '\u{fe5a}' | '\u{fe63}' | '\u{ff08}' | '\u{ff09}' | '\u{ff0d}'..='\u{ff0f}'
            | '\u{ff3b}' | '\u{ff3d}' | '\u{ff5e}')
}

/// What comes along unseen when a number is copied. Not U+202E, by which digits look as if they stood in another order.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202d}'
        | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{2069}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

/// The number `to`, kept as E.164, in the `form` the provider wants, which serves `calling_codes` (empty: all).
pub(super) fn in_form(to: &str, form: Form, calling_codes: &[String]) -> Result<String, SendError> {
    let digits = to.strip_prefix('+').filter(|digits| is_e164(digits));
    let digits = digits.ok_or_else(|| {
        SendError::at(
            Step::Recipient,
            "the number is not written with '+' and the country's code",
        )
        .hinted("write it such as +14155552671")
    })?;
    let code = calling_codes
        .iter()
        .find(|code| digits.starts_with(code.as_str()));
    if code.is_none() && !calling_codes.is_empty() {
        let reason = format!(
            "this provider reaches only numbers with +{}",
            calling_codes.join(", +")
        );
        return Err(SendError::at(Step::Recipient, reason)
            .hinted("add a provider that reaches this country"));
    }
    Ok(match (form, code) {
        (Form::E164, _) => to.to_owned(),
        (Form::National, Some(code)) => digits.get(code.len()..).unwrap_or_default().to_owned(),
        (Form::Digits | Form::National, _) => digits.to_owned(),
    })
}

/// ITU-T E.164: fifteen digits at most, and none of them a leading zero.
fn is_e164(digits: &str) -> bool {
    (7..=15).contains(&digits.len())
        && digits.bytes().all(|b| b.is_ascii_digit())
        && !digits.starts_with('0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_kept_in_one_form_however_they_are_written() {
        for text in ["+14155552671", "+1 (415) 555-2671", " +1.415.555.2671 "] {
            assert_eq!(number(text, None).unwrap(), "+14155552671", "{text}");
        }
        assert_eq!(
            number("(415) 555-2671", Some("US")).unwrap(),
            "+14155552671"
        );
        assert_eq!(number("030 901820", Some("de")).unwrap(), "+4930901820");
        assert_eq!(
            number("+44 20 7946 0958", Some("US")).unwrap(),
            "+442079460958"
        );
    }

    #[test]
    fn a_number_of_another_country_is_read_by_that_country_alone() {
        for (text, here) in [
            ("+49 176 12345678", "US"),
            ("011 49 176 12345678", "US"),
            ("0049 176 12345678", "US"),
            ("+49 (0)176 12345678", "US"),
            ("0011 49 176 12345678", "AU"),
            ("010 49 176 12345678", "JP"),
            ("8~10 49 176 12345678", "RU"),
            ("00 49 176 12345678", "CH"),
        ] {
            assert_eq!(
                number(text, Some(here)).unwrap(),
                "+4917612345678",
                "{text} in {here}"
            );
        }
        assert_eq!(number("0049 176 12345678", None).unwrap(), "+4917612345678");
        assert_eq!(
            number("+1 415 555 2671", Some("DE")).unwrap(),
            "+14155552671"
        );
        for text in [
            "0176 12345678",
            "49 176 12345678",
            "+0176 12345678",
            "+011 49 176 12345678",
        ] {
            assert!(number(text, Some("US")).is_err(), "{text}");
        }
        assert!(number("+0176 12345678", Some("DE")).is_err());
        assert!(number("+0049 176 12345678", Some("DE")).is_err());
    }

    #[test]
    fn what_two_countries_could_mean_is_asked_for_again() {
        // Singapore dials 004 for one of its carriers, and then this is a number in India.
        let error = number("0049 176 12345678", Some("SG")).unwrap_err();
        assert!(matches!(error, BadNumber::Ambiguous(..)), "{error:?}");
        assert!(error.to_string().contains("+91 76123 45678"), "{error}");
        assert!(error.to_string().contains("+49 176 12345678"), "{error}");
        // A toll-free number in Japan, and a mobile phone in Kazakhstan.
        assert!(number("0077 7123 4567", Some("JP")).is_err());
        // A mobile phone, and somebody's telephone in Como.
        assert!(matches!(
            number("+39 (0)312 345 6789", None),
            Err(BadNumber::Ambiguous(..))
        ));
        assert_eq!(number("+39 (0)6 698 12345", None).unwrap(), "+390669812345");
    }

    #[test]
    fn what_could_be_a_number_and_is_none_is_not_made_another_one() {
        for text in [
            "+49 1",
            "+1 415 555 267",
            "+1 415 555 26711",
            "+1 015 555 2671",
            "+39 347",
            "+44 99 1234 5678",
        ] {
            assert!(number(text, Some("US")).is_err(), "{text}");
        }
    }

    #[test]
    fn a_copied_number_is_read_as_what_it_looks_like() {
        for text in [
            "\u{202d}+49 176 12345678\u{202c}",
            "\u{feff}+49\u{a0}176\u{2011}12345678\u{200b}",
            "\u{ff0b}49 176 12345678",
            "\u{fe62}49 176 12345678",
            "+49\t176\t12345678\n",
            "+49 176 – 1234 — 5678",
            "+49\u{2009}176\u{2212}1234\u{2060}5678",
            "+４９ １７６ １２３４５６７８",
            "+٤٩ ١٧٦ ١٢٣٤٥٦٧٨",
            "\u{2066}(+49) 176·1234·5678\u{2069}",
            "［+49］（176）１２３４５６７８",
        ] {
            assert_eq!(
                number(text, Some("US")).unwrap(),
                "+4917612345678",
                "{text:?}"
            );
        }
        // What is shown as 87654321 here is not what would be dialled.
        assert!(number("\u{202e}+49 176 12345678", None).is_err());
        for text in [
            "+49 176 1234567O",
            "+49 176 12345678\u{1b}",
            "+49 176 1234567⑧",
            "4\u{ff0b}9",
        ] {
            assert_eq!(number(text, None), Err(BadNumber::Unreadable), "{text:?}");
        }
    }

    #[test]
    fn a_number_belongs_to_its_country_and_to_those_that_share_it() {
        let is_in = |text: &str, country| Number::read(text, None).unwrap().is_in(country);
        assert!(is_in("+49 176 12345678", "DE"));
        assert!(!is_in("+49 176 12345678", "US"));
        assert!(is_in("+1 876 210 1234", "JM") && !is_in("+1 876 210 1234", "US"));
        assert!(is_in("+7 701 234 5678", "KZ") && !is_in("+7 701 234 5678", "RU"));
        // Guadeloupe shares its numbers with Saint Martin.
        assert!(is_in("+590 690 00 12 34", "GP") && is_in("+590 690 00 12 34", "MF"));
        assert!(!is_in("+49 176 12345678", "XX") && !is_in("+49 176 12345678", ""));
    }

    #[test]
    fn what_is_no_number_is_refused_and_says_how_to_write_one() {
        assert_eq!(number("415 555 2671", None), Err(BadNumber::NoCountry));
        assert_eq!(number("alice", Some("US")), Err(BadNumber::Unreadable));
        assert_eq!(number("", None), Err(BadNumber::Unreadable));
        assert_eq!(number("+1 800 FLOWERS", None), Err(BadNumber::Unreadable));
        assert_eq!(
            number("+14155552671 ext. 5", None),
            Err(BadNumber::Unreadable)
        );
        assert_eq!(number("+1415555", None), Err(BadNumber::Invalid));
        assert!(number("+999123456789", None).is_err());
        assert_eq!(
            number("+1 415 555 2671", Some("XX")).unwrap(),
            "+14155552671"
        );
        assert_eq!(
            number("415 555 2671", Some("XX")),
            Err(BadNumber::UnknownCountry("XX".to_owned()))
        );
        assert!(
            number("1", None)
                .unwrap_err()
                .to_string()
                .contains("+14155552671")
        );
        assert!(number("+", Some("US")).is_err());
        assert!(number("++++", None).is_err());
        assert!(number("+49 176 12345678, +49 176 12345679", None).is_err());
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
            assert!(
                matches!(refused, BadNumber::Costly(_)),
                "{text}: {refused:?}"
            );
            assert!(refused.to_string().contains(kind), "{text}: {refused}");
        }
    }

    #[test]
    fn of_every_country_mobile_numbers_are_taken_and_premium_rate_numbers_are_not() {
        let regions = PHONE_NUMBER_UTIL.get_supported_regions();
        assert!(regions.len() > 200);
        for region in regions {
            let taken = |kind| {
                let example = PHONE_NUMBER_UTIL
                    .get_example_number_for_type_and_region(region, kind)
                    .ok()?;
                Some(number(&example.format_as(PhoneNumberFormat::E164), None).is_ok())
            };
            // Tristan da Cunha has none.
            assert_eq!(
                taken(PhoneNumberType::Mobile).unwrap_or_default(),
                region != Region::TA,
                "{region}"
            );
            for kind in [
                PhoneNumberType::PremiumRate,
                PhoneNumberType::SharedCost,
                PhoneNumberType::PersonalNumber,
                PhoneNumberType::UAN,
            ] {
                assert_ne!(taken(kind), Some(true), "{region} {kind:?}");
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
            assert!(
                number(text, None).is_ok(),
                "{text}: {:?}",
                number(text, None)
            );
        }
    }

    #[test]
    fn each_provider_gets_the_form_it_wants() {
        let us = ["1".to_owned()];
        assert_eq!(
            in_form("+15551234567", Form::E164, &[]).unwrap(),
            "+15551234567"
        );
        assert_eq!(
            in_form("+15551234567", Form::Digits, &[]).unwrap(),
            "15551234567"
        );
        assert_eq!(
            in_form("+15551234567", Form::National, &us).unwrap(),
            "5551234567"
        );
        let elsewhere = in_form("+4930901820", Form::National, &us).unwrap_err();
        assert_eq!(elsewhere.step, Step::Recipient);
        assert!(elsewhere.reason.contains("+1"), "{elsewhere}");
    }

    #[test]
    fn what_is_not_e164_is_never_sent_to() {
        for to in [
            "15551234567",
            "+1",
            "+0123456789",
            "+1555123456789012",
            "+1555;rm",
            "",
            "+",
        ] {
            assert_eq!(
                in_form(to, Form::Digits, &[]).unwrap_err().step,
                Step::Recipient,
                "{to}"
            );
        }
    }
}
