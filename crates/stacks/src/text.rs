//! Lines and words of a file in `/etc/pam.d`, as Linux-PAM 1.6 and later read them.

/// A line, its continuations joined.
pub(crate) struct Line {
    /// Where it begins, from 1.
    pub(crate) number: usize,
    pub(crate) text: String,
}

/// The lines of a file that are not empty.
pub(crate) struct Lines {
    pub(crate) all: Vec<Line>,
    /// The file ends inside a continuation: libpam refuses it.
    pub(crate) unfinished: bool,
    /// Something that Linux-PAM up to 1.5 reads differently.
    pub(crate) disputed: bool,
}

/// The longest line that Linux-PAM up to 1.5 does not cut.
const LONGEST: usize = 1022;

/// Splits a file into lines. There is no quoting: a `#` begins a comment anywhere.
pub(crate) fn lines(text: &str) -> Lines {
    let mut found = Lines {
        all: Vec::new(),
        unfinished: false,
        disputed: false,
    };
    let mut open: Option<Line> = None;
    // What follows the last newline is no line.
    let text = text.strip_suffix('\n').unwrap_or(text);
    for (index, raw) in text.split('\n').enumerate() {
        let raw = raw.split('\0').next().unwrap_or_default();
        let body = raw.split('#').next().unwrap_or_default();
        let commented = body.len() < raw.len();
        let body = body.trim_start_matches([' ', '\t']);
        let before = open.as_ref().map_or(0, |line| line.text.len());
        found.disputed |= raw.len() + before > LONGEST || (open.is_some() && body.is_empty());
        let line = open.take();
        if let (false, Some(joined)) = (
            commented,
            body.trim_end_matches([' ', '\t']).strip_suffix('\\'),
        ) {
            let mut line = line.unwrap_or(Line {
                number: index + 1,
                text: String::new(),
            });
            line.text.push_str(joined);
            line.text.push(' ');
            open = Some(line);
            continue;
        }
        let mut line = match line {
            None if body.is_empty() => continue,
            line => line.unwrap_or(Line {
                number: index + 1,
                text: String::new(),
            }),
        };
        line.text.push_str(body);
        found.all.push(line);
    }
    found.unfinished = open.is_some();
    found
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
        let text = self.0.take()?.trim_start_matches([' ', '\t']);
        let Some(bracketed) = text.strip_prefix('[') else {
            let (word, rest) = text
                .split_once([' ', '\t'])
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
        lines(text).all.into_iter().map(|line| line.text).collect()
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
        let joined = lines("auth \\\n  required \\ \t\n m.so\nx");
        let texts: Vec<_> = joined
            .all
            .iter()
            .map(|line| (line.number, line.text.as_str()))
            .collect();
        assert_eq!(texts, [(1, "auth  required  m.so"), (4, "x")]);
        assert!(!joined.disputed && !joined.unfinished);
        // Not behind a comment, nor before a carriage return.
        assert_eq!(read("a # b \\\nc"), ["a ", "c"]);
        assert_eq!(read("a \\\r\nc"), ["a \\\r", "c"]);
    }

    #[test]
    fn a_file_that_ends_in_a_continuation_is_noticed() {
        assert!(lines("auth required m.so \\").unfinished);
        assert!(lines("auth required m.so \\\n").unfinished);
        assert!(!lines("auth required m.so \\\n\n").unfinished);
    }

    #[test]
    fn what_old_versions_read_otherwise_is_noticed() {
        assert!(lines("auth permit \\\n# note\nauth deny\n").disputed);
        assert!(lines("auth permit \\\n\nauth deny\n").disputed);
        assert!(lines(&format!("# {}\n", "x".repeat(1022))).disputed);
        assert!(!lines(&format!("# {}\nauth a \\\n b\n", "x".repeat(1000))).disputed);
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
