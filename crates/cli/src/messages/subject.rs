//! Whose record a command is about, where root runs it on somebody's behalf.

/// Asks which of `root` and `caller` is meant.
pub(crate) fn question(root: &str, caller: &str) -> String {
    format!("This runs as {root}, for {caller}. Whose second factor is meant: {caller} or {root}? ")
}

/// Nobody said which of the two is meant.
pub(crate) fn unclear(root: &str, caller: &str) -> String {
    format!("it is not clear whether this is for {caller} or for {root}, so nothing was changed")
}

/// How to say it: the command line `words` with each of the names.
pub(crate) fn both_commands(words: &[String], root: &str, caller: &str) -> String {
    let (own, for_root) = (with_user(words, caller), with_user(words, root));
    format!("for {caller}: 'twofa {own}', or without sudo; for {root}: 'twofa {for_root}'")
}

/// That what is shown is about `root`.
pub(crate) fn shown(root: &str, caller: &str) -> String {
    format!("note: this is about {root}; for {caller}, add '--user {caller}' or leave sudo out")
}

fn with_user(words: &[String], user: &str) -> String {
    let is_plain = |word: &str| {
        let is_harmless = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./_-".contains(c);
        !word.is_empty() && word.chars().all(is_harmless)
    };
    let mut words: Vec<_> = words
        .iter()
        .map(|word| {
            if is_plain(word) {
                word.clone()
            } else {
                format!("\"{}\"", word.escape_debug())
            }
        })
        .collect();
    let end = words.iter().position(|word| word == "--");
    words.insert(end.unwrap_or(words.len()), format!("--user {user}"));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_commands_can_be_typed_as_they_are_shown() {
        let words = |text: &[&str]| {
            text.iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            both_commands(
                &words(&["enrol", "app", "--label", "my phone"]),
                "root",
                "alice"
            ),
            "for alice: 'twofa enrol app --label \"my phone\" --user alice', or without sudo; \
             for root: 'twofa enrol app --label \"my phone\" --user root'"
        );
        assert_eq!(
            with_user(&words(&["remove", "--", "-x"]), "alice"),
            "remove --user alice -- -x"
        );
    }
}
