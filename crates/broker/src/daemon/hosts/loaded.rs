//! The files of this server, and how it serves connections by them. They are read again when they change, so that a rotation of
//! the certificate authority, or a new certificate of the server, needs no restart.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use twofa_core::Timestamp;
use twofa_fleet::certificate::{
    Authority, CertificateError, PrivateKey, fingerprint, read_pem, write_pem,
};
use twofa_fleet::tls::{self, RotatingCertificates, ServerConfigs};
use twofa_fleet::verifier::is_host_of;
use twofa_store::CaRotation;

use super::{Failure, Shared};
use crate::fleet::files::{FilesError, FleetDirectory, ServerFiles};
use crate::fleet::rotating::{FilesState, OtherAuthority};
use crate::process::log;

/// What was read from the files.
pub(super) struct Loaded {
    pub(super) config: Arc<ServerConfigs>,
    /// Those of the authority in use.
    pub(super) files: ServerFiles,
    /// The authority that is to take its place.
    next: Option<OtherAuthority>,
    state: FilesState,
}

/// The authorities of a rotation that this server has.
pub(super) struct NewAuthority<'a> {
    /// For servers: those to be trusted until the rotation is finished, and the new one.
    pub(super) both: String,
    pub(super) servers: &'a str,
    pub(super) hosts: &'a str,
    is_next: bool,
}

impl Loaded {
    /// Reads the files. What cannot be read of a rotation is left out, and hosts that need it are refused.
    pub(super) fn read(directory: &FleetDirectory, now: Timestamp) -> Result<Self, Failure> {
        // Before the files: a change while they are read is a change since.
        let state = directory.state();
        let files = directory.read_server()?;
        let next = usable(directory.read_next());
        let previous = usable(directory.read_previous(now));
        let mut hosts = files.hosts.clone();
        let mut chains = Vec::new();
        if let Some(next) = &next {
            chains.push((&*next.chain, &next.key));
            hosts += &next.hosts;
        }
        chains.push((&files.chain, &files.key));
        let mut hosts_asleep = hosts.clone();
        if let Some(previous) = &previous {
            chains.push((&previous.chain, &previous.key));
            hosts_asleep += &previous.hosts;
        }
        let config = tls::rotating_server(&RotatingCertificates {
            chains,
            hosts: &hosts,
            hosts_asleep: &hosts_asleep,
            fleet: &files.fleet,
        })?;
        Ok(Self {
            config,
            files,
            next,
            state,
        })
    }

    /// SHA-256 of the authorities for servers: that in use, and the next.
    pub(super) fn authorities(&self) -> Result<Vec<String>, CertificateError> {
        let next = self.next.as_ref().map(|next| &next.servers);
        let all = std::iter::once(&self.files.servers).chain(next);
        all.map(|it| digest(it)).collect()
    }

    /// The new authority of this rotation; `None`: this server does not have it.
    pub(super) fn new_authority(
        &self,
        rotation: &CaRotation,
    ) -> Result<Option<NewAuthority<'_>>, CertificateError> {
        if let Some(next) = &self.next
            && digest(&next.servers)? == rotation.servers
        {
            return Ok(Some(NewAuthority {
                both: self.files.servers.clone() + &next.servers,
                servers: &next.servers,
                hosts: &next.hosts,
                is_next: true,
            }));
        }
        let files = &self.files;
        Ok(
            (digest(&files.servers)? == rotation.servers).then(|| NewAuthority {
                both: files.servers.clone(),
                servers: &files.servers,
                hosts: &files.hosts,
                is_next: false,
            }),
        )
    }

    /// SHA-256 of the authority that signed the certificate `shown` (DER) of a host; `None`: it is none that signs.
    pub(super) fn issuer(&self, shown: &[u8], now: Timestamp) -> Result<Option<String>, Failure> {
        let shown = write_pem(shown);
        let next = self.next.as_ref().map(|next| &next.hosts);
        for authority in std::iter::once(&self.files.hosts).chain(next) {
            if is_host_of(authority, &self.files.fleet, &shown, now)? {
                return Ok(Some(digest(authority)?));
            }
        }
        Ok(None)
    }

    /// What signs the certificates of hosts.
    pub(super) fn signer(
        &self,
        directory: &FleetDirectory,
        rotation: Option<&CaRotation>,
    ) -> Result<Authority, Failure> {
        let opened = rotation.filter(|rotation| rotation.opened_at.is_some());
        let new = opened.map(|rotation| self.new_authority(rotation));
        let signer = |certificate: &str, key: &PrivateKey| Ok(Authority::new(certificate, key)?);
        match new.transpose()?.flatten() {
            Some(new) if new.is_next => signer(new.hosts, &directory.read_next_hosts_key()?),
            _ => signer(&self.files.hosts, &directory.read_hosts_key()?),
        }
    }
}

impl Shared {
    /// What was read from the files.
    pub(super) fn loaded(&self) -> Arc<Loaded> {
        self.loaded
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    /// What is in the files now, for which five of them are looked at. A host that asks in the seconds after the end of a rotation
    /// would otherwise be answered by files that are gone, and ask again only five minutes later.
    pub(super) fn loaded_now(&self, now: Timestamp) -> Arc<Loaded> {
        if let Err(error) = self.reload(now) {
            log::warn(&format!(
                "the files of this server cannot be used: {error}; it goes on with those before"
            ));
        }
        self.loaded()
    }

    /// Reads the files again if they have changed. Where they cannot be read, what was read before goes on to count.
    pub(super) fn reload(&self, now: Timestamp) -> Result<(), Failure> {
        if self.directory.state() == self.loaded().state {
            return Ok(());
        }
        let loaded = Arc::new(Loaded::read(&self.directory, now)?);
        *self
            .loaded
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = loaded;
        Ok(())
    }
}

/// SHA-256 of the first certificate in a PEM text.
pub(super) fn digest(pem: &str) -> Result<String, CertificateError> {
    let certificates = read_pem(pem)?;
    let first = certificates.first().ok_or(CertificateError::Unreadable)?;
    Ok(HEXLOWER.encode(&fingerprint(first)))
}

fn usable(read: Result<Option<OtherAuthority>, FilesError>) -> Option<OtherAuthority> {
    read.unwrap_or_else(|error| {
        log::warn(&format!(
            "{error}; this server goes on without that certificate authority"
        ));
        None
    })
}
