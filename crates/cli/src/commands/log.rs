//! `twofa log`.

use std::io;

use serde::Serialize;
use twofa_broker::admin::log::LoggedEvent;

use crate::client;
use crate::error::CommandError;
use crate::messages::{moment, rfc3339};
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
    by_uid: u32,
    detail: Option<&'a str>,
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
    listing.end("Nothing has happened yet.")
}

fn list_one(event: &LoggedEvent, listing: &mut Listing) -> io::Result<()> {
    let LoggedEvent {
        id,
        at,
        kind,
        user,
        origin,
        detail,
    } = event;
    let row = Row {
        id: *id,
        at: rfc3339(*at),
        event: kind,
        user: user.as_deref(),
        service: origin.service.as_deref(),
        remote_host: origin.remote_host.as_deref(),
        terminal: origin.terminal.as_deref(),
        remote_user: origin.remote_user.as_deref(),
        by_uid: origin.actor,
        detail: detail.as_deref(),
    };
    listing.row(&row, || {
        let text = |text: &Option<String>| Value::Text(text.clone().unwrap_or_default());
        let event = kind.clone();
        vec![
            Value::Text(moment(*at)),
            match event.as_str() {
                "passed" => Value::Good(event),
                "refused" | "locked" | "sms-limit" => Value::Bad(event),
                _ => Value::Text(event),
            },
            text(user),
            text(&origin.service),
            text(if origin.remote_host.is_some() {
                &origin.remote_host
            } else {
                &origin.terminal
            }),
            Value::Text(match &origin.remote_user {
                Some(user) => user.clone(),
                None => format!("uid {}", origin.actor),
            }),
            text(detail),
        ]
    })
}
