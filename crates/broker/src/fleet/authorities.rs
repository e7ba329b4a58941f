//! A joined host follows a rotation of its fleet's certificate authority.
//!
//! What a server tells over a connection on which it showed a certificate of an authority that the host trusts is what the host
//! trusts from then on: first both authorities, then the new one alone. It gets a certificate of the new one in between. The copy
//! of the fleet's policy is always one that a trusted authority stands behind: before the old one goes, the copy is fetched again
//! from a server of the new one.
//!
//! A host that slept through all of it goes the same way in one go. Servers show it a certificate of the old authority, for as
//! long as `fleet.renewal-grace` said at the end.

use std::time::{Duration, Instant};

use twofa_core::Timestamp;
use twofa_fleet::certificate::{fingerprint, read_pem};
use twofa_fleet::tls::{self, HostCertificates};
use twofa_fleet::verifier::is_host_of;
use twofa_fleet::wire::FleetAuthorities;
use twofa_store::{JoinedFleet, KnownAuthorities, Store};

use super::files::HostFiles;
use super::membership::Membership;
use super::upkeep::error::UpkeepError;

/// How long servers may take to send the policy.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Whether the host is to ask for a certificate because the one that it has is of an authority that is no longer to sign.
pub(super) fn is_due(
    joined: &JoinedFleet,
    files: &HostFiles,
    now: Timestamp,
) -> Result<bool, UpkeepError> {
    let Some(known) = joined.authorities.as_ref().filter(|it| it.renew_at <= now) else {
        return Ok(false);
    };
    Ok(!is_of(known.hosts.as_deref(), files, now)?)
}

/// Whether the certificate of the host is of this authority; `None`: any will do.
fn is_of(hosts: Option<&str>, files: &HostFiles, now: Timestamp) -> Result<bool, UpkeepError> {
    let is_of = |hosts| is_host_of(hosts, &files.fleet, &files.certificate, now);
    Ok(hosts.map_or(Ok(true), is_of)?)
}

/// Has the host trust what a server told. Says whether that is anything new.
pub(super) fn adopt(
    store: &Store,
    membership: &Membership,
    told: FleetAuthorities,
    now: Timestamp,
) -> Result<bool, UpkeepError> {
    let rules = store.rules_in_force()?;
    let Some(joined) = rules.fleet.as_ref() else {
        return Ok(false);
    };
    let seen = joined.authorities.as_ref().map_or(0, |it| it.version);
    let mut files = membership.files(joined, store)?;
    let mut known = KnownAuthorities {
        version: told.version,
        renew_at: now.after(turn(&files, told.spread)),
        servers: told.servers,
        hosts: told.hosts,
    };
    let trusted = std::mem::replace(&mut files.authority, known.servers.clone());
    if !membership.is_policy_of(&rules, &files) {
        if is_of(known.hosts.as_deref(), &files, now)? {
            let deadline = Instant::now() + TIMEOUT;
            let fetched = membership.fetch_policy(store, &files, now, deadline);
            fetched.map_err(Box::new)?;
        } else {
            // Nothing but a certificate can be had before it has one of the new authority: until then it trusts both, as it would
            // have been told if it had been awake.
            known.version -= 1;
            known.servers = trusted + &known.servers;
            files.authority.clone_from(&known.servers);
        }
    }
    if known.version <= seen {
        return Ok(false);
    }
    // Authorities of another fleet fail here, or for anything but servers.
    tls::host_itself(&HostCertificates {
        certificate: &files.certificate,
        key: &files.key,
        servers: &files.authority,
        fleet: &files.fleet,
    })?;
    store.note_authorities(&known)?;
    Ok(true)
}

/// After how many seconds it is this host's turn, if all have theirs within `spread`: hosts would otherwise ask all at once after
/// a power failure.
fn turn(files: &HostFiles, spread: u32) -> u64 {
    let id = read_pem(&files.certificate)
        .ok()
        .and_then(|all| all.first().map(|own| fingerprint(own)));
    let number = id.map_or(0, |[a, b, c, d, ..]| u32::from_be_bytes([a, b, c, d]));
    u64::from(number) * u64::from(spread) / u64::from(u32::MAX)
}
