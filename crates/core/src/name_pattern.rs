//! A pattern for names of hosts, such as `web-*`.

use std::fmt;
use std::str::FromStr;

/// The longest pattern, in bytes; a name is no longer.
const LONGEST: usize = 64;

/// What the names of some hosts look like: `*` stands for any number of characters, `?` for one, and all others for themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern(String);

/// The text is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a pattern for host names consists of a-z, 0-9, '-', '.', '*' and '?', as in 'web-*', and has 64 characters at most"
)]
pub struct NotAPattern;

impl NamePattern {
    /// Whether `name` looks like that.
    pub fn matches(&self, name: &str) -> bool {
        matches(self.0.as_bytes(), name.as_bytes())
    }

    /// The text of the pattern.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A star is tried with as few bytes as possible first; only the last one seen has to be tried with more.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star = None;
    while let Some(byte) = name.get(n) {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(found) if found == byte || *found == b'?' => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((at, taken)) = star else {
                    return false;
                };
                star = Some((at, taken + 1));
                p = at + 1;
                n = taken + 1;
            }
        }
    }
    pattern.iter().skip(p).all(|byte| *byte == b'*')
}

impl FromStr for NamePattern {
    type Err = NotAPattern;

    fn from_str(text: &str) -> Result<Self, NotAPattern> {
        let is_good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.*?".contains(c);
        if (1..=LONGEST).contains(&text.len()) && text.chars().all(is_good) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAPattern)
        }
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything_and_a_question_mark_for_one_character() {
        for (pattern, name, expected) in [
            ("web-*", "web-1", true),
            ("web-*", "web-", true),
            ("web-*", "web-1.example.com", true),
            ("web-*", "web", false),
            ("web-*", "db-web-1", false),
            ("web-?", "web-1", true),
            ("web-?", "web-10", false),
            ("*.example.com", "web.example.com", true),
            ("*.example.com", "web.example.com.evil", false),
            ("*a*b", "xaxaxb", true),
            ("*a*b", "xaxaxbx", false),
            ("a*b*c", "abbbc", true),
            ("*", "", true),
            ("?", "", false),
            ("web1", "web1", true),
            ("web1", "web11", false),
            ("web.1", "web-1", false),
        ] {
            let read: NamePattern = pattern.parse().unwrap();
            assert_eq!(read.matches(name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn what_no_host_can_be_called_is_in_no_pattern() {
        for text in ["", "Web-*", "web *", "web/*", "[ab]", &"x".repeat(65)] {
            assert_eq!(text.parse::<NamePattern>(), Err(NotAPattern), "{text}");
        }
    }
}
