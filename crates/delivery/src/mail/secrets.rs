//! What must never come back in an error, struck out of what others say.

use std::fmt;

use data_encoding::BASE64;
use twofa_core::text::printable;
use zeroize::Zeroizing;

/// How much of what a server or a program said is kept, in characters.
const LONGEST: usize = 200;

/// Passwords, tokens and codes of one exchange, and the forms in which they travel.
#[derive(Clone, Default)]
pub(super) struct Secrets(Vec<Zeroizing<String>>);

impl Secrets {
    /// Adds a secret.
    pub(super) fn add(&mut self, secret: &str) {
        if !secret.is_empty() {
            self.0.push(Zeroizing::new(secret.to_owned()));
            self.0.push(Zeroizing::new(BASE64.encode(secret.as_bytes())));
            // What holds another one is struck out first.
            self.0.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        }
    }

    /// The same secrets and one more.
    pub(super) fn with(&self, secret: Option<&str>) -> Self {
        let mut all = self.clone();
        all.add(secret.unwrap_or_default());
        all
    }

    /// `words` as they may stand in an error: one printable line, not long, and without any of the secrets.
    pub(super) fn strike(&self, words: &str) -> String {
        let mut words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        for secret in &self.0 {
            words = words.replace(secret.as_str(), "[…]");
        }
        let words = printable(&words);
        if words.chars().count() <= LONGEST {
            return words;
        }
        words.chars().take(LONGEST - 1).chain(['…']).collect()
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_struck_out_in_every_form_in_which_they_travel() {
        let mut secrets = Secrets::default();
        secrets.add("hunter2");
        secrets.add("\0alice\0hunter2");
        let said = "unknown: AUTH PLAIN AGFsaWNlAGh1bnRlcjI= and aHVudGVyMg== and hunter2!";
        assert_eq!(secrets.strike(said), "unknown: AUTH PLAIN […] and […] and […]!");
        assert_eq!(secrets.with(Some("123456")).strike("no 123456"), "no […]");
        assert_eq!(format!("{secrets:?}"), "Secrets(…)");
    }

    #[test]
    fn what_a_server_says_becomes_one_short_printable_line() {
        let secrets = Secrets::default();
        assert_eq!(secrets.strike("go\r\n away\u{1b}[2J"), "go away?[2J");
        assert_eq!(secrets.strike(&"é".repeat(5000)).chars().count(), 200);
    }
}
