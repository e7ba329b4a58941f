//! Making text from outside safe to show and to log.

pub use twofa_text::is_unprintable;

/// `text` with `?` in place of every character that could control a terminal or disguise a line ([`is_unprintable`]).
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if is_unprintable(c) { '?' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_control_a_terminal_or_reverse_a_line_are_replaced() {
        assert_eq!(printable("al\u{1b}[2Jice\n"), "al?[2Jice?");
        assert_eq!(
            printable("sshd\u{202e}gol\u{2066}x\u{200b}\u{feff}"),
            "sshd?gol?x??"
        );
        assert_eq!(printable("Büro 7 – 東京"), "Büro 7 – 東京");
    }
}
