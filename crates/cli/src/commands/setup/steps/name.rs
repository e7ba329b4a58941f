//! The name that people see in their apps and at the prompt.

use super::super::state::State;
use super::super::step::Step;
use super::super::{ask, commands};
use crate::error::CommandError;
use crate::messages::setup as texts;
use crate::messages::setup::Progress;

pub(super) const STEP: Step = Step {
    title: "Name",
    explanation: texts::NAME,
    progress,
    run,
};

const KEY: &str = "application-name";

fn progress(state: &State) -> Progress {
    match state.setting(KEY) {
        "" => Progress::Skippable("the host name".to_owned()),
        name => Progress::Done(name.to_owned()),
    }
}

fn run(state: &State) -> Result<bool, CommandError> {
    let name = ask::line(texts::WHICH_NAME, state.setting(KEY))?;
    if name == state.setting(KEY) {
        return Ok(true);
    }
    commands::run(&["policy", "set", &format!("{KEY}={name}")])
}
