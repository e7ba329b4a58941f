//! `twofa exemption`, and `twofa user exempt`.

use std::io::{self, Write};

use jiff::tz::TimeZone;
use serde::Serialize;
use twofa_broker::Failure;
use twofa_broker::admin::exemption::{ExemptionRequest, SubjectName, read_end};
use twofa_broker::clock;
use twofa_broker::text::messages::exemption_scope;
use twofa_core::Timestamp;
use twofa_core::exemption::{Exemption, Subject};

use crate::arguments::{ExemptArguments, ExemptionCommand};
use crate::client;
use crate::error::CommandError;
use crate::messages::{self, rfc3339};
use crate::output::{Output, Value};

pub(crate) fn run(command: &ExemptionCommand, output: Output) -> Result<(), CommandError> {
    if !client::is_root() {
        return Err(CommandError::only_root("see or end exemptions"));
    }
    match command {
        ExemptionCommand::List => list(output),
        ExemptionCommand::Remove { id } => {
            let ended = client::open()?.end_exemption(*id)?;
            Ok(writeln!(io::stdout(), "Ended: {}.", ended.reason)?)
        }
    }
}

pub(crate) fn grant(arguments: &ExemptArguments) -> Result<(), CommandError> {
    let ExemptArguments {
        name,
        group,
        reason,
        until,
        from,
        service,
    } = arguments;
    let subject = match (name, group) {
        (Some(name), _) => SubjectName::User(name.clone()),
        (None, group) => SubjectName::Group(group.clone().unwrap_or_default()),
    };
    let end = read_end(until, clock::now(), TimeZone::system());
    let end = end.map_err(|why| {
        CommandError::new(Failure::Usage, format!("--until {until}: {why}"))
            .hinted("write a date (2027-06-30), a length of time (30d), or 'never'")
    })?;
    let id = client::open()?.grant_exemption(&ExemptionRequest {
        subject,
        reason: reason.clone(),
        until: end,
        network: *from,
        service: service.clone(),
    })?;
    Ok(writeln!(
        io::stdout(),
        "Exempt {}. End it with: twofa exemption remove {id}",
        messages::until(end)
    )?)
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    id: i64,
    user: Option<&'a str>,
    group: Option<&'a str>,
    only: Option<String>,
    reason: &'a str,
    granted_by_uid: u32,
    granted_at: String,
    until: Option<String>,
    in_force: bool,
}

fn list(output: Output) -> Result<(), CommandError> {
    let admin = client::open()?;
    let now = admin.now();
    let mut listing = output.listing(&["NUMBER", "WHO", "ONLY", "UNTIL", "REASON", "BY"]);
    for stored in &admin.exemptions()? {
        let row = row(stored.id, &stored.exemption, now);
        listing.row(&row, || values(&row, &stored.exemption))?;
    }
    listing.end("Nobody is exempt.")
}

fn row(id: i64, exemption: &Exemption, now: Timestamp) -> Row<'_> {
    let (user, group) = match &exemption.subject {
        Subject::User(account) => (Some(account.name.as_str()), None),
        Subject::Group(group) => (None, Some(group.name.as_str())),
    };
    Row {
        id,
        user,
        group,
        only: exemption_scope(exemption),
        reason: &exemption.reason,
        granted_by_uid: exemption.granted_by,
        granted_at: rfc3339(exemption.granted_at),
        until: exemption.until.map(rfc3339),
        in_force: exemption.is_in_force(now),
    }
}

fn values(row: &Row<'_>, exemption: &Exemption) -> Vec<Value> {
    let who = row.user.map_or_else(
        || format!("group {}", row.group.unwrap_or_default()),
        str::to_owned,
    );
    let end = exemption
        .until
        .map_or_else(|| "never".to_owned(), messages::moment);
    vec![
        Value::Text(row.id.to_string()),
        Value::Text(who),
        Value::Text(row.only.clone().unwrap_or_else(|| "-".to_owned())),
        if row.in_force {
            Value::Warning(end)
        } else {
            Value::Text(format!("ended {end}"))
        },
        Value::Text(row.reason.to_owned()),
        Value::Text(format!("uid {}", row.granted_by_uid)),
    ]
}
