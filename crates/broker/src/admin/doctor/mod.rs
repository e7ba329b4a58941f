//! What is wrong on this machine, or soon will be.
//!
//! [`examine`] first reads PAM's files, and asks sshd and the broker, as root. Then it looks into the store, the providers and
//! the name service, with the rights that the broker has. Each part has its time ([`within`]), and one that hangs or fails
//! is itself a [`Finding`]: data, of which the caller makes sentences.

mod accounts;
mod broker;
mod complaints;
mod coverage;
mod delivery;
mod devices;
mod elf;
mod environment;
pub mod finding;
mod fleet;
mod host;
mod module;
mod names;
mod passwords;
mod people;
mod robots;
mod rules;
mod security_keys;
mod selinux;
pub(super) mod services;
mod sshd;
mod stacks;
mod store;
mod within;

pub use finding::{Finding, Severity};

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use self::coverage::Coverage;
use self::finding::Part;
use self::within::{LARGE, TimeLeft, USUAL};
use super::Administration;
use super::error::AdminError;
use super::pam::{Checked, Machine};
use crate::process::clock;

/// What root can see of this machine.
#[derive(Debug, Default)]
struct Inspection {
    findings: Vec<Finding>,
    /// Accounts without a password of which sshd demands more than a key.
    stuck: Vec<String>,
    /// Services that ask in `auth` and let in without a line of the module in `account`.
    unconfirmed: Vec<String>,
    /// Which services ask; none if PAM's files could not be examined.
    coverage: Coverage,
    /// The programs that give people too little time to enrol at a login.
    hurried: Vec<finding::Hurry>,
    /// Whether the module hears of a password that passwd(1) changes outside of `/etc/shadow`.
    tells_of_passwords: bool,
}

/// What the doctor found.
#[derive(Debug)]
pub struct Diagnosis {
    /// What is wrong, or could not be examined.
    pub findings: Vec<Finding>,
    /// What the prover says of every service; empty if PAM's files could not be examined.
    pub checked: Vec<Checked>,
    /// Why the store could not be opened, and nothing in it was examined; a finding says so, too.
    pub failure: Option<AdminError>,
}

/// Looks at everything, in two minutes at most: what takes longer is a finding. For root; from here on this process has the
/// rights of the service's user.
pub fn examine() -> Diagnosis {
    // One wait for a directory that is down is enough.
    crate::identity::accounts::stop_asking_overdue_sources();
    let time = TimeLeft::start();
    let (mut inspection, checked) = inspect(time);
    let mut findings = mem::take(&mut inspection.findings);
    let mut failure = None;
    match time.within(Part::Store, USUAL, Administration::open) {
        Ok(Ok(admin)) => findings.extend(admin.findings(inspection, time)),
        Ok(Err(error)) => {
            findings.push(Finding::Environment(store::unopened(&error)));
            failure = Some(error);
        }
        Err(finding) => findings.push(finding),
    }
    Diagnosis {
        findings,
        checked,
        failure,
    }
}

/// Looks at PAM's stacks, sshd, the programs and the broker at the socket, as root.
fn inspect(time: TimeLeft) -> (Inspection, Vec<Checked>) {
    let stacks = time.within(Part::Stacks, USUAL, || {
        let machine = Machine::this();
        (host::inspect(&machine), machine.check_all())
    });
    let (mut found, lockers, checked) = match stacks {
        Ok((report, checked)) => {
            let lockers = report.lockers.clone();
            (Inspection::from(report), lockers, checked)
        }
        Err(finding) => {
            let findings = vec![finding];
            let inspection = Inspection {
                findings,
                ..Inspection::default()
            };
            (inspection, Vec::new(), Vec::new())
        }
    };
    match time.within(Part::Broker, USUAL, broker::ask) {
        Ok(Ok(())) => {}
        Ok(Err(silence)) => found.findings.push(Finding::Broker { silence, lockers }),
        Err(finding) => found.findings.push(finding),
    }
    let program = || {
        Ok(module::of_broker()
            .into_iter()
            .map(Finding::Program)
            .collect())
    };
    found.add(time, Part::BrokerProgram, USUAL, program);
    let environment = || Ok(environment::findings(clock::now()));
    found.add(time, Part::Environment, USUAL, environment);
    (found, checked)
}

/// Looks at PAM's stacks and the module alone; with root's rights also at sshd's settings, which decide about its stack.
pub fn inspect_stacks(machine: &Machine) -> Vec<Finding> {
    let sshd = sshd::Sshd::of_this_machine().and_then(Result::ok);
    host::inspect_stacks(machine, sshd.as_ref()).findings
}

impl From<host::Report> for Inspection {
    fn from(report: host::Report) -> Self {
        Self {
            findings: report.findings,
            stuck: report.stuck,
            unconfirmed: report.unconfirmed,
            coverage: report.coverage,
            hurried: report.hurried,
            tells_of_passwords: report.tells_of_passwords,
        }
    }
}

impl Inspection {
    /// Adds what `examine` finds, or that `part` could not be examined.
    fn add(
        &mut self,
        time: TimeLeft,
        part: Part,
        limit: Duration,
        examine: impl FnOnce() -> Result<Vec<Finding>, AdminError> + Send + 'static,
    ) {
        match time.within(part.clone(), limit, examine) {
            Ok(Ok(findings)) => self.findings.extend(findings),
            Ok(Err(error)) => self.findings.push(Finding::NotExamined {
                part,
                error: error.to_string(),
            }),
            Err(finding) => self.findings.push(finding),
        }
    }
}

impl Administration {
    /// What is wrong with the rules, people's methods and accounts, the store, the providers and what waits to be sent. It
    /// connects to every provider that is in use, which takes as long as the slowest of them, 15 seconds at most.
    fn findings(self, seen: Inspection, time: TimeLeft) -> Vec<Finding> {
        let (admin, seen) = (Arc::new(self), Arc::new(seen));
        let mut found = Inspection::default();
        for (part, limit, examine) in PARTS {
            let (admin, seen) = (admin.clone(), seen.clone());
            found.add(time, part.clone(), *limit, move || examine(&admin, &seen));
        }
        found.findings
    }
}

/// Looks at a part of what the store has.
type Examine = fn(&Administration, &Inspection) -> Result<Vec<Finding>, AdminError>;

const PARTS: &[(Part, Duration, Examine)] = &[
    // First, so that the others wait for no source that does not answer.
    (Part::NameService, USUAL, |_, _| Ok(rules::name_service())),
    (Part::Rules, USUAL, |admin, seen| {
        rules::findings(admin, &seen.coverage)
    }),
    (Part::People, USUAL, |admin, seen| {
        people::findings(admin, &seen.hurried)
    }),
    (Part::Database, LARGE, |admin, _| store::findings(admin)),
    (Part::Log, LARGE, |admin, _| {
        Ok(store::altered_log(admin)?.into_iter().collect())
    }),
    (Part::Accounts, USUAL, |admin, _| accounts::findings(admin)),
    (Part::Fleet, USUAL, |admin, _| fleet::findings(admin)),
    (Part::Robots, USUAL, |admin, seen| {
        Ok(robots::finding(admin, &seen.stuck)?.into_iter().collect())
    }),
    (Part::Devices, USUAL, devices),
    (Part::SecurityKeys, USUAL, |admin, _| {
        Ok(security_keys::finding(admin)?.into_iter().collect())
    }),
    (Part::Delivery, USUAL, |admin, _| delivery::findings(admin)),
];

fn devices(admin: &Administration, seen: &Inspection) -> Result<Vec<Finding>, AdminError> {
    let mut findings = devices::findings(admin, &seen.unconfirmed)?;
    if !seen.tells_of_passwords {
        findings.extend(passwords::finding(admin)?);
    }
    Ok(findings)
}
