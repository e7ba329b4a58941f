//! What a step of a set-up is.

use super::state::State;
use crate::error::CommandError;
use crate::messages::setup::Progress;

/// One step of a set-up.
pub(super) struct Step {
    /// A few words for a list.
    pub(super) title: &'static str,
    /// What it is about, and the plain commands.
    pub(super) explanation: &'static str,
    pub(super) progress: fn(&State) -> Progress,
    /// Asks and applies; `false`: it is offered again.
    pub(super) run: fn(&State) -> Result<bool, CommandError>,
}
