//! Who must have a second factor.

use super::super::rule_change::{Offer, change};
use super::super::state::{ADMINISTRATORS, State, group_of_administrators};
use super::super::step::Step;
use super::super::{ask, commands};
use crate::error::CommandError;
use crate::messages::setup as texts;
use crate::messages::setup::Progress;

pub(super) const STEP: Step = Step {
    title: "Who must have one",
    explanation: texts::WHO,
    progress,
    run,
};

fn progress(state: &State) -> Progress {
    let class = state.administrators();
    let group = class.and_then(|class| Some((class.settings.get("mode")?, class.group.as_ref()?)));
    let rest = texts::mode(state.setting("mode"));
    match (group, state.setting("mode")) {
        (Some((mode, group)), machine) if mode != machine => {
            Progress::Done(texts::group_and_others(group, mode, machine))
        }
        (_, "disabled") => Progress::Open,
        _ => Progress::Done(rest.to_owned()),
    }
}

/// The choice in the list that is offered, and the one that makes a class for the administrators.
const OPTIONAL: usize = 1;
const FOR_ADMINISTRATORS: usize = 2;

fn run(state: &State) -> Result<bool, CommandError> {
    let items = texts::WHO_CHOICES.map(str::to_owned);
    let chosen = ask::choose(texts::WHICH_PEOPLE, &items, OPTIONAL)?;
    let modes = ["report", "optional", "optional", "mandatory"];
    let Some(mode) = modes.get(chosen) else {
        return Ok(true);
    };
    // Stricter first: nobody is let in with less meanwhile.
    if chosen == FOR_ADMINISTRATORS && !set_administrators()? {
        return Ok(false);
    }
    let is_set = change(&["policy", "set", &format!("mode={mode}")], Offer::Always)?;
    if is_set && chosen != FOR_ADMINISTRATORS && state.administrators().is_some() {
        return commands::run(&["class", "remove", ADMINISTRATORS]);
    }
    Ok(is_set)
}

fn set_administrators() -> Result<bool, CommandError> {
    let group = ask::line(
        texts::WHICH_GROUP,
        group_of_administrators().unwrap_or_default(),
    )?;
    let class = ["class", "set", ADMINISTRATORS, "--group", &group];
    change(&[&class[..], &["mode=mandatory"]].concat(), Offer::Always)
}
