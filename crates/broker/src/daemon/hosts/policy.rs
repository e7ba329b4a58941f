//! The rules of the fleet, signed by this server, for hosts that ask.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use twofa_fleet::signed;
use twofa_fleet::stream::ToHost;
use twofa_fleet::tls::Shown;
use twofa_fleet::wire::FromServer;

use super::{Failure, Shared, WRITE_TIMEOUT};
use crate::process::log;

/// The rules that were signed last, which change rarely and are asked for all the time: version and text, for each certificate
/// with whose key they were.
#[derive(Debug, Default)]
pub(super) struct SignedPolicy(Mutex<Vec<(Arc<Shown>, i64, String)>>);

/// Answers the host with this `key`, which has version `known` of the rules and was `shown` this certificate, so that it trusts
/// what that signs. Says whether the connection can be used again.
pub(super) fn serve(
    shared: &Shared,
    link: &mut ToHost,
    (key, shown): ([u8; 32], &Arc<Shown>),
    known: i64,
) -> bool {
    match answer(shared, (key, shown), known) {
        Ok(answer) => {
            link.set_deadline(Instant::now() + WRITE_TIMEOUT);
            link.send(&answer).is_ok()
        }
        Err(error) => {
            log::warn(&format!("a host cannot be given the policy: {error}"));
            false
        }
    }
}

fn answer(
    shared: &Shared,
    (key, shown): ([u8; 32], &Arc<Shown>),
    known: i64,
) -> Result<FromServer, Failure> {
    let broker = shared.store.open()?;
    let services = broker.services();
    let now = services.now();
    services.store.host_by_key(&key, now)?;
    let answer = |version, signed| FromServer::Policy {
        version,
        at: now.unix(),
        signed,
    };
    let version = services.store.policy_version()?;
    if version <= known {
        return Ok(answer(version, None));
    }
    let mut last = shared
        .policy
        .0
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    last.retain(|(_, signed, _)| *signed == version);
    if let Some((_, version, signed)) = last.iter().find(|(with, ..)| Arc::ptr_eq(with, shown)) {
        return Ok(answer(*version, Some(signed.clone())));
    }
    let fleet = &shared.loaded().files.fleet;
    let policy = services.store.fleet_policy(fleet.as_str())?;
    let signed = signed::sign(&policy.write(), &shown.chain, &shown.key)?;
    // Of certificates that are shown no more, too: each is held by a connection.
    last.retain(|(with, ..)| Arc::strong_count(with) > 1);
    last.push((shown.clone(), policy.version, signed.clone()));
    Ok(answer(policy.version, Some(signed)))
}
