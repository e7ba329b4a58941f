//! The commands that a file of answers comes down to: each is tried first, then they are run.

use std::io::{self, Write};

use twofa_broker::Failure;

use super::commands;
use super::document::{About, Change, Document};
use crate::arguments::SetupArguments;
use crate::error::CommandError;
use crate::messages::policy::NEEDS_YES;
use crate::messages::setup as texts;

/// Runs the commands of `changes`, or shows what they would do. Nothing is changed unless each of them could be.
pub(super) fn apply(
    document: &Document<'_>,
    changes: &[Change],
    arguments: &SetupArguments,
) -> Result<(), CommandError> {
    let previews = previews(document, changes, arguments)?;
    if arguments.dry_run {
        for (change, preview) in changes.iter().zip(previews) {
            writeln!(io::stdout(), "{}", shown(&change.command))?;
            write!(io::stdout(), "{preview}")?;
        }
        return Ok(());
    }
    let commands: Vec<_> = changes
        .iter()
        .map(|change| final_command(change, arguments.yes))
        .collect();
    for (at, (change, command)) in changes.iter().zip(&commands).enumerate() {
        run(command, &change.input).map_err(|error| {
            let shown: Vec<_> = commands.iter().map(|command| shown(command)).collect();
            error.hinted(texts::halfway(&shown, at))
        })?;
    }
    Ok(())
}

/// What each change would do.
fn previews(
    document: &Document<'_>,
    changes: &[Change],
    arguments: &SetupArguments,
) -> Result<Vec<String>, CommandError> {
    let mut previews = vec![String::new(); changes.len()];
    // Before anybody waits for a provider.
    for is_provider in [false, true] {
        for (change, shown) in changes.iter().zip(&mut previews) {
            if (change.about == About::Providers) != is_provider {
                continue;
            }
            *shown = preview(document, change)?;
            if shown.contains(NEEDS_YES) && !arguments.yes && !arguments.dry_run {
                let warnings = shown
                    .lines()
                    .filter_map(|line| line.strip_prefix("warning: "));
                let why = warnings.collect::<Vec<_>>().join("; ");
                let error = document.failed(Failure::Failed, &change.span, &why);
                return Err(error.hinted(texts::CONCERNS_NEED_YES));
            }
        }
    }
    Ok(previews)
}

/// What the change would do. A command that would fail is a mistake in the answers, or has a reason of its own.
fn preview(document: &Document<'_>, change: &Change) -> Result<String, CommandError> {
    let mut command: Vec<_> = change.command.iter().map(String::as_str).collect();
    command.push("--dry-run");
    let output = commands::run_with(&command, &change.input)?;
    if output.status.success() {
        let text = [output.stderr, output.stdout].concat();
        return Ok(String::from_utf8_lossy(&text).into_owned());
    }
    let kind = match output.status.code() {
        Some(2 | 4) => Failure::Usage,
        Some(6) => Failure::Unavailable,
        _ => Failure::Failed,
    };
    let said = commands::message(&output);
    let (why, hint) = texts::split_hint(&said);
    let error = document.failed(kind, &change.span, why);
    Err(match hint {
        Some(hint) => error.hinted(texts::nothing_changed(hint)),
        None => error,
    })
}

/// The command that makes a change of which the preview went well.
fn final_command(change: &Change, yes: bool) -> Vec<String> {
    const NO_TEST: &str = "--no-test";
    let mut command = change.command.clone();
    match change.about {
        About::Rules if yes => command.push("--yes".to_owned()),
        // It has just been tested.
        About::Providers if !command.iter().any(|word| word == NO_TEST) => {
            command.push(NO_TEST.to_owned());
        }
        _ => {}
    }
    command
}

fn run(command: &[String], input: &str) -> Result<(), CommandError> {
    writeln!(io::stdout(), "{}", shown(command))?;
    let command: Vec<_> = command.iter().map(String::as_str).collect();
    let output = commands::run_with(&command, input)?;
    io::stdout().write_all(&output.stdout)?;
    if !output.status.success() {
        let message = commands::message(&output);
        let (why, _) = texts::split_hint(&message);
        return Err(CommandError::new(Failure::Failed, why));
    }
    Ok(io::stderr().write_all(&output.stderr)?)
}

fn shown(command: &[String]) -> String {
    let command: Vec<_> = command.iter().map(String::as_str).collect();
    texts::command(&command)
}
