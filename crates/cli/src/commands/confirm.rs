//! Warnings before a change, and whether to make it.

use std::io::{self, IsTerminal, Write};

use twofa_broker::Failure;

use crate::arguments::Confirmation;
use crate::error::CommandError;
use crate::output::wrap::for_stderr;

/// Shows `warnings`. How many there were.
pub(crate) fn warn(warnings: impl IntoIterator<Item = String>) -> Result<usize, CommandError> {
    let mut stderr = io::stderr().lock();
    let mut count = 0;
    for warning in warnings {
        write!(stderr, "{}", for_stderr(&format!("warning: {warning}")))?;
        count += 1;
    }
    Ok(count)
}

/// Shows `warnings`, if there are any, and asks whether to go on.
pub(crate) fn confirm(
    warnings: impl IntoIterator<Item = String>,
    Confirmation { yes }: Confirmation,
) -> Result<(), CommandError> {
    if warn(warnings)? == 0 || yes {
        return Ok(());
    }
    let refused = || {
        CommandError::new(Failure::Failed, "nothing was changed")
            .hinted("add --yes to make the change anyway")
    };
    if !io::stdin().is_terminal() {
        return Err(refused());
    }
    let mut stderr = io::stderr().lock();
    write!(stderr, "Make the change anyway? [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        Ok(())
    } else {
        Err(refused())
    }
}
