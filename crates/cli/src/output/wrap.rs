//! Text in lines of a terminal's width, broken between words alone.

use std::env;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;

use terminal_size::terminal_size_of;
use unicode_width::UnicodeWidthStr;

/// Columns of a terminal that does not say how many it has, as a serial line does.
const USUAL_WIDTH: usize = 80;

/// Columns of the terminal that standard output is, unless `COLUMNS` says otherwise.
pub(crate) fn terminal_width() -> usize {
    width_of(&io::stdout())
}

fn width_of(terminal: &impl AsFd) -> usize {
    let by_environment = env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    let columns = by_environment.filter(|columns| *columns > 0).or_else(|| {
        let (columns, _) = terminal_size_of(terminal)?;
        Some(usize::from(columns.0))
    });
    columns
        .filter(|columns| *columns > 0)
        .unwrap_or(USUAL_WIDTH)
}

/// `text` in lines for standard error, broken between words if that is a terminal.
pub(crate) fn for_stderr(text: &str) -> String {
    let stderr = io::stderr();
    if stderr.is_terminal() {
        wrap_lines(text, width_of(&stderr))
    } else {
        format!("{text}\n")
    }
}

/// Columns that `text` takes: two for a wide character of East Asia, none for an accent that combines or a style.
pub(super) fn width(text: &str) -> usize {
    if text.contains('\u{1b}') {
        return anstream::adapter::strip_str(text).to_string().width();
    }
    text.width()
}

/// The words of `text`. A date and the time after it are one word.
pub(super) fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (word, more) = rest.split_at(end_of_word(rest));
        words.push(word);
        rest = more.trim_start();
    }
    words
}

/// What of a word is never broken: a list without blanks may be, after its commas, if it has no room in one line.
pub(super) fn parts(word: &str) -> impl Iterator<Item = &str> {
    word.split_inclusive(',')
}

fn end_of_word(text: &str) -> usize {
    let blank = |text: &str| text.find(' ').unwrap_or(text.len());
    let first = blank(text);
    let is_time = |text: &str| {
        let bytes = text.as_bytes();
        matches!(bytes, [a, b, b':', c, d, ..] if [a, b, c, d].iter().all(|b| b.is_ascii_digit()))
    };
    match text.get(first + 1..) {
        Some(after) if is_date(text.get(..first).unwrap_or_default()) && is_time(after) => {
            first + 1 + blank(after)
        }
        _ => first,
    }
}

/// `2027-06-30`
fn is_date(word: &str) -> bool {
    let parts: Vec<_> = word.split('-').collect();
    let lengths: Vec<_> = parts.iter().map(|part| part.len()).collect();
    lengths == [4, 2, 2]
        && parts
            .iter()
            .all(|part| part.bytes().all(|b| b.is_ascii_digit()))
}

/// Columns of the longest part of a word of `text`.
pub(super) fn longest_part(text: &str) -> usize {
    let words = words(text).into_iter();
    words.flat_map(parts).map(width).max().unwrap_or(0)
}

/// `text` in lines of at most `columns`; what cannot be broken and is longer has a line of its own.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    wrap_hanging(text, columns, columns)
}

/// The same, with `first` columns in the first line and `columns` in the others.
fn wrap_hanging(text: &str, first: usize, columns: usize) -> Vec<String> {
    if width(text) <= first {
        return vec![text.to_owned()];
    }
    let (mut lines, mut line, mut room) = (Vec::new(), String::new(), first);
    let mut push = |piece: &str, gap: usize| {
        if !line.is_empty() && width(&line) + gap + width(piece) > room {
            lines.push(std::mem::take(&mut line));
            room = columns;
        }
        let gap = if line.is_empty() { 0 } else { gap };
        line.push_str(&" ".repeat(gap));
        line.push_str(piece);
    };
    for word in words(text) {
        if width(word) <= columns {
            push(word, 1);
            continue;
        }
        for (number, part) in parts(word).enumerate() {
            push(part, usize::from(number == 0));
        }
    }
    lines.push(line);
    lines
}

/// `text` of several lines in lines of at most `columns`. The rest of a line that is too long is indented by two more
/// columns than its beginning.
pub(crate) fn wrap_lines(text: &str, columns: usize) -> String {
    let mut wrapped = String::with_capacity(text.len());
    for line in text.lines() {
        if width(line) <= columns {
            wrapped.push_str(line);
            wrapped.push('\n');
            continue;
        }
        let indent = line.len() - line.trim_start_matches(' ').len();
        let (first, rest) = (
            columns.saturating_sub(indent),
            columns.saturating_sub(indent + 2),
        );
        // Several facts in one line, with wide gaps between them, become lines of their own.
        for fact in line.trim_start().split("   ") {
            let lines = wrap_hanging(fact.trim_start(), first, rest);
            wrapped.push_str(&" ".repeat(indent));
            wrapped.push_str(&lines.join(&format!("\n{}", " ".repeat(indent + 2))));
            wrapped.push('\n');
        }
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_and_a_date_keeps_its_time() {
        assert_eq!(
            wrap("locked until 2026-11-26 22:10:00, or so", 20),
            ["locked until", "2026-11-26 22:10:00,", "or so"]
        );
        assert_eq!(
            wrap("methods app,email,sms,backup", 20),
            ["methods", "app,email,sms,backup"]
        );
        assert_eq!(
            wrap("app,email,sms,backup", 12),
            ["app,email,", "sms,backup"]
        );
        assert_eq!(wrap("東京 都庁 前", 7), ["東京", "都庁 前"]);
        assert_eq!(
            wrap("e\u{301}te\u{301} e\u{301}", 5),
            ["e\u{301}te\u{301} e\u{301}"]
        );
        assert_eq!(wrap("averylongword is it", 6), ["averylongword", "is it"]);
        assert_eq!(wrap("", 6), [""]);
    }

    #[test]
    fn the_rest_of_a_long_line_is_indented() {
        assert_eq!(
            wrap_lines(
                "problem: a b c d e f\n  To verify it: x y z\nshort\nA: one   B: two\n",
                14
            ),
            "problem: a b c\n  d e f\n  To verify\n    it: x y z\nshort\nA: one\nB: two\n"
        );
    }

    #[test]
    fn what_is_no_date_is_two_words() {
        for text in ["2026-11 22:10", "2026-11-26 noon", "a2026-11-26 22:10"] {
            assert_eq!(words(text).len(), 2, "{text}");
        }
        assert_eq!(words("2026-11-26 22:10:00 x").len(), 2);
    }
}
