//! Text from outside, made fit to be shown and logged.

/// `text` with everything replaced that could steer a terminal or make a line read as another one: control
/// characters, and Unicode's invisible and direction-changing ones (general categories Cc, Cf, Zl and Zp).
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if is_unprintable(c) { '?' } else { c })
        .collect()
}

/// Whether `c` is one that [`printable`] replaces.
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
    fn nothing_that_steers_a_terminal_or_turns_a_line_round_is_left() {
        assert_eq!(printable("al\u{1b}[2Jice\n"), "al?[2Jice?");
        assert_eq!(
            printable("sshd\u{202e}gol\u{2066}x\u{200b}\u{feff}"),
            "sshd?gol?x??"
        );
        assert_eq!(printable("Büro 7 – 東京"), "Büro 7 – 東京");
    }
}
