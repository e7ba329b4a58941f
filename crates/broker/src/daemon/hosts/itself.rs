//! A host asks about itself: where the servers are, and for a new certificate.

use std::net::SocketAddr;
use std::time::Instant;

use twofa_core::text::printable;
use twofa_core::{Account, Timestamp};
use twofa_fleet::certificate::{Authority, issued_at, key_and_end, read_pem};
use twofa_fleet::identity::{Identity, Role};
use twofa_fleet::stream::ToHost;
use twofa_fleet::wire::{MemberAnswer, MemberRequest};
use twofa_store::event::LoginOrigin;
use twofa_store::{HostRenewal, Origin, RenewalOutcome, Store, StoreError};

use super::{Failure, Shared, rescue};
use crate::identity::fleet_account::stands_for_a_name;
use crate::process::log;
use crate::text::messages;

/// Serves one request of the host that has shown the certificate `shown` (DER), until `deadline`.
pub(super) fn serve(
    shared: &Shared,
    mut link: ToHost,
    address: SocketAddr,
    shown: &[u8],
    deadline: Instant,
) {
    link.set_deadline(deadline);
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
    let _ = link.send(&answer);
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
        MemberRequest::Renew { request } => {
            let Identity {
                role: Role::Host(host),
                ..
            } = Identity::of_certificate(shown)?
            else {
                return Ok(refused(messages::HOST_REFUSED));
            };
            let grace = store.rules_in_force()?.rulebook.machine().renewal_grace;
            let grace = grace.seconds();
            let key = shared.directory.read_hosts_key()?;
            let authority = Authority::new(&shared.files.hosts, &key)?;
            let signed = authority.sign_host(&request, &shared.files.fleet, &host, now)?;
            let der = read_pem(&signed)?;
            let (key, key_until) = key_and_end(der.first().ok_or("no certificate was issued")?)?;
            let renewal = HostRenewal {
                id: host.to_string(),
                shown: shown_key,
                issued_at: issued_at(shown)?,
                grace,
                key,
                key_until,
            };
            match store.renew_host(&renewal, &origin(address), now) {
                Ok(RenewalOutcome::Renewed) => Some(signed),
                Ok(RenewalOutcome::Copied) => return Ok(refused(messages::HOST_COPIED)),
                Err(StoreError::HostRefused) => return Ok(refused(messages::HOST_REFUSED)),
                Err(error) => return Err(error.into()),
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
