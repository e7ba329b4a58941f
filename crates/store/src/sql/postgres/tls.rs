//! TLS to the database: always, by name, and with a certificate of ours where one is given.

use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{CertificateError, ClientConfig, RootCertStore};

use super::address::Address;
use crate::error::StoreError;
use crate::private_file::read_secret;

pub(super) fn config(address: &Address) -> Result<ClientConfig, StoreError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::Other(error.to_string()))?
        .with_root_certificates(roots(address.ca.as_deref())?);
    let Some((certificate, key)) = &address.certificate else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates(certificate)?;
    let text = read_secret(key)?;
    let private = PrivateKeyDer::from_pem_slice(text.as_bytes());
    let private = private.map_err(|error| unreadable(key, &error))?;
    builder
        .with_client_auth_cert(chain, private)
        .map_err(|error| unreadable(certificate, &error))
}

fn roots(ca: Option<&Path>) -> Result<RootCertStore, StoreError> {
    let mut roots = RootCertStore::empty();
    let Some(ca) = ca else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    };
    for certificate in certificates(ca)? {
        roots
            .add(certificate)
            .map_err(|error| unreadable(ca, &error))?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, StoreError> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(path, &error))
}

/// What is wrong with the certificate of the server, if `error` or what is behind it is about that.
pub(super) fn bad_certificate(error: &(dyn Error + 'static)) -> Option<&'static str> {
    if let Some(rustls::Error::InvalidCertificate(why)) = error.downcast_ref() {
        return Some(match why {
            // The second: one of the same name, with another key.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "no certificate authority that is trusted here has signed its certificate (ca=FILE)"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is for another name"
            }
            _ => "its certificate cannot be accepted",
        });
    }
    // What this kind of error holds is not what it names as its source.
    let held = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    match held {
        Some(held) => bad_certificate(held),
        None => error.source().and_then(bad_certificate),
    }
}

fn unreadable(path: &Path, error: &dyn Error) -> StoreError {
    StoreError::Unreachable(format!("{}: {error}", path.display()))
}
