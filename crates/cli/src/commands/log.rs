//! `twofa log`.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd;

use jiff::Zoned;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{Uid, User};
use serde::Serialize;
use twofa_broker::Failure;
use twofa_broker::admin::Administration;
use twofa_broker::admin::log::{EventFilter, LoggedEvent, Origin, Record};
use twofa_core::Timestamp;

use crate::arguments::EventArguments;
use crate::client;
use crate::error::CommandError;
use crate::messages::{events, moment, rfc3339};
use crate::output::{Listing, Output, Value};
use crate::when;

const HEADINGS: [&str; 7] = ["TIME", "EVENT", "USER", "AT", "FROM", "BY", "DETAIL"];
/// How many events `--follow` begins with, as journalctl(1) does.
const FOLLOWED: u32 = 10;
/// How often new events are looked for, in milliseconds.
const POLL: u16 = 1000;

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
    /// The host of the fleet on which it was, on a server.
    host: Option<&'a str>,
    remote_user: Option<&'a str>,
    source: &'a str,
    by_uid: u32,
    login_uid: Option<u32>,
    by: String,
    detail: Option<&'a str>,
    fields: Option<serde_json::Value>,
}

pub(crate) fn run(arguments: EventArguments, output: Output) -> Result<(), CommandError> {
    if !client::is_root() {
        return Err(CommandError::only_root("see the log"));
    }
    let follow = arguments.follow;
    let filter = filter(arguments)?;
    let admin = client::open()?;
    let mut names = Names::default();
    if follow {
        return follow_events(&admin, filter, &mut names, output);
    }
    let mut listing = output.listing(&HEADINGS);
    list(&admin, &filter, &mut names, &mut listing)?;
    listing.end("No events to show.")
}

fn filter(arguments: EventArguments) -> Result<EventFilter, CommandError> {
    let now = Zoned::now();
    let time = |text: Option<String>| -> Result<Option<Timestamp>, CommandError> {
        let Some(text) = text else {
            return Ok(None);
        };
        let time = when::parse(&text, &now);
        let error = || {
            let message = format!("'{text}' is no point in time");
            CommandError::new(Failure::Usage, message).hinted(when::HINT)
        };
        time.map(Some).ok_or_else(error)
    };
    Ok(EventFilter {
        user: arguments.user,
        last: arguments.last,
        after: None,
        since: time(arguments.since)?,
        until: time(arguments.until)?,
        kinds: arguments.kinds,
        service: arguments.service,
        host: arguments.host,
        from: arguments.from,
    })
}

/// Lists the events, and returns the number of the last one.
fn list(
    admin: &Administration,
    filter: &EventFilter,
    names: &mut Names,
    listing: &mut Listing,
) -> Result<Option<i64>, CommandError> {
    let (mut written, mut latest) = (Ok(()), None);
    admin.events(filter, |event| {
        latest = Some(event.id);
        written = list_one(&event, names, listing);
        written.is_ok()
    })?;
    written?;
    Ok(latest)
}

/// Lists events as they come, until nobody reads them any longer or a signal ends this process, which holds no lock then.
fn follow_events(
    admin: &Administration,
    filter: EventFilter,
    names: &mut Names,
    output: Output,
) -> Result<(), CommandError> {
    let mut listing = output.endless_listing(&HEADINGS);
    let mut filter = EventFilter {
        last: filter.last.or(filter.since.is_none().then_some(FOLLOWED)),
        ..filter
    };
    loop {
        // Read first: an event between the two is listed now, and not again.
        let known = admin.latest_event()?;
        let listed = list(admin, &filter, names, &mut listing)?;
        listing.flush(sample)?;
        let after = listed.max(Some(known)).max(filter.after);
        filter = EventFilter {
            after,
            last: None,
            ..filter
        };
        if !is_still_read()? {
            return Ok(());
        }
    }
}

/// Waits for a moment, and returns whether somebody still reads standard output.
fn is_still_read() -> Result<bool, CommandError> {
    let stdout = io::stdout();
    // Without any events, poll(2) reports errors and hang-ups only.
    let mut files = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
    match poll(&mut files, PollTimeout::from(POLL)) {
        Ok(0) | Err(Errno::EINTR) => Ok(true),
        Ok(_) => Ok(false),
        Err(error) => Err(io::Error::from(error).into()),
    }
}

/// A row as wide as most are.
fn sample() -> Vec<Value> {
    let texts = [
        "2026-11-26 12:00:00",
        "device-trusted",
        "a-login-name",
        "sshd",
        "192.0.2.255",
        "root (alice)",
        "address 192.0.2.255 until 2026-12-26 12:00",
    ];
    texts.map(|text| Value::Text(text.to_owned())).into()
}

fn list_one(event: &LoggedEvent, names: &mut Names, listing: &mut Listing) -> io::Result<()> {
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
    let by = names.actor(origin);
    let host = origin.host.as_ref().map(|host| &*host.name);
    let row = Row {
        id: *id,
        at: rfc3339(*at),
        event: kind,
        user: user.as_deref(),
        service: origin.service(),
        remote_host: login.and_then(|login| login.remote_host.as_deref()),
        terminal: login.and_then(|login| login.terminal.as_deref()),
        host,
        remote_user: login.and_then(|login| login.remote_user.as_deref()),
        source: origin.source.name(),
        by_uid: origin.actor,
        login_uid: origin.login_uid,
        by: by.clone(),
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
            Value::Text(at_place(origin)),
            text(origin.host_or_terminal()),
            Value::Text(by),
            text(detail.as_deref()),
        ]
    })
}

/// The service, with the host of the fleet on which it was: `sshd on web1`.
fn at_place(origin: &Origin) -> String {
    let service = origin.service().unwrap_or_default();
    match &origin.host {
        Some(host) if service.is_empty() => format!("on {}", host.name),
        Some(host) => format!("{service} on {}", host.name),
        None => service.to_owned(),
    }
}

/// The names of the accounts that acted, each looked up once.
#[derive(Debug, Default)]
struct Names(HashMap<u32, String>);

impl Names {
    /// Who acted: `root (alice)` where alice logged in and became root.
    fn actor(&mut self, origin: &Origin) -> String {
        let remote_user = origin
            .as_login()
            .and_then(|login| login.remote_user.clone());
        let actor = remote_user.unwrap_or_else(|| self.name(origin.actor));
        let person = origin.login_uid.map(|uid| self.name(uid));
        match person.filter(|person| *person != actor) {
            Some(person) => format!("{actor} ({person})"),
            None => actor,
        }
    }

    fn name(&mut self, uid: u32) -> String {
        let name = self.0.entry(uid).or_insert_with(|| {
            let account = User::from_uid(Uid::from_raw(uid)).ok().flatten();
            account.map_or_else(|| format!("uid {uid}"), |account| account.name)
        });
        name.clone()
    }
}

/// The fields of an event, where it has any and was not logged by an earlier version.
fn fields(record: &Record) -> io::Result<Option<serde_json::Value>> {
    let Record::Event(event) = record else {
        return Ok(None);
    };
    let mut event = serde_json::to_value(event)?;
    Ok(event.get_mut("fields").map(serde_json::Value::take))
}

#[cfg(test)]
mod tests {
    use super::*;
    use twofa_broker::admin::log::LoginOrigin;

    #[test]
    fn who_acted_is_the_person_behind_root() {
        let mut names = Names(HashMap::from([
            (0, "root".to_owned()),
            (1000, "alice".to_owned()),
            (1001, "bob".to_owned()),
        ]));
        let su = |by: &str| {
            let login = LoginOrigin {
                remote_user: Some(by.into()),
                ..LoginOrigin::default()
            };
            Origin::login(0, login)
        };
        for (origin, expected) in [
            (Origin::command_line(0), "root"),
            (
                Origin::command_line(0).by_login_uid(Some(1000)),
                "root (alice)",
            ),
            (Origin::command_line(0).by_login_uid(Some(0)), "root"),
            (Origin::command_line(1001), "bob"),
            (su("alice").by_login_uid(Some(1000)), "alice"),
            (su("bob").by_login_uid(Some(1000)), "bob (alice)"),
            (Origin::command_line(4_294_967_294), "uid 4294967294"),
        ] {
            assert_eq!(names.actor(&origin), expected);
        }
    }
}
