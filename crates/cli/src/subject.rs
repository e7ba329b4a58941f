//! Whose record a command is about: the user who is named, or oneself. Root on somebody's behalf (sudo, doas, pkexec, run0)
//! is two people, and says which of them.
//!
//! What the environment tells is a hint for a question. What root may do follows from its uid alone.

use std::env;
use std::io::{self, IsTerminal, Write};

use nix::unistd::{Uid, User, getuid};
use twofa_broker::Failure;
use twofa_core::text::printable;

use crate::error::CommandError;
use crate::messages::subject as messages;

/// The variables in which the login name of the caller stands: `sudo(8)` and run0, `doas(1)`.
const NAMES_OF_CALLER: [&str; 2] = ["SUDO_USER", "DOAS_USER"];
/// The one in which its uid stands: `pkexec(1)`.
const UID_OF_CALLER: &str = "PKEXEC_UID";

/// The user whose record a command changes. Where root acts for somebody else, it is asked which of the two is meant; with
/// nobody to ask that is an error.
pub(crate) fn to_change(named: Option<String>) -> Result<String, CommandError> {
    let user = name_or_own(named)?;
    let Some(caller) = user.caller else {
        return Ok(user.name);
    };
    if io::stdin().is_terminal() {
        let mut stderr = io::stderr().lock();
        write!(stderr, "{}", messages::question(&user.name, &caller))?;
        stderr.flush()?;
        let mut typed = String::new();
        io::stdin().read_line(&mut typed)?;
        let typed = typed.trim();
        if typed == caller || typed == user.name {
            return Ok(typed.to_owned());
        }
    }
    let words: Vec<_> = env::args().skip(1).collect();
    let error = CommandError::new(Failure::Usage, messages::unclear(&user.name, &caller));
    Err(error.hinted(messages::both_commands(&words, &user.name, &caller)))
}

/// The user whose record a command shows. Where root acts for somebody else, a line on standard error says whose it is.
pub(crate) fn to_show(named: Option<String>) -> Result<String, CommandError> {
    let user = name_or_own(named)?;
    if let Some(caller) = user.caller {
        writeln!(io::stderr(), "{}", messages::shown(&user.name, &caller))?;
    }
    Ok(user.name)
}

struct Subject {
    name: String,
    /// Who had root run this without naming anybody.
    caller: Option<String>,
}

fn name_or_own(named: Option<String>) -> Result<Subject, CommandError> {
    if let Some(name) = named {
        return Ok(Subject { name, caller: None });
    }
    let uid = getuid();
    let user = User::from_uid(uid).map_err(|error| {
        CommandError::new(
            Failure::Unavailable,
            format!("the name service does not answer: {error}"),
        )
    })?;
    let user = user.ok_or_else(|| {
        CommandError::new(
            Failure::NotFound,
            format!("there is no account with the user ID {uid}"),
        )
    })?;
    let caller = uid
        .is_root()
        .then(|| caller(|name| env::var(name).ok(), name_of))
        .flatten();
    Ok(Subject {
        name: user.name,
        caller,
    })
}

fn name_of(uid: u32) -> Option<String> {
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    user.map(|user| user.name)
}

/// Who had root run this, by the variables of an environment; `None`: nobody, or root itself.
fn caller(
    variable: impl Fn(&str) -> Option<String>,
    name_of: impl Fn(u32) -> Option<String>,
) -> Option<String> {
    let named = NAMES_OF_CALLER.iter().find_map(|name| variable(name));
    let caller = named.or_else(|| name_of(variable(UID_OF_CALLER)?.parse().ok()?));
    caller
        .map(|name| printable(&name))
        .filter(|name| !name.is_empty() && name != "root")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called_by(variables: &[(&str, &str)]) -> Option<String> {
        let variable = |wanted: &str| {
            let mut found = variables.iter().filter(|(name, _)| *name == wanted);
            found.next().map(|(_, value)| (*value).to_owned())
        };
        caller(variable, |uid| (uid == 1000).then(|| "alice".to_owned()))
    }

    #[test]
    fn every_way_to_become_root_names_the_caller_and_root_itself_is_none() {
        let alice = Some("alice".to_owned());
        assert_eq!(called_by(&[("SUDO_USER", "alice")]), alice);
        assert_eq!(called_by(&[("DOAS_USER", "alice")]), alice);
        assert_eq!(called_by(&[("PKEXEC_UID", "1000")]), alice);
        for nobody in [
            &[][..],
            &[("SUDO_USER", "root")],
            &[("SUDO_USER", "")],
            &[("PKEXEC_UID", "77")],
            &[("PKEXEC_UID", "alice")],
        ] {
            assert_eq!(called_by(nobody), None, "{nobody:?}");
        }
    }
}
