//! `twofa setup`, the first set-up: [`steps`] with questions, or [`answers`] from a file, which [`apply`] makes hold.
//!
//! [`ask`] asks, on a [`screen`] of any width. Each step runs the plain commands of this program ([`commands`]) and shows them, so that there is one way to make each
//! change. A command gives up root for the store, which it could not get back; this process keeps it. How far a set-up
//! has come is read from the store ([`state`]), so that it can be left at any time. What was [`before`] it is kept for
//! [`roll_back`].

mod answers;
mod apply;
mod ask;
mod before;
mod commands;
mod document;
mod logins;
mod providers;
mod roll_back;
mod rule_change;
mod screen;
mod state;
mod step;
mod steps;

use std::io::{self, IsTerminal};

use twofa_broker::Failure;

use self::before::Kept;
use self::screen::say;
use self::state::State;
use self::steps::STEPS;
use crate::arguments::SetupArguments;
use crate::client;
use crate::error::CommandError;
use crate::messages::setup::{self as texts, Progress};

pub(crate) fn run(arguments: &SetupArguments) -> Result<(), CommandError> {
    if !client::is_root() {
        return Err(CommandError::only_root("set this machine up"));
    }
    if let Some(file) = &arguments.answers {
        return answers::run(file, arguments);
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        let error = CommandError::new(Failure::Usage, "setup asks questions and needs a terminal");
        return Err(error.hinted("give the answers in a file with --answers FILE"));
    }
    guide()
}

/// Offers the steps, the next one first, until all are done or the administrator leaves.
fn guide() -> Result<(), CommandError> {
    ask::hold_interrupts()?;
    say(texts::WELCOME)?;
    let user = state::yourself()?;
    let mut after = None;
    loop {
        let state = State::read(&user)?;
        let progress: Vec<_> = STEPS.iter().map(|step| (step.progress)(&state)).collect();
        let next = match after {
            Some((step, true)) => step + 1,
            // Perhaps because of an earlier one.
            Some((step, false)) => first_open(&progress).min(step),
            None => first_open(&progress),
        };
        let mut items: Vec<_> = STEPS
            .iter()
            .zip(&progress)
            .map(|(step, progress)| screen::step(step.title, progress))
            .collect();
        items.push(texts::LEAVE.to_owned());
        let Some(step) = STEPS.get(ask::choose_step(texts::WHICH_STEP, &items, next)?) else {
            if !progress.iter().all(Progress::is_settled) {
                return say(texts::LEFT);
            }
            Kept::forget()?;
            return say(texts::GETTING_BACK_IN);
        };
        say(&format!("\n{}", step.explanation))?;
        let is_done = Kept::around(&user, &state, || (step.run)(&state))?;
        let chosen = STEPS.iter().position(|other| other.title == step.title);
        after = chosen.map(|chosen| (chosen, is_done));
    }
}

/// The first step that is to be done; what may be skipped is offered directly before it.
fn first_open(progress: &[Progress]) -> usize {
    let open = progress
        .iter()
        .position(|progress| *progress == Progress::Open);
    let open = open.unwrap_or(progress.len());
    if open == progress.len() {
        return open;
    }
    let before = progress[..open].iter().rev();
    open - before
        .take_while(|progress| matches!(progress, Progress::Skippable(_)))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setup_goes_on_with_what_is_open_and_skips_what_was_skipped() {
        let done = || Progress::Done("x".into());
        let skippable = || Progress::Skippable("x".into());
        for (progress, next) in [
            (vec![skippable(), skippable(), Progress::Open, done()], 0),
            (vec![done(), skippable(), Progress::Open], 1),
            (vec![done(), skippable(), done(), Progress::Open], 3),
            (vec![done(), Progress::Open, done()], 1),
            (vec![done(), skippable(), done()], 3),
        ] {
            assert_eq!(first_open(&progress), next, "{progress:?}");
        }
    }
}
