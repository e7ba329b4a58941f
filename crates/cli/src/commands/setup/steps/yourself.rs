//! The person who sets the machine up enrols first, so that no rule can lock them out.

use super::super::state::State;
use super::super::step::Step;
use super::super::{ask, commands};
use crate::error::CommandError;
use crate::messages::setup as texts;
use crate::messages::setup::Progress;

pub(super) const STEP: Step = Step {
    title: "Your own second factor",
    explanation: texts::YOURSELF,
    progress,
    run,
};

fn progress(state: &State) -> Progress {
    if !state.has_app || state.backup_codes == 0 {
        return Progress::Open;
    }
    Progress::Done(texts::enrolled(&state.user, state.backup_codes))
}

fn run(state: &State) -> Result<bool, CommandError> {
    let user = state.user.as_str();
    if state.has_app && state.backup_codes > 0 && !ask::agree(texts::ENROL_AGAIN, false)? {
        return Ok(true);
    }
    if state.has_app && state.backup_codes == 0 {
        return commands::run(&["codes", "--new", "--user", user]);
    }
    commands::run(&["enrol", "app", "--user", user])
}
