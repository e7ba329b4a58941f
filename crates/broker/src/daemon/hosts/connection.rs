//! A connection of a host, and what its server knows of it.

use std::io;
use std::net::TcpStream;
use std::time::Duration;

use twofa_core::Account;
use twofa_fleet::stream::ToHost;
use twofa_fleet::wire::ConversationId;

use super::IDLE_TIMEOUT;
use super::permits::Permit;
use super::watch::{NEWS_INTERVAL, Watcher};
use crate::requests::connection::ANSWER_TIMEOUT;

/// A connection of a host.
#[derive(Debug)]
pub(super) struct HostConnection {
    pub(super) link: ToHost,
    pub(super) key: [u8; 32],
    /// The conversation that waits for an answer on it.
    pub(super) asking: Option<ConversationId>,
    /// Whom the last login on it was about: what is known of them is read together with the next answer.
    pub(super) about: Option<Account>,
    /// It is the one on which the host waits for what it is to do.
    pub(super) watcher: Option<Watcher>,
    _permit: Permit,
}

impl HostConnection {
    /// The connection `link` of the host whose certificate has `key`, for logins.
    pub(super) const fn new(link: ToHost, key: [u8; 32], permit: Permit) -> Self {
        Self {
            link,
            key,
            asking: None,
            about: None,
            watcher: None,
            _permit: permit,
        }
    }

    /// The same for what the host is to do.
    pub(super) fn watching(link: ToHost, key: [u8; 32], permit: Permit) -> Self {
        Self {
            watcher: Some(Watcher::default()),
            ..Self::new(link, key, permit)
        }
    }

    pub(super) const fn key(&self) -> &[u8; 32] {
        &self.key
    }

    pub(super) const fn socket(&self) -> &TcpStream {
        self.link.socket()
    }

    /// Whether its host waits for an answer to a person's, or for news.
    pub(super) fn is_waited_on(&self) -> bool {
        self.asking.is_some() || self.watcher.as_ref().is_some_and(|it| it.is_waiting)
    }

    /// How long it may be quiet.
    pub(super) fn timeout(&self) -> Duration {
        match &self.watcher {
            Some(watcher) if watcher.is_waiting => NEWS_INTERVAL,
            None if self.asking.is_some() => ANSWER_TIMEOUT,
            _ => IDLE_TIMEOUT,
        }
    }

    /// [`ToHost::has_arrived`]
    pub(super) fn has_arrived(&mut self) -> io::Result<bool> {
        self.link.has_arrived()
    }
}
