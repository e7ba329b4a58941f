//! A text that a server of the fleet has signed, so that a host can keep it: nobody else can make another one of it.
//!
//! Behind the text stand two lines, with the certificate of the server (DER, Base64) and its signature (ECDSA with P-256 and
//! SHA-256, Base64).

use std::time::Duration;

use data_encoding::BASE64;
use rcgen::{KeyPair, SigningKey};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{RootCertStore, SignatureScheme};
use twofa_core::Timestamp;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::certificate::{CertificateError, PrivateKey, read_pem};
use crate::identity::{Id, Identity, Role};

const CERTIFICATE: &str = "certificate ";
const SIGNATURE: &str = "signature ";
/// No other text that is signed with the key of a server begins so.
const CONTEXT: &[u8] = b"twofa signed text 1\n";

/// A signed text is not what a server of the fleet has signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    /// A part is missing.
    #[error("it is not complete")]
    Incomplete,
    /// The certificate in it is not one of a server of the fleet.
    #[error("no server of this fleet has signed it: {0}")]
    Signer(String),
    /// The text is not the one that was signed.
    #[error("it is not what the server has signed")]
    Changed,
}

/// Signs `text` with the key of a server, whose certificate is the first in `chain` (PEM).
pub fn sign(text: &str, chain: &str, key: &PrivateKey) -> Result<String, CertificateError> {
    let certificates = read_pem(chain)?;
    let certificate = certificates.first().ok_or(CertificateError::Unreadable)?;
    let signature = KeyPair::from_pem(key.pem())?.sign(&message(text))?;
    Ok(format!(
        "{text}{CERTIFICATE}{}\n{SIGNATURE}{}\n",
        BASE64.encode(certificate),
        BASE64.encode(&signature)
    ))
}

/// The text in `signed`, if a server of `fleet` has signed it, whose certificate `authority` (PEM) had signed, and which was valid at
/// the moment `at`.
pub fn verify<'a>(
    signed: &'a str,
    authority: &str,
    fleet: &Id,
    at: Timestamp,
) -> Result<&'a str, BadSignature> {
    let (text, certificate, signature) = split(signed).ok_or(BadSignature::Incomplete)?;
    let certificate = CertificateDer::from(certificate);
    check_signer(&certificate, authority, fleet, at)?;
    let (_, parsed) =
        X509Certificate::from_der(&certificate).map_err(|_| BadSignature::Incomplete)?;
    let key = &parsed.public_key().subject_public_key.data;
    let supported = ring::default_provider().signature_verification_algorithms;
    let p256 =
        |(scheme, _): &&(SignatureScheme, &[_])| *scheme == SignatureScheme::ECDSA_NISTP256_SHA256;
    let algorithms = supported.mapping.iter().find(p256);
    let is_good = algorithms.is_some_and(|(_, algorithms)| {
        algorithms.iter().any(|algorithm| {
            algorithm
                .verify_signature(key, &message(text), &signature)
                .is_ok()
        })
    });
    if is_good {
        Ok(text)
    } else {
        Err(BadSignature::Changed)
    }
}

/// The text, the certificate and the signature.
fn split(signed: &str) -> Option<(&str, Vec<u8>, Vec<u8>)> {
    let rest = signed.strip_suffix('\n')?;
    let (rest, signature) = rest.rsplit_once('\n')?;
    let (text, certificate) = rest.rsplit_once('\n')?;
    let read = |line: &str, start| BASE64.decode(line.strip_prefix(start)?.as_bytes()).ok();
    let (certificate, signature) = (read(certificate, CERTIFICATE)?, read(signature, SIGNATURE)?);
    // With the end of its last line.
    Some((&signed[..=text.len()], certificate, signature))
}

fn check_signer(
    certificate: &CertificateDer<'_>,
    authority: &str,
    fleet: &Id,
    at: Timestamp,
) -> Result<(), BadSignature> {
    let why = |error: &dyn std::fmt::Display| BadSignature::Signer(error.to_string());
    let mut roots = RootCertStore::empty();
    for authority in read_pem(authority).map_err(|error| why(&error))? {
        roots.add(authority).map_err(|error| why(&error))?;
    }
    let at = u64::try_from(at.unix()).unwrap_or_default();
    let at = UnixTime::since_unix_epoch(Duration::from_secs(at));
    let algorithms = ring::default_provider().signature_verification_algorithms;
    let parsed = ParsedCertificate::try_from(certificate).map_err(|error| why(&error))?;
    verify_server_cert_signed_by_trust_anchor(&parsed, &roots, &[], at, algorithms.all)
        .map_err(|error| why(&error))?;
    match Identity::of_certificate(certificate) {
        Ok(identity) if identity.role == Role::Server && identity.fleet == *fleet => Ok(()),
        _ => Err(why(&"the certificate is not one of a server of it")),
    }
}

fn message(text: &str) -> Vec<u8> {
    [CONTEXT, text.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::{Authority, NewFleet, make_fleet, request_certificate};

    const TEXT: &str = "a policy\nmode=mandatory\n";

    fn now() -> Timestamp {
        Timestamp::from_unix(1_800_000_000)
    }

    /// A fleet, and a text that a server of it has signed.
    fn signed() -> (NewFleet, String) {
        let fleet = make_fleet(now()).unwrap();
        let authority = Authority::new(&fleet.servers.certificate, &fleet.servers.key).unwrap();
        let server = authority.issue_server(&fleet.id, &["srv".into()], now());
        let server = server.unwrap();
        let signed = sign(TEXT, &server.certificate, &server.key).unwrap();
        (fleet, signed)
    }

    #[test]
    fn what_a_server_has_signed_is_taken_and_nothing_else_is() {
        let (fleet, signed) = signed();
        let authority = &fleet.servers.certificate;
        let verify = |text: &str| verify(text, authority, &fleet.id, now()).map(str::to_owned);
        assert_eq!(verify(&signed).as_deref(), Ok(TEXT));
        let weaker = signed.replace("mandatory", "disabled");
        assert_eq!(verify(&weaker), Err(BadSignature::Changed));
        let longer = format!("mode=disabled\n{signed}");
        assert_eq!(verify(&longer), Err(BadSignature::Changed));
        for length in 0..signed.len() {
            assert!(verify(&signed[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn what_another_fleet_a_host_or_an_expired_server_has_signed_is_refused() {
        let (fleet, signed) = signed();
        let (other, of_other) = self::signed();
        let authority = &fleet.servers.certificate;
        let is_signer = |found| matches!(found, Err(BadSignature::Signer(_)));
        assert!(is_signer(verify(&of_other, authority, &fleet.id, now())));
        // Of the same authority, for another fleet.
        assert!(is_signer(verify(&signed, authority, &other.id, now())));
        let late = now().after(crate::certificate::LIFETIME + 1);
        assert!(is_signer(verify(&signed, authority, &fleet.id, late)));

        let hosts = Authority::new(&fleet.hosts.certificate, &fleet.hosts.key).unwrap();
        let asked = request_certificate().unwrap();
        let id = Id::random().unwrap();
        let host = hosts.sign_host(&asked.request, &fleet.id, &id, now());
        let by_host = sign(TEXT, &host.unwrap(), &asked.key).unwrap();
        for authority in [authority, &fleet.hosts.certificate] {
            assert!(is_signer(verify(&by_host, authority, &fleet.id, now())));
        }
    }
}
