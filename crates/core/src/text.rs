//! Making text from outside safe to show and to log.

/// `text` with `?` in place of every character that could control a terminal or disguise a line: control characters, and
/// Unicode's invisible and direction-changing characters (general categories Cc, Cf, Zl and Zp).
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if is_unprintable(c) { '?' } else { c })
        .collect()
}

/// Whether [`printable`] replaces `c`.
pub fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}'
            | '\u{8e2}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0001}' | '\u{e0020}'..='\u{e007f}')
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
