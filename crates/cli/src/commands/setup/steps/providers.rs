//! What sends codes by e-mail or text message, tested with a message that arrives.

use twofa_broker::admin::providers::kinds;
use twofa_core::Channel;

use super::super::screen::say;
use super::super::state::State;
use super::super::step::Step;
use super::super::{ask, commands};
use crate::error::CommandError;
use crate::messages::setup as texts;
use crate::messages::setup::Progress;

pub(super) const STEP: Step = Step {
    title: "Codes by e-mail or text message",
    explanation: texts::PROVIDERS,
    progress,
    run,
};

/// The kind that most machines need.
const MAIL: &str = "smtp";

fn progress(state: &State) -> Progress {
    let named = |provider: &super::super::state::Provider| match &provider.carries {
        Some(channel) => format!("{} ({channel})", provider.name),
        None => provider.name.clone(),
    };
    let names: Vec<_> = state.providers.iter().map(named).collect();
    if names.is_empty() {
        return Progress::Skippable("none: authenticator app only".to_owned());
    }
    Progress::Done(names.join(", "))
}

fn run(state: &State) -> Result<bool, CommandError> {
    let mut items = texts::PROVIDER_CHOICES.map(str::to_owned).to_vec();
    items.extend(state.providers.iter().map(|known| texts::test(&known.name)));
    let (name, is_added) = match ask::choose(texts::WHICH_PROVIDER, &items, 0)? {
        0 => return Ok(true),
        1 => ("mail".to_owned(), add("mail", MAIL)?),
        2 => {
            let Some(kind) = sms_kind()? else {
                return Ok(false);
            };
            (kind.clone(), add(&kind, &kind)?)
        }
        known => {
            let known = state.providers.get(known - 3);
            (known.map_or_else(String::new, |it| it.name.clone()), true)
        }
    };
    Ok(is_added && test(&name)?)
}

/// The name of a kind of SMS providers; `None`: none of them is wanted.
fn sms_kind() -> Result<Option<String>, CommandError> {
    let kinds: Vec<_> = kinds()
        .into_iter()
        .filter(|kind| kind.channel == Channel::Sms)
        .collect();
    let mut titles: Vec<_> = kinds.iter().map(|kind| kind.title.clone()).collect();
    titles.push(texts::NO_SMS.to_owned());
    let chosen = ask::choose(texts::WHICH_SMS, &titles, 0)?;
    Ok(kinds.get(chosen).map(|kind| kind.name.clone()))
}

/// The command itself asks for the settings that this kind needs, secrets included.
fn add(name: &str, kind: &str) -> Result<bool, CommandError> {
    say(&texts::about_settings(kind))?;
    let more = ask::line(texts::MORE_SETTINGS, "")?;
    let more: Vec<_> = more.split_whitespace().collect();
    commands::run(&[&["provider", "add", name, kind], &more[..]].concat())
}

/// Sends a message; whether it arrived.
fn test(name: &str) -> Result<bool, CommandError> {
    let to = ask::line(texts::WHERE_TO, "")?;
    if to.is_empty() {
        return Ok(true);
    }
    if commands::run(&["provider", "test", name, "--to", &to])?
        && ask::agree(texts::DID_IT_ARRIVE, true)?
    {
        return Ok(true);
    }
    if ask::agree(&texts::remove(name), false)? {
        commands::run(&["provider", "remove", name])?;
    }
    Ok(false)
}
