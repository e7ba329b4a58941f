//! Why there is no TLS.

use crate::certificate::CertificateError;

/// Certificates or keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// TLS refuses them.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    /// One cannot be read.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The authority cannot be trusted for anything.
    #[error("the authority's certificate cannot be used: {0}")]
    Authority(String),
    /// The key cannot be read.
    #[error("that is no private key that we can read")]
    Key,
}
