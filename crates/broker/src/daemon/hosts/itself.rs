//! A host asks about itself: where the servers are, and for a new certificate.

use std::net::SocketAddr;
use std::time::Instant;

use twofa_core::text::printable;
use twofa_core::{Account, Timestamp};
use twofa_fleet::certificate::{issued_at, key_and_end, read_pem};
use twofa_fleet::identity::{Identity, Role};
use twofa_fleet::stream::ToHost;
use twofa_fleet::wire::{FleetAuthorities, MemberAnswer, MemberRequest};
use twofa_store::event::LoginOrigin;
use twofa_store::{HostRenewal, Origin, RenewalOutcome, Store, StoreError};

use super::{Failure, Shared, rescue};
use crate::identity::fleet_account::stands_for_a_name;
use crate::process::log;
use crate::text::messages;

/// How much a host asks on one connection: for what it needs, and for the certificate authorities.
const MOST_REQUESTS: usize = 2;
/// So many hosts a second ask for certificates of a new authority.
const HOSTS_A_SECOND: u64 = 20;

/// Serves the requests of the host that has shown the certificate `shown` (DER), until `deadline`.
pub(super) fn serve(
    shared: &Shared,
    mut link: ToHost,
    address: SocketAddr,
    shown: &[u8],
    deadline: Instant,
) {
    link.set_deadline(deadline);
    for _ in 0..MOST_REQUESTS {
        let Ok(request) = link.receive::<MemberRequest>() else {
            return;
        };
        let answer = answer(shared, request, address, shown).unwrap_or_else(|error| {
            log::warn(&format!("a host could not be told about itself: {error}"));
            MemberAnswer::Refused(messages::JOIN_FAILED.to_owned())
        });
        if let MemberAnswer::Refused(why) = &answer {
            shared.permits.warn(&format!("{address}: {why}"));
        }
        if link.send(&answer).is_err() || matches!(answer, MemberAnswer::Refused(_)) {
            return;
        }
    }
}

fn answer(
    shared: &Shared,
    request: MemberRequest,
    address: SocketAddr,
    shown: &[u8],
) -> Result<MemberAnswer, Failure> {
    let broker = shared.store.open()?;
    let services = broker.services();
    let (store, now) = (services.store, services.now());
    let (shown_key, _) = key_and_end(shown)?;
    let certificate = match request {
        MemberRequest::Servers => match store.host_by_key(&shown_key, now) {
            Ok(host) => {
                if host.lives.is_some() {
                    store.note_host_heard(&host.id, now)?;
                }
                None
            }
            Err(StoreError::HostRefused) => return Ok(refused(messages::HOST_REFUSED)),
            Err(error) => return Err(error.into()),
        },
        MemberRequest::People => return people(store, &shown_key, now),
        MemberRequest::Rescue(report) => {
            let answer = rescue::answer(services, &shown_key, report, &origin(address))?;
            return Ok(answer.unwrap_or_else(|| refused(messages::HOST_REFUSED)));
        }
        MemberRequest::Authorities { known } => {
            let told = authorities(shared, store, (known, shown), now)?;
            return Ok(MemberAnswer::Authorities(told));
        }
        MemberRequest::Renew { request } => {
            match renew(shared, store, &request, (address, shown), now)? {
                Ok(signed) => Some(signed),
                Err(why) => return Ok(refused(why)),
            }
        }
    };
    Ok(MemberAnswer::Member {
        servers: addresses(store)?,
        certificate,
    })
}

/// The accounts of people who have passed on the host with this key.
fn people(store: &Store, key: &[u8; 32], now: Timestamp) -> Result<MemberAnswer, Failure> {
    match store.people_of_host(key, now) {
        Ok(people) => Ok(MemberAnswer::People(on_record(people))),
        Err(StoreError::HostRefused) => Ok(refused(messages::HOST_REFUSED)),
        Err(error) => Err(error.into()),
    }
}

/// A new certificate for the host that has `shown` this one (DER), for the key in `request`; or why it gets none.
fn renew(
    shared: &Shared,
    store: &Store,
    request: &[u8],
    (address, shown): (SocketAddr, &[u8]),
    now: Timestamp,
) -> Result<Result<String, &'static str>, Failure> {
    let Identity {
        role: Role::Host(host),
        ..
    } = Identity::of_certificate(shown)?
    else {
        return Ok(Err(messages::HOST_REFUSED));
    };
    let grace = store.rules_in_force()?.rulebook.machine().renewal_grace;
    let loaded = shared.loaded_now(now);
    let authority = loaded.signer(&shared.directory, store.ca_rotation()?.as_ref())?;
    let signed = authority.sign_host(request, &loaded.files.fleet, &host, now)?;
    let der = read_pem(&signed)?;
    let (key, key_until) = key_and_end(der.first().ok_or("no certificate was issued")?)?;
    let renewal = HostRenewal {
        id: host.to_string(),
        shown: key_and_end(shown)?.0,
        issued_at: issued_at(shown)?,
        is_of_old_ca: loaded.issuer(shown, now)?.is_none(),
        grace: grace.seconds(),
        key,
        key_until,
    };
    match store.renew_host(&renewal, &origin(address), now) {
        Ok(RenewalOutcome::Renewed) => Ok(Ok(signed)),
        Ok(RenewalOutcome::Copied) => Ok(Err(messages::HOST_COPIED)),
        Err(StoreError::HostRefused) => Ok(Err(messages::HOST_REFUSED)),
        Err(error) => Err(error.into()),
    }
}

/// The certificate authorities for a host that knows them as of version `known` and has `shown` this certificate (DER). `None`: it
/// knows them, or this server does not.
fn authorities(
    shared: &Shared,
    store: &Store,
    (known, shown): (i64, &[u8]),
    now: Timestamp,
) -> Result<Option<FleetAuthorities>, Failure> {
    let Some((rotation, hosts)) = store.ca_rotation_and_hosts()? else {
        return Ok(None);
    };
    let loaded = shared.loaded_now(now);
    let issuer = loaded.issuer(shown, now)?;
    let (key, _) = key_and_end(shown)?;
    match store.note_host_ca(&key, known, issuer.as_deref(), now) {
        // What signs is no secret, and one whose certificate has ended needs it in order to renew that.
        Ok(()) | Err(StoreError::HostRefused) => {}
        Err(error) => return Err(error.into()),
    }
    let version = rotation.version();
    let new = loaded.new_authority(&rotation)?;
    let Some(new) = new.filter(|_| known < version) else {
        return Ok(None);
    };
    let is_finished = rotation.finished_at.is_some();
    let is_open = is_finished || rotation.opened_at.is_some();
    let spread = if is_finished {
        0
    } else {
        hosts / HOSTS_A_SECOND
    };
    Ok(Some(FleetAuthorities {
        version,
        servers: if is_finished {
            new.servers.to_owned()
        } else {
            new.both
        },
        hosts: is_open.then(|| new.hosts.to_owned()),
        spread: u32::try_from(spread).unwrap_or(u32::MAX),
    }))
}

/// Names and user IDs, without those who have none here.
fn on_record(people: Vec<Account>) -> Vec<(String, u32)> {
    let people = people.into_iter();
    people
        .filter(|account| !stands_for_a_name(account.uid))
        .map(|account| (account.name, account.uid))
        .collect()
}

/// Where the servers that have joined are.
fn addresses(store: &Store) -> Result<Vec<String>, StoreError> {
    let servers = store.servers()?.into_iter();
    let joined = servers.filter(|server| server.joined_at.is_some());
    Ok(joined.flat_map(|server| server.addresses).collect())
}

fn refused(why: &str) -> MemberAnswer {
    MemberAnswer::Refused(why.to_owned())
}

/// Where a request that changes the fleet comes from.
pub(super) fn origin(address: SocketAddr) -> Origin {
    let login = LoginOrigin {
        remote_host: Some(printable(&address.ip().to_canonical().to_string())),
        ..LoginOrigin::default()
    };
    Origin::login(nix::unistd::geteuid().as_raw(), login)
}
