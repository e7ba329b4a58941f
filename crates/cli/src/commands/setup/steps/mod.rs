//! The steps of a set-up, in their order, one file for each.

mod login;
mod name;
mod pam;
mod providers;
mod services;
mod who;
mod yourself;

use super::state::{Progress, State};
use crate::error::CommandError;

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

pub(super) const STEPS: [Step; 7] = [
    name::STEP,
    providers::STEP,
    yourself::STEP,
    who::STEP,
    services::STEP,
    pam::STEP,
    login::STEP,
];
