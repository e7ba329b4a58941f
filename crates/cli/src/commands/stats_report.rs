//! `twofa stats --report`: what `mode=mandatory` would do.

use serde::Serialize;
use twofa_broker::admin::Administration;
use twofa_broker::admin::report::Forecast;

use crate::error::CommandError;
use crate::messages::{report, rfc3339};
use crate::output::Output;

/// The days whose recorded logins are counted.
const DAYS: u16 = 30;

/// The forecast as JSON has it.
#[derive(Debug, Serialize)]
struct Report<'a> {
    reporting: Vec<Reporting<'a>>,
    users: Vec<UserRow<'a>>,
    logins: Vec<LoginRow<'a>>,
    unrecorded_services: &'a [String],
}

#[derive(Debug, Serialize)]
struct Reporting<'a> {
    class: &'a str,
    since: Option<String>,
}

#[derive(Debug, Serialize)]
struct UserRow<'a> {
    class: &'a str,
    outcome: &'static str,
    users: u64,
    names: Option<&'a [String]>,
}

#[derive(Debug, Serialize)]
struct LoginRow<'a> {
    class: &'a str,
    service: &'a str,
    outcome: &'static str,
    logins: u64,
    users: Vec<&'a str>,
}

pub(super) fn run(admin: &Administration, output: Output) -> Result<(), CommandError> {
    let forecast = admin.forecast(DAYS)?;
    output.verbatim(&as_json(&forecast), |out| {
        write!(out, "{}", report::text(&forecast))
    })
}

fn as_json(forecast: &Forecast) -> Report<'_> {
    let reporting = forecast.since.iter().map(|(class, since)| Reporting {
        class,
        since: since.map(rfc3339),
    });
    let users = forecast.users.iter().map(|(key, users)| UserRow {
        class: &key.0,
        outcome: key.1.name(),
        users: *users,
        names: forecast.refused.get(key).map(Vec::as_slice),
    });
    let logins = forecast
        .logins
        .iter()
        .map(|((class, service, outcome), logins)| LoginRow {
            class,
            service,
            outcome: outcome.name(),
            logins: logins.count,
            users: logins.users.iter().map(String::as_str).collect(),
        });
    Report {
        reporting: reporting.collect(),
        users: users.collect(),
        logins: logins.collect(),
        unrecorded_services: &forecast.unrecorded,
    }
}
