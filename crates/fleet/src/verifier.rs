//! Checking the certificate of the other end: its chain, and beside that who its holder is.
//!
//! A chain alone is not enough. An authority that signs for both roles, or is the company's own, would make a host, or any web
//! server, pass for a server of the fleet.

use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
};

use twofa_core::Timestamp;

use crate::certificate::{fingerprint, is_root_of, key_and_end, read_pem};
use crate::error::TlsError;
use crate::identity::{Id, Identity, Role, Signs};

/// How a server checks hosts.
#[derive(Debug)]
pub struct HostVerifier {
    chain: Arc<dyn ClientCertVerifier>,
    fleet: Id,
    lapsed: Lapsed,
}

/// What becomes of a host whose certificate has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lapsed {
    /// It is refused.
    Refused,
    /// It is accepted, if the certificate was good until it ended. For how long it is, is for others to say.
    Accepted,
}

impl HostVerifier {
    /// Accepts hosts of `fleet` whose certificates one of `authorities` signed, and ends without any certificate, which may join.
    pub fn new(
        authorities: Vec<CertificateDer<'static>>,
        fleet: Id,
        lapsed: Lapsed,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        for authority in &authorities {
            check_authority(Signs::Hosts, &fleet, authority)?;
        }
        let roots = Arc::new(all_of(authorities)?);
        let chain = WebPkiClientVerifier::builder_with_provider(roots, provider)
            .allow_unauthenticated()
            .build()
            .map_err(|error| TlsError::Authority(error.to_string()))?;
        Ok(Self {
            chain,
            fleet,
            lapsed,
        })
    }

    fn verify_chain(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verify = |at| self.chain.verify_client_cert(end_entity, intermediates, at);
        let verified = verify(now);
        let has_ended = matches!(
            verified,
            Err(Error::InvalidCertificate(
                CertificateError::Expired | CertificateError::ExpiredContext { .. }
            ))
        );
        if !has_ended || self.lapsed == Lapsed::Refused {
            return verified;
        }
        let end = key_and_end(end_entity).ok();
        let end = end.and_then(|(_, end)| u64::try_from(end.unix()).ok());
        let end = end.ok_or(CertificateError::BadEncoding)?;
        verify(UnixTime::since_unix_epoch(Duration::from_secs(end)))
    }
}

impl ClientCertVerifier for HostVerifier {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.verify_chain(end_entity, intermediates, now)?;
        match Identity::of_certificate(end_entity) {
            Ok(Identity {
                fleet,
                role: Role::Host(_),
            }) if fleet == self.fleet => Ok(verified),
            _ => Err(not_of_this_role()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// How a host checks servers.
#[derive(Debug)]
pub struct ServerVerifier {
    trusted: Trusted,
    /// How the server is told whom the host trusts.
    names: Vec<DistinguishedName>,
    provider: Arc<CryptoProvider>,
}

/// Which certificates a host accepts.
#[derive(Debug)]
enum Trusted {
    /// Those of the fleet, which it has joined, signed by an authority of the fleet for servers.
    Fleet {
        chain: Arc<WebPkiServerVerifier>,
        fleet: Id,
    },
    /// Those below the root with this SHA-256, which is on the token.
    Root([u8; 32]),
}

impl ServerVerifier {
    /// Accepts servers of `fleet` whose certificates one of `authorities` signed.
    pub fn of_fleet(
        authorities: Vec<CertificateDer<'static>>,
        fleet: Id,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        for authority in &authorities {
            check_authority(Signs::Servers, &fleet, authority)?;
        }
        let names = authorities.iter().map(|it| name_of(&fingerprint(it)));
        let names = names.collect();
        let chain = chain_to(authorities, provider.clone())?;
        let trusted = Trusted::Fleet { chain, fleet };
        Ok(Self {
            trusted,
            names,
            provider,
        })
    }

    /// Accepts servers below the root with this SHA-256.
    pub fn below(root: [u8; 32], provider: Arc<CryptoProvider>) -> Self {
        Self {
            trusted: Trusted::Root(root),
            names: vec![name_of(&root)],
            provider,
        }
    }

    /// The chain that a server's certificate must have.
    fn chain(&self, sent: &[CertificateDer<'_>]) -> Result<Arc<WebPkiServerVerifier>, Error> {
        match &self.trusted {
            Trusted::Fleet { chain, .. } => Ok(chain.clone()),
            Trusted::Root(root) => {
                let root = sent
                    .iter()
                    .find(|sent| fingerprint(sent) == *root)
                    .ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
                chain_to(vec![root.clone().into_owned()], self.provider.clone())
                    .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))
            }
        }
    }

    fn is_trusted(&self, identity: &Identity, sent: &[CertificateDer<'_>]) -> bool {
        identity.role == Role::Server
            && match &self.trusted {
                Trusted::Fleet { fleet, .. } => identity.fleet == *fleet,
                // The root may be the company's, below which much else is: its own certificates, for a start.
                Trusted::Root(root) => {
                    let is_own = sent
                        .iter()
                        .any(|it| fingerprint(it) == *root && is_root_of(&identity.fleet, it));
                    sent.first().is_some_and(|authority| {
                        Signs::Servers.is_of(&identity.fleet, authority)
                            || is_own && Signs::Servers.may_be_of(&identity.fleet, authority)
                    })
                }
            }
    }

    /// Checks that the first certificate behind the server's own is the one that signed it.
    fn check_issuer(
        &self,
        end_entity: &CertificateDer<'_>,
        sent: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let Trusted::Root(_) = &self.trusted else {
            return Ok(());
        };
        let issuer = sent.first().ok_or(not_of_this_role())?.clone();
        chain_to(vec![issuer.into_owned()], self.provider.clone())
            .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?
            .verify_server_cert(end_entity, &[], server_name, &[], now)
            .map(drop)
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.chain(intermediates)?.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        )?;
        self.check_issuer(end_entity, intermediates, server_name, now)?;
        match Identity::of_certificate(end_entity) {
            Ok(identity) if self.is_trusted(&identity, intermediates) => Ok(verified),
            _ => Err(not_of_this_role()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let supported = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, supported)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let supported = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, supported)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        Some(&self.names)
    }
}

/// Whether `authority` (PEM) signed the certificate `host` (PEM) as that of a host of `fleet`, whether that has ended or not.
pub fn is_host_of(
    authority: &str,
    fleet: &Id,
    host: &str,
    now: Timestamp,
) -> Result<bool, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let (fleet, authority) = (fleet.clone(), read_pem(authority)?);
    let verifier = HostVerifier::new(authority, fleet, Lapsed::Accepted, provider)?;
    let now = Duration::from_secs(u64::try_from(now.unix()).unwrap_or_default());
    let now = UnixTime::since_unix_epoch(now);
    let host = read_pem(host)?;
    let verify = |host| verifier.verify_client_cert(host, &[], now).is_ok();
    Ok(host.first().is_some_and(verify))
}

fn chain_to(
    authorities: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, TlsError> {
    let roots = Arc::new(all_of(authorities)?);
    WebPkiServerVerifier::builder_with_provider(roots, provider)
        .build()
        .map_err(|error| TlsError::Authority(error.to_string()))
}

fn all_of(authorities: Vec<CertificateDer<'static>>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority)?;
    }
    Ok(roots)
}

/// Checks who the authority says it is.
fn check_authority(signs: Signs, fleet: &Id, authority: &[u8]) -> Result<(), TlsError> {
    if signs.may_be_of(fleet, authority) {
        Ok(())
    } else {
        let why = "it is not the one that the fleet has for this".to_owned();
        Err(TlsError::Authority(why))
    }
}

fn not_of_this_role() -> Error {
    Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)
}

/// The name by which a client calls an authority whose certificate has this SHA-256: a common name of its hexadecimal digits. Its
/// real name would not do, as those before and after a rotation may have the same.
pub(crate) fn name_of(fingerprint: &[u8; 32]) -> DistinguishedName {
    // SEQUENCE of a SET of a SEQUENCE of the OID 2.5.4.3 and a UTF8String of 64 bytes (X.690, X.520).
    let mut der = vec![
        0x30, 0x4b, 0x31, 0x49, 0x30, 0x47, 0x06, 0x03, 0x55, 0x04, 0x03, 0x0c, 0x40,
    ];
    der.extend_from_slice(HEXLOWER.encode(fingerprint).as_bytes());
    DistinguishedName::from(der)
}
