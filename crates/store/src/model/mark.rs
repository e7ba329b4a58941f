//! A mark that servers give a database, as a value and as text.

use std::fmt;
use std::str::FromStr;

use twofa_core::Timestamp;

/// A moment in the history of a database, and of no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Rises with each mark of a database; from 1.
    pub number: u64,
    /// Random.
    pub value: [u8; 16],
    /// When it was given, by the clock of the server that did.
    pub at: Timestamp,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.number, self.at.unix())?;
        self.value
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A text that is no mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not a mark of a database")]
pub struct BadMark;

impl FromStr for Mark {
    type Err = BadMark;

    fn from_str(text: &str) -> Result<Self, BadMark> {
        let mut words = text.split_whitespace();
        let mut word = || words.next().ok_or(BadMark);
        let number = word()?.parse().ok().filter(|number| *number > 0);
        let at = word()?.parse().map_err(|_| BadMark)?;
        let hex = word()?;
        if words.next().is_some() || hex.len() != 32 || !hex.is_ascii() {
            return Err(BadMark);
        }
        let mut value = [0; 16];
        for (index, byte) in value.iter_mut().enumerate() {
            let digits = &hex[2 * index..2 * index + 2];
            *byte = u8::from_str_radix(digits, 16).map_err(|_| BadMark)?;
        }
        Ok(Self {
            number: number.ok_or(BadMark)?,
            value,
            at: Timestamp::from_unix(at),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark() -> Mark {
        Mark {
            number: 7,
            value: [0xa5; 16],
            at: Timestamp::from_unix(1_800_000_000),
        }
    }

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        assert_eq!(mark().to_string().parse(), Ok(mark()));
        for bad in [
            "",
            "7 1",
            "0 1 a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5",
            "7 1 a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5",
            "7 1 a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5ag",
            "7 1 a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5 8",
        ] {
            assert_eq!(bad.parse::<Mark>(), Err(BadMark), "{bad}");
        }
    }
}
