//! `twofa exemption`, and `twofa user exempt`.

use std::io::{self, Write};

use ipnet::IpNet;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;
use twofa_broker::{accounts, clock, words};
use twofa_core::Timestamp;
use twofa_core::duration::Duration;
use twofa_core::exemption::{Exemption, Subject};
use twofa_core::text::is_unprintable;
use twofa_proto::Failure;

use super::{administrator, by_root};
use crate::arguments::ExemptionCommand;
use crate::client;
use crate::error::CommandError;
use crate::messages::{moment, rfc3339};
use crate::output::{Output, Value};

pub(crate) fn run(command: &ExemptionCommand, output: Output) -> Result<(), CommandError> {
    if !client::is_root() {
        return Err(CommandError::only_root("see or end exemptions"));
    }
    match command {
        ExemptionCommand::List => list(output),
        ExemptionCommand::Remove { id } => remove(*id),
    }
}

/// What `user exempt` was given.
pub(crate) struct Wish<'a> {
    pub(crate) name: Option<&'a str>,
    pub(crate) group: Option<&'a str>,
    pub(crate) reason: &'a str,
    pub(crate) until: &'a str,
    pub(crate) from: Option<IpNet>,
    pub(crate) service: Option<&'a str>,
}

pub(crate) fn grant(wish: &Wish<'_>) -> Result<(), CommandError> {
    let unavailable = |error: accounts::NameServiceError| {
        CommandError::new(Failure::Unavailable, error.to_string())
    };
    let not_found = |what: String| CommandError::new(Failure::NotFound, what);
    let subject = match (wish.name, wish.group) {
        (Some(name), _) => {
            let account = accounts::find(name).map_err(unavailable)?;
            Subject::User(
                account.ok_or_else(|| not_found(format!("there is no account called '{name}'")))?,
            )
        }
        (None, group) => {
            let name = group.unwrap_or_default();
            let group = accounts::group(name).map_err(unavailable)?;
            Subject::Group(
                group
                    .ok_or_else(|| not_found(format!("there is no Unix group called '{name}'")))?,
            )
        }
    };
    let reason = wish.reason.trim();
    if reason.is_empty() || reason.chars().any(is_unprintable) || reason.chars().count() > 200 {
        return Err(CommandError::new(
            Failure::Usage,
            "a reason has 1 to 200 visible characters",
        ));
    }
    if wish
        .service
        .is_some_and(|service| service.trim().is_empty() || service.chars().any(is_unprintable))
    {
        return Err(CommandError::new(
            Failure::Usage,
            "a PAM service has a name, such as sshd",
        ));
    }
    let now = clock::now();
    let exemption = Exemption {
        subject,
        network: wish.from,
        service: wish.service.map(str::to_owned),
        reason: reason.to_owned(),
        granted_by: administrator(),
        granted_at: now,
        until: end(wish.until, now)?,
    };
    let id = client::open()?.store().grant(&exemption, &by_root(), now)?;
    let until = exemption.until.map_or_else(
        || "without end".to_owned(),
        |until| format!("until {}", moment(until)),
    );
    Ok(writeln!(
        io::stdout(),
        "Exempt {until}. End it with: twofa exemption remove {id}"
    )?)
}

/// A day (its end, here), a length of time from `now`, or `never`.
fn end(text: &str, now: Timestamp) -> Result<Option<Timestamp>, CommandError> {
    if text == "never" {
        return Ok(None);
    }
    let wrong = |why: &str| {
        CommandError::new(Failure::Usage, format!("'{text}' is no end: {why}"))
            .hinted("write a day (2027-06-30), a length of time (30d), or 'never'")
    };
    let end = if let Ok(duration) = text.parse::<Duration>() {
        now.after(duration.seconds())
    } else {
        let day: Date = text
            .parse()
            .map_err(|_| wrong("it is neither a day nor a length of time"))?;
        let next = day
            .tomorrow()
            .and_then(|next| next.to_zoned(TimeZone::system()));
        Timestamp::from_unix(
            next.map_err(|_| wrong("there is no such day"))?
                .timestamp()
                .as_second(),
        )
    };
    if end <= now {
        Err(wrong("it is over already"))
    } else {
        Ok(Some(end))
    }
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
    let exemptions = client::open()?.store().exemptions()?;
    let now = clock::now();
    let mut listing = output.listing(&["NUMBER", "WHO", "ONLY", "UNTIL", "REASON", "BY"]);
    for stored in &exemptions {
        let Exemption {
            subject,
            reason,
            granted_by,
            granted_at,
            until,
            ..
        } = &stored.exemption;
        let (user, group) = match subject {
            Subject::User(account) => (Some(account.name.as_str()), None),
            Subject::Group(group) => (None, Some(group.name.as_str())),
        };
        let only = words::exemption_scope(&stored.exemption);
        let in_force = stored.exemption.is_in_force(now);
        let row = Row {
            id: stored.id,
            user,
            group,
            only: only.clone(),
            reason,
            granted_by_uid: *granted_by,
            granted_at: rfc3339(*granted_at),
            until: until.map(rfc3339),
            in_force,
        };
        listing.row(&row, || {
            let who = user.map_or_else(
                || format!("group {}", group.unwrap_or_default()),
                str::to_owned,
            );
            let end = until.map_or_else(|| "never".to_owned(), moment);
            vec![
                Value::Text(stored.id.to_string()),
                Value::Text(who),
                Value::Text(only.unwrap_or_else(|| "-".to_owned())),
                if in_force {
                    Value::Warning(end)
                } else {
                    Value::Text(format!("ended {end}"))
                },
                Value::Text(reason.clone()),
                Value::Text(format!("uid {granted_by}")),
            ]
        })?;
    }
    listing.end("Nobody is exempt.")
}

fn remove(id: i64) -> Result<(), CommandError> {
    match client::open()?
        .store()
        .revoke_exemption(id, &by_root(), clock::now())?
    {
        Some(ended) => Ok(writeln!(io::stdout(), "Ended: {}.", ended.reason)?),
        None => Err(CommandError::new(
            Failure::NotFound,
            format!("there is no exemption number {id}"),
        )
        .hinted("see 'twofa exemption list'")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_day_a_length_of_time_or_never() {
        let now = Timestamp::from_unix(1_800_000_000); // 2027-01-15
        assert_eq!(end("never", now).unwrap(), None);
        assert_eq!(end("30d", now).unwrap(), Some(now.after(30 * 86_400)));
        let day = end("2027-06-30", now).unwrap().unwrap();
        assert!(
            (1_814_310_000..=1_814_410_000).contains(&day.unix()),
            "{day:?}"
        );
        for text in ["", "soon", "0", "2026-01-01", "2027-02-30", "Never"] {
            assert!(end(text, now).is_err(), "{text:?}");
        }
    }
}
