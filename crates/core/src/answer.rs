//! What was typed at a code prompt.

use std::fmt;

use zeroize::Zeroizing;

use crate::backup::BackupCode;

/// What a person typed at a code prompt.
///
/// A login password typed here by mistake reads as [`Answer::NotACode`], unless it looks like a code, and is dropped at
/// once: never counted, compared or stored.
#[derive(Clone, PartialEq, Eq)]
pub enum Answer {
    /// Nothing: the end of input, or a client that gives no answer.
    Empty,
    /// Six to nine digits.
    Code(Zeroizing<String>),
    /// Sixteen characters of the backup codes' alphabet.
    Backup(BackupCode),
    /// `?`: asks for help.
    Help,
    /// `r`: asks for another code to be sent.
    Resend,
    /// `m`: asks for another method.
    OtherMethod,
    /// Anything else, which cannot be a code.
    NotACode,
}

impl Answer {
    /// Reads what was typed. Spaces, dashes and case are ignored in codes.
    pub fn read(typed: &str) -> Self {
        match typed.trim() {
            "" => return Self::Empty,
            "?" => return Self::Help,
            "r" | "R" => return Self::Resend,
            "m" | "M" => return Self::OtherMethod,
            _ => {}
        }
        let bare: Zeroizing<String> = Zeroizing::new(
            typed
                .chars()
                .filter(|c| !c.is_whitespace() && *c != '-')
                .collect(),
        );
        if (6..=9).contains(&bare.len()) && bare.bytes().all(|b| b.is_ascii_digit()) {
            return Self::Code(bare);
        }
        BackupCode::read(&bare).map_or(Self::NotACode, Self::Backup)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "Empty",
            Self::Code(_) => "Code(…)",
            Self::Backup(_) => "Backup(…)",
            Self::Help => "Help",
            Self::Resend => "Resend",
            Self::OtherMethod => "OtherMethod",
            Self::NotACode => "NotACode",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_a_code_however_they_are_spaced() {
        for typed in [
            "123456",
            " 123 456 ",
            "123-456",
            "12345678",
            "123456789",
            "123\u{a0}4567",
        ] {
            assert!(matches!(Answer::read(typed), Answer::Code(_)), "{typed:?}");
        }
    }

    #[test]
    fn a_backup_code_is_read_with_or_without_its_dashes_and_in_capitals() {
        let plain = Answer::read("abcd-efgh-ijkm-npqr");
        assert!(matches!(plain, Answer::Backup(_)));
        assert_eq!(Answer::read("ABCDEFGHIJKMNPQR"), plain);
        assert_eq!(Answer::read("abcd efgh ijkm npqr"), plain);
    }

    #[test]
    fn blank_input_is_an_empty_answer() {
        for typed in ["", " ", "\t", "\r"] {
            assert_eq!(Answer::read(typed), Answer::Empty);
        }
    }

    #[test]
    fn a_letter_alone_is_a_command() {
        for (typed, command) in [
            ("?", Answer::Help),
            (" r ", Answer::Resend),
            ("R", Answer::Resend),
            ("m", Answer::OtherMethod),
        ] {
            assert_eq!(Answer::read(typed), command);
        }
    }

    #[test]
    fn a_password_is_not_a_code() {
        for typed in [
            "correct horse battery",
            "hunter2",
            "12345",
            "1234567890",
            "１２３４５６",
            "-",
            "0xABCDEF",
            "?x",
        ] {
            assert_eq!(Answer::read(typed), Answer::NotACode, "{typed:?}");
        }
    }

    #[test]
    fn an_answer_is_never_printed() {
        assert_eq!(format!("{:?}", Answer::read("123456")), "Code(…)");
        assert_eq!(
            format!("{:?}", Answer::read("abcd-efgh-ijkm-npqr")),
            "Backup(…)"
        );
    }
}
