//! `twofa doctor`: what is wrong, or soon will be.

use std::fs;

use serde::Serialize;
use twofa_broker::{Broker, accounts, clock};
use twofa_core::exemption::Subject;
use twofa_core::policy::Mode;

use super::moment;
use crate::failure::Failure;
use crate::output::Output;
use crate::session;

/// An exemption that ends within so many seconds is told.
const SOON: u64 = 14 * 86_400;

/// Something an administrator should look at.
#[derive(Debug, Serialize)]
struct Finding {
    severity: &'static str,
    finding: String,
}

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
    let mut findings = stacks();
    let broker = session::open()?;
    findings.extend(policy(&broker)?);
    findings.extend(exemptions(&broker)?);
    output.object(&findings, |out| {
        if findings.is_empty() {
            return writeln!(out, "Nothing to complain about.");
        }
        findings.iter().try_for_each(|Finding { severity, finding }| writeln!(out, "{severity}: {finding}"))
    })
}

fn policy(broker: &Broker) -> Result<Vec<Finding>, Failure> {
    let rulebook = broker.store().rulebook()?;
    let mut findings: Vec<_> = rulebook.warnings().into_iter().map(notice).collect();
    if rulebook.machine().mode == Mode::Disabled {
        findings.push(notice("the policy is disabled: nobody outside of a class is asked".to_owned()));
    }
    for class in rulebook.classes() {
        match accounts::group_exists(&class.group) {
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

/// How the module stands in the PAM stacks.
fn stacks() -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut used = false;
    let files = fs::read_dir("/etc/pam.d").into_iter().flatten().flatten();
    for file in files {
        let name = file.file_name().to_string_lossy().into_owned();
        let Ok(text) = fs::read_to_string(file.path()) else { continue };
        for line in
            text.lines().filter(|line| !line.trim_start().starts_with('#') && line.contains("pam_twofa.so"))
        {
            used = true;
            let control = line.split("pam_twofa.so").next().unwrap_or_default();
            if control.contains("sufficient")
                || control.contains("optional")
                || control.contains("default=ignore")
            {
                findings.push(problem(format!(
                    "/etc/pam.d/{name}: '{}' lets people in whom pam_twofa refuses; make it 'required'",
                    line.trim()
                )));
            }
            if name.starts_with("common-account") {
                findings.push(problem(format!(
                    "/etc/pam.d/{name}: pam_twofa in a shared account stack refuses cron jobs and root's su"
                )));
            }
        }
    }
    if !used {
        findings.push(problem("no PAM service uses pam_twofa.so: nobody is asked for anything".to_owned()));
    }
    findings
}
