//! What a joined host does for itself from time to time: it asks where the servers are, renews its certificate when two thirds of
//! its life are over, and follows a rotation of the fleet's certificate authority ([`super::authorities`]). Without it, a host
//! would be refused after 90 days.

pub(super) mod error;

use std::time::{Duration, Instant};

use twofa_core::{Account, Timestamp};
use twofa_fleet::certificate::{
    CertificateError, PrivateKey, is_due, key_and_end, read_pem, request_certificate, request_for,
};
use twofa_fleet::client;
use twofa_fleet::identity::{Identity, Role};
use twofa_fleet::stream::ToServer;
use twofa_fleet::tls::{self, HostCertificates};
use twofa_fleet::wire::{FleetAuthorities, MemberAnswer, MemberRequest};
use twofa_proto::codec::CodecError;
use twofa_store::Store;

pub(crate) use self::error::UpkeepError;
use super::authorities;
use super::files::HostFiles;
use super::membership::Membership;

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

/// Asks a server where servers are, for a certificate if that is due at `now`, and for the certificate authorities of the fleet. Says
/// whether there is a new certificate. On a machine that is in no fleet it does nothing.
pub(crate) fn keep_up(
    store: &Store,
    membership: &Membership,
    now: Timestamp,
    what: Upkeep,
) -> Result<bool, UpkeepError> {
    let first = pass(store, membership, now, (what, Renewal::IfDue))?;
    let mut is_renewed = first.is_renewed;
    if !is_renewed && first.is_told {
        // Of a new authority; its turn may come later.
        let second = pass(store, membership, now, (what, Renewal::IfRotated))?;
        is_renewed = second.is_renewed;
    }
    if first.is_rotating && is_renewed {
        // With the new certificate, so that servers know that it works, and that this host need not be waited for.
        pass(store, membership, now, (what, Renewal::No))?;
    }
    Ok(is_renewed)
}

/// When a certificate is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Renewal {
    /// When two thirds of its life are over, or it is of an authority that is no longer to sign.
    IfDue,
    /// The latter alone.
    IfRotated,
    No,
}

/// What came of asking a server.
#[derive(Debug, Clone, Copy, Default)]
struct Passed {
    is_renewed: bool,
    /// The server told of other authorities than this host knew.
    is_told: bool,
    /// The fleet has had a rotation.
    is_rotating: bool,
}

fn pass(
    store: &Store,
    membership: &Membership,
    now: Timestamp,
    (what, renewal): (Upkeep, Renewal),
) -> Result<Passed, UpkeepError> {
    let rules = store.rules_in_force()?;
    let Some(joined) = rules.fleet.as_ref() else {
        return Ok(Passed::default());
    };
    let files = membership.files(joined, store)?;
    let is_due = match renewal {
        Renewal::IfDue => is_old(&files, now)? || authorities::is_due(joined, &files, now)?,
        Renewal::IfRotated => authorities::is_due(joined, &files, now)?,
        Renewal::No => false,
    };
    if !is_due && (what == Upkeep::CertificateOnly || renewal == Renewal::IfRotated) {
        return Ok(Passed::default());
    }
    let mut key = None;
    if is_due {
        let fresh = request_certificate()?.key;
        let Some(kept) = store.begin_renewal(joined, fresh.pem())? else {
            return Ok(Passed::default());
        };
        key = Some(PrivateKey::new(kept));
    }
    let request = match &key {
        Some(key) => MemberRequest::Renew {
            request: request_for(key)?,
        },
        None => MemberRequest::Servers,
    };
    let known = joined.authorities.as_ref().map_or(0, |it| it.version);
    let Answers { answer, told } = ask_both(&files, &request, Some(known))?;
    let MemberAnswer::Member {
        servers,
        certificate,
    } = answer
    else {
        return Err(UpkeepError::BadAnswer);
    };
    if !servers.is_empty() && servers != joined.servers {
        store.note_servers(&servers)?;
    }
    let is_renewed = key.is_some();
    if let Some(key) = key {
        let certificate = certificate.ok_or(UpkeepError::BadAnswer)?;
        check(&certificate, &key, &files)?;
        store.end_renewal(&certificate, key.pem())?;
    }
    let is_told = match told {
        // With the certificate that is in force now.
        Some(told) => authorities::adopt(store, membership, told, now)?,
        None => false,
    };
    Ok(Passed {
        is_renewed,
        is_told,
        is_rotating: is_told || known > 0,
    })
}

/// Whether two thirds of the life of the certificate are over.
fn is_old(files: &HostFiles, now: Timestamp) -> Result<bool, CertificateError> {
    let own = read_pem(&files.certificate)?;
    let own = own.first().ok_or(CertificateError::Unreadable)?;
    is_due(own, now)
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
    Ok(ask_both(files, request, None)?.answer)
}

/// What a server has said.
struct Answers {
    /// To the request; never [`MemberAnswer::Refused`].
    answer: MemberAnswer,
    /// The certificate authorities, if it told.
    told: Option<FleetAuthorities>,
}

/// The answer of the first server that gives one. If the authorities are `known` as of a version, it is asked for others, too.
fn ask_both(
    files: &HostFiles,
    request: &MemberRequest,
    known: Option<i64>,
) -> Result<Answers, UpkeepError> {
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
        let answer = client::connect(&config, server, until).map_err(CodecError::from);
        let answer = answer.and_then(|mut link| {
            link.set_deadline(until);
            link.send(request)?;
            let answer = link.receive()?;
            let told = known.and_then(|known| ask_authorities(&mut link, &answer, known));
            Ok((answer, told))
        });
        match answer {
            Ok((MemberAnswer::Refused(why), _)) => {
                let server = server.clone();
                return Err(UpkeepError::Refused { server, why });
            }
            Ok((answer, told)) => return Ok(Answers { answer, told }),
            Err(error) => failures.push(format!("{server}: {error}")),
        }
    }
    Err(UpkeepError::Unreached(failures))
}

/// Asks for the authorities on the same connection. A server of an earlier version has closed it.
fn ask_authorities(
    link: &mut ToServer,
    answer: &MemberAnswer,
    known: i64,
) -> Option<FleetAuthorities> {
    if matches!(answer, MemberAnswer::Refused(_)) {
        return None;
    }
    link.send(&MemberRequest::Authorities { known }).ok()?;
    match link.receive().ok()? {
        MemberAnswer::Authorities(told) => told,
        _ => None,
    }
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
