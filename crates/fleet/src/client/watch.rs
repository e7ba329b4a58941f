//! The one connection that a host keeps open, to whichever server: on it the host reports what has become of sessions, and
//! waits for what it is to do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use twofa_proto::codec::CodecError;

use super::{SERVER_TIMEOUT, Servers, Unreached, connect};
use crate::stream::ToServer;
use crate::wire::{EndOrder, FromWatcher, ToWatcher, WatchReport};

/// How long a server may take to note a report.
const REPORT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a server may say nothing to a host that waits: it says that there is nothing every 15 seconds.
const SILENCE: Duration = Duration::from_secs(20);
/// How long a message may take to arrive that has begun to.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection on which a host waits.
#[derive(Debug)]
pub struct Watch {
    /// The address of the server.
    pub server: String,
    link: ToServer,
    /// Since when the server owes an answer to [`FromWatcher::Wait`].
    waiting_since: Option<Instant>,
    news: Vec<News>,
}

/// What there is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// The version of the rules that is in force.
    pub policy: i64,
    /// What the host is to do.
    pub orders: Vec<EndOrder>,
}

/// What of a report the server did not take: it is not this host's to say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NotTaken {
    /// Sessions, by the conversations of their logins.
    pub sessions: Vec<[u8; 16]>,
    /// Orders.
    pub orders: Vec<i64>,
}

/// Why the connection is of no use any longer.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// It has ended.
    #[error("{0}")]
    Lost(#[from] CodecError),
    /// The server refuses this host, and says why.
    #[error("{0}")]
    Refused(String),
}

impl From<std::io::Error> for WatchError {
    fn from(error: std::io::Error) -> Self {
        Self::Lost(error.into())
    }
}

impl Servers {
    /// Connects to a server, the first that answers, with `config` ([`crate::tls::host_watching`]).
    pub fn watch(&self, config: &Arc<ClientConfig>) -> Result<Watch, Unreached> {
        let mut failures = Vec::new();
        for server in self.order(Instant::now()) {
            let address = &self.addresses[server];
            match connect(config, address, Instant::now() + SERVER_TIMEOUT) {
                Ok(link) => {
                    return Ok(Watch {
                        server: address.to_string(),
                        link,
                        waiting_since: None,
                        news: Vec::new(),
                    });
                }
                // A server of an earlier release does not have this protocol, but still serves logins.
                Err(error) => failures.push(format!("{address}: {error}")),
            }
        }
        Err(Unreached(failures))
    }
}

impl Watch {
    /// Has the server note `report`. Returns what it does not take.
    pub fn report(&mut self, report: &WatchReport) -> Result<NotTaken, WatchError> {
        self.send(&FromWatcher::Report(report.clone()))?;
        let deadline = Instant::now() + REPORT_TIMEOUT;
        loop {
            self.link.set_deadline(deadline);
            match self.link.receive()? {
                ToWatcher::Noted { sessions, orders } => {
                    self.waiting_since = None;
                    return Ok(NotTaken { sessions, orders });
                }
                // It was on its way already.
                ToWatcher::News { policy, orders } => self.news.push(News { policy, orders }),
                ToWatcher::Refused(why) => return Err(WatchError::Refused(why)),
            }
        }
    }

    /// Waits until the server has something to say, `time` at most. `policy` is the version of the rules that this host has, and
    /// `version` that of its twofa.
    pub fn wait(
        &mut self,
        policy: i64,
        version: &str,
        time: Duration,
    ) -> Result<Option<News>, WatchError> {
        if let Some(news) = self.news.pop() {
            return Ok(Some(news));
        }
        let since = if let Some(since) = self.waiting_since {
            since
        } else {
            let version = version.to_owned();
            self.send(&FromWatcher::Wait { policy, version })?;
            *self.waiting_since.insert(Instant::now())
        };
        if !self.link.arrives_within(time)? {
            return if since.elapsed() < SILENCE {
                Ok(None)
            } else {
                Err(CodecError::TimedOut.into())
            };
        }
        self.link.set_deadline(Instant::now() + MESSAGE_TIMEOUT);
        match self.link.receive()? {
            ToWatcher::News { policy, orders } => {
                self.waiting_since = None;
                Ok(Some(News { policy, orders }))
            }
            ToWatcher::Refused(why) => Err(WatchError::Refused(why)),
            ToWatcher::Noted { .. } => Err(CodecError::Aborted.into()),
        }
    }

    fn send(&mut self, message: &FromWatcher) -> Result<(), WatchError> {
        self.link.set_deadline(Instant::now() + MESSAGE_TIMEOUT);
        Ok(self.link.send(message)?)
    }
}
