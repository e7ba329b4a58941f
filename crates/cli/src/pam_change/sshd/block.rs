//! Lines of twofa's in a file of others: found again and taken off, whatever has become of the rest of the file.

use std::fmt::Write as _;

const BEGIN: &str = "# twofa begin: by 'twofa pam enable'; 'twofa pam disable' removes these lines";
const WAS: &str = "# twofa was: ";
const END: &str = "# twofa end";

/// A block with these lines, each with its end. `was` are the lines that it takes the place of.
pub(super) fn block(was: &[String], lines: &str) -> String {
    let mut text = format!("{BEGIN}\n");
    for line in was {
        let _ = writeln!(text, "{WAS}{line}");
    }
    text + lines + END + "\n"
}

/// Whether there is a block.
pub(super) fn has(text: &str) -> bool {
    text.lines().any(|line| line.trim() == BEGIN)
}

/// The lines that the blocks of a text took the place of.
pub(super) fn replaced(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix(WAS))
        .collect()
}

/// The text without its blocks, and with the lines that they took the place of. Of the lines in a block, those that are
/// `ours` are removed, and others stay.
pub(super) fn strip(text: &str, ours: &dyn Fn(&str) -> bool) -> String {
    let mut left = String::new();
    let mut lines = text.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        if line.trim() != BEGIN {
            left.push_str(line);
            continue;
        }
        // Somebody may have removed the end.
        let has_end = lines
            .clone()
            .map(str::trim)
            .take_while(|line| *line != BEGIN)
            .any(|line| line == END);
        let is_inside = |line: &&str| match line.trim() {
            BEGIN => false,
            inside => has_end && inside != END || is_known(inside, ours),
        };
        let mut inside = Vec::new();
        while let Some(line) = lines.next_if(is_inside) {
            inside.push(line);
        }
        if has_end {
            lines.next();
        }
        left.push_str(&remains(&inside, ours));
    }
    left
}

fn is_known(line: &str, ours: &dyn Fn(&str) -> bool) -> bool {
    line.starts_with(WAS) || ours(line)
}

/// What stays of the lines in a block. A `Match` of sshd's stays with the lines below it.
fn remains(inside: &[&str], ours: &dyn Fn(&str) -> bool) -> String {
    let mut left = String::new();
    for (at, line) in inside.iter().enumerate() {
        let trimmed = line.trim();
        if let Some(was) = trimmed.strip_prefix(WAS) {
            left.push_str(was);
            left.push('\n');
            continue;
        }
        let is_needed = trimmed.starts_with("Match ")
            && inside[at + 1..]
                .iter()
                .map(|line| line.trim())
                .take_while(|line| !line.starts_with("Match "))
                .any(|line| !is_known(line, ours));
        if is_needed || !ours(trimmed) {
            left.push_str(line);
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(line: &str) -> bool {
        ["a", "b", "Match x"].contains(&line)
    }

    #[test]
    fn what_a_block_took_the_place_of_comes_back() {
        let text = format!("above\n{}below\n", block(&["old".to_owned()], "a\nb\n"));
        assert!(has(&text));
        assert_eq!(strip(&text, &ours), "above\nold\nbelow\n");
        assert_eq!(strip("a\nb\n", &ours), "a\nb\n");
    }

    #[test]
    fn lines_of_others_in_a_block_stay() {
        let text = block(&["old".to_owned()], "a\nforeign\nb\n");
        assert_eq!(strip(&text, &ours), "old\nforeign\n");
        let text = block(&[], "a\nMatch x\nb\nforeign\n");
        assert_eq!(strip(&text, &ours), "Match x\nforeign\n");
    }

    #[test]
    fn without_its_end_a_block_ends_with_the_last_of_our_lines() {
        let text = block(&["old".to_owned()], "a\nb\n").replace(&format!("{END}\n"), "");
        assert_eq!(strip(&format!("{text}c\na\n"), &ours), "old\nc\na\n");
    }
}
