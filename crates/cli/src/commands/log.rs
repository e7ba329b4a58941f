//! `twofa log`.

use std::io;

use serde::Serialize;
use twofa_broker::admin::log::{LoggedEvent, Record};

use crate::client;
use crate::error::CommandError;
use crate::messages::{events, moment, rfc3339};
use crate::output::{Listing, Output, Value};

/// An event as JSON has it.
#[derive(Debug, Serialize)]
struct Row<'a> {
    id: i64,
    at: String,
    event: &'a str,
    user: Option<&'a str>,
    service: Option<&'a str>,
    remote_host: Option<&'a str>,
    terminal: Option<&'a str>,
    remote_user: Option<&'a str>,
    source: &'a str,
    by_uid: u32,
    detail: Option<&'a str>,
    fields: Option<serde_json::Value>,
}

pub(crate) fn run(
    user: Option<String>,
    last: Option<u32>,
    output: Output,
) -> Result<(), CommandError> {
    if !client::is_root() {
        return Err(CommandError::only_root("see the log"));
    }
    let mut listing = output.listing(&["TIME", "EVENT", "USER", "AT", "FROM", "BY", "DETAIL"]);
    let mut written = Ok(());
    client::open()?.events(user, last, |event| {
        written = list_one(&event, &mut listing);
        written.is_ok()
    })?;
    written?;
    listing.end("No events to show.")
}

fn list_one(event: &LoggedEvent, listing: &mut Listing) -> io::Result<()> {
    let LoggedEvent {
        id,
        at,
        kind,
        user,
        origin,
        record,
    } = event;
    let detail = events::detail(record, *at);
    let login = origin.as_login();
    let remote_user = login.and_then(|login| login.remote_user.as_deref());
    let row = Row {
        id: *id,
        at: rfc3339(*at),
        event: kind,
        user: user.as_deref(),
        service: origin.service(),
        remote_host: login.and_then(|login| login.remote_host.as_deref()),
        terminal: login.and_then(|login| login.terminal.as_deref()),
        remote_user,
        source: origin.source.name(),
        by_uid: origin.actor,
        detail: detail.as_deref(),
        fields: fields(record)?,
    };
    listing.row(&row, || {
        let text = |text: Option<&str>| Value::Text(text.unwrap_or_default().to_owned());
        let event = kind.clone();
        vec![
            Value::Text(moment(*at)),
            match event.as_str() {
                "passed" => Value::Good(event),
                "refused" | "locked" | "sms-limit" => Value::Bad(event),
                _ => Value::Text(event),
            },
            text(user.as_deref()),
            text(origin.service()),
            text(origin.host_or_terminal()),
            Value::Text(match remote_user {
                Some(user) => user.to_owned(),
                None => format!("uid {}", origin.actor),
            }),
            text(detail.as_deref()),
        ]
    })
}

/// The fields of an event, where it has any and was not logged by an earlier version.
fn fields(record: &Record) -> io::Result<Option<serde_json::Value>> {
    let Record::Event(event) = record else {
        return Ok(None);
    };
    let mut event = serde_json::to_value(event)?;
    Ok(event.get_mut("fields").map(serde_json::Value::take))
}
