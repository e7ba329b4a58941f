//! Durations as an administrator writes them: `30d`, `12h`, `90m`, `45s`, `0`.

use std::fmt;

/// A duration of whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration {
    seconds: u64,
}

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

impl Duration {
    /// The duration of `seconds`.
    pub const fn from_seconds(seconds: u64) -> Self {
        Self { seconds }
    }

    /// The duration of `minutes`.
    pub const fn from_minutes(minutes: u32) -> Self {
        Self {
            seconds: minutes as u64 * 60,
        }
    }

    /// The duration in seconds.
    pub const fn seconds(self) -> u64 {
        self.seconds
    }

    /// The shorter of two lifetimes, of which zero is without end.
    #[must_use]
    pub fn shorter_lifetime(self, other: Self) -> Self {
        let limited = [self, other]
            .into_iter()
            .filter(|lifetime| lifetime.seconds > 0);
        limited.min().unwrap_or(self)
    }
}

/// The text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a duration is a whole number and a unit, such as 90m, 12h or 30d")]
pub struct NotADuration;

impl std::str::FromStr for Duration {
    type Err = NotADuration;

    fn from_str(text: &str) -> Result<Self, NotADuration> {
        if text == "0" {
            return Ok(Self { seconds: 0 });
        }
        let unit = text.chars().next_back().ok_or(NotADuration)?;
        let (_, seconds) = *UNITS
            .iter()
            .find(|(letter, _)| *letter == unit)
            .ok_or(NotADuration)?;
        let number = &text[..text.len() - unit.len_utf8()];
        // `u64::from_str` would accept a leading plus sign.
        if !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NotADuration);
        }
        let number: u64 = number.parse().map_err(|_| NotADuration)?;
        number
            .checked_mul(seconds)
            .map(|seconds| Self { seconds })
            .ok_or(NotADuration)
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.seconds == 0 {
            return f.write_str("0");
        }
        for (letter, seconds) in UNITS {
            if self.seconds.is_multiple_of(seconds) {
                return write!(f, "{}{letter}", self.seconds / seconds);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_length_is_a_number_and_a_unit() {
        for (text, seconds) in [
            ("0", 0),
            ("45s", 45),
            ("90m", 5400),
            ("12h", 43_200),
            ("30d", 2_592_000),
        ] {
            assert_eq!(text.parse(), Ok(Duration { seconds }));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "15",
            "m",
            "-5m",
            "+5m",
            "1.5h",
            "5 m",
            "5w",
            "999999999999999d",
            "٣m",
            "5m ",
        ] {
            assert_eq!(text.parse::<Duration>(), Err(NotADuration), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(seconds: u64) {
            let duration = Duration { seconds };
            prop_assert_eq!(duration.to_string().parse(), Ok(duration));
        }
    }
}
