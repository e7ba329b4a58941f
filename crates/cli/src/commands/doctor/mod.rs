//! `twofa doctor`: what is wrong, or soon will be.

mod delivery;
mod stacks;

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use twofa_broker::{Broker, accounts, clock};
use twofa_core::exemption::Subject;
use twofa_core::policy::{Enrolment, Mode};
use twofa_proto::{Failure as Kind, SOCKET, Stream};

use super::moment;
use crate::failure::Failure;
use crate::output::Output;
use crate::session;

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

/// Marks a finding that is one only where people enrol at the login.
const AT_LOGIN_ONLY: &str = "at-login";

fn problem(finding: String) -> Finding {
    Finding { severity: "problem", finding }
}

fn notice(finding: String) -> Finding {
    Finding { severity: "notice", finding }
}

pub(crate) fn run(output: Output) -> Result<(), Failure> {
    if !session::is_root() {
        return Err(Failure::only_root("look into everything"));
    }
    // PAM's files are read as root, the store as the service.
    let mut findings = stacks::stacks();
    findings.extend(broker());
    let broker = session::open()?;
    let rulebook = broker.store().rulebook()?;
    let classes = rulebook.classes().iter().filter_map(|class| class.policy(rulebook.machine()).ok());
    let enrols_at_login =
        classes.chain([rulebook.machine().clone()]).any(|policy| policy.enrolment == Enrolment::AtLogin);
    findings.retain_mut(|finding| {
        let kept = finding.severity != AT_LOGIN_ONLY || enrols_at_login;
        if finding.severity == AT_LOGIN_ONLY {
            finding.severity = "problem";
        }
        kept
    });
    findings.extend(policy(&broker)?);
    findings.extend(exemptions(&broker)?);
    findings.extend(delivery::findings(&broker)?);
    output.object(&findings, |out| {
        if findings.is_empty() {
            return writeln!(out, "Nothing to complain about.");
        }
        findings.iter().try_for_each(|Finding { severity, finding }| writeln!(out, "{severity}: {finding}"))
    })?;
    match findings.iter().filter(|finding| finding.severity == "problem").count() {
        0 => Ok(()),
        1 => Err(Failure::new(Kind::Failed, "there is one problem")),
        n => Err(Failure::new(Kind::Failed, format!("there are {n} problems"))),
    }
}

/// Whether the broker answers: root's logins do without, nobody else's business does.
fn broker() -> Option<Finding> {
    let error = Stream::connect(Path::new(SOCKET), PATIENCE).err()?;
    Some(notice(format!(
        "no broker answers at {SOCKET} ({error}): lock screens are refused, and users cannot manage themselves; start it \
         with 'systemctl enable --now twofad.socket'"
    )))
}

fn policy(broker: &Broker) -> Result<Vec<Finding>, Failure> {
    let rulebook = broker.store().rulebook()?;
    let mut findings: Vec<_> = rulebook.warnings().into_iter().map(notice).collect();
    if rulebook.machine().mode == Mode::Disabled {
        findings.push(notice("the policy is disabled: nobody outside of a class is asked".to_owned()));
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

fn exemptions(broker: &Broker) -> Result<Vec<Finding>, Failure> {
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
            Some(until) if until <= now.after(SOON) => format!("{what} ends soon, {}", moment(until)),
            Some(until) => format!("{what} is in force until {}", moment(until)),
        }));
    }
    Ok(findings)
}
