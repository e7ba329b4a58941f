//! Phone numbers as people write and paste them: characters that look like those of a number, and those that cannot be
//! seen.

use percent_encoding::percent_decode_str;
use rlibphonenumber::PHONE_NUMBER_UTIL;

use super::BadNumber;
use crate::characters::{is_hyphen, is_invisible};

/// The maximum number of digits; a number with all its prefixes has fewer.
const MAX_DIGITS: usize = 30;
/// The maximum length of the text, in bytes.
const MAX_LENGTH: usize = 400;
/// What programs put before a number: the schemes of links (RFC 3966, RFC 5724), and a label.
const PREFIXES: [&str; 5] = ["tel:", "sms:", "smsto:", "callto:", "tel.:"];

/// A phone number without its separators.
pub(super) struct Written {
    /// What would be dialled: digits, after a plus sign if it begins with one.
    pub(super) dialled: String,
    /// The same without the national prefix in brackets, as it is written for callers from abroad: `+49 (0)176 …`.
    pub(super) without_prefix: Option<String>,
}

impl Written {
    /// Reads `text`. Letters of a keypad are not accepted, because they invite typing errors, and extensions are not,
    /// because they cannot receive text messages.
    pub(super) fn parse(text: &str) -> Result<Self, BadNumber> {
        if text.len() > MAX_LENGTH {
            return Err(BadNumber::Unreadable);
        }
        // With the brackets.
        let mut written = String::new();
        for c in without_wrapping(text).chars() {
            match c {
                c if is_plus(c) && !written.contains(|c: char| c == '+' || c.is_ascii_digit()) => {
                    written.push('+');
                }
                '(' | '[' | '\u{207d}' | '\u{208d}' | '\u{fe59}' | '\u{ff08}' | '\u{ff3b}' => {
                    written.push('(');
                }
                ')' | ']' | '\u{207e}' | '\u{208e}' | '\u{fe5a}' | '\u{ff09}' | '\u{ff3d}' => {
                    written.push(')');
                }
                // U+20E3 draws a key around a digit.
                c if is_separator(c) || is_invisible(c) || c == '\u{20e3}' => {}
                c if c.is_ascii_digit() => written.push(c),
                // Digits of any script. The library returns an empty string for other characters.
                c => match PHONE_NUMBER_UTIL.normalize_digits_only(c.to_string()) {
                    digit if digit.is_empty() => return Err(BadNumber::Character(c)),
                    digit => written.push_str(&digit),
                },
            }
        }
        let bare = |text: &str| text.replace(['(', ')'], "");
        let dialled = bare(&written);
        let digits = dialled.trim_start_matches('+').len();
        if !(1..=MAX_DIGITS).contains(&digits) {
            return Err(BadNumber::Unreadable);
        }
        let without_prefix = written
            .contains("(0)")
            .then(|| bare(&written.replacen("(0)", "", 1)));
        Ok(Self {
            dialled,
            without_prefix,
        })
    }
}

/// `text` without what surrounds a number that was copied from a link, a table or a mail: blanks, quotes, angle brackets,
/// and the prefix of a link, whose percent-encoding is decoded.
fn without_wrapping(text: &str) -> String {
    let is_around =
        |c: char| c.is_whitespace() || is_invisible(c) || matches!(c, '<' | '>' | '"' | '\'');
    let text = text.trim_matches(is_around);
    let prefix = PREFIXES.iter().find(|prefix| {
        text.get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    });
    match prefix.and_then(|prefix| text.get(prefix.len()..)) {
        Some(link) => percent_decode_str(link).decode_utf8_lossy().into_owned(),
        None => text.to_owned(),
    }
}

/// Whether `c` looks like a plus sign.
fn is_plus(c: char) -> bool {
    matches!(
        c,
        '+' | '\u{207a}' | '\u{208a}' | '\u{2795}' | '\u{fb29}' | '\u{fe62}' | '\u{ff0b}'
    )
}

/// Whether `c` separates groups of digits: spaces, and everything that looks like a hyphen, a dot, a slash or a tilde.
fn is_separator(c: char) -> bool {
    c.is_whitespace()
        || is_hyphen(c)
        || matches!(
            c,
            // Blanks that are no white space to Unicode.
            '\u{2800}' | '\u{3164}' | '\u{ffa0}'
            // Lines that are longer than a hyphen, or belong to one script.
            | '\u{58a}' | '\u{5be}' | '\u{1400}' | '\u{1806}' | '\u{2053}' | '\u{207b}' | '\u{208b}' | '\u{2500}'
            | '\u{2796}' | '\u{2e3a}' | '\u{2e3b}' | '\u{301c}' | '\u{3030}' | '\u{30a0}' | '\u{30fc}' | '\u{fe31}'
            | '\u{fe32}' | '\u{ff70}'
            // Dots.
            | '.' | '\u{b7}' | '\u{387}' | '\u{6d4}' | '\u{2022}' | '\u{2024}' | '\u{2027}' | '\u{2219}' | '\u{22c5}'
            | '\u{3002}' | '\u{30fb}' | '\u{fe52}' | '\u{ff0e}' | '\u{ff61}' | '\u{ff65}'
            // Slashes and tildes.
            | '/' | '\u{2044}' | '\u{2215}' | '\u{29f8}' | '\u{ff0f}' | '~' | '\u{2dc}' | '\u{223c}' | '\u{ff5e}'
        )
}
