//! The digits in a phone number as people write it.

use rlibphonenumber::PHONE_NUMBER_UTIL;

/// The maximum number of digits; a number with all its prefixes has fewer.
const MAX_DIGITS: usize = 30;
/// The maximum length of the text, in bytes.
const MAX_LENGTH: usize = 200;

/// What would be dialled for `text`: its digits, after a plus sign if it begins with one. `None`: it contains a
/// character that does not belong to a phone number. Letters of a keypad are not accepted, because they invite typing
/// errors, and extensions are not, because they cannot receive text messages.
pub(super) fn dialled(text: &str) -> Option<String> {
    let mut dialled = String::new();
    for c in text.chars() {
        match c {
            '+' | '\u{fe62}' | '\u{ff0b}' if dialled.is_empty() => dialled.push('+'),
            c if is_separator(c) || is_invisible(c) => {}
            c if c.is_ascii_digit() => dialled.push(c),
            // Digits of any script. The library returns an empty string for other characters.
            c => match PHONE_NUMBER_UTIL.normalize_digits_only(c.to_string()) {
                digit if digit.is_empty() => return None,
                digit => dialled.push_str(&digit),
            },
        }
    }
    let digits = dialled.trim_start_matches('+').len();
    ((1..=MAX_DIGITS).contains(&digits) && text.len() <= MAX_LENGTH).then_some(dialled)
}

/// Whether `c` separates groups of digits: spaces, brackets, and everything that looks like a hyphen, a dot, a slash or
/// a tilde.
fn is_separator(c: char) -> bool {
    c.is_whitespace()
        || matches!(c,
            '(' | ')' | '[' | ']' | '-' | '.' | '/' | '~'
            | '\u{b7}' | '\u{2d7}' | '\u{2010}'..='\u{2015}' | '\u{2024}' | '\u{2027}' | '\u{2043}' | '\u{2044}'
            | '\u{2053}' | '\u{2212}' | '\u{2215}' | '\u{2219}' | '\u{223c}' | '\u{22c5}' | '\u{30fb}' | '\u{30fc}'
            | '\u{fe58}' | '\u{fe59}' | '\u{fe5a}' | '\u{fe63}' | '\u{ff08}' | '\u{ff09}' | '\u{ff0d}'..='\u{ff0f}'
            | '\u{ff3b}' | '\u{ff3d}' | '\u{ff5e}')
}

/// Whether `c` is an invisible character that is copied together with a number. U+202E is not among them, because it
/// displays digits in another order.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202d}'
        | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{2069}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}
