//! What a terminal has shown, as text.

/// Turns a terminal's output into the text that a person reads: without escape sequences, with plain line ends.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    text: String,
    /// Everything that was pushed.
    output: Vec<u8>,
    /// The beginning of a character or an escape sequence whose end has not arrived.
    pending: Vec<u8>,
}

impl Screen {
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The output as it came, with escape sequences.
    pub(crate) fn output(&self) -> &[u8] {
        &self.output
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
        self.pending.extend_from_slice(bytes);
        let pending = std::mem::take(&mut self.pending);
        let mut rest = pending.as_slice();
        while let Some(&first) = rest.first() {
            let Some(length) = piece(rest) else { break };
            let (this, later) = rest.split_at(length);
            rest = later;
            match first {
                0x1b | b'\r' | 0x07 => {}
                _ => self.text.push_str(&String::from_utf8_lossy(this)),
            }
        }
        self.pending = rest.to_vec();
    }
}

/// How many bytes belong to the character or escape sequence at the start of `bytes`; `None` if it is incomplete.
pub(crate) fn piece(bytes: &[u8]) -> Option<usize> {
    match bytes[0] {
        0x1b => escape(bytes),
        0xc0..=0xdf => all_of(bytes, 2),
        0xe0..=0xef => all_of(bytes, 3),
        0xf0..=0xf7 => all_of(bytes, 4),
        _ => Some(1),
    }
}

fn all_of(bytes: &[u8], length: usize) -> Option<usize> {
    let continued = bytes[1..]
        .iter()
        .take(length - 1)
        .take_while(|&&byte| byte & 0xc0 == 0x80)
        .count();
    // Cut off by the end of what has arrived, or by a byte that does not belong to it.
    (bytes.len() >= length || continued + 1 < bytes.len()).then_some(continued + 1)
}

/// ECMA-48 §5.4 (control sequences), §5.6 (control strings).
fn escape(bytes: &[u8]) -> Option<usize> {
    let end = |from: usize, is_end: fn(u8) -> bool| {
        Some(from + bytes[from..].iter().position(|&byte| is_end(byte))? + 1)
    };
    match bytes.get(1)? {
        b'[' => end(2, |byte| (0x40..=0x7e).contains(&byte)),
        b']' | b'P' | b'^' | b'_' => {
            let end = end(2, |byte| byte == 0x07 || byte == 0x1b)?;
            if bytes[end - 1] == 0x07 {
                Some(end)
            } else {
                bytes.get(end).map(|_| end + 1)
            }
        }
        0x20..=0x2f => end(2, |byte| byte >= 0x30),
        _ => Some(2),
    }
}

#[cfg(test)]
mod tests {
    use super::Screen;

    fn shown(pieces: &[&[u8]]) -> String {
        let mut screen = Screen::default();
        for bytes in pieces {
            screen.push(bytes);
        }
        screen.text().to_owned()
    }

    #[test]
    fn colours_titles_and_carriage_returns_are_not_seen() {
        assert_eq!(
            shown(&[b"\x1b]0;vm\x07\x1b[?2004h\x1b[1;32malice\x1b(B$ \r\n"]),
            "alice$ \n"
        );
    }

    #[test]
    fn what_arrives_in_pieces_is_put_together() {
        assert_eq!(
            shown(&[b"\xe2\x96", b"\x88\x1b[", b"0m\xc3", b"\xa9"]),
            "█é"
        );
    }

    #[test]
    fn bytes_that_are_no_text_do_not_stop_the_rest() {
        assert_eq!(shown(&[b"a\xffb\xe2c"]), "a\u{fffd}b\u{fffd}c");
    }
}
