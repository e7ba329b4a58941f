//! SMTP: sends mails through a mail server.
//!
//! A mail is sent as follows: [`Smtp`] takes a connection from the [`pool`] or opens a new one. A [`connection`]
//! connects, says EHLO ([`hello`] has the name) and switches to TLS; [`login`] authenticates it, with a token from [`token`] where that is
//! configured. Below them, [`crate::net::stream`] keeps every read and write within the deadline and [`reply`]
//! parses the server's replies. [`server`] is the server's address and settings. [`error`] turns everything that can go wrong into an error
//! that says which step failed, why, and what to do.

mod connection;
mod error;
mod hello;
mod login;
mod pool;
mod reply;
mod server;
mod token;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lettre::Address;
use twofa_core::Timestamp;

use super::mailer::{Outgoing, Transport};
use crate::error::SendError;
use crate::net::certificate::ServerCertificate;
use crate::provider::Receipt;
use crate::redaction::Secrets;
use connection::{Connection, SendFailure};
use pool::Pool;
use reply::Reply;

pub(super) use server::{Authentication, Credential, Server, Tls};
pub(super) use token::{RefreshGrant, TokenCache, TokenSource};

/// How long an unused connection is kept open. Servers close theirs after five minutes (RFC 5321 §4.5.3.2.7), many of
/// them sooner.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Sends mails over connections that are kept open for the next mail.
pub(super) struct Smtp {
    server: Server,
    from: Address,
    pool: Arc<Pool>,
    certificate: ServerCertificate,
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Smtp")
            .field("server", &self.server.endpoint())
            .finish_non_exhaustive()
    }
}

impl Smtp {
    /// Sends mails from `from` through `server`, over at most `connections` connections at a time.
    pub(super) fn new(server: Server, from: Address, connections: usize) -> Self {
        Self {
            server,
            from,
            pool: Pool::new(connections, IDLE_TIMEOUT),
            certificate: ServerCertificate::default(),
        }
    }

    fn connect(&self, deadline: Instant) -> Result<Connection, SendError> {
        let mut connection = Connection::open(&self.server, deadline)?;
        self.certificate.note(connection.certificate());
        login::log_in(&mut connection, &self.server, deadline)?;
        Ok(connection)
    }

    /// Sends on a connection that was idle. The server may have dropped it without closing it; then the first reply
    /// never comes, and half of the time is left for a new connection.
    fn send_on_idle(
        &self,
        connection: &mut Connection,
        mail: &Outgoing<'_>,
        deadline: Instant,
    ) -> Result<Reply, SendFailure> {
        let now = Instant::now();
        let first_reply_by = now + deadline.saturating_duration_since(now) / 2;
        connection.send_mail(&self.server, &self.from, mail, first_reply_by, deadline)
    }
}

impl Transport for Smtp {
    fn deliver(&self, mail: &Outgoing<'_>, deadline: Instant) -> Result<Receipt, SendError> {
        let mut slot = self.pool.take(deadline)?;
        if let Some(connection) = &mut slot.connection {
            match self.send_on_idle(connection, mail, deadline) {
                Ok(reply) => return Ok(receipt(&reply)),
                Err(failure) if !failure.is_retryable => return Err(failure.error),
                Err(_) => slot.connection = None,
            }
        }
        let connection = slot.connection.insert(self.connect(deadline)?);
        let reply = connection.send_mail(&self.server, &self.from, mail, deadline, deadline);
        reply
            .map(|reply| receipt(&reply))
            .map_err(|failure| failure.error)
    }

    fn check(&self, deadline: Instant) -> Result<(), SendError> {
        self.connect(deadline)?
            .check_sender(&self.server, &self.from)
    }

    fn certificate_end(&self) -> Option<Timestamp> {
        self.certificate.end()
    }
}

/// The ID under which the server queued the mail, if the reply contains one.
fn receipt(reply: &Reply) -> Receipt {
    let text = reply.text();
    let id = text
        .split_once("queued as ")
        .and_then(|(_, rest)| rest.split_whitespace().next());
    Receipt {
        id: id.map(|id| Secrets::default().redact(id)),
    }
}
