//! The form of the lines about logins and changes in the system log: `key="value"`, one pair after another.

use std::fmt::Write as _;

use crate::is_unprintable;

/// Characters of a value; the rest is cut off and an ellipsis says so.
const MAX_VALUE: usize = 1024;

/// The `pairs` on one line, in their order, without those whose value is empty.
///
/// A value is in quotes and cannot leave them: quotes and backslashes in it have a backslash before them, and what could
/// end or reorder the line is written as `\n` or `\u{202e}`. So `key="` never stands in a value.
pub fn log_line<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut line = String::new();
    for (key, value) in pairs {
        if value.is_empty() {
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(key);
        line.push_str("=\"");
        push_escaped(&mut line, value);
        line.push('"');
    }
    line
}

fn push_escaped(line: &mut String, value: &str) {
    let mut characters = value.chars();
    for c in characters.by_ref().take(MAX_VALUE) {
        if c == '"' || c == '\\' {
            line.push('\\');
            line.push(c);
        } else if is_unprintable(c) {
            // A `String` takes everything.
            let _ = write!(line, "{}", c.escape_default());
        } else {
            line.push(c);
        }
    }
    if characters.next().is_some() {
        line.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_keep_their_order_and_empty_ones_are_left_out() {
        let pairs = [("event", "refused"), ("from", ""), ("user", "Jürgen")];
        assert_eq!(log_line(pairs), "event=\"refused\" user=\"Jürgen\"");
        assert_eq!(log_line([]), "");
    }

    #[test]
    fn a_value_stays_in_its_quotes_and_on_its_line() {
        for (value, written) in [
            (r#"" from="9.9.9.9"#, r#"user="\" from=\"9.9.9.9""#),
            (r#"\" from="9.9.9.9"#, r#"user="\\\" from=\"9.9.9.9""#),
            ("a\nb\u{1b}[2J\0", r#"user="a\nb\u{1b}[2J\u{0}""#),
            ("x\u{202e}y\u{2028}", r#"user="x\u{202e}y\u{2028}""#),
            ("\\", r#"user="\\""#),
        ] {
            assert_eq!(log_line([("user", value)]), written);
        }
    }

    #[test]
    fn a_value_without_end_is_cut_and_closed() {
        let line = log_line([("user", "\"".repeat(5000).as_str()), ("next", "x")]);
        assert!(line.ends_with("…\" next=\"x\""), "{line}");
        assert!(line.len() < 2100, "{}", line.len());
    }
}
