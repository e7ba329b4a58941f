//! One set of TLS settings for all: the system's roots and, where an administrator names one, a CA of their own.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::error::{SendError, Step};

/// The certificates in the PEM file `ca_file`.
pub(crate) fn authorities(ca_file: &Path) -> Result<Vec<CertificateDer<'static>>, SendError> {
    let bad = |why: String| {
        SendError::at(
            Step::Settings,
            format!("ca-file {}: {why}", ca_file.display()),
        )
        .hinted("name a PEM file with the CA's certificate that the user 'twofa' can read")
    };
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(ca_file)
        .map_err(|e| bad(e.to_string()))?
        .collect();
    let found = found.map_err(|e| bad(e.to_string()))?;
    if found.is_empty() {
        Err(bad("there is no certificate in it".to_owned()))
    } else {
        Ok(found)
    }
}

/// What a client trusts: the system's roots, and those in `ca_file`.
pub(crate) fn client(ca_file: Option<&Path>) -> Result<rustls::ClientConfig, SendError> {
    let mut roots = rustls::RootCertStore::empty();
    // A root that does not read is one root less, no reason to trust none of the others.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(ca_file) = ca_file {
        roots.add_parsable_certificates(authorities(ca_file)?);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| SendError::at(Step::Tls, error.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
