//! PAM's files on this machine, and what is wrong with them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use twofa_stacks::Service;
use zeroize::Zeroizing;

use super::super::pam::{FOLDERS, Machine, module_folders};
use super::coverage::Coverage;
use super::environment;
use super::finding::{Finding, HostFinding, Hurry};
use super::module;
use super::sshd::Sshd;
use super::stacks;

/// What was found in PAM's files.
pub(super) struct Report {
    /// What is wrong with the stacks, sshd and the module.
    pub(super) findings: Vec<Finding>,
    /// The screen lockers that call the module.
    pub(super) lockers: Vec<String>,
    /// Accounts without a password of which sshd demands more than a key.
    pub(super) stuck: Vec<String>,
    /// Services that ask in `auth` and let in without a line of the module in `account`.
    pub(super) unconfirmed: Vec<String>,
    /// The programs that give people too little time to enrol at a login.
    pub(super) hurried: Vec<Hurry>,
    /// Which services ask.
    pub(super) coverage: Coverage,
    /// Whether the module hears of a password that passwd(1) changes outside of `/etc/shadow`.
    pub(super) tells_of_passwords: bool,
}

/// Looks at the stacks, sshd and the module.
pub(super) fn inspect(machine: &Machine) -> Report {
    let (sshd, error) = match Sshd::of_this_machine() {
        None => (None, None),
        Some(Ok(sshd)) => (Some(sshd), None),
        Some(Err(error)) => (None, Some(error)),
    };
    let found = inspect_stacks(machine, sshd.as_ref());
    let mut findings = found.findings;
    if let Some(error) = error {
        // Before systemd's socket has started sshd for the first time there is no /run/sshd, and no answer.
        let is_early = error.contains("privilege separation directory");
        let unknown = HostFinding::SshdSettingsUnknown { error, is_early };
        findings.push(Finding::Host(unknown));
    }
    let unknown = sshd.iter().flat_map(|sshd| sshd.unknown.clone());
    findings.extend(unknown.map(|(part, error)| Finding::NotExamined { part, error }));
    let login_defs = Path::new("/etc/login.defs");
    if let Err(error) = fs::read(login_defs) {
        findings.extend(environment::unreadable(login_defs, &error));
    }
    let paths = hidden_from_the_broker();
    if found.used && !paths.is_empty() {
        findings.push(Finding::Host(HostFinding::HiddenFromBroker { paths }));
    }
    let hurried = environment::hurried(machine, sshd.as_ref());
    let stuck = sshd
        .filter(|sshd| sshd.is_in_use)
        .map_or(Vec::new(), |sshd| {
            let accounts = sshd.accounts.into_iter();
            accounts
                .filter(|account| !account.key_alone_lets_in && !has_password(&account.name))
                .map(|account| account.name)
                .collect()
        });
    Report {
        findings,
        lockers: found.lockers,
        stuck,
        unconfirmed: found.unconfirmed,
        coverage: found.coverage,
        hurried,
        tells_of_passwords: Service::read("passwd", machine)
            .is_ok_and(|passwd| passwd.tells_of_passwords()),
    }
}

/// Looks at the stacks and at the module that they call.
pub(super) fn inspect_stacks(machine: &Machine, sshd: Option<&Sshd>) -> stacks::Stacks {
    let mut found = stacks::inspect(machine.services(), machine, sshd, has_password("root"));
    if found.used {
        let modules = module::of_modules(&module_folders()).into_iter();
        found.findings.extend(modules.map(Finding::Program));
    }
    found
}

/// What of `/etc/pam.d` others than its owner and group cannot read, and so not the broker's user.
fn hidden_from_the_broker() -> Vec<String> {
    let folder = Path::new(FOLDERS[0]);
    let lacks =
        |path: &Path, bits: u32| fs::metadata(path).is_ok_and(|found| found.mode() & bits != bits);
    let mut hidden: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|file| file.path())
        .filter(|file| lacks(file, 0o004))
        .chain(
            [folder.to_owned()]
                .into_iter()
                .filter(|folder| lacks(folder, 0o005)),
        )
        .map(|path| path.display().to_string())
        .collect();
    hidden.sort();
    hidden
}

/// Whether this account may have a password: it has one, or that cannot be read.
fn has_password(account: &str) -> bool {
    let Ok(shadow) = fs::read("/etc/shadow").map(Zeroizing::new) else {
        return true;
    };
    let shadow = Zeroizing::new(String::from_utf8_lossy(&shadow).into_owned());
    let mut lines = shadow.lines().filter_map(|line| line.split_once(':'));
    let fields = lines.find_map(|(name, fields)| (name == account).then_some(fields));
    fields.is_none_or(|fields| !fields.starts_with(['!', '*']))
}
