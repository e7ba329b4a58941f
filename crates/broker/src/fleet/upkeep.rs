//! What a joined host does for itself from time to time: it asks where the servers are, and renews its certificate when two
//! thirds of its life are over. Without it, a host would be refused after 90 days.

use std::time::{Duration, Instant};

use twofa_core::{Account, Timestamp};
use twofa_fleet::certificate::{
    CertificateError, PrivateKey, is_due, key_and_end, read_pem, request_certificate, request_for,
};
use twofa_fleet::client;
use twofa_fleet::identity::{BadIdentity, Identity, Role};
use twofa_fleet::tls::{self, HostCertificates, TlsError};
use twofa_fleet::token::Address;
use twofa_fleet::wire::{MemberAnswer, MemberRequest};
use twofa_store::{Store, StoreError};

use super::files::HostFiles;
use super::membership::{Membership, NotAMember};

/// How long the servers may take together.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upkeep {
    /// A server is asked in any case.
    Everything,
    /// A server is asked only if the certificate is due.
    CertificateOnly,
}

/// Why a host could not be kept up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpkeepError {
    /// It is not one.
    #[error(transparent)]
    NotAMember(#[from] NotAMember),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No key or request could be made, or a certificate is none.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// Certificates or keys cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// What a server sent is not for this host.
    #[error("a server sent a certificate that is not this host's")]
    BadAnswer,
    /// No server has answered; why, for each of them.
    #[error("no server of the fleet can be reached: {}", .0.join("; "))]
    Unreached(Vec<String>),
    /// The server does not know the host.
    #[error("{server}: {why}")]
    Refused {
        /// Which.
        server: Address,
        /// What it says.
        why: String,
    },
}

impl From<BadIdentity> for UpkeepError {
    fn from(_: BadIdentity) -> Self {
        Self::BadAnswer
    }
}

/// Asks a server where servers are, and for a certificate if that is due at `now`. Says whether there is a new certificate. On a
/// machine that is in no fleet it does nothing.
pub(crate) fn keep_up(
    store: &Store,
    membership: &Membership,
    now: Timestamp,
    what: Upkeep,
) -> Result<bool, UpkeepError> {
    let rules = store.rules_in_force()?;
    let Some(joined) = rules.fleet.as_ref() else {
        return Ok(false);
    };
    let files = membership.files(joined, store)?;
    let own = read_pem(&files.certificate)?;
    let own = own.first().ok_or(CertificateError::Unreadable)?;
    let is_due = is_due(own, now)?;
    if !is_due && what == Upkeep::CertificateOnly {
        return Ok(false);
    }
    let mut key = None;
    if is_due {
        let fresh = request_certificate()?.key;
        let Some(kept) = store.begin_renewal(joined, fresh.pem())? else {
            return Ok(false);
        };
        key = Some(PrivateKey::new(kept));
    }
    let request = match &key {
        Some(key) => MemberRequest::Renew {
            request: request_for(key)?,
        },
        None => MemberRequest::Servers,
    };
    let MemberAnswer::Member {
        servers,
        certificate,
    } = ask(&files, &request)?
    else {
        return Err(UpkeepError::BadAnswer);
    };
    if !servers.is_empty() && servers != joined.servers {
        store.note_servers(&servers)?;
    }
    let Some(key) = key else {
        return Ok(false);
    };
    let certificate = certificate.ok_or(UpkeepError::BadAnswer)?;
    check(&certificate, &key, &files)?;
    store.end_renewal(&certificate, key.pem())?;
    Ok(true)
}

/// The accounts that the servers have on record of people who have passed on this host.
pub(crate) fn people_on_record(files: &HostFiles) -> Result<Vec<Account>, UpkeepError> {
    let MemberAnswer::People(people) = ask(files, &MemberRequest::People)? else {
        return Err(UpkeepError::BadAnswer);
    };
    let people = people.into_iter();
    Ok(people.map(|(name, uid)| Account { name, uid }).collect())
}

/// The answer of the first server that gives one; never [`MemberAnswer::Refused`].
pub(super) fn ask(files: &HostFiles, request: &MemberRequest) -> Result<MemberAnswer, UpkeepError> {
    let config = tls::host_itself(&HostCertificates {
        certificate: &files.certificate,
        key: &files.key,
        servers: &files.authority,
        fleet: &files.fleet,
    })?;
    let deadline = Instant::now() + TIMEOUT;
    let mut failures = Vec::new();
    let mut left = u32::try_from(files.servers.len()).unwrap_or(u32::MAX);
    for server in &files.servers {
        // One that does not answer leaves time for the others.
        let time = deadline.saturating_duration_since(Instant::now()) / left.max(1);
        left = left.saturating_sub(1);
        let until = Instant::now() + time;
        let answer = client::connect(&config, server, until).map_err(Into::into);
        let answer = answer.and_then(|mut link| {
            link.set_deadline(until);
            link.send(request)?;
            link.receive()
        });
        match answer {
            Ok(MemberAnswer::Refused(why)) => {
                let server = server.clone();
                return Err(UpkeepError::Refused { server, why });
            }
            Ok(answer) => return Ok(answer),
            Err(error) => failures.push(format!("{server}: {error}")),
        }
    }
    Err(UpkeepError::Unreached(failures))
}

/// Checks that `certificate` is for this host and this key.
fn check(certificate: &str, key: &PrivateKey, files: &HostFiles) -> Result<(), UpkeepError> {
    let der = read_pem(certificate)?;
    let der = der.first().ok_or(UpkeepError::BadAnswer)?;
    let expected = Identity {
        fleet: files.fleet.clone(),
        role: Role::Host(files.host.clone()),
    };
    if Identity::of_certificate(der)? != expected {
        return Err(UpkeepError::BadAnswer);
    }
    key_and_end(der)?;
    tls::host(&HostCertificates {
        certificate,
        key,
        servers: &files.authority,
        fleet: &files.fleet,
    })?;
    Ok(())
}
