//! What must not get into an error: struck out of what a provider says.

use std::fmt;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use twofa_core::text::printable;

/// What is left of a longer text.
const LONGEST: usize = 200;
/// What stands where something was struck out.
const STRUCK: &str = "***";

/// Texts that must not be shown: passwords and keys, codes, messages.
#[derive(Clone, Default)]
pub(super) struct Secrets(Vec<Zeroizing<String>>);

impl Secrets {
    /// Strikes out `secret` as well: as it is, line by line, and as it stands in a URL or a JSON text.
    pub(super) fn add(&mut self, secret: &str) {
        let escaped = serde_json::Value::from(secret).to_string();
        let in_url = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
        let in_form = in_url.replace("%20", "+");
        for text in [secret, escaped.trim_matches('"'), &in_url, &in_form].into_iter().chain(secret.lines()) {
            if !text.trim().is_empty() && self.0.iter().all(|known| known.as_str() != text) {
                self.0.push(Zeroizing::new(text.to_owned()));
            }
        }
        // A secret that is a part of another one must not keep it from being found.
        self.0.sort_by_key(|text| std::cmp::Reverse(text.len()));
    }

    /// `said` as one printable line of at most 200 characters, without any of the secrets.
    pub(super) fn strike(&self, said: &str) -> String {
        let mut text = said.to_owned();
        for secret in &self.0 {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), STRUCK);
            }
        }
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        // A line break within a secret is a space by now.
        let line = self.0.iter().fold(line, |line, secret| {
            let flat = secret.split_whitespace().collect::<Vec<_>>().join(" ");
            if !flat.is_empty() && line.contains(&flat) { line.replace(&flat, STRUCK) } else { line }
        });
        let line = printable(&line);
        if line.chars().count() <= LONGEST {
            return line;
        }
        line.chars().take(LONGEST - 1).chain(['…']).collect()
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_struck_out_however_they_are_written() {
        let mut secrets = Secrets::default();
        secrets.add("se cret/é");
        secrets.add("123456");
        secrets.add("Your code is 123456.\nIt is good for ten minutes.");
        let said = "bad se cret/é se%20cret%2F%C3%A9 se+cret%2F%C3%A9 code 123456: 'Your code is 123456. It is good for ten minutes.'";
        assert_eq!(secrets.strike(said), "bad *** *** *** code ***: '*** ***'");
    }

    #[test]
    fn a_secret_within_another_does_not_hide_it() {
        let mut secrets = Secrets::default();
        secrets.add("abc");
        secrets.add("abcdef");
        assert_eq!(secrets.strike("x abcdef y abc"), "x *** y ***");
    }

    #[test]
    fn what_a_provider_says_is_one_short_printable_line() {
        let secrets = Secrets::default();
        assert_eq!(secrets.strike("a\r\n\tb \u{1b}[2Jc"), "a b ?[2Jc");
        let long = secrets.strike(&"é".repeat(500));
        assert_eq!(long.chars().count(), 200);
        assert!(long.ends_with('…'));
    }
}
