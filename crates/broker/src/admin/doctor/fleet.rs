//! What this machine is in a fleet: whether it is a member, whether its policy is the one in force, and which accounts are mixed up.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use twofa_core::{Account, Policy, Timestamp};
use twofa_fleet::certificate::{key_and_end, read_pem};
use twofa_store::Rules;

use super::finding::{Finding, FleetFinding};
use crate::admin::{AdminError, Administration};
use crate::fleet::files::FleetDirectory;
use crate::fleet::membership::NotRefreshed;
use crate::fleet::{policy_copy, shared};
use crate::identity::accounts;

/// How long the servers may take to answer.
const TIMEOUT: Duration = Duration::from_secs(6);
/// A certificate that ends within so many seconds ends soon: it is renewed before that.
const SOON: u64 = 14 * 86_400;
/// So many seconds a clock may be off: less than a time step of an app.
const CLOCK_TOLERANCE: u64 = 15;

/// All findings about the fleet.
pub(super) fn findings(admin: &Administration) -> Result<Vec<Finding>, AdminError> {
    let rules = admin.store().rules_in_force()?;
    let directory = FleetDirectory::default();
    let found = if directory.is_server() {
        let version = admin.store().policy_version()?;
        vec![FleetFinding::Server { version }]
    } else if rules.fleet.is_some() || directory.host_file().exists() {
        let mut found = host(admin, &rules, &directory);
        found.extend(same_uids(rules.rulebook.machine()));
        found
    } else {
        Vec::new()
    };
    Ok(found.into_iter().map(Finding::Fleet).collect())
}

fn host(admin: &Administration, rules: &Rules, directory: &FleetDirectory) -> Vec<FleetFinding> {
    let services = admin.broker.services();
    if let Err(error) = services.fleet.check_policy(rules, services.store) {
        let error = error.to_string();
        return vec![FleetFinding::NotAMember { error }];
    }
    let (Some(joined), Some(policy)) = (&rules.fleet, &rules.fleet_policy) else {
        return Vec::new();
    };
    let now = services.now();
    let until = certificate_end(directory);
    let mut found = Vec::new();
    if let Some(until) = until.filter(|until| *until <= now.after(SOON)) {
        found.push(FleetFinding::CertificateEnds { until });
    }
    let store = services.store;
    let refreshed = services
        .fleet
        .refresh_policy(store, now, Instant::now() + TIMEOUT);
    match refreshed {
        Ok(Some(answer)) => {
            let seconds = now.unix() - answer.at.unix();
            if seconds.unsigned_abs() > CLOCK_TOLERANCE {
                found.push(FleetFinding::Clock { seconds });
            }
            found.push(FleetFinding::Host {
                name: joined.name.clone(),
                server: answer.server,
                version: answer.version,
                since: if answer.version == policy.version {
                    policy.since
                } else {
                    now
                },
                certificate_until: until.unwrap_or(now),
            });
        }
        Ok(None) => {}
        Err(NotRefreshed::NotAMember(error)) => {
            let error = error.to_string();
            found.push(FleetFinding::NotAMember { error });
        }
        Err(error) => found.push(FleetFinding::Stale {
            version: policy.version,
            confirmed: policy_copy::confirmed_at(services.fleet.policy_copy()),
            error: error.to_string(),
        }),
    }
    found
}

fn certificate_end(directory: &FleetDirectory) -> Option<Timestamp> {
    let files = directory.read_host().ok()?;
    let certificates = read_pem(&files.certificate).ok()?;
    Some(key_and_end(certificates.first()?).ok()?.1)
}

/// The uids that a shared account has in common with one of the host's own.
fn same_uids(policy: &Policy) -> Vec<FleetFinding> {
    mixed(accounts::shared_uids(), |account| {
        shared::is_shared(policy, account).unwrap_or_default()
    })
}

fn mixed(
    uids: BTreeMap<u32, Vec<String>>,
    is_shared: impl Fn(&Account) -> bool,
) -> Vec<FleetFinding> {
    let finding = |(uid, names): (u32, Vec<String>)| {
        let account = |name: String| Account { name, uid };
        let (shared, own): (Vec<_>, Vec<_>) = names.into_iter().map(account).partition(&is_shared);
        let shared = shared.into_iter().next()?;
        let own: Vec<_> = own.into_iter().map(|account| account.name).collect();
        (!own.is_empty()).then_some(FleetFinding::SameUid { shared, own })
    };
    uids.into_iter().filter_map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_of_a_shared_and_an_own_account_is_found() {
        let uids = BTreeMap::from([
            (1000, vec!["alice".to_owned(), "local".to_owned()]),
            (1001, vec!["bob".to_owned(), "bobby".to_owned()]),
        ]);
        let found = mixed(uids, |account| account.name != "local");
        let shared = Account {
            name: "alice".into(),
            uid: 1000,
        };
        let own = vec!["local".to_owned()];
        assert_eq!(found, [FleetFinding::SameUid { shared, own }]);
    }
}
