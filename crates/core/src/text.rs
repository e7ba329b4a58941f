//! Making text from outside safe to show and to log.

pub use twofa_text::{is_unprintable, log_line};

/// `text` with `?` in place of every character that could control a terminal or disguise a line ([`is_unprintable`]).
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if is_unprintable(c) { '?' } else { c })
        .collect()
}

/// Why bytes are not the text of a file that people edit. It quotes none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadText {
    /// It has the byte order mark of UTF-16, or looks like UTF-16 without one.
    #[error("it is UTF-16; save it as UTF-8")]
    Utf16,
    /// The line with this number, from 1, has a NUL.
    #[error("line {0} has a NUL byte")]
    Nul(usize),
    /// The line with this number, from 1, is in some other encoding.
    #[error("line {0} is not UTF-8")]
    NotUtf8(usize),
}

/// The text of a file that people edit, maybe on Windows: without the byte order mark that editors there put before UTF-8.
pub fn decode(bytes: &[u8]) -> Result<&str, BadText> {
    let line = |at: usize| {
        let before = bytes.iter().take(at);
        before.filter(|byte| **byte == b'\n').count() + 1
    };
    // Western text as UTF-16 has a NUL in its first or second byte.
    if matches!(
        bytes,
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, 1..=255, ..] | [1..=255, 0, ..]
    ) {
        return Err(BadText::Utf16);
    }
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        return Err(BadText::Nul(line(at)));
    }
    let text =
        str::from_utf8(bytes).map_err(|error| BadText::NotUtf8(line(error.valid_up_to())))?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_from_windows_reads_and_what_does_not_is_named_by_its_line() {
        assert_eq!(decode(b"\xef\xbb\xbfalice\r\n"), Ok("alice\r\n"));
        assert_eq!(decode("Jürgen".as_bytes()), Ok("Jürgen"));
        assert_eq!(decode(b""), Ok(""));
        for utf16 in [&b"\xff\xfea\0"[..], b"\xfe\xff\0a", b"a\0b\0", b"\0a\0b"] {
            assert_eq!(decode(utf16), Err(BadText::Utf16), "{utf16:?}");
        }
        assert_eq!(decode(b"alice\nb\0b"), Err(BadText::Nul(2)));
        assert_eq!(decode(b"alice\nJ\xfcrgen\n"), Err(BadText::NotUtf8(2)));
    }

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
