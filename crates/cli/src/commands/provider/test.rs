//! Testing a provider with a message.

use std::io::{self, Write};
use std::time::Instant;

use serde::Serialize;
use twofa_broker::admin::Administration;
use twofa_broker::admin::providers::ProviderFailure;

use crate::error::CommandError;
use crate::messages::provider as texts;
use crate::output::{Output, spinner};

/// A test as JSON has it.
#[derive(Debug, Serialize)]
struct Passed<'a> {
    provider: &'a str,
    to: &'a str,
    id: Option<&'a str>,
    check_seconds: f64,
    send_seconds: f64,
}

pub(super) fn run(
    admin: &Administration,
    name: &str,
    to: Option<&str>,
    output: Output,
) -> Result<(), CommandError> {
    let test = admin.open_test(name, to)?;
    let failed = |failure: ProviderFailure| CommandError::provider_failed(name, &failure, "", None);
    let checked = step(
        output,
        "Connect and log in",
        &format!("Testing '{name}'"),
        || test.check(),
    )?;
    let checked = checked.map_err(failed)?;
    let what = format!("Send a test message to {}", test.to);
    let sent = step(output, &what, &format!("Sending through '{name}'"), || {
        test.send()
    })?;
    let sent = sent.map_err(failed)?;
    let passed = Passed {
        provider: name,
        to: &test.to,
        id: sent.id.as_deref(),
        check_seconds: checked.as_secs_f64(),
        send_seconds: sent.after.as_secs_f64(),
    };
    output.object(&passed, |out| {
        writeln!(out, "{}", texts::accepted(passed.id))
    })
}

/// Does one part of the test and reports how it ended, unless a program reads along.
fn step<T>(
    output: Output,
    what: &str,
    meanwhile: &str,
    part: impl FnOnce() -> Result<T, ProviderFailure>,
) -> Result<Result<T, ProviderFailure>, CommandError> {
    let waiting = spinner(meanwhile.to_owned());
    let begun = Instant::now();
    let result = part();
    waiting.finish_and_clear();
    if !output.is_json() {
        let step = texts::step(what, result.is_ok(), begun.elapsed());
        writeln!(io::stdout(), "{step}")?;
    }
    Ok(result)
}
