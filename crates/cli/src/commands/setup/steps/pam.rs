//! The line in PAM's files, without which nobody is asked.

use clap::CommandFactory;

use super::super::state::{Progress, State};
use super::super::{ask, commands};
use super::Step;
use crate::arguments::Arguments;
use crate::error::CommandError;
use crate::messages::setup as texts;

pub(super) const STEP: Step = Step {
    title: "Switch it on in PAM",
    explanation: texts::PAM,
    progress,
    run,
};

fn progress(state: &State) -> Progress {
    match state.asking.as_slice() {
        [] => Progress::Open,
        [service] => Progress::Done(service.clone()),
        services => Progress::Done(texts::some(services)),
    }
}

fn run(state: &State) -> Result<bool, CommandError> {
    if !can("enable") {
        commands::run(&["pam", "list"])?;
        super::super::say(texts::BY_HAND)?;
        return Ok(!state.asking.is_empty());
    }
    let services = ask::line(texts::ENABLE_WHERE, "")?;
    let services: Vec<_> = services.split_whitespace().collect();
    commands::run(&[&["pam", "enable"], &services[..]].concat())
}

/// Whether `twofa pam` has this subcommand.
pub(super) fn can(subcommand: &str) -> bool {
    let arguments = Arguments::command();
    let pam = arguments.find_subcommand("pam");
    pam.is_some_and(|pam| pam.find_subcommand(subcommand).is_some())
}
