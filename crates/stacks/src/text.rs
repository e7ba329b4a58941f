//! Lines and words of a file in `/etc/pam.d`.

use std::ops::Range;

use crate::host::LineReading;

/// A line, its continuations joined.
pub(crate) struct Line {
    /// Where it begins, from 1.
    pub(crate) number: usize,
    /// The bytes of the file that it is read from, with comments at its end and inside it, and its last newline.
    pub(crate) bytes: Range<usize>,
    /// With the newline at its end, if it has one.
    pub(crate) text: String,
}

/// The lines of a file that are not empty.
#[derive(Default)]
pub(crate) struct Lines {
    pub(crate) all: Vec<Line>,
    /// The file ends inside a continuation: libpam refuses it.
    pub(crate) unfinished: bool,
    /// Something that versions of Linux-PAM read differently.
    pub(crate) disputed: bool,
    /// The line at whose end libpam never arrives.
    pub(crate) endless: Option<usize>,
}

/// The buffer in which Linux-PAM up to 1.5 joins a line, in bytes with the zero at its end.
const BUFFER: usize = 1024;

/// Splits a file into lines. There is no quoting: a `#` begins a comment anywhere.
pub(crate) fn lines(text: &str, reading: LineReading) -> Lines {
    match reading {
        LineReading::UpTo15 => cut(text.as_bytes()),
        LineReading::Since16 => Lines {
            disputed: false,
            ..whole(text)
        },
        LineReading::Unknown => whole(text),
    }
}

/// As Linux-PAM 1.6 and later do, `_pam_line_assemble`.
fn whole(text: &str) -> Lines {
    let mut found = Lines::default();
    let mut open: Option<Line> = None;
    let mut end = 0;
    for (index, raw) in text.split_inclusive('\n').enumerate() {
        let start = end;
        end += raw.len();
        let raw = raw.split('\0').next().unwrap_or_default();
        let body = raw.split('#').next().unwrap_or_default();
        let commented = body.len() < raw.len();
        let body = body.trim_start_matches([' ', '\t']);
        let is_empty = matches!(body, "" | "\n");
        let before = open.as_ref().map_or(0, |line| line.text.len());
        found.disputed |= raw.len() + before >= BUFFER || (open.is_some() && is_empty);
        let line = open.take();
        if is_empty && line.is_none() {
            continue;
        }
        let mut line = line.unwrap_or(Line {
            number: index + 1,
            bytes: start..start,
            text: String::new(),
        });
        line.bytes.end = end;
        if let (false, Some(joined)) = (commented, body.trim_end_matches(BLANKS).strip_suffix('\\'))
        {
            line.text.push_str(joined);
            line.text.push(' ');
            open = Some(line);
        } else {
            line.text.push_str(body);
            if !line.text.trim_matches(BLANKS).is_empty() {
                found.all.push(line);
            }
        }
    }
    found.unfinished = open.is_some();
    found
}

/// As Linux-PAM up to 1.5 does, `_pam_assemble_line`.
fn cut(all: &[u8]) -> Lines {
    let mut found = Lines::default();
    let (mut buffer, mut number, mut begin) = (Vec::new(), 1, 1);
    let (mut rest, mut start) = (all, 0);
    loop {
        let room = BUFFER - 1 - buffer.len();
        if room == 0 {
            found.endless = Some(begin);
            return found;
        }
        if rest.is_empty() {
            found.unfinished = !buffer.is_empty();
            return found;
        }
        if buffer.is_empty() {
            begin = number;
            start = all.len() - rest.len();
        }
        let newline = rest.iter().position(|byte| *byte == b'\n');
        let (piece, behind) = rest.split_at(newline.map_or(rest.len(), |at| at + 1).min(room));
        rest = behind;
        number += usize::from(piece.ends_with(b"\n"));
        let piece = until(piece, 0);
        let body = until(piece, b'#');
        let is_blank = |byte: &u8| BLANKS.contains(&char::from(*byte));
        let Some(last) = body.iter().rposition(|byte| !is_blank(byte)) else {
            continue;
        };
        if body.len() == piece.len() && body[last] == b'\\' {
            buffer.extend_from_slice(&body[..last]);
            buffer.push(b' ');
        } else {
            buffer.extend_from_slice(body);
            found.all.push(Line {
                number: begin,
                bytes: start..all.len() - rest.len(),
                text: String::from_utf8_lossy(&buffer).into_owned(),
            });
            buffer.clear();
        }
    }
}

/// What separates words.
const BLANKS: [char; 3] = [' ', '\t', '\n'];

fn until(bytes: &[u8], end: u8) -> &[u8] {
    bytes.split(|byte| *byte == end).next().unwrap_or_default()
}

/// The words of a line: split at blanks and tabs, or between brackets.
pub(crate) struct Words<'a>(Option<&'a str>);

impl<'a> Words<'a> {
    pub(crate) const fn new(line: &'a str) -> Self {
        Self(Some(line))
    }
}

impl Iterator for Words<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let text = self.0.take()?.trim_start_matches(BLANKS);
        let Some(bracketed) = text.strip_prefix('[') else {
            let (word, rest) = text
                .split_once(BLANKS)
                .map_or((text, None), |(word, rest)| (word, Some(rest)));
            self.0 = rest;
            return (!word.is_empty()).then(|| word.to_owned());
        };
        let mut word = String::new();
        let mut letters = bracketed.char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                ']' => {
                    self.0 = bracketed.get(at + 1..);
                    break;
                }
                '\\' if letters.as_str().starts_with(']') => {
                    letters.next();
                    word.push(']');
                }
                letter => word.push(letter),
            }
        }
        Some(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<String> {
        lines(text, LineReading::Since16)
            .all
            .into_iter()
            .map(|line| line.text.trim_end_matches('\n').to_owned())
            .collect()
    }

    fn unknown(text: &str) -> Lines {
        lines(text, LineReading::Unknown)
    }

    fn words(line: &str) -> Vec<String> {
        Words::new(line).collect()
    }

    #[test]
    fn comments_and_empty_lines_are_left_out() {
        assert_eq!(read("# all\n\n \t\nauth a b # c\nx#y"), ["auth a b ", "x"]);
        assert_eq!(read("auth [a#b] c"), ["auth [a"]);
        assert_eq!(read("auth a\0b\nc"), ["auth a", "c"]);
    }

    #[test]
    fn a_line_continues_after_a_backslash() {
        let joined = unknown("auth \\\n  required \\ \t\n m.so\nx");
        let texts: Vec<_> = joined
            .all
            .iter()
            .map(|line| (line.number, line.text.as_str()))
            .collect();
        assert_eq!(texts, [(1, "auth  required  m.so\n"), (4, "x")]);
        assert!(!joined.disputed && !joined.unfinished);
        // A comment ends it, and then there may be nothing.
        assert_eq!(read("x\\\n# b\nc\n\\\n# b\n"), ["x ", "c"]);
        // Not behind a comment, nor before a carriage return.
        assert_eq!(read("a # b \\\nc"), ["a ", "c"]);
        assert_eq!(read("a \\\r\nc"), ["a \\\r", "c"]);
    }

    #[test]
    fn a_file_that_ends_in_a_continuation_is_noticed() {
        assert!(unknown("auth required m.so \\").unfinished);
        assert!(unknown("auth required m.so \\\n").unfinished);
        assert!(!unknown("auth required m.so \\\n\n").unfinished);
    }

    #[test]
    fn what_old_versions_read_otherwise_is_noticed() {
        assert!(unknown("auth permit \\\n# note\nauth deny\n").disputed);
        assert!(unknown("auth permit \\\n\nauth deny\n").disputed);
        assert!(unknown(&format!("# {}\n", "x".repeat(1022))).disputed);
        assert!(!unknown(&format!("# {}\nauth a \\\n b\n", "x".repeat(1000))).disputed);
    }

    #[test]
    fn up_to_1_5_a_long_line_is_cut_and_its_rest_is_a_line() {
        let read = |text: &str| -> Vec<(usize, usize)> {
            let found = lines(text, LineReading::UpTo15);
            assert!(found.endless.is_none() && !found.unfinished);
            let all = found.all.iter();
            all.map(|line| (line.number, line.text.len())).collect()
        };
        let comment = format!("#{}auth sufficient\nauth x\n", "x".repeat(1022));
        assert_eq!(read(&comment), [(1, 16), (2, 7)]);
        // A comment does not end a continuation.
        assert_eq!(read("auth \\\n# note\n\nx\ny\n"), [(1, 8), (5, 2)]);
        assert_eq!(
            read(&format!("auth \\\n{}\n", "x".repeat(1100))),
            [(1, 1023), (2, 84)]
        );
    }

    #[test]
    fn up_to_1_5_a_continuation_that_fills_the_buffer_never_ends() {
        let text = |length| format!("\n{}\\\nx\n", "x".repeat(length));
        let endless = |length| lines(&text(length), LineReading::UpTo15).endless;
        assert_eq!(endless(1020), None);
        assert_eq!(endless(1022), Some(2));
        assert_eq!(endless(1023), None);
    }

    #[test]
    fn brackets_hold_a_word_together_only_where_one_begins() {
        assert_eq!(
            words("[auth] [success=ok default=bad] m.so"),
            ["auth", "success=ok default=bad", "m.so"]
        );
        assert_eq!(
            words("[i]j [a [b] c\\] [d\\]e]"),
            ["i", "j", "a [b", "c\\]", "d]e"]
        );
        assert_eq!(words("x=[a b] [open"), ["x=[a", "b]", "open"]);
        assert_eq!(words("\ta\t\t b "), ["a", "b"]);
        assert_eq!(words("[] x"), ["", "x"]);
    }
}
