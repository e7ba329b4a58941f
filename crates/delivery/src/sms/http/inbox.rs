//! Lists the text messages that people sent to a provider's number.

use std::time::Instant;

use jiff::tz::TimeZone;
use reqwest::Url;
use serde_json::Value;
use twofa_core::Timestamp;

use super::api::{Api, MAX_LIST, settings_error};
use super::request;
use crate::error::{SendError, Step};
use crate::provider::InboundSms;
use crate::sms::data_file::{InboxSpec, TimeFormat, scalar};

/// The maximum number of pages that are read of a list.
const MAX_PAGES: usize = 5;

/// The messages received since `since`, as far as the provider lists them now.
pub(super) fn list(
    api: &Api,
    spec: &InboxSpec,
    since: Timestamp,
    deadline: Instant,
) -> Result<Vec<InboundSms>, SendError> {
    let mut values = api.values.clone();
    values.set("since", since.unix());
    values.set("since-date", in_utc(since, "%Y-%m-%d"));
    values.set("since-time", iso8601(since));
    let mut request = api.request(&spec.request, &values)?;
    let mut received = Vec::new();
    for _ in 0..MAX_PAGES {
        let answer = api.call(&spec.request, request, MAX_LIST, deadline, &api.secrets);
        let answer = answer.map_err(without_message)?;
        let messages = spec.messages.all(&answer).into_iter();
        received.extend(messages.filter_map(|message| parse_message(spec, message)));
        let next = spec.next.as_ref().and_then(|next| next.first(&answer));
        let Some(next) = next.filter(|next| !next.is_empty()) else {
            break;
        };
        let url = next_page(&api.base, &next)?;
        request = request::build_for(url, &spec.request, &api.data_file.auth, &values)
            .map_err(settings_error)?;
    }
    Ok(received)
}

/// The URL of the page `next`. It must be on the same server, because the keys are sent with the request.
fn next_page(base: &str, next: &str) -> Result<Url, SendError> {
    let base = request::parse_url(base).map_err(settings_error)?;
    match base.join(next) {
        Ok(url) if url.origin() == base.origin() && url.username().is_empty() => Ok(url),
        _ => Err(SendError::new(
            Step::Message,
            "the next page of the list is on another server, and keys are not sent there",
        )
        .hinted("check 'next' in the provider's data file")),
    }
}

/// A message in the list; `None` if it has no sender or no text.
fn parse_message(spec: &InboxSpec, message: &Value) -> Option<InboundSms> {
    let at = spec
        .at
        .as_ref()
        .and_then(|path| path.all(message).into_iter().find_map(scalar));
    Some(InboundSms {
        from: spec.from.first(message)?,
        text: spec.text.first(message)?,
        at: at.and_then(|at| parse_time(&at, spec.time_format)),
    })
}

/// The time in `text`; `None` if it cannot be parsed. A message is used without it.
fn parse_time(text: &str, format: TimeFormat) -> Option<Timestamp> {
    let text = text.trim();
    let time = match format {
        TimeFormat::Rfc3339 => text.parse::<jiff::Timestamp>().or_else(|_| {
            // ISO 8601 without a colon in the offset, and without an offset.
            jiff::Timestamp::strptime("%Y-%m-%dT%H:%M:%S%.f%z", text)
                .or_else(|_| parse_utc(text, "%Y-%m-%dT%H:%M:%S%.f"))
        }),
        TimeFormat::Rfc2822 => jiff::fmt::rfc2822::parse(text).map(|zoned| zoned.timestamp()),
        TimeFormat::Plain => parse_utc(text, "%Y-%m-%d %H:%M:%S%.f"),
        TimeFormat::Dotnet => {
            let digits = text.trim_start_matches(|c: char| !c.is_ascii_digit());
            let digits = digits.split(|c: char| !c.is_ascii_digit()).next()?;
            return digits
                .parse::<i64>()
                .ok()
                .map(|milliseconds| Timestamp::from_unix(milliseconds / 1000));
        }
        TimeFormat::Unix => return text.parse().ok().map(Timestamp::from_unix),
    };
    time.ok().map(|time| Timestamp::from_unix(time.as_second()))
}

fn parse_utc(text: &str, format: &str) -> Result<jiff::Timestamp, jiff::Error> {
    let time = jiff::civil::DateTime::strptime(format, text)?.to_zoned(TimeZone::UTC)?;
    Ok(time.timestamp())
}

/// The time `at` in UTC, such as `2026-01-31T23:59:59Z`.
pub(super) fn iso8601(at: Timestamp) -> String {
    in_utc(at, "%Y-%m-%dT%H:%M:%SZ")
}

fn in_utc(at: Timestamp, format: &str) -> String {
    jiff::Timestamp::from_second(at.unix())
        .unwrap_or_default()
        .strftime(format)
        .to_string()
}

/// The error of a request without a message that could arrive.
pub(super) fn without_message(error: SendError) -> SendError {
    SendError {
        may_have_arrived: false,
        ..error
    }
}
