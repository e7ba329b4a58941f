//! `twofa log verify` and `twofa log make-key`.

use std::io::{self, IsTerminal};
use std::path::Path;

use serde::Serialize;
use twofa_broker::Failure;
use twofa_broker::admin::log::{Anchor, Verification, VerificationKey};
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
    latest_anchor: Option<String>,
}

pub(crate) fn run(command: LogCommand, output: Output) -> Result<(), CommandError> {
    if !client::is_root() {
        return Err(CommandError::only_root("verify the log"));
    }
    match command {
        LogCommand::Verify {
            key,
            mut anchors,
            file,
        } => {
            if let Some(file) = file {
                anchors.extend(read_anchors(&file)?);
            }
            let key = if key { Some(ask_key()?) } else { None };
            verify(&anchors, key.as_ref(), output)
        }
        LogCommand::MakeKey { replace } => make_key(replace, output),
    }
}

fn verify(
    anchors: &[Anchor],
    key: Option<&VerificationKey>,
    output: Output,
) -> Result<(), CommandError> {
    let verification = client::open()?.verify_log(anchors, key)?;
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
        latest_anchor: verification.latest.as_ref().map(ToString::to_string),
    }
}

/// The anchors in the lines of `file`. What is no anchor is passed over: other programs write to a system log, too.
fn read_anchors(file: &Path) -> Result<Vec<Anchor>, CommandError> {
    let text = input::read(file)?;
    let marked = text.split("anchor=\"").skip(1);
    let anchors: Vec<_> = marked
        .filter_map(|rest| rest.split('"').next()?.parse().ok())
        .collect();
    if anchors.is_empty() {
        let message = format!("{}: no line has an anchor", file.display());
        return Err(CommandError::new(Failure::Usage, message)
            .hinted("they are written by twofad: journalctl -t twofad"));
    }
    Ok(anchors)
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
