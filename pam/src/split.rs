//! Splits what was typed into a password and the code behind it.
//!
//! Bytes and not text: a password need not be UTF-8, a code always is.

// The format of a backup code is that of `twofa_core::BackupCode`, which a test compares. The module itself does without
// that crate and its ciphers.

/// Letters of a backup code: none that could be taken for another on paper.
const BACKUP_ALPHABET: &[u8] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// `abcd-efgh-ijkm-npqr`
const BACKUP_LENGTH: usize = 19;
const BACKUP_GROUP: usize = 4;

/// The fewest digits that a code has. From this many on, what ends a password that another module asked for is taken for a
/// code.
const FEWEST_DIGITS: u8 = 6;

/// What was typed, as password and code. The code is a backup code with its dashes or else the last
/// `digits` digits, each with the `+` that may follow it to trust the device; `None` when there is neither. With 0 digits no
/// code is expected, and all of it is the password.
///
/// Without its dashes a backup code is not looked for: sixteen letters may well be the password's own.
pub fn split(typed: &[u8], digits: u8) -> Option<(&[u8], &str)> {
    if digits == 0 {
        return None;
    }
    code_at_end(typed, typed.len(), digits).or_else(|| {
        let end = typed.strip_suffix(b"+")?.len();
        code_at_end(typed, end, digits)
    })
}

/// The password, and the code whose last character stands before `end`.
fn code_at_end(typed: &[u8], end: usize, digits: u8) -> Option<(&[u8], &str)> {
    let code = typed.get(..end)?;
    let (password, _) = ending(code, BACKUP_LENGTH, is_backup_code).or_else(|| {
        ending(code, digits.into(), |code| {
            code.iter().all(u8::is_ascii_digit)
        })
    })?;
    let (password, code) = typed.split_at_checked(password.len())?;
    Some((password, std::str::from_utf8(code).ok()?))
}

/// Whether a code may be behind this password, before the broker has said how many digits one has.
pub fn may_end_in_code(typed: &[u8]) -> bool {
    split(typed, FEWEST_DIGITS).is_some()
}

fn ending(typed: &[u8], length: usize, is_code: impl Fn(&[u8]) -> bool) -> Option<(&[u8], &str)> {
    let (password, code) = typed.split_at_checked(typed.len().checked_sub(length)?)?;
    let code = is_code(code).then(|| std::str::from_utf8(code).ok())??;
    Some((password, code))
}

fn is_backup_code(code: &[u8]) -> bool {
    code.len() == BACKUP_LENGTH
        && code
            .iter()
            .enumerate()
            .all(|(i, c)| match i % (BACKUP_GROUP + 1) {
                BACKUP_GROUP => *c == b'-',
                _ => BACKUP_ALPHABET.contains(&c.to_ascii_lowercase()),
            })
}

#[cfg(test)]
mod tests {
    use super::*;
    use twofa_core::{Answer, BackupCode};

    const BACKUP: &str = "abcd-efgh-ijkm-npqr";

    #[test]
    fn a_backup_code_is_what_the_broker_makes_and_takes() {
        // Each five bits are a letter, so these codes have all of them.
        for random in 0..=255 {
            let code = BackupCode::from_random([random; 10]).grouped();
            assert!(is_backup_code(code.as_bytes()), "{}", *code);
        }
        for letter in (0..=127).map(char::from) {
            let typed = BACKUP.replace('a', letter.encode_utf8(&mut [0; 4]));
            let takes = matches!(Answer::read(&typed), Answer::Backup(_));
            assert_eq!(is_backup_code(typed.as_bytes()), takes, "{typed:?}");
        }
    }

    #[test]
    fn the_last_digits_are_the_code() {
        assert_eq!(
            split(b"hunter2123456", 6),
            Some((&b"hunter2"[..], "123456"))
        );
        assert_eq!(
            split(b"hunter2123456", 7),
            Some((&b"hunter"[..], "2123456"))
        );
        assert_eq!(split(b"123456", 6), Some((&b""[..], "123456")));
    }

    #[test]
    fn a_backup_code_behind_the_password_wins_over_digits() {
        assert_eq!(
            split(b"pass-abcd-efgh-ijkm-2345", 4),
            Some((&b"pass-"[..], "abcd-efgh-ijkm-2345"))
        );
        assert_eq!(
            split(BACKUP.to_uppercase().as_bytes(), 6),
            Some((&b""[..], "ABCD-EFGH-IJKM-NPQR"))
        );
    }

    #[test]
    fn a_plus_after_the_code_belongs_to_it() {
        for (typed, password, code) in [
            ("hunter2123456+", "hunter2", "123456+"),
            ("x+123456", "x+", "123456"),
            ("xabcd-efgh-ijkm-npqr+", "x", "abcd-efgh-ijkm-npqr+"),
        ] {
            assert_eq!(
                split(typed.as_bytes(), 6),
                Some((password.as_bytes(), code))
            );
        }
        for typed in ["hunter2+", "+", "12345+", "123456++"] {
            assert_eq!(split(typed.as_bytes(), 6), None, "{typed}");
        }
    }

    #[test]
    fn without_its_dashes_a_backup_code_is_part_of_the_password() {
        assert_eq!(split(b"abcdefghijkmnpqr", 6), None);
        assert_eq!(split(b"abcd-efgh-ijkm-npq0", 6), None);
        assert_eq!(split(b"abcde-fgh-ijkm-npqr", 6), None);
    }

    #[test]
    fn a_password_alone_has_no_code() {
        for password in [
            "",
            "hunter2",
            "12345",
            "correct horse",
            "123456 ",
            "pass１２３４５６",
            "12345x",
        ] {
            assert_eq!(split(password.as_bytes(), 6), None, "{password:?}");
        }
    }

    #[test]
    fn no_digits_are_no_code() {
        assert_eq!(split(b"hunter2", 0), None);
        assert_eq!(
            split(BACKUP.as_bytes(), 0),
            None,
            "a password may look like one"
        );
    }

    #[test]
    fn a_password_need_not_be_utf8() {
        assert_eq!(
            split(b"p\xe4ss123456", 6),
            Some((&b"p\xe4ss"[..], "123456"))
        );
        assert_eq!(split(b"p\xe4ss", 6), None);
    }

    #[test]
    fn password_and_code_are_what_was_typed() {
        let mut typed = b"\xff\xc3\xa4-x".to_vec();
        for next in (0..=255).chain(*b"2345-6789-abcd-efgh-0123456789") {
            typed.push(next);
            for digits in [0, 1, 6, 9, 255] {
                if let Some((password, code)) = split(&typed, digits) {
                    assert_eq!([password, code.as_bytes()].concat(), typed);
                    assert!(!code.is_empty());
                }
            }
        }
    }

    #[test]
    fn six_digits_or_a_backup_code_may_be_a_code() {
        assert!(may_end_in_code(b"pass123456") && may_end_in_code(BACKUP.as_bytes()));
        assert!(!may_end_in_code(b"pass12345") && !may_end_in_code(b""));
    }
}
