//! The line in PAM's files, without which nobody is asked.

use super::super::state::State;
use super::super::step::Step;
use super::super::{ask, commands};
use crate::error::CommandError;
use crate::messages::setup as texts;
use crate::messages::setup::Progress;

pub(super) const STEP: Step = Step {
    title: "Switch it on in PAM",
    explanation: texts::PAM,
    progress,
    run,
};

fn progress(state: &State) -> Progress {
    match state.asking().as_slice() {
        [] => Progress::Open,
        [service] => Progress::Done(service.clone()),
        services => Progress::Done(texts::some(services)),
    }
}

fn run(state: &State) -> Result<bool, CommandError> {
    if !state.asking().is_empty() && !ask::agree(texts::ENABLE_MORE, false)? {
        return Ok(true);
    }
    let services = ask::line(texts::ENABLE_WHERE, texts::ALL)?;
    let services = services.split_whitespace();
    let services: Vec<_> = services.filter(|service| *service != texts::ALL).collect();
    let command = ["pam", "enable"];
    if state.is_anybody_asked() {
        let login = ["--login-as", state.user.as_str()];
        return commands::run(&[&command[..], &login, &services].concat());
    }
    // A login would prove nothing.
    commands::run(&[&command[..], &["--no-login"], &services].concat())
}
