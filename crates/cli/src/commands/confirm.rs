//! Warnings before a change, and whether to make it all the same.

use std::io::{self, IsTerminal, Write};

use twofa_proto::Failure;

use crate::arguments::Confirmation;
use crate::error::CommandError;

/// Tells `warnings`.
pub(crate) fn warn(warnings: &[String]) -> Result<(), CommandError> {
    let mut stderr = io::stderr().lock();
    for warning in warnings {
        writeln!(stderr, "warning: {warning}")?;
    }
    Ok(())
}

/// Tells `warnings`, if there are any, and asks whether to go on.
pub(crate) fn agree(
    warnings: &[String],
    Confirmation { yes }: Confirmation,
) -> Result<(), CommandError> {
    if warnings.is_empty() {
        return Ok(());
    }
    warn(warnings)?;
    if yes {
        return Ok(());
    }
    let refused = || {
        CommandError::new(Failure::Failed, "nothing was changed")
            .hinted("say --yes to change it all the same")
    };
    if !io::stdin().is_terminal() {
        return Err(refused());
    }
    let mut stderr = io::stderr().lock();
    write!(stderr, "Change it all the same? [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        Ok(())
    } else {
        Err(refused())
    }
}
