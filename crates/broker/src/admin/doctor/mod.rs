//! What is wrong on this machine, or soon will be.
//!
//! [`inspect_host`] reads PAM's files, asks sshd and the broker, and wants root; [`Administration::findings`] looks into
//! the store, the providers and the name service, and does so with the rights that the broker has. Both
//! return [`Finding`]s: data, of which the caller makes sentences.

mod accounts;
mod broker;
mod complaints;
mod delivery;
mod devices;
mod environment;
pub mod finding;
mod host;
mod names;
mod passwords;
mod people;
mod robots;
mod rules;
mod security_keys;
pub(super) mod services;
mod sshd;
mod stacks;

pub use finding::{Finding, Severity};

use super::Administration;
use super::error::AdminError;
use super::pam::Machine;
use crate::process::clock;

/// What root can see of this machine.
#[derive(Debug, Default)]
pub struct Inspection {
    /// What is wrong with PAM's stacks, sshd, the module and the broker at the socket.
    pub findings: Vec<Finding>,
    /// Accounts without a password of which sshd demands more than a key.
    stuck: Vec<String>,
    /// Services that ask in `auth` and let in without a line of the module in `account`.
    unconfirmed: Vec<String>,
    /// The programs that give people too little time to enrol at a login.
    hurried: Vec<finding::Hurry>,
    /// Whether the module hears of a password that passwd(1) changes outside of `/etc/shadow`.
    tells_of_passwords: bool,
}

/// Looks at PAM's stacks, sshd, the module and the broker at the socket. For root: it reads what others may not.
pub fn inspect_host(machine: &Machine) -> Inspection {
    let host::Report {
        mut findings,
        lockers,
        stuck,
        unconfirmed,
        hurried,
        tells_of_passwords,
    } = host::inspect(machine);
    if let Err(silence) = broker::ask() {
        findings.push(Finding::Broker { silence, lockers });
    }
    let environment = environment::findings(clock::now()).into_iter();
    findings.extend(environment.map(Finding::Environment));
    Inspection {
        findings,
        stuck,
        unconfirmed,
        hurried,
        tells_of_passwords,
    }
}

/// Looks at PAM's stacks and the module alone; with root's rights also at sshd's settings, which decide about its stack.
pub fn inspect_stacks(machine: &Machine) -> Vec<Finding> {
    let sshd = sshd::Sshd::of_this_machine().and_then(Result::ok);
    host::inspect_stacks(machine, sshd.as_ref()).findings
}

impl Administration {
    /// What is wrong with the rules, people's methods and accounts, the providers and what waits to be sent. It connects to
    /// every provider that is in use, which takes as long as the slowest of them, 15 seconds at most.
    pub fn findings(&self, inspection: &Inspection) -> Result<Vec<Finding>, AdminError> {
        let mut findings = rules::findings(self)?;
        findings.extend(people::findings(self, &inspection.hurried)?);
        findings.extend(accounts::findings(self)?);
        findings.extend(robots::finding(self, &inspection.stuck)?);
        findings.extend(devices::findings(self, &inspection.unconfirmed)?);
        if !inspection.tells_of_passwords {
            findings.extend(passwords::finding(self)?);
        }
        findings.extend(security_keys::finding(self)?);
        findings.extend(delivery::findings(self)?);
        Ok(findings)
    }
}
