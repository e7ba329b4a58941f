//! A connection of a host, and what its server knows of it.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use twofa_core::Account;
use twofa_fleet::stream::ToHost;
use twofa_fleet::tls::Shown;
use twofa_fleet::wire::ConversationId;

use super::IDLE_TIMEOUT;
use super::permits::Permit;
use crate::text::terminal::Progress;

/// How long a host may take to send a message that has begun to arrive.
pub(super) const MESSAGE_TIMEOUT: Duration = Duration::from_secs(5);
/// After how long a host that waits is told that there is no news. Firewalls keep the flow, and the host is known to be there.
pub(super) const NEWS_INTERVAL: Duration = Duration::from_secs(15);

/// A connection of a host.
#[derive(Debug)]
pub(super) struct HostConnection {
    pub(super) link: ToHost,
    pub(super) key: [u8; 32],
    /// What waits for an answer on it.
    pub(super) asking: Option<Asking>,
    /// Whom the last login on it was about: what is known of them is read together with the next answer.
    pub(super) about: Option<Account>,
    /// It is the one on which the host waits for what it is to do.
    pub(super) watcher: Option<Watcher>,
    /// The certificate that the host was shown, and so trusts.
    pub(super) shown: Arc<Shown>,
    _permit: Permit,
}

impl HostConnection {
    /// The connection `link` of the host whose certificate has `key`, for logins.
    pub(super) const fn new(
        link: ToHost,
        key: [u8; 32],
        shown: Arc<Shown>,
        permit: Permit,
    ) -> Self {
        Self {
            link,
            key,
            asking: None,
            about: None,
            watcher: None,
            shown,
            _permit: permit,
        }
    }

    /// The same for what the host is to do.
    pub(super) fn watching(link: ToHost, key: [u8; 32], shown: Arc<Shown>, permit: Permit) -> Self {
        Self {
            watcher: Some(Watcher::default()),
            ..Self::new(link, key, shown, permit)
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
            None => self.asking.map_or(IDLE_TIMEOUT, |asking| asking.timeout),
            Some(_) => IDLE_TIMEOUT,
        }
    }

    /// [`ToHost::has_arrived`]
    pub(super) fn has_arrived(&mut self) -> io::Result<bool> {
        self.link.has_arrived()
    }
}

/// A conversation that waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asking {
    pub(super) conversation: ConversationId,
    /// How long a person may take.
    pub(super) timeout: Duration,
    /// What was set up in it.
    pub(super) progress: Progress,
}

/// What is known of a host that waits for what it is to do.
#[derive(Debug, Default)]
pub(super) struct Watcher {
    /// The id of the host; empty: it has not asked yet.
    pub(super) host: String,
    /// The version of the rules that it has.
    pub(super) policy: i64,
    pub(super) version: String,
    /// The orders that it was told on this connection and has not confirmed.
    pub(super) told: Vec<i64>,
    /// It is owed an answer.
    pub(super) is_waiting: bool,
}

/// What became of a connection on which something was done.
#[allow(clippy::large_enum_variant, reason = "a worker has one at a time")]
pub(super) enum Next {
    /// It waits for the next message.
    Wait(HostConnection),
    /// It has ended.
    End,
}
