//! What everybody does with their own record: `status`, `enrol`, `remove`, `set`, `codes`.

use std::io::{self, Write};

use serde::Serialize;
use twofa_broker::admin::users::StatusKind;
use twofa_core::Timestamp;
use twofa_proto::{AppRequest, ContactReport, Done, ExemptionReport, Failure, Request, UserReport};

use crate::arguments::{AddressArguments, AppArguments, CodeType, EnrolCommand};
use crate::error::CommandError;
use crate::messages::{moment, rfc3339, user as texts};
use crate::output::Output;
use crate::{client, output};

/// A record as JSON has it.
#[derive(Debug, Serialize)]
struct Record {
    user: String,
    uid: u32,
    status: &'static str,
    until: Option<String>,
    class: String,
    verify: String,
    email: Option<Address>,
    phone: Option<Address>,
    /// Those a login can ask for, the first one first.
    methods: Vec<String>,
    exemptions: Vec<Exempt>,
    required: bool,
    failures: u64,
    apps: Vec<AppRecord>,
    backup_codes_left: u32,
}

#[derive(Debug, Serialize)]
struct Address {
    address: String,
    verified: bool,
}

#[derive(Debug, Serialize)]
struct Exempt {
    id: i64,
    reason: String,
    until: Option<String>,
    only: Option<String>,
}

fn address(contact: &ContactReport) -> Address {
    Address {
        address: contact.address.clone(),
        verified: contact.verified,
    }
}

fn exempt(exemption: &ExemptionReport) -> Exempt {
    let ExemptionReport {
        id,
        reason,
        until,
        only,
    } = exemption.clone();
    Exempt {
        id,
        reason,
        until: until.map(|until| rfc3339(Timestamp::from_unix(until))),
        only,
    }
}

#[derive(Debug, Serialize)]
struct AppRecord {
    label: String,
    parameters: String,
    enrolled_at: String,
}

pub(crate) fn status(user: Option<String>, output: Output) -> Result<(), CommandError> {
    let report = report(user)?;
    let record = Record {
        user: report.user.clone(),
        uid: report.uid,
        status: StatusKind::of(report.status).name(),
        until: texts::status_end(report.status),
        class: report.class.clone(),
        verify: report.verify.clone(),
        email: report.email.as_ref().map(address),
        phone: report.phone.as_ref().map(address),
        methods: report.methods.clone(),
        exemptions: report.exemptions.iter().map(exempt).collect(),
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

fn show(report: &UserReport, out: &mut dyn Write) -> io::Result<()> {
    let required = if report.required {
        " (required by an administrator)"
    } else {
        ""
    };
    writeln!(
        out,
        "Second factor of {}: {}{required}",
        report.user,
        texts::status(report.status).into_text()
    )?;
    writeln!(out, "Class: {}   Asked: {}", report.class, report.verify)?;
    for (what, contact, method) in [
        ("E-mail", &report.email, "email"),
        ("Phone", &report.phone, "sms"),
    ] {
        if let Some(ContactReport { address, verified }) = contact {
            let standing = if *verified {
                "verified"
            } else {
                "not verified"
            };
            writeln!(out, "{what}: {address} ({standing})")?;
            if !verified {
                writeln!(out, "  To have codes sent there: twofa enrol {method}")?;
            }
        }
    }
    if !report.methods.is_empty() {
        writeln!(out, "A login asks for: {}", report.methods.join(", or "))?;
    }
    for ExemptionReport {
        id,
        reason,
        until,
        only,
    } in &report.exemptions
    {
        let until = until.map_or("without end".to_owned(), |until| {
            format!("until {}", moment(Timestamp::from_unix(until)))
        });
        let only = only
            .as_ref()
            .map_or(String::new(), |only| format!(", only {only}"));
        writeln!(out, "Exempt {until}{only}: {reason} (number {id})")?;
    }
    if report.failures > 0 {
        writeln!(out, "Wrong codes in a row: {}", report.failures)?;
    }
    if report.methods.is_empty() && report.apps.is_empty() {
        return writeln!(
            out,
            "\nNothing is enrolled. Set up an authenticator app with: twofa enrol app"
        );
    }
    if report.apps.is_empty() {
        return writeln!(out, "\nBackup codes left: {}", report.backup_codes_left);
    }
    let mut apps = output::table(&["APP", "CODES", "SINCE"]);
    for app in &report.apps {
        apps.add_row([
            &app.label,
            &app.parameters,
            &moment(Timestamp::from_unix(app.enrolled_at)),
        ]);
    }
    writeln!(out, "\n{}", apps.trim_fmt())?;
    writeln!(out, "\nBackup codes left: {}", report.backup_codes_left)
}

pub(crate) fn enrol(what: EnrolCommand) -> Result<(), CommandError> {
    let request = match what {
        EnrolCommand::App(AppArguments {
            label,
            kind,
            algorithm,
            digits,
            period,
            user,
        }) => {
            let app = AppRequest {
                label,
                counter: kind == CodeType::Hotp,
                algorithm,
                digits,
                period,
            };
            Request::EnrolApp {
                user: client::user(user.user)?,
                app,
            }
        }
        EnrolCommand::Other(method, AddressArguments { address, user }) => Request::EnrolAddress {
            user: client::user(user.user)?,
            method: method.to_string(),
            address,
        },
    };
    client::carry_out(request)?;
    Ok(())
}

pub(crate) fn remove(method: String, user: Option<String>) -> Result<(), CommandError> {
    let removed = format!("Removed '{method}'.");
    client::carry_out(Request::Remove {
        user: client::user(user)?,
        method,
    })?;
    Ok(writeln!(io::stdout(), "{removed}")?)
}

pub(crate) fn set(
    settings: Vec<(String, String)>,
    verified: bool,
    user: Option<String>,
) -> Result<(), CommandError> {
    let request = request_to_set(settings, verified, client::user(user)?)?;
    client::carry_out(request)?;
    Ok(())
}

fn request_to_set(
    settings: Vec<(String, String)>,
    vouched: bool,
    user: String,
) -> Result<Request, CommandError> {
    let (mut verify, mut prefer, mut email, mut phone) = (None, None, None, None);
    for (key, value) in settings {
        let slot = match key.as_str() {
            "verify" => &mut verify,
            "prefer" => &mut prefer,
            "email" => &mut email,
            "phone" => &mut phone,
            key => {
                let error = CommandError::new(
                    Failure::Usage,
                    format!("there is nothing called '{}'", key.escape_debug()),
                );
                return Err(error.hinted("one can set verify, prefer, email and phone"));
            }
        };
        *slot = Some(value);
    }
    if vouched && email.is_none() && phone.is_none() {
        let error = CommandError::new(
            Failure::Usage,
            "--verified vouches for an address, and none is given",
        );
        return Err(error.hinted("give email= or phone= with it"));
    }
    Ok(Request::Set {
        user,
        verify,
        email,
        phone,
        prefer,
        attested: vouched,
    })
}

pub(crate) fn codes(new: bool, user: Option<String>, output: Output) -> Result<(), CommandError> {
    if new {
        client::carry_out(Request::NewBackupCodes {
            user: client::user(user)?,
        })?;
        return Ok(());
    }
    let UserReport {
        user,
        backup_codes_left: left,
        ..
    } = report(user)?;
    let record = serde_json::json!({ "user": user, "backup_codes_left": left });
    output.object(&record, |out| {
        writeln!(out, "Backup codes left: {left}")?;
        if left <= 2 {
            writeln!(out, "Make new ones with: twofa codes --new")
        } else {
            Ok(())
        }
    })
}

fn report(user: Option<String>) -> Result<UserReport, CommandError> {
    match client::carry_out(Request::Status {
        user: client::user(user)?,
    })? {
        Done::Status(report) => Ok(*report),
        _ => Err(CommandError::new(
            Failure::Unavailable,
            "the broker answered something else than was asked",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(settings: &[(&str, &str)], vouched: bool) -> Result<Request, CommandError> {
        let settings = settings
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()))
            .collect();
        request_to_set(settings, vouched, "alice".into())
    }

    #[test]
    fn what_is_set_is_asked_for_and_nothing_else() {
        let Ok(Request::Set {
            verify,
            email,
            phone,
            prefer,
            attested: vouched,
            ..
        }) = request(&[("email", "a@example.org"), ("prefer", "")], true)
        else {
            panic!("something else was asked for")
        };
        assert_eq!((verify, phone, vouched), (None, None, true));
        assert_eq!(
            (email.as_deref(), prefer.as_deref()),
            (Some("a@example.org"), Some(""))
        );
    }

    #[test]
    fn nobody_is_vouched_for_without_an_address() {
        assert!(request(&[("verify", "always")], true).is_err());
        assert!(request(&[("mail", "a@example.org")], false).is_err());
    }
}
