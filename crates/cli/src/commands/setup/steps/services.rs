//! At which services a code is asked for.

use super::super::state::State;
use super::super::step::Step;
use super::super::{ask, commands};
use crate::error::CommandError;
use crate::messages::setup as texts;
use crate::messages::setup::Progress;

pub(super) const STEP: Step = Step {
    title: "At which services",
    explanation: texts::SERVICES,
    progress,
    run,
};

fn progress(state: &State) -> Progress {
    match state.setting("services") {
        "all" => Progress::Skippable("all".to_owned()),
        services => Progress::Done(services.to_owned()),
    }
}

fn run(state: &State) -> Result<bool, CommandError> {
    let services = ask::line(texts::WHICH_SERVICES, state.setting("services"))?;
    let services: String = services.split_whitespace().collect();
    if services == state.setting("services") {
        return Ok(true);
    }
    commands::run(&["policy", "set", &format!("services={services}")])
}
