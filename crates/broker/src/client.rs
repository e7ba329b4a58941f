//! The client of the broker: sends a request to its socket, and shows the texts and prompts that come back.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

use twofa_proto::codec::CodecError;
use twofa_proto::{
    ClientEnd, ConnectionError, Done, FromBroker, FromClient, MESSAGE_TIMEOUT, Prompt, Request,
    SERVICE_USER, SOCKET, Secret, Stream,
};

use crate::process;
use crate::process::privileges::{self, PrivilegeError};
use crate::text::terminal::{Terminal, TerminalClosed};

/// How long the broker may take to accept a request. From then on it has [`MESSAGE_TIMEOUT`] for each message.
const ACCEPT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a request did not complete.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nothing answers at the socket, or what answers is not the broker.
    #[error("cannot reach the broker at {SOCKET}: {0}")]
    Unreachable(String),
    /// The broker closed the connection before it accepted the request.
    #[error("the broker refused the connection: it is overloaded or being restarted")]
    Refused,
    /// The broker did not accept the request in time.
    #[error("the broker at {SOCKET} did not answer within {} seconds", ACCEPT_TIMEOUT.as_secs())]
    NotAccepted,
    /// The broker closed the connection after it had accepted the request.
    #[error("the broker closed the connection before the command was finished")]
    Closed,
    /// The broker did not answer after it had accepted the request.
    #[error("the broker did not answer in time")]
    TimedOut,
    /// Anything else that can go wrong with a connection.
    #[error("the connection to the broker failed: {0}")]
    Connection(ConnectionError),
    /// It cannot be found out who the broker would be.
    #[error(transparent)]
    Privileges(#[from] PrivilegeError),
}

impl From<ConnectionError> for ClientError {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::Codec(CodecError::TimedOut) => Self::TimedOut,
            ConnectionError::Codec(CodecError::Closed) => Self::Closed,
            error => Self::Connection(error),
        }
    }
}

impl From<TerminalClosed> for ClientError {
    fn from(TerminalClosed(error): TerminalClosed) -> Self {
        error.into()
    }
}

/// How a prompt ended.
pub enum Typed {
    /// It was answered; `None` is the end of input.
    Answer(Option<Secret>),
    /// Something else came first.
    Nothing,
}

/// A terminal whose prompts can be interrupted.
pub trait ClientTerminal: Terminal {
    /// Shows `prompt`, and waits for an answer until something can be read from `other`.
    fn prompt_unless(
        &mut self,
        prompt: Prompt,
        other: BorrowedFd<'_>,
    ) -> Result<Typed, TerminalClosed>;
}

/// A request that the broker has accepted.
pub struct AcceptedRequest {
    broker: ClientEnd<Stream>,
    first: FromBroker,
}

/// Hands `request` to the broker. On an error nothing has happened yet.
pub fn submit(request: Request) -> Result<AcceptedRequest, ClientError> {
    let unreachable = |error: std::io::Error| ClientError::Unreachable(error.to_string());
    let stream = Stream::connect(Path::new(SOCKET), ACCEPT_TIMEOUT).map_err(unreachable)?;
    let uid = stream.peer_uid().map_err(unreachable)?;
    // It is root where systemd holds the socket.
    if uid != 0 && uid != privileges::service_owner()?.uid {
        return Err(ClientError::Unreachable(format!(
            "the process that listens there belongs to user ID {uid}, which is neither root nor {SERVICE_USER}"
        )));
    }
    limit(&stream, ACCEPT_TIMEOUT)?;
    let mut broker = ClientEnd::open_by(stream, request, process::login_uid())?;
    let first = broker.receive().map_err(not_accepted)?;
    Ok(AcceptedRequest { broker, first })
}

impl AcceptedRequest {
    /// Shows and asks at `terminal` what the broker wants until the end.
    pub fn finish(self, terminal: &mut dyn ClientTerminal) -> Result<Done, ClientError> {
        let Self {
            mut broker,
            first: mut message,
        } = self;
        loop {
            match message {
                FromBroker::Accepted => limit(broker.stream(), MESSAGE_TIMEOUT)?,
                FromBroker::Prompt(prompt) => {
                    let typed = terminal.prompt_unless(prompt, broker.stream().as_fd())?;
                    if let Typed::Answer(answer) = typed {
                        // A broker that has ended the connection meanwhile has said why.
                        let _ = broker.send(&FromClient::Answer(answer));
                    }
                }
                FromBroker::Info(text) => terminal.info(text)?,
                FromBroker::Error(text) => terminal.error(&text)?,
                FromBroker::Done(done) => return Ok(done),
            }
            message = broker.receive()?;
        }
    }
}

fn limit(stream: &Stream, timeout: Duration) -> Result<(), ConnectionError> {
    Ok(stream.set_read_timeout(timeout).map_err(CodecError::from)?)
}

fn not_accepted(error: ConnectionError) -> ClientError {
    match error.into() {
        ClientError::Closed => ClientError::Refused,
        ClientError::TimedOut => ClientError::NotAccepted,
        error => error,
    }
}
