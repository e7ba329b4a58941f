//! What people do with their own record: `status`, `enrol`, `remove`, `set`, `codes`.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;
use twofa_broker::admin::users::StatusKind;
use twofa_broker::{
    AppRequest, ContactReport, Done, ExemptionReport, Failure, Request, UserReport,
};
use twofa_core::Timestamp;

use crate::arguments::{AddressArguments, AppArguments, CodeType, EnrolCommand};
use crate::error::CommandError;
use crate::messages::{enrol, rfc3339, status, user as texts};
use crate::output::Output;
use crate::qr_file::QrPath;
use crate::terminal::StandardTerminal;
use crate::{client, subject};

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
    /// When codes were shown that were not confirmed and do not work.
    void_codes_shown_at: Option<String>,
    /// For how long a code makes which kinds of devices trusted, in seconds.
    trust: BTreeMap<String, u64>,
    /// How the account differs from the one on record.
    difference: Option<String>,
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
    let suffix = suffix(user.as_deref());
    let report = report(user)?;
    let record = Record {
        user: report.user.clone(),
        uid: report.uid,
        status: StatusKind::from_status(report.status).name(),
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
        void_codes_shown_at: report
            .void_codes_shown_at
            .map(|at| rfc3339(Timestamp::from_unix(at))),
        trust: report.trust.iter().cloned().collect(),
        difference: report.difference.clone(),
    };
    output.object(&record, |out| status::show(&report, &suffix, out))
}

pub(crate) fn enrol(what: EnrolCommand) -> Result<(), CommandError> {
    match what {
        EnrolCommand::App(arguments) => enrol_app(arguments),
        EnrolCommand::Other(method, AddressArguments { address, user }) => {
            client::carry_out(Request::EnrolAddress {
                user: subject::to_change(user.user)?,
                method: method.to_string(),
                address,
            })?;
            Ok(())
        }
    }
}

fn enrol_app(arguments: AppArguments) -> Result<(), CommandError> {
    let AppArguments {
        label,
        kind,
        algorithm,
        digits,
        period,
        qr_file,
        user,
    } = arguments;
    let app = AppRequest {
        label,
        counter: kind == CodeType::Hotp,
        algorithm,
        digits,
        period,
    };
    let user = subject::to_change(user.user)?;
    // Before anything else: root without a broker gives up its rights.
    let qr_file = qr_file.map(QrPath::create).transpose()?;
    let mut terminal = StandardTerminal::new(qr_file);
    let done = client::carry_out_on(&mut terminal, Request::EnrolApp { user, app });
    if let Some(file) = terminal.qr_file()
        && file.is_written()
    {
        writeln!(io::stdout(), "{}", enrol::remove(file.path()))?;
    }
    done.map(|_| ())
}

pub(crate) fn remove(method: String, user: Option<String>) -> Result<(), CommandError> {
    let removed = format!("Removed '{method}'.");
    client::carry_out(Request::Remove {
        user: subject::to_change(user)?,
        method,
    })?;
    Ok(writeln!(io::stdout(), "{removed}")?)
}

pub(crate) fn set(
    settings: Vec<(String, String)>,
    verified: bool,
    user: Option<String>,
) -> Result<(), CommandError> {
    let request = request_to_set(settings, verified, subject::to_change(user)?)?;
    client::carry_out(request)?;
    Ok(())
}

fn request_to_set(
    settings: Vec<(String, String)>,
    attested: bool,
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
                    format!("there is no setting called '{}'", key.escape_debug()),
                );
                return Err(error.hinted("you can set verify, prefer, email and phone"));
            }
        };
        *slot = Some(value);
    }
    if attested && email.is_none() && phone.is_none() {
        let error = CommandError::new(
            Failure::Usage,
            "--verified applies to an address, and none is given",
        );
        return Err(error.hinted("add email= or phone="));
    }
    Ok(Request::Set {
        user,
        verify,
        email,
        phone,
        prefer,
        attested,
    })
}

pub(crate) fn codes(new: bool, user: Option<String>, output: Output) -> Result<(), CommandError> {
    if new {
        client::carry_out(Request::NewBackupCodes {
            user: subject::to_change(user)?,
        })?;
        return Ok(());
    }
    let suffix = suffix(user.as_deref());
    let report = report(user)?;
    let UserReport {
        user,
        backup_codes_left: left,
        ..
    } = &report;
    let record = serde_json::json!({ "user": user, "backup_codes_left": left });
    output.object(&record, |out| {
        status::show_void_codes(&report, out)?;
        status::show_backup_codes(*left, &suffix, out)
    })
}

/// What a command about this `user` ends with: nothing, if it is about oneself.
fn suffix(user: Option<&str>) -> String {
    user.map_or(String::new(), |user| format!(" --user {user}"))
}

fn report(user: Option<String>) -> Result<UserReport, CommandError> {
    match client::carry_out(Request::Status {
        user: subject::to_show(user)?,
    })? {
        Done::Status(report) => Ok(*report),
        _ => Err(CommandError::new(
            Failure::Unavailable,
            "the broker did not answer with a status",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(settings: &[(&str, &str)], attested: bool) -> Result<Request, CommandError> {
        let settings = settings
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()))
            .collect();
        request_to_set(settings, attested, "alice".into())
    }

    #[test]
    fn what_is_set_is_asked_for_and_nothing_else() {
        let Ok(Request::Set {
            verify,
            email,
            phone,
            prefer,
            attested,
            ..
        }) = request(&[("email", "a@example.org"), ("prefer", "")], true)
        else {
            panic!("something else was asked for")
        };
        assert_eq!((verify, phone, attested), (None, None, true));
        assert_eq!(
            (email.as_deref(), prefer.as_deref()),
            (Some("a@example.org"), Some(""))
        );
    }

    #[test]
    fn an_attestation_needs_an_address() {
        assert!(request(&[("verify", "always")], true).is_err());
        assert!(request(&[("mail", "a@example.org")], false).is_err());
    }
}
