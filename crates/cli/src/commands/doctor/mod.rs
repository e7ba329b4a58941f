//! `twofa doctor`: what is wrong, or soon will be.

mod complaints;
mod delivery;
mod machine;
mod people;
mod services;
mod sshd;
mod stacks;

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use twofa_broker::{Broker, accounts, clock};
use twofa_core::exemption::Subject;
use twofa_core::policy::Mode;
use twofa_proto::{ClientEnd, Done, Failure, FromBroker, Request, SOCKET, Stream};

use self::complaints::enumerate;
use self::machine::ThisMachine;
use self::sshd::Sshd;
use super::moment;
use crate::client;
use crate::error::CommandError;
use crate::output::Output;

/// How long the broker may take to take notice.
const PATIENCE: Duration = Duration::from_secs(2);
/// An exemption that ends within so many seconds is told.
const SOON: u64 = 14 * 86_400;

/// Something an administrator should look at.
#[derive(Debug, Serialize)]
struct Finding {
    severity: &'static str,
    finding: String,
}

fn problem(finding: String) -> Finding {
    Finding {
        severity: "problem",
        finding,
    }
}

fn notice(finding: String) -> Finding {
    Finding {
        severity: "notice",
        finding,
    }
}

pub(crate) fn run(output: Output) -> Result<(), CommandError> {
    if !client::is_root() {
        return Err(CommandError::only_root("look into everything"));
    }
    // PAM's files are read as root, the store as the service.
    let (mut findings, lockers) = pam();
    findings.extend(answers().err().map(|why| unanswered(&why, &lockers)));
    let broker = client::open()?;
    findings.extend(policy(&broker)?);
    findings.extend(exemptions(&broker)?);
    findings.extend(people::findings(&broker)?);
    findings.extend(delivery::findings(&broker)?);
    output.object(&findings, |out| {
        if findings.is_empty() {
            return writeln!(out, "Nothing to complain about.");
        }
        findings
            .iter()
            .try_for_each(|Finding { severity, finding }| writeln!(out, "{severity}: {finding}"))
    })?;
    match findings
        .iter()
        .filter(|finding| finding.severity == "problem")
        .count()
    {
        0 => Ok(()),
        1 => Err(CommandError::new(Failure::Failed, "there is one problem")),
        n => Err(CommandError::new(
            Failure::Failed,
            format!("there are {n} problems"),
        )),
    }
}

/// What is wrong with the stacks, sshd and the module, and which screen lockers call it.
fn pam() -> (Vec<Finding>, Vec<String>) {
    let (sshd, unread) = match Sshd::of_this_machine() {
        None => (None, None),
        Some(Ok(sshd)) => (Some(sshd), None),
        // Before the first login by a socket of systemd's there is no /run/sshd, and no answer.
        Some(Err(error)) if error.contains("privilege separation directory") => (
            None,
            Some(notice(format!(
                "sshd does not tell its settings yet: {error}"
            ))),
        ),
        Some(Err(error)) => (
            None,
            Some(problem(format!(
                "sshd cannot be asked for its settings: {error}"
            ))),
        ),
    };
    let found = stacks::look(
        machine::names(),
        &ThisMachine,
        sshd.as_ref(),
        machine::root_has_a_password(),
    );
    let mut findings = found.findings;
    findings.extend(unread);
    if let (true, Some(folder)) = (found.used, machine::folder_without_module()) {
        findings.push(problem(format!(
            "there is no pam_twofa.so in {}: every service that names it refuses everybody",
            folder.display()
        )));
    }
    let hidden = machine::hidden_from_the_broker();
    if found.used && !hidden.is_empty() {
        findings.push(problem(format!(
            "the broker cannot read {}: it takes every password at a service that needs them for possibly wrong, and \
             neither sends codes nor enrols there; 'chmod o+r' files and 'chmod o+rx' folders",
            enumerate(&hidden)
        )));
    }
    (findings, found.lockers)
}

/// Asks the broker something. The error says what is wrong with it.
fn answers() -> Result<(), String> {
    let at = |error: &dyn std::fmt::Display| format!("no broker answers at {SOCKET} ({error})");
    let stream = Stream::connect(Path::new(SOCKET), PATIENCE).map_err(|error| at(&error))?;
    stream
        .set_read_timeout(PATIENCE)
        .map_err(|error| at(&error))?;
    let request = Request::Status {
        user: "root".to_owned(),
    };
    let mut end = ClientEnd::open(stream, request).map_err(|error| at(&error))?;
    loop {
        match end.receive().map_err(|error| at(&error))? {
            FromBroker::Done(Done::Failed {
                failure: Failure::Unavailable,
                message,
                ..
            }) => {
                return Err(format!("the broker at {SOCKET} can do nothing: {message}"));
            }
            FromBroker::Done(_) => return Ok(()),
            _ => {}
        }
    }
}

/// Root's logins start a broker of their own; nobody else's business does.
fn unanswered(why: &str, lockers: &[String]) -> Finding {
    let lockers = if lockers.is_empty() {
        String::new()
    } else {
        format!(" ({})", enumerate(lockers))
    };
    problem(format!(
        "{why}: screen lockers{lockers} refuse everybody, and users cannot manage themselves; start it with 'systemctl \
         enable --now twofad.socket', or see 'systemctl status twofad'"
    ))
}

fn policy(broker: &Broker) -> Result<Vec<Finding>, CommandError> {
    let rulebook = broker.store().rulebook()?;
    let mut findings: Vec<_> = rulebook.warnings().into_iter().map(notice).collect();
    if rulebook.machine().mode == Mode::Disabled {
        findings.push(notice(
            "the policy is disabled: nobody outside of a class is asked".to_owned(),
        ));
    }
    for class in rulebook.classes() {
        match accounts::group_exists(&class.group.name) {
            Ok(true) => {}
            Ok(false) => {
                findings.push(problem(format!(
                    "class '{}' holds for nobody: there is no group '{}'",
                    class.name, class.group
                )));
            }
            Err(error) => findings.push(problem(error.to_string())),
        }
    }
    Ok(findings)
}

fn exemptions(broker: &Broker) -> Result<Vec<Finding>, CommandError> {
    let now = clock::now();
    let mut findings = Vec::new();
    for stored in broker.store().exemptions()? {
        let exemption = &stored.exemption;
        let who = match &exemption.subject {
            Subject::User(account) => account.name.clone(),
            Subject::Group(group) => format!("group {group}"),
        };
        let what = format!("exemption {} of {who} ({})", stored.id, exemption.reason);
        findings.push(notice(match exemption.until {
            None => format!("{what} never ends"),
            Some(until) if until <= now => format!("{what} ended {}", moment(until)),
            Some(until) if until <= now.after(SOON) => {
                format!("{what} ends soon, {}", moment(until))
            }
            Some(until) => format!("{what} is in force until {}", moment(until)),
        }));
    }
    Ok(findings)
}
