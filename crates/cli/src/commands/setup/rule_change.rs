//! A change of the rules, which is shown before it is made.

use std::io::{self, Write};

use super::screen::say;
use super::{ask, commands};
use crate::error::CommandError;
use crate::messages::policy::{NEEDS_YES, NO_SECOND_FACTOR, NOTHING_WOULD_CHANGE};
use crate::messages::setup as texts;

/// When Enter alone makes a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offer {
    Always,
    /// Only if the change has no warning.
    WithoutWarning,
}

/// Shows what the command would do to people, and runs it if that is wanted.
pub(super) fn change(command: &[&str], offer: Offer) -> Result<bool, CommandError> {
    let dry = [command, &["--dry-run"]].concat();
    writeln!(io::stdout(), "{}", texts::command(&dry))?;
    let output = commands::run_with(&dry, "")?;
    let warnings = String::from_utf8_lossy(&output.stderr);
    say(&warnings)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let shown = text.lines().filter(|line| *line != NEEDS_YES);
    say(&shown.collect::<Vec<_>>().join("\n"))?;
    if text.starts_with(NOTHING_WOULD_CHANGE) {
        return Ok(true);
    }
    let is_mandatory = command.contains(&"mode=mandatory");
    if is_mandatory && output.status.success() && !warnings.contains(NO_SECOND_FACTOR) {
        say(texts::ALL_HAVE_ONE)?;
    }
    let is_offered = offer == Offer::Always || warnings.trim().is_empty();
    if !output.status.success() || !ask::agree(texts::MAKE_THE_CHANGE, is_offered)? {
        return Ok(false);
    }
    commands::run(&[command, &["--yes"]].concat())
}
