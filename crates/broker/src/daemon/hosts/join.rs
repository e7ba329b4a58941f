//! A host joins: it shows the secret of its token, or of a key for many hosts, and gets a certificate for its own key.

use std::net::SocketAddr;
use std::time::Instant;

use twofa_core::Timestamp;
use twofa_fleet::certificate::{key_and_end, name_in_request, read_pem};
use twofa_fleet::identity::Id;
use twofa_fleet::stream::ToHost;
use twofa_fleet::token;
use twofa_fleet::wire::{JoinAnswer, JoinRequest};
use twofa_store::{HostJoin, KeyJoin, KeyJoinOutcome, Store, UnjoinedHost};

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
    let Some(UnjoinedHost { id, name }) = store.host_of_token(&token, now)? else {
        if store.is_join_key(&token)? {
            return join_with_key(shared, store, request, address, now);
        }
        return refused_token(store, &token, now);
    };
    let signed = sign((shared, store), request, &id.parse()?, now)?;
    let join = HostJoin {
        token,
        key: signed.key,
        key_until: signed.key_until,
    };
    if !store.join_host(join, &origin(address), now)? {
        return refused_token(store, &token, now);
    }
    Ok(JoinAnswer::Joined {
        name,
        certificate: signed.certificate,
    })
}

fn join_with_key(
    shared: &Shared,
    store: &Store,
    request: &JoinRequest,
    address: SocketAddr,
    now: Timestamp,
) -> Result<JoinAnswer, Failure> {
    let name = name_in_request(&request.request)?.unwrap_or_default();
    let id = Id::random()?;
    let signed = sign((shared, store), request, &id, now)?;
    let join = KeyJoin {
        digest: token::digest(&request.secret),
        id: id.as_str(),
        name: &name,
        key: signed.key,
        key_until: signed.key_until,
    };
    let why = match store.join_with_key(&join, &origin(address), now)? {
        KeyJoinOutcome::Joined => {
            return Ok(JoinAnswer::Joined {
                name,
                certificate: signed.certificate,
            });
        }
        KeyJoinOutcome::Unknown => messages::TOKEN_UNKNOWN.to_owned(),
        KeyJoinOutcome::Ended(at) => messages::join_key_ended(at, now),
        KeyJoinOutcome::UsedUp(uses) => messages::join_key_used_up(uses),
        KeyJoinOutcome::TooMany(hourly) => messages::join_key_too_fast(hourly),
        KeyJoinOutcome::OtherName(pattern) => messages::join_key_other_name(&name, &pattern),
        KeyJoinOutcome::NameTaken => messages::join_key_name_taken(&name),
    };
    Ok(JoinAnswer::Refused(why))
}

/// Why the token that has this SHA-256 lets no host join.
fn refused_token(store: &Store, token: &[u8; 32], now: Timestamp) -> Result<JoinAnswer, Failure> {
    let why = messages::dead_token(&store.dead_token(token, now)?, now);
    Ok(JoinAnswer::Refused(why))
}

/// A certificate that was issued, and what the store keeps of it.
struct Signed {
    certificate: String,
    key: [u8; 32],
    key_until: Timestamp,
}

fn sign(
    (shared, store): (&Shared, &Store),
    request: &JoinRequest,
    id: &Id,
    now: Timestamp,
) -> Result<Signed, Failure> {
    let loaded = shared.loaded_now(now);
    let authority = loaded.signer(&shared.directory, store.ca_rotation()?.as_ref())?;
    let certificate = authority.sign_host(&request.request, &loaded.files.fleet, id, now)?;
    let certificates = read_pem(&certificate)?;
    let der = certificates.first().ok_or("no certificate was issued")?;
    let (key, key_until) = key_and_end(der)?;
    Ok(Signed {
        certificate,
        key,
        key_until,
    })
}
