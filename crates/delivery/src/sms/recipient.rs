//! The recipient's number in the format that a provider requires.

use serde::Deserialize;

use crate::error::{SendError, Step};

/// The format in which a provider takes numbers. They are stored as E.164 with the plus sign.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum NumberFormat {
    /// With the plus sign: `+15551234567`.
    #[default]
    E164,
    /// Without the plus sign: `15551234567`.
    Digits,
    /// Without the calling code, for a provider that serves only one: `5551234567`.
    National,
}

impl NumberFormat {
    /// A number in this format.
    pub(super) const fn example(self) -> &'static str {
        match self {
            Self::E164 => "+15551234567",
            Self::Digits => "15551234567",
            Self::National => "5551234567",
        }
    }
}

/// The E.164 number `to` in `format`, for a provider that serves `calling_codes` (empty: all).
pub(super) fn format_number(
    to: &str,
    format: NumberFormat,
    calling_codes: &[String],
) -> Result<String, SendError> {
    let digits = to.strip_prefix('+').filter(|digits| is_e164(digits));
    let digits = digits.ok_or_else(|| {
        SendError::new(
            Step::Recipient,
            "the number does not begin with '+' and a country code",
        )
        .hinted("write it like +14155552671")
    })?;
    let code = calling_codes
        .iter()
        .find(|code| digits.starts_with(code.as_str()));
    if code.is_none() && !calling_codes.is_empty() {
        let reason = format!(
            "this provider serves only numbers that begin with +{}",
            calling_codes.join(", +")
        );
        return Err(SendError::new(Step::Recipient, reason)
            .hinted("add a provider that serves this country"));
    }
    Ok(match (format, code) {
        (NumberFormat::E164, _) => to.to_owned(),
        (NumberFormat::National, Some(code)) => {
            digits.get(code.len()..).unwrap_or_default().to_owned()
        }
        (NumberFormat::Digits | NumberFormat::National, _) => digits.to_owned(),
    })
}

/// Whether `digits` can be an E.164 number: at most fifteen digits without a leading zero.
fn is_e164(digits: &str) -> bool {
    (7..=15).contains(&digits.len())
        && digits.bytes().all(|b| b.is_ascii_digit())
        && !digits.starts_with('0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_provider_gets_the_format_it_requires() {
        let us = ["1".to_owned()];
        assert_eq!(
            format_number("+15551234567", NumberFormat::E164, &[]).unwrap(),
            "+15551234567"
        );
        assert_eq!(
            format_number("+15551234567", NumberFormat::Digits, &[]).unwrap(),
            "15551234567"
        );
        assert_eq!(
            format_number("+15551234567", NumberFormat::National, &us).unwrap(),
            "5551234567"
        );
        let elsewhere = format_number("+4930901820", NumberFormat::National, &us).unwrap_err();
        assert_eq!(elsewhere.step, Step::Recipient);
        assert!(elsewhere.reason.contains("+1"), "{elsewhere}");
    }

    #[test]
    fn nothing_is_sent_to_what_is_not_e164() {
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
                format_number(to, NumberFormat::Digits, &[])
                    .unwrap_err()
                    .step,
                Step::Recipient,
                "{to}"
            );
        }
    }
}
