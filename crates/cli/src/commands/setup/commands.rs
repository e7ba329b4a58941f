//! Runs commands of this program, as an administrator would type them.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};

use serde::de::DeserializeOwned;
use twofa_broker::Failure;

use super::ask;
use crate::error::CommandError;
use crate::messages::setup as texts;

/// Shows the command and runs it on this terminal. Whether it succeeded: if not, it has said why.
pub(super) fn run(arguments: &[&str]) -> Result<bool, CommandError> {
    // In one line, to be copied: the terminal breaks it if need be.
    writeln!(io::stdout(), "{}", texts::command(arguments))?;
    let status = twofa(arguments).status();
    let status = status.map_err(|error| not_started(&error))?;
    ask::check_interrupt()?;
    Ok(status.success())
}

/// Runs the command without a terminal, with `input` on its standard input.
pub(super) fn run_with(arguments: &[&str], input: &str) -> Result<Output, CommandError> {
    let mut child = twofa(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| not_started(&error))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that does not want it has ended.
        let _ = stdin.write_all(input.as_bytes());
    }
    child
        .wait_with_output()
        .map_err(|error| not_started(&error))
}

/// What the command prints with `--json`.
pub(super) fn read<T: DeserializeOwned>(arguments: &[&str]) -> Result<T, CommandError> {
    let arguments = [arguments, &["--json"]].concat();
    let output = run_with(&arguments, "")?;
    if !output.status.success() {
        return Err(CommandError::new(Failure::Unavailable, message(&output)));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| {
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

/// This very program, even if it has been replaced meanwhile.
pub(super) fn twofa(arguments: &[&str]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("twofa").args(arguments);
    command
}

fn not_started(error: &io::Error) -> CommandError {
    CommandError::new(Failure::Failed, format!("cannot run twofa: {error}"))
}
