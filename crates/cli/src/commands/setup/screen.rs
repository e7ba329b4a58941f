//! Text that fits the terminal, in whatever characters its locale has.

use std::io::{self, Write};

use crate::error::CommandError;
use crate::messages::setup::{self as texts, Progress};
use crate::output::wrap::wrap;
use crate::output::{locale, terminal_width, wrap_lines};

/// Columns before an item of a list, with one at the end of the line that stays empty.
const MARGIN: usize = 4;
/// Columns of the names of steps, before what has become of them.
const TITLE_WIDTH: usize = 33;
/// From so many columns on, both are on one line.
const WIDE: usize = 64;

/// Shows paragraphs, and lists whose lines are indented.
pub(super) fn say(text: &str) -> Result<(), CommandError> {
    let (mut out, columns) = (io::stdout().lock(), terminal_width());
    for line in in_locale(text).lines() {
        if line.starts_with(' ') {
            write!(out, "{}", wrap_lines(line, columns))?;
        } else {
            writeln!(out, "{}", wrap(line, columns).join("\n"))?;
        }
    }
    Ok(())
}

/// `text` in the characters that the locale has.
pub(super) fn in_locale(text: &str) -> String {
    if locale::is_utf8() {
        text.to_owned()
    } else {
        in_ascii(text)
    }
}

/// `text` with signs of ASCII in place of ours.
fn in_ascii(text: &str) -> String {
    [
        ("✓", "*"),
        ("✔", "*"),
        ("·", "-"),
        ("›", ">"),
        ("❯", ">"),
        ("…", "..."),
    ]
    .iter()
    .fold(text.to_owned(), |text, (sign, ascii)| {
        text.replace(sign, ascii)
    })
}

/// An item of a list, in lines that fit.
pub(super) fn item(text: &str) -> String {
    let room = terminal_width().saturating_sub(MARGIN + 2);
    in_locale(&fit(text, room).join("\n    "))
}

/// A step with what has become of it as an item: beside its name where there is room, else below.
pub(super) fn step(title: &str, progress: &Progress) -> String {
    in_locale(&step_in(title, progress, terminal_width()))
}

fn step_in(title: &str, progress: &Progress, columns: usize) -> String {
    let (sign, what) = texts::progress(progress);
    let is_wide = columns >= WIDE;
    let indent = if is_wide { TITLE_WIDTH + 2 } else { 4 };
    let what = fit(what, columns.saturating_sub(MARGIN + indent));
    let gap = " ".repeat(indent + 2);
    let what = what.join(&format!("\n{gap}"));
    if is_wide {
        format!("{sign} {title:TITLE_WIDTH$}{what}")
    } else {
        format!("{sign} {title}\n{gap}{what}")
    }
}

/// `text` in lines of at most `room` bytes, which are no fewer than its columns: dialoguer counts the lines that it draws
/// over by bytes.
fn fit(text: &str, room: usize) -> Vec<String> {
    let room = room.max(8);
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        for piece in pieces(word, room) {
            match lines.last_mut() {
                Some(line) if line.is_empty() => line.push_str(piece),
                Some(line) if line.len() + 1 + piece.len() <= room => {
                    line.push(' ');
                    line.push_str(piece);
                }
                _ => lines.push(piece.to_owned()),
            }
        }
    }
    lines
}

/// A word in pieces of at most `room` bytes.
fn pieces(word: &str, room: usize) -> Vec<&str> {
    let (mut pieces, mut rest) = (Vec::new(), word);
    while rest.len() > room {
        let boundary = (1..=room).rev().find(|at| rest.is_char_boundary(*at));
        let (piece, more) = rest.split_at(boundary.unwrap_or(rest.len()));
        pieces.push(piece);
        rest = more;
    }
    pieces.push(rest);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_an_item_has_more_bytes_than_the_terminal_has_columns() {
        let names = [
            "none: authenticator app only",
            "東京大学情報基盤センター認証システム",
            "Общество с ограниченной ответственностью",
            "averyveryveryveryveryverylongnamewithoutablankinit",
            "",
        ];
        for columns in [20, 40, 63, 64, 80, 120] {
            for name in names {
                let done = Progress::Done(name.to_owned());
                let shown = step_in("Codes by e-mail or text message", &done, columns);
                let longest = shown.lines().map(str::len).max().unwrap_or(0);
                assert!(longest <= columns || columns == 20, "{columns}: {shown}");
                let without: String = shown.split_whitespace().collect();
                assert!(without.ends_with(&name.replace(' ', "")), "{shown}");
            }
        }
    }

    #[test]
    fn what_has_become_of_a_step_is_below_it_on_a_narrow_terminal() {
        let done = Progress::Done("mail (email), twilio (sms)".to_owned());
        assert_eq!(
            step_in("Codes", &done, 30),
            "✓ Codes\n      mail (email), twilio\n      (sms)"
        );
        let wide = format!("✓ Codes{}mail (email), twilio (sms)", " ".repeat(28));
        assert_eq!(step_in("Codes", &done, 80), wide);
        assert!(in_ascii(&wide).is_ascii());
    }
}
