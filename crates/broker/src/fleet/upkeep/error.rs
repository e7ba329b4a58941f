//! Why upkeep fails.

use twofa_fleet::certificate::CertificateError;
use twofa_fleet::identity::BadIdentity;
use twofa_fleet::tls::TlsError;
use twofa_fleet::token::Address;
use twofa_store::StoreError;

use crate::fleet::membership::{NotAMember, NotRefreshed};

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
    /// The rules of the fleet could not be had from a server of the new certificate authority.
    #[error(transparent)]
    Policy(#[from] Box<NotRefreshed>),
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
