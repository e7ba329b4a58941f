//! How a request reaches the broker's code: over the socket, or for root in this process if no broker answers.

use nix::unistd::getuid;
use twofa_broker::admin::Administration;
use twofa_broker::{Done, Request};
use twofa_broker::{client, privileges};

use crate::error::CommandError;
use crate::terminal::StandardTerminal;

/// Whether root runs this.
pub(crate) fn is_root() -> bool {
    getuid().is_root()
}

/// Opens the store for root. From here on this process has the rights of the service's user.
pub(crate) fn open() -> Result<Administration, CommandError> {
    Ok(Administration::open()?)
}

/// Has `request` carried out, and shows and asks what comes up meanwhile.
pub(crate) fn carry_out(request: Request) -> Result<Done, CommandError> {
    carry_out_on(&mut StandardTerminal::default(), request)
}

/// The same on this `terminal`.
pub(crate) fn carry_out_on(
    terminal: &mut StandardTerminal,
    request: Request,
) -> Result<Done, CommandError> {
    privileges::harden()?;
    let again = request.clone();
    let done = match client::submit(request) {
        Ok(accepted) => accepted.finish(terminal)?,
        // Nothing has happened yet, and root needs no broker.
        Err(_) if is_root() => open()?.serve(&again, terminal),
        Err(error) => return Err(error.into()),
    };
    match done {
        Done::Failed {
            failure,
            message,
            hint,
        } => {
            let error = CommandError::new(failure, message);
            Err(match hint {
                Some(hint) => error.hinted(hint),
                None => error,
            })
        }
        done => Ok(done),
    }
}
