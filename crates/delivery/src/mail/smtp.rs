//! A mail server.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lettre::Address;

use super::connection::{Connection, NotTaken};
use super::login;
use super::pool::Pool;
use super::reply::Reply;
use super::settings::Server;
use super::{Outgoing, Transport};
use crate::error::SendError;
use crate::provider::Receipt;
use crate::secrets::Secrets;

/// How long a connection is kept that nobody uses. Servers hang up after five minutes (RFC 5321 §4.5.3.2.7), many
/// sooner.
const IDLE: Duration = Duration::from_secs(60);

/// Sends over SMTP, on connections that are kept for the next mail.
pub(super) struct Smtp {
    server: Server,
    from: Address,
    pool: Arc<Pool>,
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Smtp")
            .field("server", &self.server.place())
            .finish_non_exhaustive()
    }
}

impl Smtp {
    /// Sends mail from `from` through `server`, over so many connections at a time.
    pub(super) fn new(server: Server, from: Address, connections: usize) -> Self {
        Self {
            server,
            from,
            pool: Pool::new(connections, IDLE),
        }
    }

    fn connect(&self, deadline: Instant) -> Result<Connection, SendError> {
        let mut connection = Connection::open(&self.server, deadline)?;
        login::log_in(&mut connection, &self.server, deadline)?;
        Ok(connection)
    }

    /// Sends on a connection that waited, which the server may have left without a word: then its first answer does
    /// not come, and half of the time is still there for a new one.
    fn carry_on(
        &self,
        connection: &mut Connection,
        mail: &Outgoing<'_>,
        deadline: Instant,
    ) -> Result<Reply, NotTaken> {
        let now = Instant::now();
        let patience = now + deadline.saturating_duration_since(now) / 2;
        connection.carry(&self.server, &self.from, mail, patience, deadline)
    }
}

impl Transport for Smtp {
    fn deliver(&self, mail: &Outgoing<'_>, deadline: Instant) -> Result<Receipt, SendError> {
        let mut slot = self.pool.take(deadline)?;
        if let Some(connection) = &mut slot.connection {
            match self.carry_on(connection, mail, deadline) {
                Ok(reply) => return Ok(receipt(&reply)),
                Err(not_taken) if !not_taken.may_repeat => return Err(not_taken.error),
                Err(_) => slot.connection = None,
            }
        }
        let connection = slot.connection.insert(self.connect(deadline)?);
        let answer = connection.carry(&self.server, &self.from, mail, deadline, deadline);
        answer
            .map(|reply| receipt(&reply))
            .map_err(|not_taken| not_taken.error)
    }

    fn check(&self, deadline: Instant) -> Result<(), SendError> {
        self.connect(deadline)?.try_sender(&self.server, &self.from)
    }
}

/// The name under which the server has the mail, as far as it says one.
fn receipt(reply: &Reply) -> Receipt {
    let text = reply.text();
    let id = text
        .split_once("queued as ")
        .and_then(|(_, rest)| rest.split_whitespace().next());
    Receipt {
        id: id.map(|id| Secrets::default().strike(id)),
    }
}
