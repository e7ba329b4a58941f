//! The line in PAM's files, without which nobody is asked.

use std::path::Path;

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
    let services = ask::words(&services);
    let services = if services.contains(&texts::ALL) {
        Vec::new()
    } else {
        services
    };
    let keys = ssh_keys(&services)?;
    let login = if state.is_anybody_asked() {
        vec!["--login-as", state.user.as_str()]
    } else {
        // It would prove nothing.
        vec!["--no-login"]
    };
    commands::run(&[&["pam", "enable"][..], &login, &keys, &services].concat())
}

/// The options that say what becomes of ssh keys, if sshd is among the services; none named are all.
fn ssh_keys(services: &[&str]) -> Result<Vec<&'static str>, CommandError> {
    let is_concerned = services.is_empty() || services.contains(&"sshd");
    if !is_concerned || !Path::new("/etc/ssh/sshd_config").exists() {
        return Ok(Vec::new());
    }
    let items = texts::SSH_KEY_CHOICES.map(|(_, item)| item.to_owned());
    let (value, _) = texts::SSH_KEY_CHOICES[ask::choose(texts::SSH_KEYS, &items, 0)?];
    Ok(vec!["--ssh-keys", value])
}
