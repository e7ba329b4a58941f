//! `twofa fleet rotate ca`: the certificate authority of a fleet is replaced.

use std::io::{self, Write};
use std::process::{Command, Stdio};

use serde::Serialize;
use twofa_broker::Failure;
use twofa_broker::admin::ca_rotation::{self, CaFinish, CaRotationProgress, HostCa, NewAuthority};
use twofa_core::Timestamp;

use super::confirm::confirm;
use super::fleet::read_ca;
use crate::arguments::{RotateCaCommand, RotateCaFinish, RotateCaStart};
use crate::client;
use crate::error::CommandError;
use crate::messages::ca_rotation as words;
use crate::messages::fleet::requested;
use crate::messages::{moment, rfc3339};
use crate::output::{Output, Value, can_animate};

pub(crate) fn run(step: RotateCaCommand, output: Output) -> Result<(), CommandError> {
    match step {
        RotateCaCommand::Start(arguments) => start(&arguments),
        RotateCaCommand::Status => status(output),
        RotateCaCommand::Finish(arguments) => finish(&arguments),
    }
}

fn start(arguments: &RotateCaStart) -> Result<(), CommandError> {
    if arguments.check {
        return Ok(client::open()?.check_ca_start()?);
    }
    let ca = arguments.ca.as_deref().map(read_ca).transpose()?;
    // Another process looks into the store, since only the service may, and only root changes the files.
    ask_service(&["start", "--check"], words::NOT_STARTED)?;
    let mut out = io::stdout();
    match ca_rotation::make_new_authority(ca.as_deref())? {
        NewAuthority::Requests(directory) => {
            return Ok(write!(out, "{}", requested(&directory))?);
        }
        NewAuthority::Made => write!(out, "{}", words::MADE)?,
        NewAuthority::Here => {}
    }
    // From here on as the service. If this fails, the same command goes on from here.
    let without = client::open()?.start_ca_rotation()?;
    Ok(write!(out, "{}", words::started(&without))?)
}

#[derive(Debug, Serialize)]
struct Status<'a> {
    state: &'static str,
    started: String,
    opened: Option<String>,
    finished: Option<String>,
    old_accepted_until: Option<String>,
    servers_without_new: &'a [String],
    servers_with_old: &'a [String],
    hosts: usize,
    hosts_trusting_new: usize,
    hosts_renewed: usize,
    rows: Vec<Row<'a>>,
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    host: &'a str,
    trusts_new: bool,
    renewed: bool,
    last_seen: Option<String>,
}

fn row<'a>(found: &CaRotationProgress, host: &'a HostCa) -> Row<'a> {
    Row {
        host: &host.name,
        trusts_new: found.knows(host),
        renewed: found.has_renewed(host),
        last_seen: host.seen_at.map(rfc3339),
    }
}

fn status(output: Output) -> Result<(), CommandError> {
    let Some(found) = client::open()?.ca_rotation()? else {
        return Err(CommandError::new(Failure::NotFound, words::NONE)
            .hinted("'twofa fleet rotate ca start' begins one"));
    };
    let rotation = &found.rotation;
    let count = |is: &dyn Fn(&HostCa) -> bool| found.hosts.iter().filter(|host| is(host)).count();
    let trusting = count(&|host| found.knows(host));
    let renewed = count(&|host| found.has_renewed(host));
    if output.is_json() {
        let status = Status {
            state: words::state(rotation),
            started: rfc3339(rotation.started_at),
            opened: rotation.opened_at.map(rfc3339),
            finished: rotation.finished_at.map(rfc3339),
            old_accepted_until: rotation.kept_until.map(rfc3339),
            servers_without_new: &found.servers_without,
            servers_with_old: &found.servers_with_old,
            hosts: found.hosts.len(),
            hosts_trusting_new: trusting,
            hosts_renewed: renewed,
            rows: found.hosts.iter().map(|host| row(&found, host)).collect(),
        };
        return output.object(&status, |_| Ok(()));
    }
    let mut listing = output.listing(&["HOST", "TRUSTS NEW CA", "NEW CERTIFICATE", "LAST SEEN"]);
    let is_shown =
        |host: &&HostCa| !(output.is_terminal() && found.knows(host) && found.has_renewed(host));
    for host in found.hosts.iter().filter(is_shown) {
        let row = row(&found, host);
        listing.row(&row, || {
            let value = |is| {
                if is {
                    Value::Good("yes".to_owned())
                } else {
                    Value::Warning("no".to_owned())
                }
            };
            vec![
                Value::Text(host.name.clone()),
                value(row.trusts_new),
                value(row.renewed),
                Value::Text(host.seen_at.map_or_else(|| "-".to_owned(), moment)),
            ]
        })?;
    }
    listing.end("")?;
    let summary = words::summary(&found, (trusting, renewed), can_animate());
    Ok(write!(io::stderr(), "{summary}")?)
}

fn finish(arguments: &RotateCaFinish) -> Result<(), CommandError> {
    match arguments.only.as_deref() {
        Some("record") => return record(arguments),
        Some(_) => return check(arguments),
        None => {}
    }
    let mut step = vec!["finish", "--only=check"];
    if arguments.leave_behind {
        step.push("--leave-behind");
    }
    if arguments.revoke_old {
        step.push("--revoke-old");
    }
    let warnings = ask_service(&step, words::NOT_FINISHED)?;
    confirm(warnings.lines().map(str::to_owned), arguments.confirmation)?;
    step[1] = "--only=record";
    let said = ask_service(&step, words::NOT_FINISHED)?;
    let kept_until = said.trim().parse().ok().map(Timestamp::from_unix);
    let text = if ca_rotation::use_new_authority(kept_until)? {
        words::FINISHED
    } else {
        words::NOTHING_TO_FINISH
    };
    write!(io::stdout(), "{text}")?;
    Ok(())
}

/// Has a process that gives root up do a step on the store: this one must still be able to change the files. Returns what it printed.
fn ask_service(step: &[&str], failed: &str) -> Result<String, CommandError> {
    let asked = Command::new(std::env::current_exe()?)
        .args(["fleet", "rotate", "ca"])
        .args(step)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    if asked.status.success() {
        Ok(String::from_utf8_lossy(&asked.stdout).into_owned())
    } else {
        Err(CommandError::new(Failure::Failed, failed))
    }
}

/// Fails if the rotation cannot be finished; prints what is to be warned of.
fn check(arguments: &RotateCaFinish) -> Result<(), CommandError> {
    let found = client::open()?.ca_finish(!arguments.revoke_old)?;
    let CaFinish {
        progress,
        kept_until,
    } = &found;
    if progress.rotation.finished_at.is_some() {
        return Ok(());
    }
    if progress.rotation.opened_at.is_none() || !progress.servers_without.is_empty() {
        let why = words::not_opened(&progress.servers_without);
        return Err(CommandError::new(Failure::Failed, why)
            .hinted("'twofa fleet rotate ca start' goes on with it"));
    }
    let behind: Vec<_> = progress.behind().collect();
    if !behind.is_empty() && !arguments.leave_behind && !arguments.revoke_old {
        return Err(
            CommandError::new(Failure::Failed, words::behind(&behind)).hinted(words::WAIT_OR_LEAVE)
        );
    }
    for warning in words::warnings(&behind, *kept_until) {
        writeln!(io::stdout(), "{warning}")?;
    }
    Ok(())
}

/// Ends the rotation in the store; prints until when the old certificate authority is kept, in seconds since 1970.
fn record(arguments: &RotateCaFinish) -> Result<(), CommandError> {
    let admin = client::open()?;
    let found = admin.ca_finish(!arguments.revoke_old)?;
    admin.finish_ca_rotation(&found)?;
    let until = found.kept_until.map(|until| until.unix().to_string());
    Ok(writeln!(
        io::stdout(),
        "{}",
        until.as_deref().unwrap_or("-")
    )?)
}
