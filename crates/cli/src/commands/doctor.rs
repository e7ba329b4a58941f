//! `twofa doctor`.

use twofa_broker::Failure;
use twofa_broker::admin::doctor::{Diagnosis, examine};

use super::finding::Line;
use super::pam::notes;
use crate::client;
use crate::error::CommandError;
use crate::messages::doctor;
use crate::output::{Output, spinner};

pub(crate) fn run(output: Output) -> Result<(), CommandError> {
    if !client::is_root() {
        return Err(CommandError::only_root("inspect the whole machine"));
    }
    let waiting = spinner("Examining this machine".to_owned());
    let Diagnosis {
        findings,
        checked,
        failure,
    } = examine();
    waiting.finish_and_clear();
    let mut lines: Vec<_> = findings.iter().map(Line::of).collect();
    lines.extend(notes(&checked, &findings));
    // What lets people past or keeps them out comes first.
    lines.sort_by_key(|line| !line.is_problem());
    output.object(&lines, |out| {
        if lines.is_empty() {
            return writeln!(out, "No problems found.");
        }
        lines.iter().try_for_each(|line| {
            let Line {
                severity, finding, ..
            } = line;
            writeln!(out, "{severity}: {finding}")
        })
    })?;
    // What was found without the store has been shown; this says what to do, and has an exit status of its own.
    if let Some(failure) = failure {
        return Err(failure.into());
    }
    match doctor::problems(lines.iter().filter(|line| line.is_problem()).count()) {
        None => Ok(()),
        Some(problems) => Err(CommandError::new(Failure::Failed, problems)),
    }
}
