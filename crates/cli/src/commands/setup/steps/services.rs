//! At which services a code is asked for.

use super::super::ask;
use super::super::rule_change::{Offer, change};
use super::super::state::State;
use super::super::step::Step;
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
        services if !state.has_service_of(services) => Progress::Open,
        services => Progress::Done(services.to_owned()),
    }
}

fn run(state: &State) -> Result<bool, CommandError> {
    let typed = ask::line(texts::WHICH_SERVICES, state.setting("services"))?;
    let services = ask::words(&typed).join(",");
    if services == state.setting("services") {
        return Ok(true);
    }
    let command = ["policy", "set", &format!("services={services}")];
    change(&command, Offer::WithoutWarning)
}
