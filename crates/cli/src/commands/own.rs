//! What everybody does with their own record: `status`, `enrol`, `remove`, `codes`.

use std::io::{self, Write};

use serde::Serialize;
use twofa_core::Timestamp;
use twofa_proto::{AppRequest, Done, Failure as Kind, Report, Request};

use super::{locked_until, moment, rfc3339, standing, standing_word};
use crate::arguments::{App, Enrol, Kind as Movement};
use crate::failure::Failure;
use crate::output::Output;
use crate::{output, session};

/// A record as JSON has it.
#[derive(Debug, Serialize)]
struct Record {
    user: String,
    uid: u32,
    status: &'static str,
    locked_until: Option<String>,
    required: bool,
    failures: u32,
    apps: Vec<AppRecord>,
    backup_codes_left: u32,
}

#[derive(Debug, Serialize)]
struct AppRecord {
    label: String,
    parameters: String,
    enrolled_at: String,
}

pub(crate) fn status(user: Option<String>, output: Output) -> Result<(), Failure> {
    let report = report(user)?;
    let record = Record {
        user: report.user.clone(),
        uid: report.uid,
        status: standing_word(report.standing),
        locked_until: locked_until(report.standing),
        required: report.required,
        failures: report.failures,
        apps: report
            .apps
            .iter()
            .map(|app| AppRecord {
                label: app.label.clone(),
                parameters: app.parameters.clone(),
                enrolled_at: rfc3339(Timestamp::from_unix(app.enrolled_at)),
            })
            .collect(),
        backup_codes_left: report.backup_codes_left,
    };
    output.object(&record, |out| show(&report, out))
}

fn show(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let required = if report.required { " (required by an administrator)" } else { "" };
    writeln!(out, "Second factor of {}: {}{required}", report.user, standing(report.standing).into_text())?;
    if report.failures > 0 {
        writeln!(out, "Wrong codes in a row: {}", report.failures)?;
    }
    if report.apps.is_empty() {
        return writeln!(out, "\nNothing is enrolled. Set up an authenticator app with: twofa enrol app");
    }
    let mut apps = output::table(&["APP", "CODES", "SINCE"]);
    for app in &report.apps {
        apps.add_row([&app.label, &app.parameters, &moment(Timestamp::from_unix(app.enrolled_at))]);
    }
    writeln!(out, "\n{}", apps.trim_fmt())?;
    writeln!(out, "\nBackup codes left: {}", report.backup_codes_left)
}

pub(crate) fn enrol(what: Enrol) -> Result<(), Failure> {
    let Enrol::App(App { label, kind, algorithm, digits, period, user }) = what;
    let app = AppRequest { label, counter: kind == Movement::Hotp, algorithm, digits, period };
    session::carry_out(Request::EnrolApp { user: session::user(user.user)?, app })?;
    Ok(())
}

pub(crate) fn remove(method: String, user: Option<String>) -> Result<(), Failure> {
    let removed = format!("Removed '{method}'.");
    session::carry_out(Request::Remove { user: session::user(user)?, method })?;
    Ok(writeln!(io::stdout(), "{removed}")?)
}

pub(crate) fn codes(new: bool, user: Option<String>, output: Output) -> Result<(), Failure> {
    if new {
        session::carry_out(Request::NewBackupCodes { user: session::user(user)? })?;
        return Ok(());
    }
    let Report { user, backup_codes_left: left, .. } = report(user)?;
    let record = serde_json::json!({ "user": user, "backup_codes_left": left });
    output.object(&record, |out| {
        writeln!(out, "Backup codes left: {left}")?;
        if left <= 2 { writeln!(out, "Make new ones with: twofa codes --new") } else { Ok(()) }
    })
}

fn report(user: Option<String>) -> Result<Report, Failure> {
    match session::carry_out(Request::Status { user: session::user(user)? })? {
        Done::Status(report) => Ok(report),
        _ => Err(Failure::new(Kind::Unavailable, "the broker answered something else than was asked")),
    }
}
