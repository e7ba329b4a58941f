//! `twofa fleet rotate`: keys are replaced.

use std::io::{self, Write};
use std::process::Command;

use serde::Serialize;
use twofa_broker::Failure;
use twofa_broker::admin::fleet::FleetError;
use twofa_broker::admin::rotation::{self, KeyRotation};

use super::ca_rotation;
use super::confirm::confirm;
use crate::arguments::{FinishArguments, RotateCommand, RotateKeyCommand};
use crate::client;
use crate::error::CommandError;
use crate::messages::rotation as words;
use crate::output::{Output, Value};

pub(crate) fn run(what: RotateCommand, output: Output) -> Result<(), CommandError> {
    let step = match what {
        RotateCommand::Ca(step) => return ca_rotation::run(step, output),
        RotateCommand::Key(step) => step,
    };
    match step {
        RotateKeyCommand::Start => start(),
        RotateKeyCommand::Status => status(output),
        RotateKeyCommand::Finish(arguments) => finish(&arguments),
    }
}

fn start() -> Result<(), CommandError> {
    let (number, is_new) = rotation::add_sealing_key()?;
    // From here on as the service.
    let admin = client::open()?;
    let mut out = io::stdout();
    if is_new {
        admin.record_sealing_key_added(number)?;
        write!(out, "{}", words::added(number))?;
    }
    match admin.seal_again() {
        Ok(many) => Ok(write!(out, "{}", words::sealed(many, number))?),
        Err(FleetError::ServersWithoutKey(names)) => {
            Ok(write!(out, "{}", words::other_servers(&names))?)
        }
        Err(error) => Err(error.into()),
    }
}

#[derive(Debug, Serialize)]
struct Row {
    key: u32,
    on_this_machine: bool,
    seals: bool,
    values: u64,
}

fn rows(found: &KeyRotation) -> Vec<Row> {
    let values = |key| {
        let count = found.counts.iter().find(|count| count.key == key);
        count.map_or(0, |count| count.values)
    };
    let mut keys: Vec<_> = found.counts.iter().map(|count| count.key).collect();
    keys.extend(&found.keys);
    keys.sort_unstable();
    keys.dedup();
    let row = |key| Row {
        key,
        on_this_machine: found.keys.contains(&key),
        seals: key == found.sealing,
        values: values(key),
    };
    keys.into_iter().map(row).collect()
}

fn status(output: Output) -> Result<(), CommandError> {
    let found = client::open()?.key_rotation()?;
    let mut listing = output.listing(&["KEY", "ON THIS MACHINE", "ENCRYPTS", "VALUES"]);
    for row in rows(&found) {
        listing.row(&row, || {
            let here = words::yes_or_no(row.on_this_machine).to_owned();
            vec![
                Value::Text(row.key.to_string()),
                if row.on_this_machine {
                    Value::Text(here)
                } else {
                    Value::Bad(here)
                },
                Value::Text(words::yes_or_no(row.seals).to_owned()),
                Value::Text(row.values.to_string()),
            ]
        })?;
    }
    listing.end("")?;
    Ok(write!(io::stderr(), "{}", words::servers(&found))?)
}

fn finish(arguments: &FinishArguments) -> Result<(), CommandError> {
    if arguments.check {
        return check();
    }
    // Another process looks into the store, since only the service may, and only root changes the file.
    let itself = std::env::current_exe()?;
    let checked = Command::new(itself)
        .args(["fleet", "rotate", "key", "finish", "--check"])
        .status()?;
    if !checked.success() {
        return Err(CommandError::new(Failure::Failed, words::NOT_FINISHED));
    }
    confirm([words::BACKUPS.to_owned()], arguments.confirmation)?;
    let text = if rotation::drop_sealing_keys()? {
        words::DROPPED
    } else {
        words::NOTHING_TO_DROP
    };
    Ok(write!(io::stdout(), "{text}")?)
}

/// Fails if anything is sealed with another key than the newest, or may yet be.
fn check() -> Result<(), CommandError> {
    let found = client::open()?.key_rotation()?;
    let newest = found.keys.last().copied().unwrap_or(found.sealing);
    let refused = |message: String| {
        Err(CommandError::new(Failure::Failed, message)
            .hinted("'twofa fleet rotate key start' goes on with it"))
    };
    if found.sealing != newest || !found.without_newest.is_empty() {
        return refused(words::not_in_force(newest, &found.without_newest));
    }
    match found.left() {
        0 => Ok(()),
        left => refused(words::left(left)),
    }
}
