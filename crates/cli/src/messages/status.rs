//! What `status` says about a user.

use std::io::{self, Write};

use twofa_broker::clock;
use twofa_broker::text::messages::void_codes;
use twofa_broker::{ContactReport, ExemptionReport, UserReport, UserStatus};
use twofa_core::{DeviceKind, Duration, Timestamp};

use super::{devices, moment, until, user};
use crate::output::{Table, terminal_width};

/// So few backup codes left are a reason to make new ones.
const FEW_BACKUP_CODES: u32 = 2;

/// Writes all of `report`. Commands that it names end with `suffix`: empty, or ` --user NAME`.
pub(crate) fn show(report: &UserReport, suffix: &str, out: &mut dyn Write) -> io::Result<()> {
    let required = if report.required {
        " (required by an administrator)"
    } else {
        ""
    };
    let mut status = user::status(report.status).text();
    if let Some(difference) = &report.difference {
        status = format!("{status} ({difference})");
    }
    writeln!(out, "Second factor of {}: {status}{required}", report.user)?;
    writeln!(
        out,
        "Class: {}   Asked for a code: {}",
        report.class, report.verify
    )?;
    show_address(
        "E-mail",
        report.email.as_ref(),
        &format!("email{suffix}"),
        out,
    )?;
    show_address("Phone", report.phone.as_ref(), &format!("sms{suffix}"), out)?;
    if !report.methods.is_empty() {
        let asks = match report.status {
            UserStatus::Reported => "would ask",
            _ => "asks",
        };
        writeln!(out, "A login {asks} for: {}", report.methods.join(", or "))?;
    }
    show_trust(report, out)?;
    for exemption in &report.exemptions {
        writeln!(out, "{}", self::exemption(exemption))?;
    }
    if report.failures > 0 {
        writeln!(out, "Wrong codes in a row: {}", report.failures)?;
    }
    if report.status == UserStatus::IdentityMismatch {
        let name = &report.user;
        return writeln!(
            out,
            "\nAn administrator can remove the old record ('twofa user remove', see 'twofa user list') or give this account \
             its own ('twofa user add {name}')."
        );
    }
    if report.methods.is_empty() && report.apps.is_empty() {
        return writeln!(
            out,
            "\nNothing is enrolled. Set up an authenticator app with: twofa enrol app{suffix}"
        );
    }
    show_apps(report, out)?;
    show_security_keys(report, out)?;
    writeln!(out)?;
    show_void_codes(report, out)?;
    writeln!(out, "Backup codes left: {}", report.backup_codes_left)
}

/// Says what a code can make trusted, to a user who has a method.
fn show_trust(report: &UserReport, out: &mut dyn Write) -> io::Result<()> {
    let kinds = report.trust.iter().filter_map(|(kind, seconds)| {
        let duration = Duration::from_seconds(*seconds);
        Some((DeviceKind::named(kind)?, duration))
    });
    match devices::trust(&kinds.collect::<Vec<_>>()) {
        Some(sentence) if !report.methods.is_empty() => writeln!(out, "{sentence}"),
        _ => Ok(()),
    }
}

/// Says that backup codes which were shown do not work, if there are any.
pub(crate) fn show_void_codes(report: &UserReport, out: &mut dyn Write) -> io::Result<()> {
    let Some(at) = report.void_codes_shown_at else {
        return Ok(());
    };
    let at = Timestamp::from_unix(at);
    let left = usize::try_from(report.backup_codes_left).unwrap_or(usize::MAX);
    let text = void_codes(at, left, clock::now());
    writeln!(out, "{text}")
}

/// Writes how many backup codes are left, and what to do when they are few.
pub(crate) fn show_backup_codes(left: u32, suffix: &str, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "Backup codes left: {left}")?;
    if left <= FEW_BACKUP_CODES {
        writeln!(out, "Make new ones with: twofa codes --new{suffix}")?;
    }
    Ok(())
}

fn show_address(
    what: &str,
    contact: Option<&ContactReport>,
    method: &str,
    out: &mut dyn Write,
) -> io::Result<()> {
    match contact {
        None => Ok(()),
        Some(ContactReport {
            address,
            verified: true,
        }) => writeln!(out, "{what}: {address} (verified)"),
        Some(ContactReport { address, .. }) => writeln!(
            out,
            "{what}: {address} (not verified)\n  To verify it: twofa enrol {method}"
        ),
    }
}

fn exemption(
    ExemptionReport {
        id,
        reason,
        until: end,
        only,
    }: &ExemptionReport,
) -> String {
    let until = until(end.map(Timestamp::from_unix));
    let only = only
        .as_ref()
        .map_or(String::new(), |only| format!(", only {only}"));
    format!("Exempt {until}{only}: {reason} (exemption {id})")
}

fn show_security_keys(report: &UserReport, out: &mut dyn Write) -> io::Result<()> {
    if report.security_keys.is_empty() {
        return Ok(());
    }
    let mut keys = Table::new(&["SECURITY KEY", "FINGERPRINT", "SINCE", "FIRST LOGIN"]);
    for key in &report.security_keys {
        let since = moment(Timestamp::from_unix(key.enrolled_at));
        let first = key
            .confirmed_at
            .map_or("none yet".to_owned(), |at| moment(Timestamp::from_unix(at)));
        keys.push_texts(&[&key.label, &key.fingerprint, &since, &first]);
    }
    writeln!(out)?;
    keys.write(terminal_width(), out)
}

fn show_apps(report: &UserReport, out: &mut dyn Write) -> io::Result<()> {
    if report.apps.is_empty() {
        return Ok(());
    }
    let mut apps = Table::new(&["APP", "CODES", "SINCE"]);
    for app in &report.apps {
        let since = moment(Timestamp::from_unix(app.enrolled_at));
        apps.push_texts(&[&app.label, &app.parameters, &since]);
    }
    writeln!(out)?;
    apps.write(terminal_width(), out)
}
