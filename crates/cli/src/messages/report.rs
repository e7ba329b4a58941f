//! What `mode=mandatory` would do, in lines for people.

use std::fmt::{Display, Write as _};

use twofa_broker::admin::report::Forecast;
use twofa_core::class::EVERYONE;
use twofa_core::text::printable;

use super::events::reported;
use super::{enumerate, moment};

/// How many login names stand in a line.
const NAMED: usize = 10;

/// Since when the mode is report, what would happen to users, and what would have happened to logins.
pub(crate) fn text(forecast: &Forecast) -> String {
    let mut text = String::new();
    if forecast.since.is_empty() {
        text.push_str("mode=report is not set anywhere, so no logins are recorded. To start, run 'twofa policy set mode=report'.\n");
    }
    for (class, since) in &forecast.since {
        let whose = whose(class);
        let since = since.map_or_else(
            || "longer than the log goes back".to_owned(),
            |since| format!("since {}", moment(since)),
        );
        add(
            &mut text,
            format_args!("mode=report for users {whose} {since}\n"),
        );
    }
    text.push_str("\nUsers at their next login, with mode=mandatory\n");
    for (key, users) in &forecast.users {
        let class = &key.0;
        let what = reported(key.1)
            .replace("would have been", "will be")
            .replace("would have had", "will have");
        add(
            &mut text,
            format_args!(
                "  {} {}: {what}{}\n",
                counted(*users, "user"),
                whose(class),
                names(forecast.refused.get(key))
            ),
        );
    }
    text.push_str("\nRecorded logins of the last 30 days\n");
    if forecast.logins.is_empty() {
        text.push_str("  none\n");
    }
    for ((class, service, outcome), logins) in &forecast.logins {
        let named: Vec<_> = logins.users.iter().cloned().collect();
        let named = if outcome.is_refusal() {
            names(Some(&named))
        } else {
            String::new()
        };
        add(
            &mut text,
            format_args!(
                "  {} of {} {}, {}: {}{named}\n",
                counted(logins.count, "login"),
                counted(logins.users.len(), "user"),
                whose(class),
                printable(service),
                reported(*outcome),
            ),
        );
    }
    text.push_str(&unrecorded(&forecast.unrecorded));
    text
}

/// The services without records; empty if there are none.
fn unrecorded(services: &[String]) -> String {
    match services {
        [] => String::new(),
        services => format!(
            "\nNo logins with a password are recorded at these services, where a wrong password reaches the module too, or \
             whose program does not run as root: {}\n",
            enumerate(services)
        ),
    }
}

fn whose(class: &str) -> String {
    if class == EVERYONE {
        "in no class".to_owned()
    } else {
        format!("in class '{}'", printable(class))
    }
}

fn counted(count: impl Display, what: &str) -> String {
    let count = count.to_string();
    let plural = if count == "1" { "" } else { "s" };
    format!("{count} {what}{plural}")
}

fn names(names: Option<&Vec<String>>) -> String {
    let Some(names) = names.filter(|names| !names.is_empty()) else {
        return String::new();
    };
    let shown: Vec<_> = names
        .iter()
        .take(NAMED)
        .map(|name| printable(name))
        .collect();
    let more = names.len() - shown.len();
    let more = if more > 0 {
        format!(" and {more} more (all with --json)")
    } else {
        String::new()
    };
    format!(" ({}{more})", shown.join(", "))
}

fn add(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = text.write_fmt(line);
}
