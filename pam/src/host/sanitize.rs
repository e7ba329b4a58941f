//! Text without characters that steer: it may hold names that strangers chose.

use twofa_text::is_unprintable;
use zeroize::Zeroizing;

/// `text` for one line of the log: characters that could end the line, or make it read as another, are escaped.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unprintable(c) {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

/// `text` for a terminal: characters that could steer it or end a C string become question marks. It may hold a key, so
/// it is wiped.
pub fn harmless(text: &str) -> Zeroizing<String> {
    // No character becomes longer, so the buffer does not grow and leave a copy behind.
    let mut harmless = Zeroizing::new(String::with_capacity(text.len()));
    harmless.extend(text.chars().map(|c| {
        if is_unprintable(c) && !matches!(c, '\n' | '\t') {
            '?'
        } else {
            c
        }
    }));
    harmless
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_logged_cannot_start_another_line() {
        assert_eq!(
            one_line("a\nb\r\0\x1b[2J\u{85}ü"),
            r"a\nb\r\u{0}\u{1b}[2J\u{85}ü"
        );
        assert_eq!(
            one_line("a\u{2028}b\u{202e}c\u{feff}"),
            r"a\u{2028}b\u{202e}c\u{feff}"
        );
    }

    #[test]
    fn what_the_broker_shows_as_a_question_mark_is_one_here_too() {
        for c in ('\0'..=char::MAX).filter(|c| !matches!(c, '\n' | '\t')) {
            let text = c.to_string();
            assert_eq!(
                *harmless(&text),
                twofa_core::text::printable(&text),
                "{}",
                c.escape_unicode()
            );
            assert_eq!(
                one_line(&text) != text,
                is_unprintable(c),
                "{}",
                c.escape_unicode()
            );
        }
    }

    #[test]
    fn what_is_shown_cannot_steer_a_terminal_and_a_qr_code_is_unchanged() {
        assert_eq!(
            *harmless("a\0b\x1b[2J\u{9b}1m\r\u{202e}c\u{2066}\u{200b}"),
            "a?b?[2J?1m??c??"
        );
        let qr = "Scan this:\n█▀▄ ü\t•••• 4567\n";
        assert_eq!(*harmless(qr), qr);
    }
}
