//! What was typed at a code prompt.

use std::fmt;

use zeroize::Zeroizing;

use crate::backup::BackupCode;

/// What a person typed at a code prompt, and whether the device is to be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// What was typed, without the `+`.
    pub answer: Answer,
    /// A code has a `+` at its end, or at its beginning: tokens that type for their owner press Enter after the digits.
    pub trusts_device: bool,
}

impl Reply {
    /// Reads what was typed. Only a code can have a `+`, and only one.
    pub fn read(typed: &str) -> Self {
        let typed = Zeroizing::new(typed.chars().map(half_width).collect::<String>());
        let typed = typed.trim();
        let bare = typed.strip_suffix('+').or_else(|| typed.strip_prefix('+'));
        let Some(bare) = bare else {
            return Self {
                answer: Answer::read(typed),
                trusts_device: false,
            };
        };
        let answer = match Answer::read(bare) {
            code @ (Answer::Code(_) | Answer::Backup(_)) => code,
            _ => Answer::NotACode,
        };
        Self {
            trusts_device: answer != Answer::NotACode,
            answer,
        }
    }
}

/// The ASCII character that a full-width one stands for, which input methods for Chinese and Japanese type
/// (Unicode, Halfwidth and Fullwidth Forms); any other is left alone.
fn half_width(typed: char) -> char {
    match typed {
        '\u{ff01}'..='\u{ff5e}' => u32::from(typed)
            .checked_sub(0xfee0)
            .and_then(char::from_u32)
            .unwrap_or(typed),
        '\u{3000}' => ' ',
        _ => typed,
    }
}

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
    fn a_plus_at_one_end_of_a_code_trusts_the_device() {
        for typed in [
            "123456+",
            "+123456",
            " 123 456 + ",
            "123456 +",
            "123456＋",
            "＋１２３４５６",
            "12345678+",
        ] {
            let Reply {
                answer,
                trusts_device,
            } = Reply::read(typed);
            assert!(
                matches!(answer, Answer::Code(_)) && trusts_device,
                "{typed:?}"
            );
        }
        let backup = Reply::read("abcd-efgh-ijkm-npqr+");
        assert!(matches!(backup.answer, Answer::Backup(_)) && backup.trusts_device);
        let full_width = Reply::read("１２３　４５６");
        assert!(!full_width.trusts_device);
        assert_eq!(full_width.answer, Answer::read("123456"));
    }

    #[test]
    fn a_plus_anywhere_else_is_no_code_and_trusts_nothing() {
        for typed in [
            "+", "++", "＋", "123456++", "+123456+", "123+456", "r+", "m+", "?+", "+r", "12345+",
        ] {
            let reply = Reply::read(typed);
            assert_eq!(
                (reply.answer, reply.trusts_device),
                (Answer::NotACode, false),
                "{typed:?}"
            );
        }
        assert_eq!(Reply::read("r").answer, Answer::Resend);
        assert_eq!(Reply::read(" ").answer, Answer::Empty);
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
