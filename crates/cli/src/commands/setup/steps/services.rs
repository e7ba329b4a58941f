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
    let services = list(&typed);
    if services == state.setting("services") {
        return Ok(true);
    }
    let command = ["policy", "set", &format!("services={services}")];
    change(&command, Offer::WithoutWarning)
}

/// The words of `typed` as the policy takes them. Blanks separate them as well as commas.
fn list(typed: &str) -> String {
    let words = typed.split(|letter: char| letter == ',' || letter.is_whitespace());
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    words.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_blanks_or_commas_between_them_stay_names_of_their_own() {
        for typed in ["ssh sudo", "ssh,sudo", "ssh, sudo", " ssh ,\tsudo,"] {
            assert_eq!(list(typed), "ssh,sudo", "{typed:?}");
        }
        assert_eq!(list("all"), "all");
    }
}
