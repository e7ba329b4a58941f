//! Takes a set-up back: the rules, then the lines in PAM's files. What people enrolled and the providers stay.

use super::before::{Before, Kept, has_profile};
use super::screen::say;
use super::state::State;
use super::{ask, commands};
use crate::error::CommandError;
use crate::messages::{moment, setup as texts};

/// Makes rules and PAM files what they were before the set-up of `user`, and says what is not.
pub(super) fn roll_back(user: &str) -> Result<(), CommandError> {
    let Some(kept) = Kept::read()? else {
        return say(texts::NOTHING_TO_ROLL_BACK);
    };
    let now = Before::of_machine(&State::read(user)?)?;
    let new = now
        .asking
        .iter()
        .filter(|it| !kept.before.asking.contains(it));
    let new: Vec<_> = new.cloned().collect();
    say(&texts::rolling_back(&moment(kept.began()), &new))?;
    if kept.is_changed_by_others(&now) {
        say(texts::CHANGED_BY_OTHERS)?;
    }
    let before = kept.before;
    let rules = ["policy", "apply", "-"];
    let is_shown = commands::run_from(&[&rules[..], &["--dry-run"]].concat(), &before.policy)?;
    if !is_shown || !ask::agree(texts::ROLL_BACK, false)? {
        return say(texts::NOT_ROLLED_BACK);
    }
    // Rules first: from then on, people get in as before. What fails is found out by looking afterwards.
    commands::run_from(&[&rules[..], &["--yes"]].concat(), &before.policy)?;
    take_out_of_pam(&before, user)?;
    let now = Before::of_machine(&State::read(user)?)?;
    let mut differences = Vec::new();
    if now.policy != before.policy {
        differences.push(texts::RULES_DIFFER.to_owned());
    }
    if now.asking != before.asking {
        differences.push(texts::asking_differs(&before.asking, &now.asking));
    }
    if differences.is_empty() {
        Kept::forget()?;
    }
    let new = |name: &&String| !before.providers.contains(name);
    let providers: Vec<_> = now.providers.iter().filter(new).cloned().collect();
    let enrolled = Some(user).filter(|_| now.has_app && !before.has_app);
    say(&texts::rolled_back(&differences, enrolled, &providers))
}

/// Has the services that did not ask before ask no longer.
fn take_out_of_pam(before: &Before, user: &str) -> Result<(), CommandError> {
    let disable = ["pam", "disable", "--no-login"];
    if has_profile() && !before.has_profile {
        commands::run(&disable)?;
    }
    let asking = State::read(user)?.asking();
    let new = asking
        .iter()
        .filter(|service| !before.asking.contains(service));
    let new: Vec<_> = new.map(String::as_str).collect();
    if !new.is_empty() {
        commands::run(&[&disable[..], &new].concat())?;
    }
    Ok(())
}
