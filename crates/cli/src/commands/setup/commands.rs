//! Runs commands of this program, as an administrator would type them.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Output, Stdio};

use serde::de::DeserializeOwned;
use twofa_broker::Failure;

use super::ask;
use crate::error::CommandError;
use crate::messages::setup as texts;

/// Shows the command and runs it on this terminal. Whether it succeeded: if not, it has said why.
pub(super) fn run(arguments: &[&str]) -> Result<bool, CommandError> {
    // In one line, to be copied: the terminal breaks it if need be.
    writeln!(io::stdout(), "{}", texts::command(arguments))?;
    let status = spawn(&mut twofa(arguments))?.wait();
    let status = status.map_err(|error| not_started(&error))?;
    ask::check_interrupt()?;
    Ok(status.success())
}

/// The same with `input` in place of the keyboard.
pub(super) fn run_from(arguments: &[&str], input: &str) -> Result<bool, CommandError> {
    writeln!(io::stdout(), "{}", texts::command(arguments))?;
    let mut child = spawn(twofa(arguments).stdin(Stdio::piped()))?;
    write_to(&mut child, input);
    let status = child.wait().map_err(|error| not_started(&error))?;
    ask::check_interrupt()?;
    Ok(status.success())
}

/// Runs the command without a terminal, with `input` on its standard input.
pub(super) fn run_with(arguments: &[&str], input: &str) -> Result<Output, CommandError> {
    let mut command = twofa(arguments);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = spawn(command.stderr(Stdio::piped()))?;
    write_to(&mut child, input);
    let output = child.wait_with_output();
    ask::check_interrupt()?;
    output.map_err(|error| not_started(&error))
}

fn write_to(child: &mut Child, input: &str) {
    if let Some(mut stdin) = child.stdin.take() {
        // A command that does not want it has ended.
        let _ = stdin.write_all(input.as_bytes());
    }
}

/// What the command prints.
pub(super) fn text(arguments: &[&str]) -> Result<String, CommandError> {
    let output = run_with(arguments, "")?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(CommandError::new(Failure::Unavailable, message(&output)))
    }
}

/// What the command prints with `--json`.
pub(super) fn read<T: DeserializeOwned>(arguments: &[&str]) -> Result<T, CommandError> {
    let arguments = [arguments, &["--json"]].concat();
    serde_json::from_str(&text(&arguments)?).map_err(|error| {
        let command = arguments.join(" ");
        CommandError::new(Failure::Failed, format!("'twofa {command}': {error}"))
    })
}

/// What a command that failed says.
pub(super) fn message(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let text = text.trim();
    text.strip_prefix("error: ").unwrap_or(text).to_owned()
}

/// Starts the command, one of this program, which Ctrl-C ends.
pub(super) fn spawn(command: &mut Command) -> Result<Child, CommandError> {
    ask::check_interrupt()?;
    command.spawn().map_err(|error| not_started(&error))
}

/// This very program, even if it has been replaced meanwhile.
pub(super) fn twofa(arguments: &[&str]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("twofa").args(arguments);
    command
}

fn not_started(error: &io::Error) -> CommandError {
    CommandError::new(Failure::Failed, format!("cannot run twofa: {error}"))
}
