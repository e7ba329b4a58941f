//! A mail server: where it is, how its connections are encrypted, and the login it requires.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use lettre::transport::smtp::authentication::Mechanism;
use lettre::transport::smtp::extension::ClientId;
use rustls::ClientConfig;
use zeroize::Zeroizing;

use super::token::TokenCache;
use crate::error::SendError;
use crate::net::tls;
use crate::redaction::Secrets;

/// How connections to a mail server are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mail) enum Tls {
    /// From the first byte on (RFC 8314 §3.3).
    Implicit,
    /// By the STARTTLS command; nothing else is sent before it.
    Starttls,
    /// Not at all.
    None {
        /// Also to other machines, not only on the loopback interface.
        anywhere: bool,
    },
}

impl Tls {
    pub(in crate::mail) const fn default_port(self) -> u16 {
        match self {
            Self::Implicit => 465,
            Self::Starttls => 587,
            Self::None { .. } => 25,
        }
    }
}

/// A mail server and what a connection to it needs.
pub(in crate::mail) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Tls,
    /// The name this machine gives in EHLO, if it is configured.
    pub(super) hello: Option<ClientId>,
    pub(super) authentication: Option<Authentication>,
    ca_file: Option<PathBuf>,
    /// Made at the first use, because reading the system's roots takes a while. Remembers TLS sessions.
    client: Mutex<Option<Arc<ClientConfig>>>,
}

/// How this machine authenticates to a mail server.
pub(in crate::mail) struct Authentication {
    pub(in crate::mail) username: String,
    pub(in crate::mail) credential: Credential,
    /// In order of preference.
    pub(in crate::mail) mechanisms: Vec<Mechanism>,
}

/// What is sent to the server as proof of identity.
pub(in crate::mail) enum Credential {
    Password(Zeroizing<String>),
    /// An OAuth 2.0 access token.
    Token(TokenCache),
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("endpoint", &self.endpoint())
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// A server that is trusted by the system's roots and by those in `ca_file`.
    pub(in crate::mail) fn new(
        host: String,
        port: u16,
        tls: Tls,
        hello: Option<ClientId>,
        authentication: Option<Authentication>,
        ca_file: Option<PathBuf>,
    ) -> Self {
        Self {
            host,
            port,
            tls,
            hello,
            authentication,
            ca_file,
            client: Mutex::default(),
        }
    }

    /// Host and port.
    pub(super) fn endpoint(&self) -> String {
        if self.host.contains(':') {
            return format!("[{}]:{}", self.host, self.port);
        }
        format!("{}:{}", self.host, self.port)
    }

    /// Whether the login uses an access token.
    pub(super) fn uses_token(&self) -> bool {
        matches!(
            &self.authentication,
            Some(Authentication {
                credential: Credential::Token(_),
                ..
            })
        )
    }

    /// The secrets to be redacted from errors about this server.
    pub(super) fn secrets(&self) -> Secrets {
        let mut secrets = Secrets::default();
        if let Some(Authentication {
            credential: Credential::Password(password),
            ..
        }) = &self.authentication
        {
            secrets.add(password);
        }
        secrets
    }

    /// The TLS configuration. `None`: connections are not encrypted.
    pub(super) fn tls_config(&self) -> Result<Option<Arc<ClientConfig>>, SendError> {
        if matches!(self.tls, Tls::None { .. }) {
            return Ok(None);
        }
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if client.is_none() {
            *client = Some(Arc::new(tls::client_config(self.ca_file.as_deref())?));
        }
        Ok(client.clone())
    }
}
