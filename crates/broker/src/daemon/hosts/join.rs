//! A host joins: it shows the secret of its token and gets a certificate for its key.

use std::net::SocketAddr;
use std::time::Instant;

use twofa_fleet::certificate::{Authority, key_and_end, read_pem};
use twofa_fleet::stream::ToHost;
use twofa_fleet::token;
use twofa_fleet::wire::{JoinAnswer, JoinRequest};
use twofa_store::{HostJoin, UnjoinedHost};

use super::itself::origin;
use super::{Failure, Shared};
use crate::process::log;
use crate::text::messages;

/// Serves one request to join, until `deadline`.
pub(super) fn serve(shared: &Shared, mut link: ToHost, address: SocketAddr, deadline: Instant) {
    link.set_deadline(deadline);
    let Ok(request) = link.receive::<JoinRequest>() else {
        return;
    };
    let answer = join(shared, &request, address).unwrap_or_else(|error| {
        log::warn(&format!("a host could not join: {error}"));
        JoinAnswer::Refused(messages::JOIN_FAILED.to_owned())
    });
    if let JoinAnswer::Refused(why) = &answer {
        shared.permits.warn(&format!("{address}: {why}"));
    }
    // A host that does not get it must be added again: its token is used up.
    let _ = link.send(&answer);
}

fn join(
    shared: &Shared,
    request: &JoinRequest,
    address: SocketAddr,
) -> Result<JoinAnswer, Failure> {
    let broker = shared.store.open()?;
    let services = broker.services();
    let (store, now) = (services.store, services.now());
    let token = token::digest(&request.secret);
    let refused = || JoinAnswer::Refused(messages::TOKEN_REFUSED.to_owned());
    let Some(UnjoinedHost { id, name }) = store.host_of_token(&token, now)? else {
        return Ok(refused());
    };
    let key = shared.directory.read_hosts_key()?;
    let authority = Authority::new(&shared.files.hosts, &key)?;
    let signed = authority.sign_host(&request.request, &shared.files.fleet, &id.parse()?, now)?;
    let certificates = read_pem(&signed)?;
    let der = certificates.first().ok_or("no certificate was issued")?;
    let (key, key_until) = key_and_end(der)?;
    let join = HostJoin {
        token,
        key,
        key_until,
    };
    if !store.join_host(join, &origin(address), now)? {
        return Ok(refused());
    }
    Ok(JoinAnswer::Joined {
        name,
        certificate: signed,
    })
}
