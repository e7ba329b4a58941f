//! `twofa doctor`.

use twofa_broker::Failure;
use twofa_broker::admin::doctor::inspect_host;
use twofa_broker::admin::pam::Machine;

use super::finding::Line;
use super::pam::{check_all, notes};
use crate::client;
use crate::error::CommandError;
use crate::messages::doctor;
use crate::output::{Output, spinner};

pub(crate) fn run(output: Output) -> Result<(), CommandError> {
    if !client::is_root() {
        return Err(CommandError::only_root("inspect the whole machine"));
    }
    // PAM's files are read as root, the store as the service.
    let machine = Machine::this();
    let inspection = inspect_host(&machine);
    let notes = notes(&check_all(&machine), &inspection.findings);
    let waiting = spinner("Testing every provider".to_owned());
    let more = client::open().and_then(|admin| Ok(admin.findings(&inspection)?));
    waiting.finish_and_clear();
    let mut lines: Vec<_> = inspection.findings.iter().map(Line::of).collect();
    lines.extend(notes);
    // If the store cannot be read, what was found without it is still shown.
    let failure = match more {
        Ok(more) => {
            lines.extend(more.iter().map(Line::of));
            None
        }
        Err(error) => Some(error),
    };
    // What lets people past or keeps them out comes first.
    lines.sort_by_key(|line| !line.is_problem());
    output.object(&lines, |out| {
        if lines.is_empty() && failure.is_none() {
            return writeln!(out, "No problems found.");
        }
        lines.iter().try_for_each(|line| {
            let Line {
                severity, finding, ..
            } = line;
            writeln!(out, "{severity}: {finding}")
        })
    })?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    match doctor::problems(lines.iter().filter(|line| line.is_problem()).count()) {
        None => Ok(()),
        Some(problems) => Err(CommandError::new(Failure::Failed, problems)),
    }
}
