//! Rotating the certificate authority of a fleet while hosts log in.
//!
//! Root has the files, the service the store, and a process that has given root up does not get it back. So each step on the store
//! is one of the service's, before or after those on the files, and each can be repeated.

use std::path::{Path, PathBuf};

use twofa_core::Timestamp;
use twofa_fleet::certificate::{
    Authority, CertificateError, fingerprint, is_root_of, key_and_end, make_authorities, read_pem,
};
use twofa_fleet::package::NextAuthorities;
use twofa_store::CaProgress;

use super::fleet::FleetError;
use super::servers::{FirstFleet, names, read_server, signed};
use super::{AdminError, Administration};
use crate::fleet::files::{DIRECTORY, FleetDirectory};
use crate::fleet::requests::Requests;
use crate::process::{clock, privileges};

pub use twofa_store::CaProgress as CaRotationProgress;
pub use twofa_store::{CaRotation, HostCa};

/// What became of beginning a rotation.
#[derive(Debug, PartialEq, Eq)]
pub enum NewAuthority {
    /// It is here.
    Made,
    /// It was here already.
    Here,
    /// The company's certificate authority is to sign the requests in this directory first.
    Requests(PathBuf),
}

/// Makes the certificate authority that is to replace the one in use, below the certificate authority `ca` (PEM) or one of its own;
/// for root. If it is here already, nothing is changed.
pub fn make_new_authority(ca: Option<&str>) -> Result<NewAuthority, FleetError> {
    let (directory, files) = read_server()?;
    if directory.has_next() {
        return Ok(NewAuthority::Here);
    }
    let requests = Requests::beside(&Path::new(DIRECTORY).join("rotation"));
    let root = read_pem(&files.root)?;
    let is_own = root.first().is_some_and(|it| is_root_of(&files.fleet, it));
    let new: FirstFleet = match ca {
        None if !is_own => return Err(FleetError::CompanyAuthority),
        None => make_authorities(files.fleet.clone(), clock::now())?.into(),
        Some(ca) => match signed(&requests, ca, Some(&files.fleet))? {
            None => return Ok(NewAuthority::Requests(requests.path().to_owned())),
            Some(new) => new,
        },
    };
    let FirstFleet {
        root,
        root_key,
        hosts,
        servers,
        ..
    } = new;
    let authority = Authority::new(&servers.certificate, &servers.key)?;
    let own = authority.issue_server(&files.fleet, &names(&files.addresses), clock::now())?;
    let next = NextAuthorities {
        root,
        servers,
        hosts,
        own,
    };
    let service = privileges::service_owner()?.gid;
    directory.write_next(&next, root_key.as_ref(), service)?;
    requests.remove()?;
    Ok(NewAuthority::Made)
}

/// Puts the new certificate authority in the place of the one in use, whose keys are deleted; for root, after
/// [`Administration::finish_ca_rotation`]. Until `kept_until`, hosts that slept can renew their certificates. Says whether there was
/// anything to do.
pub fn use_new_authority(kept_until: Option<Timestamp>) -> Result<bool, FleetError> {
    let (directory, files) = read_server()?;
    if !directory.has_next() {
        return Ok(false);
    }
    let now = clock::now();
    let seconds = kept_until.map_or(0, |until| until.unix().saturating_sub(now.unix()));
    let seconds = u64::try_from(seconds).unwrap_or_default();
    let is_kept = seconds > 0 && !directory.is_finishing() && !has_it_in_use(&directory)?;
    let kept = if is_kept {
        let (certificate, key) = directory.read_servers_authority()?;
        let names = names(&files.addresses);
        let authority = Authority::new(&certificate, &key)?;
        Some(authority.issue_server_for(&files.fleet, &names, now, seconds)?)
    } else {
        None
    };
    directory.finish_rotation(kept.as_ref(), privileges::service_owner()?.gid)?;
    Ok(true)
}

/// Whether the new authority is in use already: this server joined again after the rotation.
fn has_it_in_use(directory: &FleetDirectory) -> Result<bool, FleetError> {
    let next = directory.read_next()?;
    let files = directory.read_server()?;
    Ok(next.is_some_and(|next| next.servers == files.servers))
}

/// Which hosts and servers stand in the way of the end of a rotation.
#[derive(Debug)]
pub struct CaFinish {
    /// How far it is.
    pub progress: CaProgress,
    /// Until when hosts that are left behind could renew their certificates; `None`: not at all.
    pub kept_until: Option<Timestamp>,
}

impl Administration {
    /// Fails where no rotation can begin or go on: another server has begun one whose authority is not here, or the last one is not
    /// finished everywhere.
    pub fn check_ca_start(&self) -> Result<(), FleetError> {
        let (directory, _) = read_server()?;
        let Some(progress) = self.store().ca_progress()? else {
            return Ok(());
        };
        if progress.rotation.finished_at.is_none() {
            return if has_authority_of(&directory, &progress.rotation)? {
                Ok(())
            } else {
                Err(FleetError::NextAuthorityMissing)
            };
        }
        let next = directory.read_next()?.map(|next| digest(&next.servers));
        let is_unfinished_here = directory.is_finishing()
            || next.transpose()?.as_deref() == Some(&progress.rotation.servers);
        let with_old = progress.servers_with_old;
        if is_unfinished_here || !with_old.is_empty() {
            return Err(FleetError::ServersWithOldCa(with_old));
        }
        Ok(())
    }

    /// Begins the rotation to the authority that [`make_new_authority`] has made, or goes on with it. Returns the servers that lack it;
    /// if there are none, hosts get certificates of it from now on.
    pub fn start_ca_rotation(&self) -> Result<Vec<String>, FleetError> {
        let (directory, files) = read_server()?;
        let next = directory.read_next()?.ok_or(FleetError::NoCaRotation)?;
        let (servers, hosts) = (digest(&next.servers)?, digest(&next.hosts)?);
        let (origin, now) = (self.origin(), self.now());
        let store = self.store();
        store.start_ca_rotation((&servers, &hosts), &origin, now)?;
        // What this machine has, whether its server runs or not.
        let has = [digest(&files.servers)?, servers];
        store.note_server_authorities(files.id.as_str(), &has)?;
        Ok(store.open_ca_rotation(&origin, now)?)
    }

    /// How far the last rotation is; `None`: there was none.
    pub fn ca_rotation(&self) -> Result<Option<CaProgress>, AdminError> {
        Ok(self.store().ca_progress()?)
    }

    /// How far the rotation is that is to be finished on this machine.
    pub fn ca_finish(&self, is_kept: bool) -> Result<CaFinish, FleetError> {
        let (directory, files) = read_server()?;
        let progress = self
            .store()
            .ca_progress()?
            .ok_or(FleetError::NoCaRotation)?;
        let is_finished = progress.rotation.finished_at.is_some();
        if !is_finished && !has_authority_of(&directory, &progress.rotation)? {
            return Err(FleetError::NextAuthorityMissing);
        }
        let kept_until = if is_finished {
            progress.rotation.kept_until
        } else {
            let rules = self.store().rules_in_force().map_err(FleetError::from)?;
            let grace = rules.rulebook.machine().renewal_grace.seconds();
            let end = end_of(&files.servers)?;
            let until = self.now().after(grace).min(end);
            Some(until).filter(|until| is_kept && *until > self.now())
        };
        Ok(CaFinish {
            progress,
            kept_until,
        })
    }

    /// Ends the rotation in the store: hosts trust the new authority alone.
    pub fn finish_ca_rotation(&self, finish: &CaFinish) -> Result<(), FleetError> {
        let CaFinish {
            progress,
            kept_until,
        } = finish;
        let behind = progress.behind().count();
        let behind = u64::try_from(behind).unwrap_or(u64::MAX);
        let (origin, now) = (self.origin(), self.now());
        let id = progress.rotation.id;
        self.store()
            .finish_ca_rotation(id, (behind, *kept_until), &origin, now)?;
        Ok(())
    }
}

/// Whether this server has the new authority of the rotation, next or in use.
fn has_authority_of(directory: &FleetDirectory, rotation: &CaRotation) -> Result<bool, FleetError> {
    let next = directory.read_next()?.map(|next| next.servers);
    let current = directory.read_server()?.servers;
    for servers in next.iter().chain([&current]) {
        if digest(servers)? == rotation.servers {
            return Ok(true);
        }
    }
    Ok(false)
}

/// SHA-256 of the first certificate in a PEM text, as hexadecimal digits.
fn digest(pem: &str) -> Result<String, CertificateError> {
    let certificates = read_pem(pem)?;
    let first = certificates.first().ok_or(CertificateError::Unreadable)?;
    Ok(data_encoding::HEXLOWER.encode(&fingerprint(first)))
}

/// When the first certificate in a PEM text ends.
pub(super) fn end_of(pem: &str) -> Result<Timestamp, CertificateError> {
    let certificates = read_pem(pem)?;
    let first = certificates.first().ok_or(CertificateError::Unreadable)?;
    Ok(key_and_end(first)?.1)
}
