//! What the prover says of files as they would be, compared with files as they are.

use std::fmt::Write as _;

use twofa_broker::Failure;
use twofa_broker::admin::pam::{CheckResult, Checked, Gives, Machine};
use twofa_stacks::Proof;
use twofa_stacks::change::{Goal, lets_in, objections};

use crate::error::CommandError;
use crate::messages::pam;

/// Where root logs in when nothing else works.
const CONSOLE: &str = "login";

/// Fails if a service that reads one of the `paths` is worse off `after` a change of them than `before`, or if root could
/// not log in at the console. `goal` says what the change is for at a service.
pub(super) fn compare(
    before: &Machine,
    after: &Machine,
    paths: &[&str],
    goal: impl Fn(&str) -> Goal,
) -> Result<(), CommandError> {
    for service in &before.services() {
        let (Some(old), Some(new)) = (before.check(service), after.check(service)) else {
            continue;
        };
        if !paths
            .iter()
            .any(|path| new.files.iter().any(|file| file == path))
        {
            continue;
        }
        if service == CONSOLE {
            root_gets_in(&new)?;
        }
        // What was broken before is not made worse.
        let Ok(old) = proof(&old) else {
            continue;
        };
        let new = proof(&new).map_err(|error| failure(service, &error))?;
        if let Some(objection) = objections(old, new, goal(service)).first() {
            return Err(failure(service, &objection.to_string()));
        }
    }
    Ok(())
}

/// The way back for root must be there, whatever there was before.
fn root_gets_in(console: &Checked) -> Result<(), CommandError> {
    let service = &console.service;
    let after = proof(console).map_err(|error| failure(service, &error))?;
    if lets_in(after) {
        Ok(())
    } else {
        Err(failure(service, "root could not log in at the console"))
    }
}

pub(super) fn proof(checked: &Checked) -> Result<&Proof, String> {
    match &checked.result {
        CheckResult::Proved(proof) => Ok(proof),
        result => Err(pam::error(result).unwrap_or_default()),
    }
}

pub(super) fn failure(service: &str, reason: &str) -> CommandError {
    CommandError::new(Failure::Failed, format!("{service}: {reason}"))
        .hinted("nothing was changed; see 'twofa pam check'")
}

/// The services whose stacks ask for a code.
pub(super) fn asking(machine: &Machine) -> Vec<String> {
    let asks = |name: &String| {
        let checked = machine.check(name);
        checked.is_some_and(|checked| !checked.asks.is_empty())
    };
    machine.services().into_iter().filter(asks).collect()
}

/// Where people log in and not all of them are asked for a code, though the files ask; with the line that lets them in.
pub(super) fn open(machine: &Machine) -> Option<String> {
    let is_login = |checked: &Checked| !matches!(checked.gives, Gives::Jobs | Gives::Change);
    let all = machine.check_all().into_iter().filter(is_login);
    let mut text = String::new();
    for open in all.filter_map(|checked| pam::without_code(&checked)) {
        let _ = write!(text, "\n  {open}");
    }
    (!text.is_empty()).then(|| format!("Not everybody will be asked for a code:{text}"))
}
