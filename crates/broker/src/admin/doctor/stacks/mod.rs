//! How the module is called in the PAM stacks: who gets in without a code, who is kept out, and who could ask for a code
//! without knowing the password. [`judged`] looks at one service.

mod blocks;
mod judged;
#[cfg(test)]
mod tests;

use twofa_core::service;
use twofa_stacks::{Host, Service, Unusable};

use super::complaints::Complaints;
use super::coverage::Coverage;
use super::finding::{Complaint, Finding, HostFinding};
use super::services::{ROOT_BY, is_service};
use super::sshd::Sshd;
use judged::Judged;

/// What was found, and what other checks want to know of it.
pub(super) struct Stacks {
    pub(super) findings: Vec<Finding>,
    /// Services that call the module with the rights of the user.
    pub(super) lockers: Vec<String>,
    /// Services that ask in `auth` and let in without a line of the module in `account`.
    pub(super) unconfirmed: Vec<String>,
    /// Whether any service calls the module at all.
    pub(super) used: bool,
    /// Which services ask.
    pub(super) coverage: Coverage,
}

/// Looks at every service of the machine.
pub(super) fn inspect(
    names: impl IntoIterator<Item = String>,
    host: &dyn Host,
    sshd: Option<&Sshd>,
    root_has_a_password: bool,
) -> Stacks {
    let mut complaints = Complaints::default();
    let (mut judged, mut others, mut unsure) = (Vec::new(), Vec::new(), Vec::new());
    for name in names.into_iter().filter(|name| is_service(name)) {
        match Service::read(&name, host) {
            Ok(service) => {
                let calls_module = !service.own_lines().is_empty();
                if let Some(service) = Judged::new(service, host, &mut complaints) {
                    judged.push(service);
                } else {
                    if calls_module {
                        unsure.push(name.clone());
                    }
                    others.push(name);
                }
            }
            Err(Unusable::NoFile) => {}
            Err(error) => complaints.add(&name, Complaint::Unusable(error)),
        }
    }
    for service in &judged {
        service.complain(sshd, &mut complaints);
    }
    let asking: Vec<_> = judged
        .iter()
        .filter(|service| service.asks())
        .map(Judged::name)
        .collect();
    ways_to_root(&asking, &others, root_has_a_password, &mut complaints);
    if asking.is_empty() {
        complaints.host(HostFinding::NobodyIsAsked);
    }
    let lockers = judged
        .iter()
        .map(Judged::name)
        .filter(|name| service::is_locker(name))
        .map(str::to_owned)
        .collect();
    let unconfirmed = judged
        .iter()
        .filter(|service| !service.confirms_logins())
        .map(|service| service.name().to_owned())
        .collect();
    others.retain(|name| !unsure.contains(name));
    let mut coverage = coverage(&judged, others, unsure);
    coverage.sshd = sshd.map(|sshd| sshd.service().to_owned());
    Stacks {
        coverage,
        unconfirmed,
        findings: complaints.into_findings(),
        lockers,
        used: !judged.is_empty(),
    }
}

/// Which services ask: those of `judged` that do, and those that may (`unsure`).
fn coverage(judged: &[Judged<'_>], others: Vec<String>, unsure: Vec<String>) -> Coverage {
    let (asking, silent): (Vec<_>, Vec<_>) = judged.iter().partition(|service| service.asks());
    let name = |service: &Judged<'_>| service.name().to_owned();
    Coverage {
        asking: asking.into_iter().map(name).chain(unsure).collect(),
        silent: silent.into_iter().map(name).chain(others).collect(),
        sshd: None,
    }
}

/// What makes people root must ask everywhere or nowhere.
fn ways_to_root(
    asking: &[&str],
    others: &[String],
    root_has_a_password: bool,
    complaints: &mut Complaints,
) {
    let leads_to_root =
        |name: &str| root_has_a_password || !name.starts_with("su") || name.starts_with("sudo");
    let asking: Vec<_> = ROOT_BY
        .into_iter()
        .filter(|root| asking.contains(&root.service))
        .collect();
    let open: Vec<_> = ROOT_BY
        .into_iter()
        .filter(|root| others.iter().any(|other| other == root.service))
        .filter(|root| leads_to_root(root.service))
        .collect();
    if !asking.is_empty() && !open.is_empty() {
        complaints.host(HostFinding::RootWithoutCode { asking, open });
    }
}
