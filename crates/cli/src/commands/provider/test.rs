//! Trying providers: as far as it goes without sending, or with a message.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use serde::Serialize;
use twofa_broker::admin::Administration;
use twofa_broker::providers::configuration;
use twofa_broker::sending::codes::SEND_TIMEOUT;
use twofa_broker::{addresses, clock, words};
use twofa_delivery::{Message, Provider, SendError};
use twofa_proto::Failure;

use super::{all, bad, catalogue, record};
use crate::error::CommandError;
use crate::output::{Output, spinner};

/// Goes as far as `provider` can without sending anything, and says how long that took.
pub(super) fn check(name: &str, provider: &dyn Provider) -> Result<Duration, SendError> {
    let waiting = spinner(format!("Trying '{name}'"));
    let begun = Instant::now();
    let result = provider.check(begun + SEND_TIMEOUT);
    waiting.finish_and_clear();
    result.map(|()| begun.elapsed())
}

/// What went wrong with the provider `name`, and `what` that means.
pub(super) fn failed(
    name: &str,
    error: &SendError,
    what: &str,
    instead: Option<&str>,
) -> CommandError {
    let message = format!("'{name}' failed at {}: {}{what}", error.step, error.reason);
    let hints: Vec<_> = error
        .hint
        .iter()
        .map(String::as_str)
        .chain(instead)
        .collect();
    let error = CommandError::new(Failure::Failed, message);
    if hints.is_empty() {
        error
    } else {
        error.hinted(hints.join("; "))
    }
}

/// A test as JSON has it.
#[derive(Debug, Serialize)]
struct Passed<'a> {
    provider: &'a str,
    to: &'a str,
    id: Option<&'a str>,
    check_seconds: f64,
    send_seconds: f64,
}

pub(super) fn test(
    broker: &Administration,
    name: &str,
    to: Option<&str>,
    output: Output,
) -> Result<(), CommandError> {
    let providers = all(broker)?;
    let record = record(&providers, name)?;
    let provider = catalogue()
        .open(&configuration(record))
        .map_err(|error| bad(&record.kind, &error))?;
    let policy = broker.store().rulebook()?.machine().clone();
    let channel = provider.channel();
    let to = match to {
        Some(to) => addresses::read(&policy, channel, to)
            .map_err(|error| CommandError::new(Failure::Usage, error.to_string()))?,
        None => provider
            .sender_address()
            .map(str::to_owned)
            .ok_or_else(|| {
                let error = CommandError::new(
                    Failure::Usage,
                    format!("'{name}' does not say where a test could go"),
                );
                error.hinted("say it with --to")
            })?,
    };
    let mut steps = Steps {
        is_silent: output.is_json(),
    };
    let check = steps.take("Connect and log in", || check(name, &*provider))?;
    let check = check.map_err(|error| failed(name, &error, "", None))?;
    let message = Message::Test {
        application: words::application_name(&policy),
        at: clock::now(),
    };
    let begun = Instant::now();
    let sent = steps.take(&format!("Send a test message to {to}"), || {
        let waiting = spinner(format!("Sending by '{name}'"));
        let receipt = provider.send(&to, &message, begun + SEND_TIMEOUT);
        waiting.finish_and_clear();
        receipt
    })?;
    let receipt = sent.map_err(|error| failed(name, &error, "", None))?;
    let send = begun.elapsed();
    let passed = Passed {
        provider: name,
        to: &to,
        id: receipt.id.as_deref(),
        check_seconds: check.as_secs_f64(),
        send_seconds: send.as_secs_f64(),
    };
    output.object(&passed, |out| {
        let id = receipt
            .id
            .as_ref()
            .map_or_else(String::new, |id| format!(" as {id}"));
        writeln!(out, "The provider took it{id}. Look whether it arrived.")
    })
}

/// What is tried, told as it goes.
struct Steps {
    is_silent: bool,
}

impl Steps {
    fn take<T>(
        &mut self,
        what: &str,
        step: impl FnOnce() -> Result<T, SendError>,
    ) -> Result<Result<T, SendError>, CommandError> {
        let begun = Instant::now();
        let result = step();
        if !self.is_silent {
            let ended = if result.is_ok() { "done" } else { "failed" };
            writeln!(
                io::stdout(),
                "{what}: {ended} after {:.2} s",
                begun.elapsed().as_secs_f64()
            )?;
        }
        Ok(result)
    }
}
