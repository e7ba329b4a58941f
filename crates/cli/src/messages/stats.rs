//! Statistics for people, and as metrics in the text format of Prometheus
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use std::fmt::{Display, Write as _};

use twofa_broker::admin::stats::{Day, People, Statistics};
use twofa_core::Timestamp;
use twofa_core::text::printable;

/// Columns of a bar at most.
const WIDEST_BAR: usize = 60;

/// Lines for people; with bars where the terminal has this many columns.
pub(crate) fn text(statistics: &Statistics, columns: Option<usize>) -> String {
    let people = &statistics.people;
    let mut text = String::new();
    add_section(&mut text, "Users", &people.by_status);
    add_section(&mut text, "Methods", &people.by_method);
    add_section(&mut text, "Classes", &people.by_class);
    add_section(&mut text, "Passed in 30 days", &statistics.passed);
    add_section(&mut text, "Refused in 30 days", &statistics.refused);
    let counts = [
        ("locks", statistics.locked),
        ("codes over a limit", statistics.limited),
        ("codes undelivered", statistics.undelivered),
    ];
    add_section(
        &mut text,
        "Trouble in 30 days",
        counts.iter().map(|(name, count)| (name, count)),
    );
    if !statistics.providers.is_empty() {
        text.push_str("Codes sent in 30 days\n");
        for (name, sends) in &statistics.providers {
            let mean = sends.milliseconds.checked_div(sends.timed);
            let mean = mean.map_or_else(String::new, |mean| format!(", {mean} ms each"));
            let (sent, failed) = (sends.sent, sends.failed);
            add(
                &mut text,
                format_args!(
                    "  {}: {sent} sent, {failed} failed{mean}\n",
                    printable(name)
                ),
            );
        }
    }
    add_days(&mut text, &statistics.days, columns);
    text
}

/// A heading, and a line for each that is not 0.
fn add_section<'a>(
    text: &mut String,
    heading: &str,
    counts: impl IntoIterator<Item = (&'a (impl AsRef<str> + 'a), &'a u64)>,
) {
    let mut is_empty = true;
    for (name, count) in counts {
        if *count == 0 {
            continue;
        }
        if is_empty {
            add(text, format_args!("{heading}\n"));
        }
        is_empty = false;
        add(
            text,
            format_args!("  {:<26} {count}\n", printable(name.as_ref())),
        );
    }
}

fn add_days(text: &mut String, days: &[Day], columns: Option<usize>) {
    text.push_str("Day         passed trusted refused\n");
    let most = days.iter().map(total).max().unwrap_or(0).max(1);
    for day in days {
        let Day {
            date,
            passed,
            trusted,
            refused,
        } = day;
        let line = format!("{date} {passed:>7} {trusted:>7} {refused:>7}");
        let room = columns.map_or(0, |columns| columns.saturating_sub(line.len() + 1));
        let room = room.min(WIDEST_BAR) as u64;
        let cells = |count: u64| usize::try_from(count * room / most).unwrap_or(0);
        // Refused ones are told from the others without colour.
        let (good, bad) = (cells(passed + trusted), cells(*refused));
        let bar = format!("{line} {}{}", "#".repeat(good), "x".repeat(bad));
        add(text, format_args!("{}\n", bar.trim_end()));
    }
}

const fn total(day: &Day) -> u64 {
    day.passed + day.trusted + day.refused
}

/// The metrics of the last 24 hours up to `now`.
pub(crate) fn prometheus(statistics: &Statistics, now: Timestamp) -> String {
    let mut text = String::new();
    add_people(&mut text, &statistics.people);
    add_metric(
        &mut text,
        "passed_last_day",
        "Accepted codes and trusted devices in 24 hours",
        "method",
        &statistics.passed,
    );
    add_metric(
        &mut text,
        "refused_last_day",
        "Refused logins and codes in 24 hours",
        "reason",
        &statistics.refused,
    );
    add_single(
        &mut text,
        "locked_last_day",
        "Accounts that wrong codes locked in 24 hours",
        statistics.locked,
    );
    add_sends(&mut text, statistics);
    add_single(
        &mut text,
        "codes_limited_last_day",
        "Codes that a limit kept back in 24 hours",
        statistics.limited,
    );
    add_single(
        &mut text,
        "codes_undelivered_last_day",
        "Codes that no provider took in 24 hours",
        statistics.undelivered,
    );
    add_single(
        &mut text,
        "stats_timestamp_seconds",
        "When these figures were counted",
        now.unix(),
    );
    text
}

fn add_people(text: &mut String, people: &People) {
    add_metric(
        text,
        "users",
        "Users on record, by status",
        "status",
        &people.by_status,
    );
    add_metric(
        text,
        "users_with_method",
        "Users on record, by method they have",
        "method",
        &people.by_method,
    );
    add_metric(
        text,
        "users_of_class",
        "Users on record, by class",
        "class",
        &people.by_class,
    );
}

fn add_sends(text: &mut String, statistics: &Statistics) {
    let sends = |of: fn(&twofa_broker::admin::stats::Sends) -> u64| {
        let providers = statistics.providers.iter();
        providers
            .map(move |(name, sends)| (name, of(sends)))
            .collect::<Vec<_>>()
    };
    for (name, help, counts) in [
        (
            "codes_sent_last_day",
            "Codes that a provider took in 24 hours",
            sends(|it| it.sent),
        ),
        (
            "codes_failed_last_day",
            "Codes that a provider did not take in 24 hours",
            sends(|it| it.failed),
        ),
    ] {
        add_metric(
            text,
            name,
            help,
            "provider",
            counts.iter().map(|(name, count)| (*name, count)),
        );
    }
    let means = statistics
        .providers
        .iter()
        .filter(|(_, sends)| sends.timed > 0);
    #[allow(clippy::cast_precision_loss, reason = "milliseconds")]
    let means: Vec<_> = means
        .map(|(name, sends)| {
            (
                name,
                sends.milliseconds as f64 / sends.timed as f64 / 1000.0,
            )
        })
        .collect();
    add_metric(
        text,
        "code_sending_seconds_last_day",
        "Mean time that a provider took for a code in 24 hours",
        "provider",
        means.iter().map(|(name, mean)| (*name, mean)),
    );
}

pub(super) fn add_single(text: &mut String, name: &str, help: &str, value: impl Display) {
    add(
        text,
        format_args!(
            "# HELP twofa_{name} {help}.\n# TYPE twofa_{name} gauge\ntwofa_{name} {value}\n"
        ),
    );
}

/// A counter with a value for each value of one label, or nothing if there is none.
pub(super) fn add_counter<'a, T: Display + 'a>(
    text: &mut String,
    name: &str,
    help: &str,
    label: &str,
    values: impl IntoIterator<Item = (&'a (impl AsRef<str> + 'a), &'a T)>,
) {
    add_of_kind(text, "counter", (name, help), label, values);
}

/// A gauge with a value for each value of one label, or nothing if there is none.
pub(super) fn add_metric<'a, T: Display + 'a>(
    text: &mut String,
    name: &str,
    help: &str,
    label: &str,
    values: impl IntoIterator<Item = (&'a (impl AsRef<str> + 'a), &'a T)>,
) {
    add_of_kind(text, "gauge", (name, help), label, values);
}

fn add_of_kind<'a, T: Display + 'a>(
    text: &mut String,
    kind: &str,
    (name, help): (&str, &str),
    label: &str,
    values: impl IntoIterator<Item = (&'a (impl AsRef<str> + 'a), &'a T)>,
) {
    let mut values = values.into_iter().peekable();
    if values.peek().is_some() {
        add(
            text,
            format_args!("# HELP twofa_{name} {help}.\n# TYPE twofa_{name} {kind}\n"),
        );
    }
    for (of, value) in values {
        let of = of
            .as_ref()
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        add(
            text,
            format_args!("twofa_{name}{{{label}=\"{of}\"}} {value}\n"),
        );
    }
}

/// A `String` takes everything.
fn add(text: &mut String, what: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(what);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use twofa_broker::admin::stats::Sends;

    fn statistics() -> Statistics {
        let day = |date: &str, passed, refused| Day {
            date: date.into(),
            passed,
            trusted: 1,
            refused,
        };
        Statistics {
            people: People {
                by_status: BTreeMap::from([("enabled", 12), ("off", 0)]),
                by_method: BTreeMap::from([("app", 10)]),
                by_class: BTreeMap::from([("a \"b\\".to_owned(), 1)]),
            },
            passed: BTreeMap::from([("app".to_owned(), 30)]),
            refused: BTreeMap::from([("wrong-code".to_owned(), 3)]),
            providers: BTreeMap::from([(
                "relay".to_owned(),
                Sends {
                    sent: 2,
                    failed: 1,
                    timed: 2,
                    milliseconds: 500,
                },
            )]),
            days: vec![day("2026-11-25", 9, 0), day("2026-11-26", 19, 20)],
            ..Statistics::default()
        }
    }

    #[test]
    fn lines_and_bars_fit_any_terminal() {
        for columns in [40, 80, 200] {
            let text = text(&statistics(), Some(columns));
            let widest = text.lines().map(|line| line.chars().count()).max();
            assert!(widest.unwrap() <= columns, "{text}");
        }
        let text = text(&statistics(), Some(80));
        assert!(
            text.contains("Users\n  enabled                    12\n"),
            "{text}"
        );
        assert!(
            text.contains("relay: 2 sent, 1 failed, 250 ms each"),
            "{text}"
        );
        assert!(
            text.contains("2026-11-26      19       1      20 #####"),
            "{text}"
        );
        assert!(text.lines().last().unwrap().ends_with('x'));
        assert!(
            !super::text(&statistics(), None).contains('#'),
            "no bars in a pipe"
        );
    }

    #[test]
    fn metrics_are_typed_once_and_their_labels_escaped() {
        let text = prometheus(&statistics(), Timestamp::from_unix(5));
        assert!(
            text.contains("twofa_users{status=\"enabled\"} 12\n"),
            "{text}"
        );
        assert!(
            text.contains("twofa_users_of_class{class=\"a \\\"b\\\\\"} 1\n"),
            "{text}"
        );
        assert!(
            text.contains("twofa_code_sending_seconds_last_day{provider=\"relay\"} 0.25\n"),
            "{text}"
        );
        assert!(text.ends_with("twofa_stats_timestamp_seconds 5\n"));
        let mut typed = Vec::new();
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("# TYPE ") {
                typed.push(name.strip_suffix(" gauge").unwrap());
            } else if !line.starts_with('#') {
                assert!(line.starts_with(typed.last().unwrap()), "{line}");
            }
        }
        let mut once = typed.clone();
        once.dedup();
        assert_eq!(once, typed);
    }
}
