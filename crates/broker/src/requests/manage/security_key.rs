//! Enrolling a security key: one from a file, or one that sshd verified in a login whose session is open.
//!
//! A file does not prove who holds the key: the first login with it does, since sshd allows that only to its holder. Of a
//! login, only what root's module reported in `auth` and `account` counts; a session keeps it from the ticket of its login.
//! The kernel does not tell the broker which session a command is typed in, so the keys of all open sessions of the user are
//! offered: each was proved by a login of theirs.

use twofa_core::device::ssh_key::ProvedKey;
use twofa_core::user::SecurityKey;
use twofa_core::{Method, Timestamp};
use twofa_proto::{Done, Failure};
use twofa_store::{SessionFilter, StoreError};

use super::enrol::label;
use crate::context::Context;
use crate::identity::sshd_options::KeyDemand;
use crate::requests::error::RequestError;
use crate::text::messages::{self, commands};
use crate::text::terminal::Terminal;

/// The option of `authorized_keys` with which a key's owner switches off the touch.
const NO_TOUCH: &str = "no-touch-required";
/// How often a choice may be mistyped.
const TRIES: u32 = 3;

/// A key that may be enrolled.
struct Candidate {
    key: ProvedKey,
    /// When sshd verified it, if it did; and where that login came from.
    proved_at: Option<Timestamp>,
    place: Option<String>,
    without_touch: bool,
}

/// Refuses what no code permits: `text` is not a security key, or there is none to choose from.
pub(super) fn check(context: Context<'_>, text: Option<&str>) -> Result<(), RequestError> {
    let (policy, user) = (context.policy(), context.user());
    if !policy.methods.contains(Method::SecurityKey) {
        return Err(commands::NO_SECURITY_KEYS_ALLOWED.into());
    }
    if !user.is_enrolled(policy.methods) {
        return Err(commands::SECURITY_KEYS_ALONE.into());
    }
    match text {
        Some(text) => read(text).map(drop),
        None => proved_keys(context).map(drop),
    }
}

/// Enrols the security key in `text`, a line as in a `.pub` file; `None`: one that a login has proved.
pub(super) fn enrol(
    context: Context<'_>,
    asked: Option<&str>,
    text: Option<&str>,
    terminal: &mut dyn Terminal,
) -> Result<Done, RequestError> {
    check(context, text)?;
    let chosen = match text {
        Some(text) => read(text)?,
        None => choose(proved_keys(context)?, context.now(), terminal)?,
    };
    let label = label(asked, Method::SecurityKey.name(), context.user())?;
    let key = SecurityKey {
        id: 0,
        label,
        identity: chosen.key.identity().to_vec(),
        fingerprint: chosen.key.fingerprint().to_owned(),
        enrolled_at: context.now(),
        confirmed_at: chosen.proved_at,
        without_touch: chosen.without_touch,
    };
    let (account, origin) = (context.account, context.origin);
    let generation = context.person.snapshot.generation;
    let store = context.store();
    store.enrol_security_key(account, generation, &key, origin, context.now())?;
    let text = if key.confirmed_at.is_some() {
        messages::proved_key_enrolled(&key.label, &key.fingerprint)
    } else {
        messages::security_key_enrolled(&key.label, &key.fingerprint)
    };
    terminal.info(text.into())?;
    match KeyDemand::of_this_machine() {
        KeyDemand::Nothing => terminal.info(messages::NO_TOUCH_DEMANDED.into())?,
        KeyDemand::Touch | KeyDemand::Verification => {}
    }
    Ok(Done::Changed)
}

/// The security keys that sshd verified in open sessions of the user and that are not enrolled, the latest login first.
fn proved_keys(context: Context<'_>) -> Result<Vec<Candidate>, RequestError> {
    let filter = SessionFilter {
        user: Some(context.account.name.clone()),
        ..SessionFilter::default()
    };
    let mut sessions = Vec::new();
    context.store().sessions(&filter, |session| {
        if session.account == *context.account && session.closed_at.is_none() {
            sessions.push(session);
        }
        true
    })?;
    let mut candidates: Vec<Candidate> = Vec::new();
    let (mut enrolled, mut other) = (None, None);
    for session in sessions.into_iter().rev() {
        for key in session.keys.iter().filter_map(|key| ProvedKey::read(key)) {
            let is_same = |identity: &[u8]| identity == key.identity();
            let known = &context.user().security_keys;
            if let Some(known) = known.iter().find(|known| is_same(&known.identity)) {
                enrolled = Some(known.label.clone());
            } else if !key.is_security_key() {
                other = Some(key.algorithm().to_owned());
            } else if !candidates.iter().any(|known| is_same(known.key.identity())) {
                candidates.push(Candidate {
                    key,
                    proved_at: Some(session.started_at),
                    place: session.remote_host.clone(),
                    without_touch: false,
                });
            }
        }
    }
    match (candidates.is_empty(), enrolled, other) {
        (false, _, _) => Ok(candidates),
        (true, Some(label), _) => Err(StoreError::KeyTaken(label).into()),
        (true, None, Some(algorithm)) => {
            Err(usage(commands::not_a_security_key(&algorithm)).hinted(commands::HOW_TO_SHOW_A_KEY))
        }
        (true, None, None) => Err(usage(commands::no_key_proved(&context.account.name))
            .hinted(commands::HOW_TO_SHOW_A_KEY)),
    }
}

/// Lets the user choose one of `candidates`, of which there is at least one.
fn choose(
    mut candidates: Vec<Candidate>,
    now: Timestamp,
    terminal: &mut dyn Terminal,
) -> Result<Candidate, RequestError> {
    if candidates.len() == 1 {
        return Ok(candidates.swap_remove(0));
    }
    let lines: Vec<_> = candidates
        .iter()
        .map(|candidate| {
            let (place, at) = (candidate.place.as_deref(), candidate.proved_at);
            messages::key_to_choose(&candidate.key.label(), place, at, now)
        })
        .collect();
    for _ in 0..TRIES {
        let typed = terminal.ask(messages::which_key(&lines))?;
        let Some(typed) = typed.filter(|typed| !typed.expose().trim().is_empty()) else {
            break;
        };
        let number = typed.expose().trim().parse::<usize>().ok();
        let index = number.and_then(|number| number.checked_sub(1));
        if let Some(index) = index.filter(|index| *index < candidates.len()) {
            return Ok(candidates.swap_remove(index));
        }
        terminal.info(messages::NOT_ON_THE_LIST.into())?;
    }
    Err(commands::NO_KEY_CHOSEN.into())
}

fn usage(message: String) -> RequestError {
    RequestError::new(Failure::Usage, message)
}

/// The security key of a line as in a `.pub` file or in `authorized_keys`.
fn read(text: &str) -> Result<Candidate, RequestError> {
    let line = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with('#'))
        .unwrap_or_default();
    let (options, key) = match ProvedKey::read(line) {
        Some(key) => ("", Some(key)),
        None => match line.split_once(' ') {
            Some((options, rest)) => (options, ProvedKey::read(rest)),
            None => ("", None),
        },
    };
    let Some(key) = key else {
        return Err(
            usage(commands::NOT_A_PUBLIC_KEY.to_owned()).hinted(commands::HOW_TO_MAKE_A_KEY)
        );
    };
    if !key.is_security_key() {
        let message = commands::not_a_security_key(key.algorithm());
        return Err(usage(message).hinted(commands::HOW_TO_MAKE_A_KEY));
    }
    Ok(Candidate {
        key,
        proved_at: None,
        place: None,
        without_touch: options.split(',').any(|option| option == NO_TOUCH),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fAAAABHNzaDo=";

    #[test]
    fn a_security_key_is_read_from_a_pub_file_and_from_authorized_keys() {
        let without_touch = |text: &str| read(text).map(|key| key.without_touch).ok();
        assert_eq!(without_touch(&format!("{KEY} alice@laptop\n")), Some(false));
        let authorized = format!("# mine\n\n{NO_TOUCH},from=\"*\" {KEY}\n");
        assert_eq!(without_touch(&authorized), Some(true));
    }

    #[test]
    fn every_other_key_is_refused_with_the_reason() {
        let plain =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMc9QHWWikJ/8eQq47yZ2vh7LGgthe7BBNz2ZSy5wtOW";
        let message = |text: &str| read(text).err().unwrap().message;
        assert!(message(plain).contains("ssh-ed25519"), "{}", message(plain));
        for text in [
            "",
            "-----BEGIN OPENSSH PRIVATE KEY-----",
            "sk-ssh-ed25519@openssh.com AAAA",
        ] {
            assert_eq!(message(text), commands::NOT_A_PUBLIC_KEY, "{text}");
        }
    }
}
