//! Redacts secrets from what servers and programs say.
//!
//! Servers repeat what they were sent, and not always in the form in which it was sent: in a URL, in JSON, in a web
//! page, or within the base64 of a login. A secret is therefore searched for character by character in every escaped
//! form, and in base64 at each of the three offsets it can have within a group of four letters.

use std::fmt;

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD};
use twofa_core::text::printable;
use zeroize::Zeroizing;

/// The maximum length of a redacted text, in characters.
const MAX_LENGTH: usize = 200;
/// Replaces a secret.
const MASK: &str = "[…]";
/// The minimum number of base64 letters that are redacted: fewer may match by chance.
const MIN_BASE64: usize = 4;

/// The passwords, keys, tokens, codes and messages of one exchange with a provider.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Vec<Secret>);

#[derive(Clone)]
struct Secret {
    /// With every run of white space replaced by one space.
    text: Zeroizing<String>,
    is_base64: bool,
}

impl Secrets {
    /// Adds a secret, and each of its lines.
    pub(crate) fn add(&mut self, secret: &str) {
        for text in std::iter::once(secret).chain(secret.lines()) {
            self.insert(one_line(text), false);
            for (before, skipped) in [(0, 0), (1, 2), (2, 3)] {
                let bytes = Zeroizing::new([&[0][..].repeat(before), text.as_bytes()].concat());
                // The first and last letters also encode bits of the bytes around the secret.
                let whole = bytes.len() * 8 / 6;
                for alphabet in [&BASE64_NOPAD, &BASE64URL_NOPAD] {
                    let all = Zeroizing::new(alphabet.encode(&bytes));
                    let inner = all.get(skipped..whole).unwrap_or_default();
                    if inner.len() >= MIN_BASE64 {
                        self.insert(Zeroizing::new(inner.to_owned()), true);
                    }
                }
            }
        }
        // Longer secrets are redacted first, because they may contain shorter ones.
        self.0
            .sort_by_key(|secret| std::cmp::Reverse(secret.text.len()));
    }

    fn insert(&mut self, text: Zeroizing<String>, is_base64: bool) {
        if !text.is_empty() && self.0.iter().all(|known| known.text != text) {
            self.0.push(Secret { text, is_base64 });
        }
    }

    /// These secrets and another one.
    pub(crate) fn with(&self, secret: Option<&str>) -> Self {
        let mut all = self.clone();
        all.add(secret.unwrap_or_default());
        all
    }

    /// `text` as it may appear in an error: one printable line of at most 200 characters without any of the secrets.
    pub(crate) fn redact(&self, text: &str) -> String {
        let line = self
            .0
            .iter()
            .fold(one_line(text), |line, secret| secret.redact(&line));
        let line = printable(&line);
        if line.chars().count() <= MAX_LENGTH {
            return line;
        }
        line.chars().take(MAX_LENGTH - 1).chain(['…']).collect()
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(…)")
    }
}

impl Secret {
    fn redact(&self, line: &str) -> Zeroizing<String> {
        let mut rest = line;
        let mut kept = Zeroizing::new(String::with_capacity(line.len()));
        while let Some(first) = rest.chars().next() {
            match self.length_at(rest) {
                Some(length) if self.is_base64 => {
                    // The letters around it in the same word encode the rest of a login.
                    let before = kept.trim_end_matches(is_base64_letter).len();
                    kept.truncate(before);
                    kept.push_str(MASK);
                    rest = rest.get(length..).unwrap_or_default();
                    rest = rest.trim_start_matches(|c| is_base64_letter(c) || c == '=');
                }
                Some(length) => {
                    kept.push_str(MASK);
                    rest = rest.get(length..).unwrap_or_default();
                }
                None => {
                    kept.push(first);
                    rest = rest.get(first.len_utf8()..).unwrap_or_default();
                }
            }
        }
        kept
    }

    /// The number of bytes that the secret takes at the beginning of `text`, in whichever form. `None`: it is not
    /// there.
    fn length_at(&self, text: &str) -> Option<usize> {
        // At almost every place it is not there, which must be found out fast, because an answer may be long.
        let first = text.chars().next()?;
        if !self.text.starts_with(first) && !matches!(first, '+' | '%' | '\\' | '&') {
            return None;
        }
        // A text can have two readings: %25 stands for itself and for %.
        let mut ends = vec![0];
        for c in self.text.chars() {
            let mut next = Vec::new();
            for end in ends {
                let rest = text.get(end..).unwrap_or_default();
                let readings = [
                    rest.chars().next().map(|c| (c, c.len_utf8())),
                    escaped(rest),
                ];
                let readings = readings
                    .into_iter()
                    .flatten()
                    .filter(|(read, _)| *read == c);
                next.extend(readings.map(|(_, length)| end + length));
            }
            if c == ' ' {
                next.extend(
                    next.clone()
                        .into_iter()
                        .map(|end| end + escaped_space_length(text.get(end..).unwrap_or_default())),
                );
            }
            next.sort_unstable();
            next.dedup();
            ends = next;
            if ends.is_empty() {
                return None;
            }
        }
        ends.last().copied()
    }
}

/// The number of bytes of escaped white space at the beginning of `text`: a line may end in two characters.
fn escaped_space_length(text: &str) -> usize {
    let mut length = 0;
    while let Some((' ', more)) = escaped(text.get(length..).unwrap_or_default()) {
        length += more;
    }
    length
}

/// The character at the beginning of `text` in an escaped form of URLs, forms, JSON or HTML, and the number of bytes it
/// takes. White space is returned as a space.
fn escaped(text: &str) -> Option<(char, usize)> {
    let (c, length) = match text.as_bytes().first()? {
        b'+' => (' ', 1),
        b'%' => percent(text)?,
        b'\\' => backslash(text)?,
        b'&' => entity(text)?,
        _ => return None,
    };
    Some((if c.is_whitespace() { ' ' } else { c }, length))
}

/// A character in percent-encoded UTF-8: `%C3%A9`.
fn percent(text: &str) -> Option<(char, usize)> {
    let byte = |i: usize| hex(text.get(3 * i..3 * i + 3)?.strip_prefix('%')?);
    let first = u8::try_from(byte(0)?).ok()?;
    let count = match first.leading_ones() {
        0 => 1,
        count @ 2..=4 => usize::try_from(count).ok()?,
        _ => return None,
    };
    let bytes: Option<Vec<u8>> = (0..count).map(|i| u8::try_from(byte(i)?).ok()).collect();
    let c = std::str::from_utf8(&bytes?).ok()?.chars().next()?;
    Some((c, 3 * count))
}

/// A character escaped as in JSON: `\"`, `\n` or `\u00e9`.
fn backslash(text: &str) -> Option<(char, usize)> {
    let unit = |at: usize| u16::try_from(hex(text.get(at..at + 6)?.strip_prefix("\\u")?)?).ok();
    match text.chars().nth(1)? {
        'n' | 'r' | 't' | 'f' => Some((' ', 2)),
        c @ ('"' | '\'' | '\\' | '/') => Some((c, 2)),
        'u' => {
            let first = unit(0)?;
            match char::from_u32(first.into()) {
                Some(c) => Some((c, 6)),
                None => char::decode_utf16([first, unit(6)?])
                    .next()?
                    .ok()
                    .map(|c| (c, 12)),
            }
        }
        _ => None,
    }
}

/// A character reference of HTML: `&amp;` or `&#38;`.
fn entity(text: &str) -> Option<(char, usize)> {
    let end = text.bytes().take(10).position(|byte| byte == b';')?;
    let c = match text.get(1..end)? {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        number => {
            let number = number.strip_prefix('#')?;
            let hex_number = number.strip_prefix(['x', 'X']).map(hex);
            char::from_u32(hex_number.unwrap_or_else(|| number.parse().ok())?)?
        }
    };
    Some((c, end + 1))
}

fn hex(digits: &str) -> Option<u32> {
    digits
        .bytes()
        .all(|b| b.is_ascii_hexdigit())
        .then(|| u32::from_str_radix(digits, 16).ok())?
}

fn is_base64_letter(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '-' | '_')
}

/// `text` without surrounding white space and with every run of it replaced by one space.
fn one_line(text: &str) -> Zeroizing<String> {
    // Never reallocated, so that no copy of a secret stays in memory.
    let mut line = Zeroizing::new(String::with_capacity(text.len()));
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64;

    use super::*;

    fn secrets(all: &[&str]) -> Secrets {
        let mut secrets = Secrets::default();
        for secret in all {
            secrets.add(secret);
        }
        secrets
    }

    #[test]
    fn a_secret_is_redacted_in_every_escaped_form() {
        let secrets = secrets(&["se-cret \"é/&<😀+%25"]);
        for said in [
            "se-cret \"é/&<😀+%25",
            "se%2Dcret%20%22%C3%A9%2F%26%3C%F0%9F%98%80%2B%2525",
            "se-cret+%22%c3%a9/&%3c%f0%9f%98%80%2b%2525",
            r#"se-cret \"\u00e9\/&<\ud83d\ude00+%25"#,
            "se-cret &quot;é/&amp;&lt;&#128512;&#x2B;%25",
            "se-cret\r\n\"é/&<😀+%25",
            r#"se-cret\r\n\"é/&<😀+%25"#,
        ] {
            assert_eq!(secrets.redact(&format!("x{said}y")), "x[…]y", "{said}");
        }
        assert_eq!(secrets.redact("se-cret \"é/&<😀+%"), "se-cret \"é/&<😀+%");
    }

    #[test]
    fn a_login_in_base64_is_redacted_as_a_whole_wherever_the_secret_is_in_it() {
        let secrets = secrets(&["hunter2-~?>"]);
        for before in ["", "u", "us", "use", "alice", "\0alice\0"] {
            for after in ["", "x", "xy", "xyz", "\u{1}\u{1}"] {
                let login = BASE64.encode(format!("{before}hunter2-~?>{after}").as_bytes());
                let in_url = login.replace('+', "-").replace('/', "_");
                let said = format!(
                    "no Authorization: Basic {login}, {in_url} or {}",
                    login.replace('=', "%3D")
                );
                let redacted = secrets.redact(&said);
                let left = redacted.replace("%3D", "");
                assert_eq!(left, "no Authorization: Basic […], […] or […]", "{login}");
            }
        }
    }

    #[test]
    fn a_message_is_redacted_as_a_whole_and_line_by_line() {
        let secrets = secrets(&[
            "123456",
            "Your code is 123456.\nIt is valid for ten minutes.",
        ]);
        let said = "code 123456: 'Your code is 123456. It is valid for ten minutes.' or \
                    'It is valid for ten minutes.' or 'Your+code+is+123456.%0D%0AIt+is+valid+for+ten+minutes.'";
        assert_eq!(secrets.redact(said), "code […]: '[…]' or '[…]' or '[…]'");
        assert_eq!(secrets.with(Some("hush")).redact("no hush"), "no […]");
    }

    #[test]
    fn a_secret_within_another_does_not_hide_it() {
        assert_eq!(
            secrets(&["abc", "abcdef"]).redact("x abcdef y abc"),
            "x […] y […]"
        );
    }

    #[test]
    fn a_redacted_text_is_one_short_printable_line() {
        let secrets = Secrets::default();
        assert_eq!(secrets.redact("go\r\n\taway \u{1b}[2J"), "go away ?[2J");
        let long = secrets.redact(&"é".repeat(5000));
        assert_eq!(long.chars().count(), 200);
        assert!(long.ends_with('…'));
        assert_eq!(secrets.redact(""), "");
    }

    #[test]
    fn malformed_escapes_are_left_as_they_are() {
        let secrets = secrets(&["hush", " "]);
        for said in [
            "%",
            "%G1",
            "%C3",
            "%FF%FF",
            "\\",
            "\\u12",
            "\\ud83d",
            "&",
            "&;",
            "&#;",
            "&#x110000;",
            "é%é",
        ] {
            assert_eq!(secrets.redact(said), said);
        }
    }

    #[test]
    fn debug_output_shows_no_secret() {
        assert_eq!(format!("{:?}", secrets(&["hush"])), "Secrets(…)");
    }
}
