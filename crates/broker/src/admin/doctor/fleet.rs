//! What this machine is in a fleet: whether it is a member, whether its policy is the one in force, and which accounts are mixed up.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use twofa_core::policy::Durability;
use twofa_core::{Account, FleetIdentity, Policy, Timestamp};
use twofa_fleet::certificate::{key_and_end, read_pem};
use twofa_store::{Host, JoinedFleet, Place, Rules, StoreError};

use super::finding::{Finding, FleetFinding, Part};
use crate::admin::ca_rotation::end_of;
use crate::admin::{AdminError, Administration};
use crate::context::Services;
use crate::fleet::files::FleetDirectory;
use crate::fleet::membership::NotRefreshed;
use crate::fleet::upkeep::people_on_record;
use crate::fleet::{policy_copy, shared};
use crate::identity::accounts::{self, NameServiceError};

/// How long the servers may take to answer.
const TIMEOUT: Duration = Duration::from_secs(6);
/// A certificate that ends within so many seconds ends soon: it is renewed before that.
const SOON: u64 = 14 * 86_400;
/// A certificate authority that ends within so many seconds ends soon: hosts that sleep for months are to learn of the next one.
const CA_SOON: u64 = 180 * 86_400;
/// So many seconds a clock may be off: less than a time step of an app.
const CLOCK_TOLERANCE: u64 = 15;

/// All findings about the fleet.
pub(super) fn findings(admin: &Administration) -> Result<Vec<Finding>, AdminError> {
    let altered = admin.store().altered_rows()?.into_iter();
    let altered = altered.map(|row| Finding::Fleet(FleetFinding::RowAltered { row }));
    let mut altered: Vec<_> = altered.collect();
    let rules = match admin.store().rules_in_force() {
        Err(StoreError::Altered(_)) if !altered.is_empty() => return Ok(altered),
        rules => rules?,
    };
    let directory = FleetDirectory::default();
    if directory.is_server() {
        let found = server(admin, rules.rulebook.machine())?;
        altered.extend(found.into_iter().map(Finding::Fleet));
        let is_host = is_host_too(rules.fleet.is_some(), directory.has_host_files());
        altered.extend(is_host.map(Finding::Fleet));
        return Ok(altered);
    }
    if rules.fleet.is_none() && !directory.has_host_files() {
        return Ok(altered);
    }
    let found = host(admin, &rules).into_iter();
    let mut found: Vec<_> = found.map(Finding::Fleet).collect();
    match other_uids(admin, &rules) {
        Ok(other) => found.extend(other.into_iter().map(Finding::Fleet)),
        Err(error) => found.push(Finding::NotExamined {
            part: Part::Fleet,
            error,
        }),
    }
    match same_uids(rules.rulebook.machine()) {
        Ok(same) => found.extend(same.into_iter().map(Finding::Fleet)),
        Err(error) => found.push(Finding::NotExamined {
            part: Part::Fleet,
            error: error.to_string(),
        }),
    }
    Ok(found)
}

fn server(admin: &Administration, policy: &Policy) -> Result<Vec<FleetFinding>, AdminError> {
    let store = admin.store();
    let place = store.place()?;
    let is_demanded = policy.fleet_durability == Durability::Replicated;
    let mut found: Vec<_> = standby(&place, is_demanded).into_iter().collect();
    found.extend(authority_end(admin));
    found.extend(own_end(admin));
    let hosts = ending_hosts(&store.hosts()?, admin.now());
    if !hosts.is_empty() {
        found.push(FleetFinding::HostCertificatesEnd { hosts });
    }
    found.push(FleetFinding::Server {
        version: store.policy_version()?,
        place: Box::new(place),
        sealing_key: store.sealing_key()?,
    });
    Ok(found)
}

/// When the certificate of this server ends, if that is soon.
fn own_end(admin: &Administration) -> Option<FleetFinding> {
    let files = FleetDirectory::default().read_server().ok()?;
    let until = end_of(&files.chain).ok()?;
    let is_soon = until <= admin.now().after(SOON);
    is_soon.then_some(FleetFinding::ServerCertificateEnds { until })
}

/// The hosts whose certificates end soon: they were not renewed for weeks. Those that have ended are in 'twofa host list'.
fn ending_hosts(hosts: &[Host], now: Timestamp) -> Vec<String> {
    let is_ending = |until: Timestamp| now < until && until <= now.after(SOON);
    let ending = hosts
        .iter()
        .filter(|host| host.key_until.is_some_and(is_ending));
    ending.map(|host| host.name.clone()).collect()
}

/// Whether a server has joined a fleet as a host, which commands refuse, but a copied directory or a restored store brings about.
fn is_host_too(is_in_store: bool, has_files: bool) -> Option<FleetFinding> {
    (is_in_store || has_files).then_some(FleetFinding::ServerIsHost)
}

/// Which certificate authority ends first, if that is soon. Files that cannot be read are the server's own complaint.
fn authority_end(admin: &Administration) -> Option<FleetFinding> {
    let files = FleetDirectory::default().read_server().ok()?;
    let ends = [
        ("root.crt", &files.root),
        ("servers.crt", &files.servers),
        ("hosts.crt", &files.hosts),
    ];
    let ends = ends
        .into_iter()
        .filter_map(|(file, pem)| Some((end_of(pem).ok()?, file)));
    let (until, file) = ends.min()?;
    let is_soon = until <= admin.now().after(CA_SOON);
    is_soon.then_some(FleetFinding::AuthorityEnds { file, until })
}

/// Whether no standby has what is committed.
fn standby(place: &Place, is_demanded: bool) -> Option<FleetFinding> {
    let Place::Server(place) = place else {
        return None;
    };
    let place = Box::new(place.clone());
    if place.replication.synchronous.is_empty() {
        return Some(FleetFinding::NoStandby { place, is_demanded });
    }
    let standbys = place.replication.standbys.as_ref()?;
    let is_there = standbys.iter().any(|standby| standby.is_synchronous);
    (!is_there).then_some(FleetFinding::StandbyGone { place })
}

fn host(admin: &Administration, rules: &Rules) -> Vec<FleetFinding> {
    let services = admin.broker.services();
    if let Err(error) = services.fleet.check_policy(rules, services.store) {
        let error = error.to_string();
        return vec![FleetFinding::NotAMember { error }];
    }
    let (Some(joined), Some(policy)) = (&rules.fleet, &rules.fleet_policy) else {
        return Vec::new();
    };
    let now = services.now();
    let until = certificate_end(services, joined);
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

fn certificate_end(services: Services<'_>, joined: &JoinedFleet) -> Option<Timestamp> {
    let files = services.fleet.files(joined, services.store).ok()?;
    let certificates = read_pem(&files.certificate).ok()?;
    Some(key_and_end(certificates.first()?).ok()?.1)
}

/// Where people are known by name: those who have passed here and have another uid here than on record at the servers.
fn other_uids(admin: &Administration, rules: &Rules) -> Result<Vec<FleetFinding>, String> {
    let Some(joined) = rules.fleet.as_ref() else {
        return Ok(Vec::new());
    };
    if rules.rulebook.machine().fleet_identity != FleetIdentity::Name {
        return Ok(Vec::new());
    }
    let services = admin.broker.services();
    let files = services.fleet.files(joined, services.store);
    let files = files.map_err(|error| error.to_string())?;
    let people = people_on_record(&files).map_err(|error| error.to_string())?;
    differing(people, accounts::find).map_err(|error| error.to_string())
}

fn differing<E>(
    on_record: Vec<Account>,
    find: impl Fn(&str) -> Result<Option<Account>, E>,
) -> Result<Vec<FleetFinding>, E> {
    let mut found = Vec::new();
    for recorded in on_record {
        if let Some(here) = find(&recorded.name)?.filter(|here| here.uid != recorded.uid) {
            found.push(FleetFinding::OtherUid {
                here,
                recorded: recorded.uid,
            });
        }
    }
    Ok(found)
}

/// The uids that a shared account has in common with one of the host's own.
fn same_uids(policy: &Policy) -> Result<Vec<FleetFinding>, NameServiceError> {
    mixed(accounts::shared_uids(), |account| {
        shared::is_shared(policy, account)
    })
}

fn mixed<E>(
    uids: BTreeMap<u32, Vec<String>>,
    is_shared: impl Fn(&Account) -> Result<bool, E>,
) -> Result<Vec<FleetFinding>, E> {
    let mut found = Vec::new();
    for (uid, names) in uids {
        let (mut shared, mut own) = (None, Vec::new());
        for name in names {
            let account = Account { name, uid };
            if !is_shared(&account)? {
                own.push(account.name);
            } else if shared.is_none() {
                shared = Some(account);
            }
        }
        if let Some(shared) = shared.filter(|_| !own.is_empty()) {
            found.push(FleetFinding::SameUid { shared, own });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use twofa_store::{Replication, ServerPlace, Standby};

    #[test]
    fn a_database_without_a_synchronous_standby_is_found() {
        let place = |synchronous: &str, standbys: Option<&[bool]>| {
            let standby = |is_synchronous: &bool| Standby {
                name: "a".to_owned(),
                state: "streaming".to_owned(),
                is_synchronous: *is_synchronous,
                lag_bytes: 0,
                lag_milliseconds: None,
            };
            let replication = Replication {
                synchronous: synchronous.to_owned(),
                standbys: standbys.map(|all| all.iter().map(standby).collect()),
            };
            ServerPlace {
                version: "15.1".to_owned(),
                host: "db1:5432".to_owned(),
                database: "twofa".to_owned(),
                replication,
            }
        };
        let found = |place: &ServerPlace| standby(&Place::Server(place.clone()), true);
        for (place, is_unnamed) in [
            (place("", Some(&[])), true),
            (place("", None), true),
            (place("a", Some(&[])), false),
            (place("b", Some(&[false])), false),
        ] {
            let wanted = if is_unnamed {
                let place = Box::new(place.clone());
                FleetFinding::NoStandby {
                    place,
                    is_demanded: true,
                }
            } else {
                let place = Box::new(place.clone());
                FleetFinding::StandbyGone { place }
            };
            assert_eq!(found(&place), Some(wanted));
        }
        // What a role may not see is not known to be missing.
        for place in [place("a", Some(&[false, true])), place("a", None)] {
            assert_eq!(found(&place), None);
        }
    }

    #[test]
    fn a_server_that_is_a_host_as_well_is_found() {
        assert_eq!(is_host_too(false, false), None);
        for (in_store, files) in [(true, false), (false, true), (true, true)] {
            assert_eq!(
                is_host_too(in_store, files),
                Some(FleetFinding::ServerIsHost)
            );
        }
    }

    #[test]
    fn a_uid_that_differs_from_the_one_on_record_is_found() {
        let account = |name: &str, uid| Account {
            name: name.to_owned(),
            uid,
        };
        let on_record = vec![
            account("alice", 1000),
            account("bob", 1001),
            account("carol", 1002),
        ];
        let here = |name: &str| {
            Ok::<_, ()>(match name {
                "alice" => Some(account("alice", 1000)),
                "bob" => Some(account("bob", 1005)),
                _ => None,
            })
        };
        let bob = FleetFinding::OtherUid {
            here: account("bob", 1005),
            recorded: 1001,
        };
        assert_eq!(differing(on_record.clone(), here), Ok(vec![bob]));
        assert_eq!(differing(on_record, |_| Err("it fails")), Err("it fails"));
    }

    #[test]
    fn a_uid_of_a_shared_and_an_own_account_is_found() {
        let uids = BTreeMap::from([
            (1000, vec!["alice".to_owned(), "local".to_owned()]),
            (1001, vec!["bob".to_owned(), "bobby".to_owned()]),
        ]);
        let found = mixed(uids.clone(), |account| Ok::<_, ()>(account.name != "local"));
        let shared = Account {
            name: "alice".into(),
            uid: 1000,
        };
        let own = vec!["local".to_owned()];
        assert_eq!(found, Ok(vec![FleetFinding::SameUid { shared, own }]));
        // A name service that fails has not said that the account is the host's own.
        assert_eq!(mixed(uids, |_| Err("it fails")), Err("it fails"));
    }
}
