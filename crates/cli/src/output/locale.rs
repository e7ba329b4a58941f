//! What the locale says about the terminal.

use std::env;

/// Whether the terminal shows characters beyond ASCII.
pub(crate) fn is_utf8() -> bool {
    is_utf8_by(|name| env::var(name).ok())
}

/// The same by the environment that `variable` reads (POSIX.1 §8.2: the first of these that is set and not empty counts).
fn is_utf8_by(variable: impl Fn(&str) -> Option<String>) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .filter_map(variable)
        .find(|value| !value.is_empty())
        .unwrap_or_default()
        .to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_variable_that_is_set_says_whether_the_locale_is_utf8() {
        let locale = |all: &str, ctype: &str, lang: &str| {
            let (all, ctype, lang) = (all.to_owned(), ctype.to_owned(), lang.to_owned());
            is_utf8_by(move |name| match name {
                "LC_ALL" => Some(all.clone()),
                "LC_CTYPE" => Some(ctype.clone()),
                _ => Some(lang.clone()),
            })
        };
        assert!(locale("", "", "de_DE.UTF-8"));
        assert!(locale("C.utf8", "C", "C"));
        assert!(!locale("C", "", "de_DE.UTF-8"));
        assert!(!locale("", "de_DE", "de_DE.UTF-8"));
        assert!(!is_utf8_by(|_| None));
    }
}
