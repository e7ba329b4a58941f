//! Enrolling a security key.

use twofa_core::Method;
use twofa_core::device::ssh_key::ProvedKey;
use twofa_core::user::SecurityKey;
use twofa_proto::{Done, Failure};

use super::enrol::label;
use crate::context::Context;
use crate::identity::sshd_options::KeyDemand;
use crate::requests::error::RequestError;
use crate::text::messages::{self, commands};
use crate::text::terminal::Terminal;

/// The option of `authorized_keys` with which a key's owner switches off the touch.
const NO_TOUCH: &str = "no-touch-required";

/// Enrols the security key in `text`, a line as in a `.pub` file. That does not prove who holds the key: the first login with
/// it does, since sshd allows that only to its holder.
pub(super) fn enrol(
    context: Context<'_>,
    asked: Option<&str>,
    text: &str,
    terminal: &mut dyn Terminal,
) -> Result<Done, RequestError> {
    let (policy, user) = (context.policy(), context.user());
    if !policy.methods.contains(Method::SecurityKey) {
        return Err(commands::NO_SECURITY_KEYS_ALLOWED.into());
    }
    if !user.is_enrolled(policy.methods) {
        return Err(commands::SECURITY_KEYS_ALONE.into());
    }
    let (options, proved) = read(text)?;
    let label = label(asked, Method::SecurityKey.name(), user)?;
    let key = SecurityKey {
        id: 0,
        label,
        identity: proved.identity().to_vec(),
        fingerprint: proved.fingerprint().to_owned(),
        enrolled_at: context.now(),
        confirmed_at: None,
        without_touch: options.split(',').any(|option| option == NO_TOUCH),
    };
    let (account, origin) = (context.account, context.origin);
    let generation = context.person.snapshot.generation;
    let store = context.store();
    store.enrol_security_key(account, generation, &key, origin, context.now())?;
    let text = messages::security_key_enrolled(&key.label, &key.fingerprint);
    terminal.info(text.into())?;
    match KeyDemand::of_this_machine() {
        KeyDemand::Nothing => terminal.info(messages::NO_TOUCH_DEMANDED.into())?,
        KeyDemand::Touch | KeyDemand::Verification => {}
    }
    Ok(Done::Changed)
}

/// The options and the key of a line, if that is a security key.
fn read(text: &str) -> Result<(&str, ProvedKey), RequestError> {
    let usage = |message: String| RequestError::new(Failure::Usage, message);
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
    Ok((options, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fAAAABHNzaDo=";

    #[test]
    fn a_security_key_is_read_from_a_pub_file_and_from_authorized_keys() {
        let options = |text: &str| read(text).map(|(options, _)| options.to_owned()).ok();
        assert_eq!(
            options(&format!("{KEY} alice@laptop\n")).as_deref(),
            Some("")
        );
        let authorized = format!("# mine\n\n{NO_TOUCH},from=\"*\" {KEY}\n");
        assert_eq!(
            options(&authorized).as_deref(),
            Some("no-touch-required,from=\"*\"")
        );
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
