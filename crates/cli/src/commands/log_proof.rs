//! `twofa log verify` and `twofa log make-key`.

use std::io::{self, BufRead, IsTerminal};
use std::path::Path;

use serde::Serialize;
use twofa_broker::Failure;
use twofa_broker::admin::log::{SystemLog, Verification, VerificationKey};
use zeroize::Zeroizing;

use crate::arguments::log::LogCommand;
use crate::client;
use crate::error::CommandError;
use crate::input;
use crate::messages::journal;
use crate::output::Output;
use crate::terminal::ask_hidden;

/// A verification as JSON has it.
#[derive(Debug, Serialize)]
struct Report {
    whole: bool,
    findings: Vec<String>,
    journal: String,
    proved: u64,
    summed_up: u64,
    older: u64,
    removed_through: i64,
    last: i64,
    unsealed: u64,
    unsynced: u64,
    seals: Option<u64>,
    anchors: u64,
    lines: u64,
    latest_anchor: Option<String>,
}

pub(crate) fn run(command: LogCommand, output: Output) -> Result<(), CommandError> {
    if !client::is_root() {
        return Err(CommandError::only_root("verify the log"));
    }
    match command {
        LogCommand::Verify { key, anchors, file } => {
            let mut system_log = SystemLog::default();
            if let Some(file) = file {
                system_log = read_system_log(&file)?;
            }
            system_log.checkpoints.extend(anchors);
            let key = if key { Some(ask_key()?) } else { None };
            verify(&system_log, key.as_ref(), output)
        }
        LogCommand::MakeKey { replace } => make_key(replace, output),
    }
}

fn verify(
    system_log: &SystemLog,
    key: Option<&VerificationKey>,
    output: Output,
) -> Result<(), CommandError> {
    let verification = client::open()?.verify_log(system_log, key)?;
    let findings: Vec<_> = verification.findings.iter().map(journal::finding).collect();
    let report = report(&verification, key.is_some(), findings);
    output.object(&report, |out| {
        report
            .findings
            .iter()
            .try_for_each(|finding| writeln!(out, "{finding}"))?;
        journal::summary(&verification, key.is_some())
            .iter()
            .try_for_each(|line| writeln!(out, "{line}"))
    })?;
    match report.findings.len() {
        0 => Ok(()),
        findings => Err(CommandError::new(
            Failure::Failed,
            journal::not_whole(findings),
        )),
    }
}

fn report(verification: &Verification, has_key: bool, findings: Vec<String>) -> Report {
    Report {
        whole: findings.is_empty(),
        findings,
        journal: verification.journal.clone(),
        proved: verification.proved,
        summed_up: verification.summed_up,
        older: verification.older,
        removed_through: verification.pruned_through,
        last: verification.last,
        unsealed: verification.tail.events,
        unsynced: verification.tail.unsynced,
        seals: has_key.then_some(verification.seals),
        anchors: verification.anchors,
        lines: verification.lines,
        latest_anchor: verification.latest.as_ref().map(ToString::to_string),
    }
}

/// What the lines of `file` say of the log, which may be of any length.
fn read_system_log(file: &Path) -> Result<SystemLog, CommandError> {
    let failed = |error: io::Error| input::unreadable(file, &error);
    let mut system_log = SystemLog::default();
    let mut reader = input::open(file).map_err(failed)?;
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).map_err(failed)? > 0 {
        system_log.add(&String::from_utf8_lossy(&line));
        line.clear();
    }
    if system_log.is_empty() {
        let message = format!("{}: no line has an anchor", file.display());
        return Err(CommandError::new(Failure::Usage, message)
            .hinted("they are written by twofad: journalctl -t twofad"));
    }
    Ok(system_log)
}

/// The key, which never stands on a command line, where every user could read it.
fn ask_key() -> Result<VerificationKey, CommandError> {
    let key = if io::stdin().is_terminal() {
        Zeroizing::new(ask_hidden("Verification key: ")?)
    } else {
        input::read(Path::new("-"))?
    };
    key.parse().map_err(|error| {
        CommandError::new(
            Failure::Usage,
            format!("this is not a verification key: {error}"),
        )
    })
}

fn make_key(replace: bool, output: Output) -> Result<(), CommandError> {
    #[derive(Serialize)]
    struct Made<'a> {
        key: &'a str,
    }
    let made = client::open()?.make_log_key(replace)?;
    let key = made.expose();
    output.verbatim(&Made { key: key.as_str() }, |out| {
        writeln!(out, "{}", journal::key_made(&key))
    })
}
