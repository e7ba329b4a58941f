//! What people do with their own record: `status`, `enrol`, `remove`, `set`, `codes`.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use serde::Serialize;
use twofa_broker::admin::policy::PolicyVersion;
use twofa_broker::admin::store::{Place, may_be_shared};
use twofa_broker::admin::users::StatusKind;
use twofa_broker::{
    AppRequest, ContactReport, Done, ExemptionReport, Failure, Request, SecurityKeyReport,
    UserReport,
};
use twofa_core::Timestamp;

use crate::arguments::{AddressArguments, AppArguments, CodeType, EnrolCommand, KeyArguments};
use crate::error::CommandError;
use crate::messages::store::{self, PlaceRecord};
use crate::messages::{enrol, policy, rfc3339, status, user as texts};
use crate::output::Output;
use crate::qr_file::QrPath;
use crate::terminal::StandardTerminal;
use crate::{client, subject};

/// The longest file of a public key, in bytes. A certificate of an RSA key takes some 3 kB.
const MAX_PUBLIC_KEY: u64 = 16 * 1024;

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
    security_keys: Vec<KeyRecord>,
    backup_codes_left: u32,
    /// When codes were shown that were not confirmed and do not work.
    void_codes_shown_at: Option<String>,
    /// For how long a code makes which kinds of devices trusted, in seconds.
    trust: BTreeMap<String, u64>,
    /// How the account differs from the one on record.
    difference: Option<String>,
    /// For root in a fleet: what is in force of its policy.
    #[serde(flatten)]
    policy: BTreeMap<&'static str, String>,
    /// On a server, for root: where the store is.
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<PlaceRecord>,
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

#[derive(Debug, Serialize)]
struct KeyRecord {
    label: String,
    fingerprint: String,
    enrolled_at: String,
    /// When the user first logged in with it.
    confirmed_at: Option<String>,
}

fn key(key: &SecurityKeyReport) -> KeyRecord {
    KeyRecord {
        label: key.label.clone(),
        fingerprint: key.fingerprint.clone(),
        enrolled_at: rfc3339(Timestamp::from_unix(key.enrolled_at)),
        confirmed_at: key.confirmed_at.map(|at| rfc3339(Timestamp::from_unix(at))),
    }
}

pub(crate) fn status(user: Option<String>, output: Output) -> Result<(), CommandError> {
    let suffix = suffix(user.as_deref());
    let report = report(user)?;
    let (policy, place) = in_fleet()?;
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
        security_keys: report.security_keys.iter().map(key).collect(),
        backup_codes_left: report.backup_codes_left,
        void_codes_shown_at: report
            .void_codes_shown_at
            .map(|at| rfc3339(Timestamp::from_unix(at))),
        trust: report.trust.iter().cloned().collect(),
        difference: report.difference.clone(),
        policy: policy.iter().flat_map(policy::version_fields).collect(),
        store: place.as_ref().map(PlaceRecord::of),
    };
    output.object(&record, |out| {
        status::show(&report, &suffix, out)?;
        if let Some(version) = &policy {
            writeln!(out, "\n{}", policy::version(version))?;
        }
        match &place {
            Some(place) => writeln!(out, "Store: {}", store::place(place)),
            None => Ok(()),
        }
    })
}

/// For root: which version of the fleet's policy is in force here (`None`: in no fleet), and where a store is that machines share.
fn in_fleet() -> Result<(Option<PolicyVersion>, Option<Place>), CommandError> {
    // A broker answers what else is asked, so that on a machine of its own no store need be opened.
    if !client::is_root() || !may_be_shared() {
        return Ok((None, None));
    }
    let admin = client::open()?;
    Ok((admin.policy_version()?, admin.shared_place()?))
}

pub(crate) fn enrol(what: EnrolCommand) -> Result<(), CommandError> {
    match what {
        EnrolCommand::App(arguments) => enrol_app(arguments),
        EnrolCommand::SecurityKey(arguments) => enrol_security_key(arguments),
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

fn enrol_security_key(arguments: KeyArguments) -> Result<(), CommandError> {
    let KeyArguments { file, label, user } = arguments;
    let user = subject::to_change(user.user)?;
    // Read here: the broker does not have the rights of the user who types the command.
    let key = file.as_deref().map(read_public_key).transpose()?;
    client::carry_out(Request::EnrolSecurityKey { user, label, key })?;
    Ok(())
}

/// The text of a file that may hold a public key. What is too long for one, or may be a private key, is not sent anywhere.
fn read_public_key(file: &Path) -> Result<String, CommandError> {
    let name = file.display();
    let unreadable =
        |error: &dyn Display| CommandError::new(Failure::Usage, format!("{name}: {error}"));
    let opened = File::open(file).map_err(|error| unreadable(&error))?;
    let mut text = String::new();
    opened
        .take(MAX_PUBLIC_KEY + 1)
        .read_to_string(&mut text)
        .map_err(|error| unreadable(&error))?;
    if text.len() as u64 > MAX_PUBLIC_KEY || text.contains("PRIVATE KEY") {
        let error = CommandError::new(Failure::Usage, format!("{name} is not a public key"));
        return Err(error.hinted("give the file that ends in .pub"));
    }
    Ok(text)
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
