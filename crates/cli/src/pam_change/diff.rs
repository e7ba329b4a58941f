//! What changes in a file, as `diff -u` shows it, without the lines around.

use std::fmt::Write as _;

use super::step::Step;

/// The lines that a step removes and adds, with the number of each; empty if there are none.
pub(super) fn unified(step: &Step) -> String {
    let old = lines(step.old.as_deref());
    let new = lines(step.new.as_deref());
    if old == new {
        return String::new();
    }
    let missing = |text: &Option<String>| text.is_none().then_some(" (no such file)");
    let mut out = format!(
        "--- {0}{1}\n+++ {0}{2}\n",
        step.path,
        missing(&step.old).unwrap_or_default(),
        missing(&step.new).unwrap_or_default()
    );
    let common = common_lengths(&old, &new);
    let (mut left, mut right) = (0, 0);
    while left < old.len() || right < new.len() {
        if left < old.len() && right < new.len() && old[left] == new[right] {
            (left, right) = (left + 1, right + 1);
        } else if right < new.len()
            && (left == old.len() || common[left][right + 1] >= common[left + 1][right])
        {
            right += 1;
            let _ = writeln!(out, "{right:4} +{}", new[right - 1]);
        } else {
            left += 1;
            let _ = writeln!(out, "{left:4} -{}", old[left - 1]);
        }
    }
    out
}

fn lines(text: Option<&str>) -> Vec<&str> {
    text.unwrap_or_default().lines().collect()
}

/// How many lines the rests of two texts have in common, by where the rests begin.
fn common_lengths(old: &[&str], new: &[&str]) -> Vec<Vec<usize>> {
    let mut lengths = vec![vec![0; new.len() + 1]; old.len() + 1];
    for left in (0..old.len()).rev() {
        for right in (0..new.len()).rev() {
            lengths[left][right] = if old[left] == new[right] {
                lengths[left + 1][right + 1] + 1
            } else {
                lengths[left + 1][right].max(lengths[left][right + 1])
            };
        }
    }
    lengths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_that_change_are_shown() {
        let step = Step {
            path: "/etc/pam.d/x".into(),
            old: Some("a\nb\nc\n".into()),
            new: Some("a\nnew\nb\n".into()),
            like: "/etc/pam.d/x".into(),
        };
        assert_eq!(
            unified(&step),
            "--- /etc/pam.d/x\n+++ /etc/pam.d/x\n   2 +new\n   3 -c\n"
        );
    }
}
