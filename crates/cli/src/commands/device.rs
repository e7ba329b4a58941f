//! `twofa device`.

use std::io::{self, Write};

use serde::Serialize;
use twofa_broker::admin::devices::ListedDevice;
use twofa_broker::{DeviceReport, Done, Failure, Request};
use twofa_core::Timestamp;

use crate::arguments::{DeviceCommand, Devices};
use crate::error::CommandError;
use crate::messages::{devices, moment, rfc3339};
use crate::output::{Output, Value};
use crate::{client, subject};

pub(crate) fn run(command: DeviceCommand, output: Output) -> Result<(), CommandError> {
    match command {
        DeviceCommand::List { whose } => list(whose, output),
        DeviceCommand::Revoke { id, whose, .. } => revoke(id, whose),
    }
}

/// A device as JSON has it.
#[derive(Debug, Serialize)]
struct Row<'a> {
    id: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    kind: &'a str,
    label: &'a str,
    host: Option<&'a str>,
    service: Option<&'a str>,
    since: String,
    last_used: String,
    until: String,
    users: u32,
}

fn list(Devices { user, everybody }: Devices, output: Output) -> Result<(), CommandError> {
    if everybody {
        return list_everybodys(output);
    }
    let user = subject::to_show(user.user)?;
    let Done::Devices(devices) = client::carry_out(Request::Devices { user })? else {
        return Err(no_answer());
    };
    let mut listing = output.listing(&[
        "ID",
        "KIND",
        "DEVICE",
        "SERVICE",
        "SINCE",
        "LAST USED",
        "UNTIL",
        "HOST",
        "NOTE",
    ]);
    for device in &devices {
        listing.row(&row(device, None), || values(device, None))?;
    }
    listing.end("No device is trusted: a code is asked for everywhere.")
}

fn list_everybodys(output: Output) -> Result<(), CommandError> {
    if !client::is_root() {
        return Err(CommandError::only_root("see everybody's devices"));
    }
    let mut listing = output.listing(&[
        "ID",
        "USER",
        "KIND",
        "DEVICE",
        "SERVICE",
        "SINCE",
        "LAST USED",
        "UNTIL",
        "HOST",
        "NOTE",
    ]);
    let mut written = Ok(());
    client::open()?.devices(|ListedDevice { account, device }| {
        let user = Some(account.name.as_str());
        written = listing.row(&row(&device, user), || values(&device, user));
        written.is_ok()
    })?;
    written?;
    listing.end("No user has a trusted device.")
}

fn row<'a>(device: &'a DeviceReport, user: Option<&'a str>) -> Row<'a> {
    let at = |seconds| rfc3339(Timestamp::from_unix(seconds));
    Row {
        id: device.id,
        user,
        kind: &device.kind,
        label: &device.label,
        host: device.host.as_deref(),
        service: device.service.as_deref(),
        since: at(device.since),
        last_used: at(device.used_at),
        until: at(device.until),
        users: device.users,
    }
}

fn values(device: &DeviceReport, user: Option<&str>) -> Vec<Value> {
    let text = |text: &str| Value::Text(text.to_owned());
    let at = |seconds| Value::Text(moment(Timestamp::from_unix(seconds)));
    let mut values = vec![Value::Text(device.id.to_string())];
    values.extend(user.map(text));
    values.extend([
        text(&device.kind),
        text(&device.label),
        text(device.service.as_deref().unwrap_or("-")),
        at(device.since),
        at(device.used_at),
        at(device.until),
        text(device.host.as_deref().unwrap_or("-")),
    ]);
    let shared = devices::shared(device.users);
    values.push(if device.users > 1 {
        Value::Warning(shared)
    } else {
        Value::Text(shared)
    });
    values
}

fn revoke(id: Option<i64>, Devices { user, everybody }: Devices) -> Result<(), CommandError> {
    let count = if everybody {
        if !client::is_root() {
            return Err(CommandError::only_root("revoke everybody's devices"));
        }
        client::open()?.end_trust(None)?
    } else {
        let user = subject::to_change(user.user)?;
        match client::carry_out(Request::RevokeDevices { user, id })? {
            Done::Revoked { count } => count,
            _ => return Err(no_answer()),
        }
    };
    Ok(writeln!(io::stdout(), "{}", devices::revoked(count))?)
}

fn no_answer() -> CommandError {
    CommandError::new(
        Failure::Unavailable,
        "the broker did not answer what it was asked",
    )
}
