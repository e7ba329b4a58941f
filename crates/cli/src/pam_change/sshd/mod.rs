//! sshd's side of a change: what it accepts, and that PAM can ask there.
//!
//! sshd's method `password` can show no prompt, and a login with a key does not come to PAM's `auth` at all unless
//! `AuthenticationMethods` demands it. [`settings`] says what to write for the ways in that sshd has now ([`ways`]), and
//! [`stack`] what PAM needs for people with a key. [`config`](twofa_broker::sshd::config) reads the files with all that they include and asks sshd about
//! copies of them, through its [`daemon`], for [connections](twofa_broker::sshd::connections) that stand for each `Match` block; [`checks`] finds those which a change would keep
//! out, or let in with less. [`proof`] logs in, with a key and with a password. [`block`] finds our lines again.

mod accounts;
mod block;
mod checks;
mod daemon;
pub(super) mod proof;
mod settings;
pub(super) mod stack;
mod ways;

use std::fs;
use std::path::Path;

pub(super) use self::checks::Change;
use self::daemon::{FILE, PROGRAM, RUN, ask_for, is_running, refused, starts_on_demand};
pub(super) use self::daemon::{owns, reload};
pub(crate) use self::settings::Keys;
use super::files;
use super::step::Step;
use crate::error::CommandError;

const NOT_IN_USE: &str =
    "sshd does not run and does not show its settings: they were not looked at.";

/// What must change before sshd's stack asks for codes. `person` logs in, if that is known.
/// `skips`: after a key, PAM asks for no password now.
pub(super) fn enabling(keys: Keys, person: &str, skips: bool) -> Result<Change, CommandError> {
    match unused()? {
        None => checks::enabling(keys, person, skips),
        Some(change) => Ok(change),
    }
}

/// What [`enabling`] has written is taken off, and what others have written stays.
pub(super) fn disabling(person: &str) -> Result<Change, CommandError> {
    let old = files::read_own(FILE)?;
    if !old.as_deref().is_some_and(block::has) {
        return Ok(Change {
            is_used: unused()?.is_none(),
            ..Change::default()
        });
    }
    let rest = settings::rest(old.as_deref().unwrap_or_default());
    let new = (!rest.trim().is_empty()).then_some(rest);
    let is_used = unused()?.is_none();
    let checks = if is_used {
        checks::disabling(old.as_deref(), new.as_deref(), person)?
    } else {
        Vec::new()
    };
    Ok(Change {
        is_used,
        step: Some(Step {
            path: FILE.to_owned(),
            old,
            new,
            like: FILE.to_owned(),
        }),
        checks,
        ..Change::default()
    })
}

/// Where there is no sshd whose settings matter, what is to be said about that.
fn unused() -> Result<Option<Change>, CommandError> {
    if !Path::new(PROGRAM).exists() {
        return Ok(Some(Change::default()));
    }
    let mut shown = ask_for("root");
    if shown.is_err() && starts_on_demand() && fs::create_dir_all(RUN).is_ok() {
        shown = ask_for("root");
    }
    match shown {
        Ok(_) => Ok(None),
        Err(said) if is_running() => Err(refused(&said)),
        Err(_) => Ok(Some(Change {
            notes: vec![NOT_IN_USE.to_owned()],
            ..Change::default()
        })),
    }
}
