//! Asking the servers for the rules of the fleet.

use std::time::Instant;

use twofa_core::Timestamp;
use twofa_proto::ConnectionError;
use twofa_proto::codec::CodecError;

use super::{SERVER_TIMEOUT, Servers, Unreached, connect};
use crate::stream::ToServer;
use crate::wire::{FromHost, FromServer};

/// What a server says of the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyAnswer {
    /// The version that is in force in the fleet.
    pub version: i64,
    /// The server's time.
    pub at: Timestamp,
    /// The rules with their signature; `None`: they are those that the host has.
    pub signed: Option<String>,
    /// The address of the server.
    pub server: String,
}

impl Servers {
    /// Asks for the rules, of which the host has version `known` (0: none), until `deadline`.
    pub fn fetch_policy(&self, known: i64, deadline: Instant) -> Result<PolicyAnswer, Unreached> {
        let mut failures = Vec::new();
        for server in self.order(Instant::now()) {
            let address = &self.addresses[server];
            let until = deadline.min(Instant::now() + SERVER_TIMEOUT);
            match self.fetch_at(server, known, until) {
                Ok(answer) => {
                    self.lock().failed[server] = None;
                    return Ok(answer);
                }
                Err(error) => {
                    self.lock().failed[server] = Some(Instant::now());
                    failures.push(format!("{address}: {error}"));
                }
            }
        }
        Err(Unreached(failures))
    }

    fn fetch_at(
        &self,
        server: usize,
        known: i64,
        until: Instant,
    ) -> Result<PolicyAnswer, ConnectionError> {
        while let Some(link) = self.take_idle(server) {
            // The server may have closed it meanwhile.
            if let Ok(answer) = self.fetch_on(server, link, known, until) {
                return Ok(answer);
            }
        }
        let link =
            connect(&self.config, &self.addresses[server], until).map_err(CodecError::from)?;
        self.fetch_on(server, link, known, until)
    }

    fn fetch_on(
        &self,
        server: usize,
        mut link: ToServer,
        known: i64,
        until: Instant,
    ) -> Result<PolicyAnswer, ConnectionError> {
        link.set_deadline(until);
        link.send(&FromHost::Policy { known })?;
        match link.receive()? {
            FromServer::Policy {
                version,
                at,
                signed,
            } => {
                self.keep(server, link);
                Ok(PolicyAnswer {
                    version,
                    at: Timestamp::from_unix(at),
                    signed,
                    server: self.addresses[server].to_string(),
                })
            }
            // It refuses this host, and has said why in its log.
            _ => Err(CodecError::Aborted.into()),
        }
    }
}
