//! `twofa doctor`.

use serde::Serialize;
use twofa_broker::Failure;
use twofa_broker::admin::doctor::{Finding, Severity, inspect_host};

use crate::client;
use crate::error::CommandError;
use crate::messages::doctor;
use crate::output::{Output, spinner};

/// A finding as JSON has it.
#[derive(Debug, Serialize)]
struct Row {
    severity: &'static str,
    finding: String,
}

pub(crate) fn run(output: Output) -> Result<(), CommandError> {
    if !client::is_root() {
        return Err(CommandError::only_root("inspect the whole machine"));
    }
    // PAM's files are read as root, the store as the service.
    let inspection = inspect_host();
    let waiting = spinner("Testing every provider".to_owned());
    let more = client::open().and_then(|admin| Ok(admin.findings(&inspection)?));
    waiting.finish_and_clear();
    let mut findings = inspection.findings;
    findings.extend(more?);
    let rows: Vec<_> = findings.iter().map(row).collect();
    output.object(&rows, |out| {
        if rows.is_empty() {
            return writeln!(out, "No problems found.");
        }
        rows.iter()
            .try_for_each(|Row { severity, finding }| writeln!(out, "{severity}: {finding}"))
    })?;
    let is_problem = |finding: &&Finding| finding.severity() == Severity::Problem;
    match doctor::problems(findings.iter().filter(is_problem).count()) {
        None => Ok(()),
        Some(problems) => Err(CommandError::new(Failure::Failed, problems)),
    }
}

fn row(finding: &Finding) -> Row {
    Row {
        severity: match finding.severity() {
            Severity::Problem => "problem",
            Severity::Notice => "notice",
        },
        finding: doctor::finding(finding),
    }
}
