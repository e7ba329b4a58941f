//! Making certificates: the root of a fleet, its two issuing authorities, and what those sign.
//!
//! The root signs the two authorities and nothing else, so that its key can be kept where no server is. Hosts trust the one
//! for servers alone, servers the one for hosts alone. What an authority signs carries its use as well (RFC 5280 §4.2.1.12)
//! and who the holder is ([`Identity`]).

use std::time::Duration;

use data_encoding::BASE64;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, DnValue, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
    SerialNumber, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer};
use sha2::{Digest, Sha256};
use twofa_core::Timestamp;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use zeroize::Zeroizing;

use crate::identity::{Id, Identity, Role, Signs};

/// For how long a host's or server's certificate is valid, in seconds: 90 days.
pub const LIFETIME: u64 = 90 * 86_400;
/// For how long the root and the two authorities are, in seconds: 20 years.
const AUTHORITY_LIFETIME: u64 = 20 * 365 * 86_400;
/// A certificate is valid from an hour before it is made: clocks differ.
const BACKDATED: u64 = 3600;
const SERIAL_BYTES: usize = 16;

/// A certificate or key cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// It cannot be made.
    #[error("a certificate cannot be made: {0}")]
    Rcgen(#[from] rcgen::Error),
    /// There are no random numbers.
    #[error("cannot get random numbers: {0}")]
    Random(#[from] getrandom::Error),
    /// The key belongs to another certificate.
    #[error("the private key is not that of the certificate")]
    OtherKey,
    /// It is no certificate.
    #[error("that is no certificate that we can read")]
    Unreadable,
}

/// A certificate and its private key, both as PEM.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// Its key (PKCS #8).
    pub key: PrivateKey,
}

/// A private key as PEM. It is wiped when it is dropped, and prints nothing.
#[derive(Clone)]
pub struct PrivateKey(Zeroizing<String>);

impl PrivateKey {
    /// The key in `pem`.
    pub const fn new(pem: Zeroizing<String>) -> Self {
        Self(pem)
    }

    /// The PEM.
    pub fn pem(&self) -> &str {
        &self.0
    }

    fn of(pair: &KeyPair) -> Self {
        Self(Zeroizing::new(pair.serialize_pem()))
    }
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}

/// The certificates that a new fleet begins with.
#[derive(Debug)]
pub struct NewFleet {
    /// Its id.
    pub id: Id,
    /// The root, which signed the other two.
    pub root: Issued,
    /// What signs the certificates of hosts.
    pub hosts: Issued,
    /// What signs the certificates of servers.
    pub servers: Issued,
}

/// Makes root and authorities of a new fleet.
pub fn make_fleet(now: Timestamp) -> Result<NewFleet, CertificateError> {
    make_authorities(Id::random()?, now)
}

/// Makes a root and authorities for the fleet `id`, which may have others.
pub fn make_authorities(id: Id, now: Timestamp) -> Result<NewFleet, CertificateError> {
    let root_key = KeyPair::generate()?;
    let root_params = authority("root", &id, 1, now)?;
    let root_certificate = root_params.self_signed(&root_key)?.pem();
    let root = Issuer::new(root_params, root_key);
    let hosts = make_authority(Signs::Hosts, &id, &root, now)?;
    let servers = make_authority(Signs::Servers, &id, &root, now)?;
    Ok(NewFleet {
        id,
        root: Issued {
            certificate: root_certificate,
            key: PrivateKey::of(root.key()),
        },
        hosts,
        servers,
    })
}

fn make_authority(
    signs: Signs,
    fleet: &Id,
    root: &Issuer<'_, KeyPair>,
    now: Timestamp,
) -> Result<Issued, CertificateError> {
    let params = valid_for(AUTHORITY_LIFETIME, issuing(signs, fleet)?, now)?;
    let key = KeyPair::generate()?;
    Ok(Issued {
        certificate: params.signed_by(&key, root)?.pem(),
        key: PrivateKey::of(&key),
    })
}

impl Signs {
    /// The extended key usage of what it signs (RFC 5280 §4.2.1.12).
    fn purpose(self) -> ExtendedKeyUsagePurpose {
        match self {
            Self::Hosts => ExtendedKeyUsagePurpose::ClientAuth,
            Self::Servers => ExtendedKeyUsagePurpose::ServerAuth,
        }
    }
}

/// A key pair and the request for a certificate of it, made where the key stays.
#[derive(Debug)]
pub struct KeyRequest {
    /// The private key.
    pub key: PrivateKey,
    /// The request (PKCS #10, DER), which proves that its sender has the key.
    pub request: Vec<u8>,
}

/// Makes a key and a request for it. Nothing that the request says of its holder counts.
pub fn request_certificate() -> Result<KeyRequest, CertificateError> {
    let key = PrivateKey::of(&KeyPair::generate()?);
    let request = request_for(&key)?;
    Ok(KeyRequest { key, request })
}

/// The same for a host that joins, and would like to be called `name`.
pub fn request_to_join(name: &str) -> Result<KeyRequest, CertificateError> {
    let pair = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let request = params.serialize_request(&pair)?.der().to_vec();
    let key = PrivateKey::of(&pair);
    Ok(KeyRequest { key, request })
}

/// The name that a host would like to have, according to its request; `None`: it does not say.
pub fn name_in_request(request: &[u8]) -> Result<Option<String>, CertificateError> {
    let request = CertificateSigningRequestDer::from(request);
    let request = CertificateSigningRequestParams::from_der(&request)?;
    let name = request.params.distinguished_name.get(&DnType::CommonName);
    Ok(match name {
        Some(DnValue::Utf8String(name)) => Some(name.clone()),
        _ => None,
    })
}

/// The request for a certificate of `key` (PKCS #10, DER).
pub fn request_for(key: &PrivateKey) -> Result<Vec<u8>, CertificateError> {
    let key = KeyPair::from_pem(key.pem())?;
    let params = CertificateParams::default();
    Ok(params.serialize_request(&key)?.der().to_vec())
}

/// An authority with its key.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// The authority of this certificate and key.
    pub fn new(certificate: &str, key: &PrivateKey) -> Result<Self, CertificateError> {
        let key = KeyPair::from_pem(key.pem())?;
        let der = read_pem(certificate)?;
        let der = der.first().ok_or(CertificateError::Unreadable)?;
        let (_, parsed) =
            X509Certificate::from_der(der).map_err(|_| CertificateError::Unreadable)?;
        // What it signed would have no chain.
        if *parsed.public_key().subject_public_key.data != *key.public_key_raw() {
            return Err(CertificateError::OtherKey);
        }
        let issuer = Issuer::from_ca_cert_pem(certificate, key)?;
        Ok(Self { issuer })
    }

    /// Signs the key in `request` as that of host `host`. Returns the certificate (PEM).
    pub fn sign_host(
        &self,
        request: &[u8],
        fleet: &Id,
        host: &Id,
        now: Timestamp,
    ) -> Result<String, CertificateError> {
        let request = CertificateSigningRequestDer::from(request);
        // It must be signed with the key that it is about.
        let request = CertificateSigningRequestParams::from_der(&request)?;
        let role = Role::Host(host.clone());
        let params = leaf(fleet, role, &[], Signs::Hosts, now)?;
        Ok(params.signed_by(&request.public_key, &self.issuer)?.pem())
    }

    /// Makes a key and certificate for a server that is reached by these `names`, host names or addresses.
    pub fn issue_server(
        &self,
        fleet: &Id,
        names: &[String],
        now: Timestamp,
    ) -> Result<Issued, CertificateError> {
        self.issue_server_for(fleet, names, now, LIFETIME)
    }

    /// The same with a certificate that is valid for so many `seconds`.
    pub fn issue_server_for(
        &self,
        fleet: &Id,
        names: &[String],
        now: Timestamp,
        seconds: u64,
    ) -> Result<Issued, CertificateError> {
        let key = KeyPair::generate()?;
        let params = leaf(fleet, Role::Server, names, Signs::Servers, now)?;
        let params = valid_for(seconds, params, now)?;
        Ok(Issued {
            certificate: params.signed_by(&key, &self.issuer)?.pem(),
            key: PrivateKey::of(&key),
        })
    }
}

fn authority(
    name: &str,
    fleet: &Id,
    below: u8,
    now: Timestamp,
) -> Result<CertificateParams, CertificateError> {
    valid_for(AUTHORITY_LIFETIME, signing(name, fleet, below), now)
}

fn signing(name: &str, fleet: &Id, below: u8) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    let name = format!("twofa fleet {fleet}: {name}");
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// What the certificate of the authority says that `signs` this.
fn issuing(signs: Signs, fleet: &Id) -> Result<CertificateParams, CertificateError> {
    let name = match signs {
        Signs::Hosts => "hosts",
        Signs::Servers => "servers",
    };
    let mut params = signing(name, fleet, 0);
    // Extended key usages of an authority limit those of what it signs.
    params.extended_key_usages = vec![signs.purpose()];
    let uri = signs.uri(fleet).try_into()?;
    params.subject_alt_names.push(SanType::URI(uri));
    Ok(params)
}

/// Makes a key, and the request (PKCS #10, PEM) that another authority signs it as the one that `signs` this.
pub fn request_authority(
    signs: Signs,
    fleet: &Id,
) -> Result<(PrivateKey, String), CertificateError> {
    let key = KeyPair::generate()?;
    let mut params = issuing(signs, fleet)?;
    // The one that signs adds its own.
    params.use_authority_key_identifier_extension = false;
    let request = params.serialize_request(&key)?.pem()?;
    Ok((PrivateKey::of(&key), request))
}

fn leaf(
    fleet: &Id,
    role: Role,
    names: &[String],
    signed_as: Signs,
    now: Timestamp,
) -> Result<CertificateParams, CertificateError> {
    let mut params = CertificateParams::new(names.to_vec())?;
    let identity = Identity {
        fleet: fleet.clone(),
        role,
    };
    let uri = identity.to_string().try_into()?;
    params.subject_alt_names.push(SanType::URI(uri));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![signed_as.purpose()];
    params.use_authority_key_identifier_extension = true;
    valid_for(LIFETIME, params, now)
}

fn valid_for(
    seconds: u64,
    mut params: CertificateParams,
    now: Timestamp,
) -> Result<CertificateParams, CertificateError> {
    let moment = |at: Timestamp| {
        let seconds = u64::try_from(at.unix()).unwrap_or_default();
        date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds)
    };
    params.not_before = moment(now.before(BACKDATED));
    params.not_after = moment(now.after(seconds));
    let mut serial = [0; SERIAL_BYTES];
    getrandom::fill(&mut serial)?;
    // A serial number is positive (RFC 5280 §4.1.2.2).
    serial[0] &= 0x7f;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(params)
}

/// The certificates in a PEM text, as DER.
pub fn read_pem(pem: &str) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let certificates = read.map_err(|_| CertificateError::Unreadable)?;
    if certificates.is_empty() {
        return Err(CertificateError::Unreadable);
    }
    Ok(certificates)
}

/// A certificate (DER) as PEM (RFC 7468).
pub fn write_pem(der: &[u8]) -> String {
    let base64 = BASE64.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, next) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = next;
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

/// Whether a certificate (DER) is the root that `fleet` made for itself, which signs nothing but its two authorities.
pub fn is_root_of(fleet: &Id, certificate: &[u8]) -> bool {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
        return false;
    };
    let name = format!("twofa fleet {fleet}: root");
    let mut names = parsed.subject().iter_common_name();
    names.next().and_then(|it| it.as_str().ok()) == Some(&*name)
}

/// SHA-256 of a whole certificate (DER), by which a host that joins recognises the root.
pub fn fingerprint(certificate: &[u8]) -> [u8; 32] {
    Sha256::digest(certificate).into()
}

/// Whether a certificate (DER) is to be renewed at `now`: two thirds of its life are over.
pub fn is_due(certificate: &[u8], now: Timestamp) -> Result<bool, CertificateError> {
    let (_, parsed) =
        X509Certificate::from_der(certificate).map_err(|_| CertificateError::Unreadable)?;
    let validity = parsed.validity();
    let (start, end) = (
        validity.not_before.timestamp(),
        validity.not_after.timestamp(),
    );
    Ok(now.unix() >= end - (end - start) / 3)
}

/// When a certificate (DER) of ours was issued.
pub fn issued_at(certificate: &[u8]) -> Result<Timestamp, CertificateError> {
    let (_, parsed) =
        X509Certificate::from_der(certificate).map_err(|_| CertificateError::Unreadable)?;
    let start = Timestamp::from_unix(parsed.validity().not_before.timestamp());
    Ok(start.after(BACKDATED))
}

/// What the store keeps of a certificate (DER): SHA-256 of its public key, and when it ends.
pub fn key_and_end(certificate: &[u8]) -> Result<([u8; 32], Timestamp), CertificateError> {
    let (_, parsed) =
        X509Certificate::from_der(certificate).map_err(|_| CertificateError::Unreadable)?;
    let key = Sha256::digest(parsed.public_key().raw).into();
    let end = Timestamp::from_unix(parsed.validity().not_after.timestamp());
    Ok((key, end))
}
