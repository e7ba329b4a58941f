//! A connection of a host, and what its server knows of it.

use std::io;
use std::net::TcpStream;

use twofa_core::Account;
use twofa_fleet::stream::ToHost;
use twofa_fleet::wire::ConversationId;

use super::permits::Permit;

/// A connection of a host.
#[derive(Debug)]
pub(super) struct HostConnection {
    pub(super) link: ToHost,
    pub(super) key: [u8; 32],
    /// The conversation that waits for an answer on it.
    pub(super) asking: Option<ConversationId>,
    /// Whom the last login on it was about: what is known of them is read together with the next answer.
    pub(super) about: Option<Account>,
    _permit: Permit,
}

impl HostConnection {
    /// The connection `link` of the host whose certificate has `key`.
    pub(super) const fn new(link: ToHost, key: [u8; 32], permit: Permit) -> Self {
        Self {
            link,
            key,
            asking: None,
            about: None,
            _permit: permit,
        }
    }

    pub(super) const fn key(&self) -> &[u8; 32] {
        &self.key
    }

    pub(super) const fn socket(&self) -> &TcpStream {
        self.link.socket()
    }

    pub(super) const fn is_asking(&self) -> bool {
        self.asking.is_some()
    }

    /// [`ToHost::has_arrived`]
    pub(super) fn has_arrived(&mut self) -> io::Result<bool> {
        self.link.has_arrived()
    }
}
