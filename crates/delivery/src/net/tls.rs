//! The TLS configuration of all clients: it trusts the system's roots and, where an administrator names one, a CA of
//! their own.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::error::{SendError, Step};

/// A configuration that trusts the system's roots and the certificates in `ca_file`.
pub(crate) fn client_config(ca_file: Option<&Path>) -> Result<rustls::ClientConfig, SendError> {
    let mut roots = rustls::RootCertStore::empty();
    // A system root that cannot be parsed is skipped: it is no reason to trust none of the others.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(ca_file) = ca_file {
        roots.add_parsable_certificates(read_certificates(ca_file)?);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| SendError::new(Step::Tls, error.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// The certificates in the PEM file `ca_file`.
fn read_certificates(ca_file: &Path) -> Result<Vec<CertificateDer<'static>>, SendError> {
    let bad = |why: String| {
        SendError::new(
            Step::Settings,
            format!("ca-file {}: {why}", ca_file.display()),
        )
        .hinted("name a PEM file with the CA's certificate, readable by the user 'twofa'")
    };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(ca_file)
        .map_err(|e| bad(e.to_string()))?
        .collect();
    let certificates = certificates.map_err(|e| bad(e.to_string()))?;
    if certificates.is_empty() {
        Err(bad("it contains no certificate".to_owned()))
    } else {
        Ok(certificates)
    }
}
