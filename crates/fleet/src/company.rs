//! The two issuing authorities of a fleet, signed by the certificate authority that a company has already.
//!
//! Their keys are made here and stay here; the company's key stays where it is and signs two requests. It is no issuer for the
//! fleet: hosts and servers trust the two authorities alone, whatever else it has signed.

use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use twofa_core::Timestamp;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::certificate::{Authority, CertificateError, PrivateKey, read_pem, request_certificate};
use crate::identity::{Id, Signs};

pub use crate::certificate::request_authority;

/// A certificate is not the one that was asked for.
#[derive(Debug, thiserror::Error)]
pub enum BadAuthority {
    /// It cannot be read, or belongs to another key.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// It may not sign certificates.
    #[error("it is not a CA certificate: sign the request with its extensions")]
    NoAuthority,
    /// Its extended key usages are not those that were asked for.
    #[error(
        "its extended key usage must be {0} and nothing else: sign the request with its extensions"
    )]
    Usage(&'static str),
    /// Its names are not those that were asked for.
    #[error("it lacks the URI {0}: sign the request with its extensions")]
    Name(String),
    /// What it signs has no chain to the company's authority.
    #[error("what it signs is not accepted below the company's certificate authority: {0}")]
    Chain(String),
}

/// Checks that `certificate` (PEM) is the authority of `fleet` that `signs` this with `key`, below the authority `ca` (PEM).
pub fn check_authority(
    signs: Signs,
    fleet: &Id,
    (certificate, key): (&str, &PrivateKey),
    ca: &str,
    now: Timestamp,
) -> Result<(), BadAuthority> {
    let authority = Authority::new(certificate, key)?;
    let der = read_pem(certificate)?;
    let [der] = der.as_slice() else {
        return Err(CertificateError::Unreadable.into());
    };
    check_extensions(signs, fleet, der)?;
    let mut roots = RootCertStore::empty();
    for ca in read_pem(ca)? {
        roots.add(ca).map_err(chain)?;
    }
    // Whether a chain is good is asked for the end of one.
    let below = std::slice::from_ref(der);
    match signs {
        Signs::Hosts => {
            let asked = request_certificate()?;
            let id = Id::random().map_err(CertificateError::from)?;
            let host = authority.sign_host(&asked.request, fleet, &id, now)?;
            check_host(&first(&host)?, below, roots, now)
        }
        Signs::Servers => {
            let server = authority.issue_server(fleet, &["server".to_owned()], now)?;
            check_server(&first(&server.certificate)?, below, &roots, now)
        }
    }
}

fn check_extensions(signs: Signs, fleet: &Id, der: &[u8]) -> Result<(), BadAuthority> {
    let (_, parsed) = X509Certificate::from_der(der).map_err(|_| CertificateError::Unreadable)?;
    let may_sign = parsed
        .key_usage()
        .is_ok_and(|usage| usage.is_some_and(|usage| usage.value.key_cert_sign()));
    if !parsed.is_ca() || !may_sign {
        return Err(BadAuthority::NoAuthority);
    }
    let usage = parsed.extended_key_usage().ok().flatten();
    let is_right = usage.is_some_and(|usage| {
        let usage = usage.value;
        let others = usage.any
            || usage.code_signing
            || usage.email_protection
            || usage.time_stamping
            || usage.ocsp_signing
            || !usage.other.is_empty();
        let only = match signs {
            Signs::Hosts => usage.client_auth && !usage.server_auth,
            Signs::Servers => usage.server_auth && !usage.client_auth,
        };
        only && !others
    });
    if !is_right {
        return Err(BadAuthority::Usage(match signs {
            Signs::Hosts => "clientAuth",
            Signs::Servers => "serverAuth",
        }));
    }
    if !signs.is_of(fleet, der) {
        return Err(BadAuthority::Name(signs.uri(fleet)));
    }
    Ok(())
}

fn check_host(
    host: &CertificateDer<'_>,
    below: &[CertificateDer<'_>],
    roots: RootCertStore,
    now: Timestamp,
) -> Result<(), BadAuthority> {
    let provider = Arc::new(ring::default_provider());
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(chain)?
        .verify_client_cert(host, below, time(now))
        .map(drop)
        .map_err(chain)
}

fn check_server(
    server: &CertificateDer<'_>,
    below: &[CertificateDer<'_>],
    roots: &RootCertStore,
    now: Timestamp,
) -> Result<(), BadAuthority> {
    let parsed = ParsedCertificate::try_from(server).map_err(chain)?;
    let algorithms = ring::default_provider().signature_verification_algorithms;
    verify_server_cert_signed_by_trust_anchor(&parsed, roots, below, time(now), algorithms.all)
        .map_err(chain)
}

fn first(pem: &str) -> Result<CertificateDer<'static>, CertificateError> {
    read_pem(pem)?
        .into_iter()
        .next()
        .ok_or(CertificateError::Unreadable)
}

fn time(at: Timestamp) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(
        u64::try_from(at.unix()).unwrap_or_default(),
    ))
}

fn chain(error: impl std::fmt::Display) -> BadAuthority {
    BadAuthority::Chain(error.to_string())
}
