//! Points in time as people write them for journalctl(1): systemd.time(7).

use jiff::civil::{DateTime, Time};
use jiff::{Span, Zoned};
use twofa_core::Timestamp;

/// How a point in time can be written.
pub(crate) const HINT: &str = "write '2026-11-26 12:00', '2026-11-26', '12:00', 'yesterday', 'today', 'now', '-1d', '2h ago', \
                    '1h 30min ago' or '@1795694400'";

/// The point in time that `text` is at `now`, in the time zone of `now`. Days begin at midnight; a duration by itself is one
/// that has passed. `None`: the text is no point in time.
pub(crate) fn parse(text: &str, now: &Zoned) -> Option<Timestamp> {
    let text = text.trim();
    let found = named(text, now)
        .or_else(|| absolute(text, now))
        .or_else(|| relative(text, now))?;
    Some(Timestamp::from_unix(found.timestamp().as_second()))
}

fn named(text: &str, now: &Zoned) -> Option<Zoned> {
    let today = now.start_of_day().ok()?;
    match text {
        "now" => Some(now.clone()),
        "today" => Some(today),
        "yesterday" => today.yesterday().ok(),
        "tomorrow" => today.tomorrow().ok(),
        _ => None,
    }
}

fn absolute(text: &str, now: &Zoned) -> Option<Zoned> {
    let zone = now.time_zone();
    if let Some(seconds) = text.strip_prefix('@') {
        let at = jiff::Timestamp::from_second(seconds.parse().ok()?).ok()?;
        return Some(at.to_zoned(zone.clone()));
    }
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Some(at.to_zoned(zone.clone()));
    }
    let at = [
        "%Y-%m-%d %H:%M:%S",
        "%Y-%m-%d %H:%M",
        "%Y-%m-%dT%H:%M:%S",
        "%Y-%m-%dT%H:%M",
    ]
    .iter()
    .find_map(|format| DateTime::strptime(format, text).ok());
    let day = || jiff::civil::Date::strptime("%Y-%m-%d", text).ok();
    let time = || {
        let formats = ["%H:%M:%S", "%H:%M"];
        let time = formats
            .iter()
            .find_map(|format| Time::strptime(format, text).ok());
        time.map(|time| now.date().to_datetime(time))
    };
    let at = at
        .or_else(|| Some(day()?.to_datetime(Time::midnight())))
        .or_else(time)?;
    at.to_zoned(zone.clone()).ok()
}

/// `-1d`, `+10min`, `2h ago`, `1d`.
fn relative(text: &str, now: &Zoned) -> Option<Zoned> {
    if let Some(later) = text.strip_prefix('+') {
        return now.checked_add(span(later)?).ok();
    }
    let text = text.strip_prefix('-').unwrap_or(text);
    let text = text.strip_suffix("ago").unwrap_or(text);
    now.checked_sub(span(text)?).ok()
}

/// Numbers and units, as systemd.time(7) has them: `m` are minutes, `M` months.
fn span(text: &str) -> Option<Span> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    let mut span = Span::new();
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let letters = rest
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(rest.len());
        span = match &rest[..letters] {
            "s" | "sec" | "second" | "seconds" => span.try_seconds(span.get_seconds() + number),
            "m" | "min" | "minute" | "minutes" => span.try_minutes(span.get_minutes() + number),
            "h" | "hr" | "hour" | "hours" => {
                span.try_hours(i64::from(span.get_hours()).checked_add(number)?)
            }
            "d" | "day" | "days" => span.try_days(i64::from(span.get_days()).checked_add(number)?),
            "w" | "week" | "weeks" => {
                span.try_weeks(i64::from(span.get_weeks()).checked_add(number)?)
            }
            "M" | "month" | "months" => {
                span.try_months(i64::from(span.get_months()).checked_add(number)?)
            }
            "y" | "year" | "years" => {
                span.try_years(i64::from(span.get_years()).checked_add(number)?)
            }
            _ => return None,
        }
        .ok()?;
        rest = rest[letters..].trim_start();
    }
    Some(span)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;

    fn now() -> Zoned {
        let at: jiff::Timestamp = "2026-11-26T14:30:00Z".parse().unwrap();
        at.to_zoned(TimeZone::fixed(jiff::tz::offset(1)))
    }

    fn at(text: &str) -> Option<String> {
        let at = parse(text, &now())?;
        let at = jiff::Timestamp::from_second(at.unix()).unwrap();
        let local = at.to_zoned(now().time_zone().clone());
        Some(local.strftime("%Y-%m-%d %H:%M:%S").to_string())
    }

    #[test]
    fn times_are_read_as_journalctl_reads_them() {
        for (text, expected) in [
            ("now", "2026-11-26 15:30:00"),
            ("today", "2026-11-26 00:00:00"),
            ("yesterday", "2026-11-25 00:00:00"),
            ("tomorrow", "2026-11-27 00:00:00"),
            ("2026-11-26 12:00", "2026-11-26 12:00:00"),
            ("2026-11-26 12:00:01", "2026-11-26 12:00:01"),
            ("2026-11-26T12:00", "2026-11-26 12:00:00"),
            ("2026-11-26T11:00:00Z", "2026-11-26 12:00:00"),
            ("2026-11-01", "2026-11-01 00:00:00"),
            ("12:00", "2026-11-26 12:00:00"),
            ("@1795694400", "2026-11-26 13:00:00"),
            ("-1d", "2026-11-25 15:30:00"),
            ("1d", "2026-11-25 15:30:00"),
            ("2h ago", "2026-11-26 13:30:00"),
            ("1h 30min ago", "2026-11-26 14:00:00"),
            ("1h30m ago", "2026-11-26 14:00:00"),
            ("5 minutes ago", "2026-11-26 15:25:00"),
            ("2weeks ago", "2026-11-12 15:30:00"),
            ("-1M", "2026-10-26 15:30:00"),
            ("+10min", "2026-11-26 15:40:00"),
            (" -1d ", "2026-11-25 15:30:00"),
        ] {
            assert_eq!(at(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "-",
            "ago",
            "1",
            "1x",
            "d",
            "1.5h",
            "yesterday 12:00",
            "26.11.2026",
            "2026-13-01",
            "2026-02-30",
            "25:00",
            "@",
            "@x",
            "99999999999999999999d",
            "-9223372036854775807h",
            "１d",
        ] {
            assert_eq!(at(text), None, "{text}");
        }
    }
}
