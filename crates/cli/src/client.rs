//! How a request reaches the broker's code: over the socket, or for root in this process if no broker answers.

use std::path::Path;
use std::time::Duration;

use nix::unistd::{User, getuid};
use twofa_broker::admin::Administration;
use twofa_broker::{Terminal as _, privileges};
use twofa_proto::codec::CodecError;
use twofa_proto::{
    ClientEnd, ConnectionError, Done, Failure, FromBroker, FromClient, MESSAGE_TIMEOUT, Request,
    SERVICE_USER, SOCKET, Stream,
};

use crate::error::CommandError;
use crate::terminal::{Terminal, Typed};

/// How long the broker may take to accept a request. From then on it has [`MESSAGE_TIMEOUT`] for each message.
const ACCEPT_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether root runs this.
pub(crate) fn is_root() -> bool {
    getuid().is_root()
}

/// The user a command is about: the one named, or oneself.
pub(crate) fn user(named: Option<String>) -> Result<String, CommandError> {
    if let Some(named) = named {
        return Ok(named);
    }
    let uid = getuid();
    match User::from_uid(uid) {
        Ok(Some(user)) => Ok(user.name),
        Ok(None) => Err(CommandError::new(
            Failure::NotFound,
            format!("there is no account with the user ID {uid}"),
        )),
        Err(error) => Err(CommandError::new(
            Failure::Unavailable,
            format!("the name service does not answer: {error}"),
        )),
    }
}

/// Opens the store for root. From here on this process has the rights of the service's user.
pub(crate) fn open() -> Result<Administration, CommandError> {
    Ok(Administration::open()?)
}

/// Has `request` carried out, and shows and asks what comes up meanwhile.
pub(crate) fn carry_out(request: Request) -> Result<Done, CommandError> {
    privileges::harden()?;
    let again = request.clone();
    let done = match reach_broker(request) {
        Ok((broker, first)) => converse(broker, first)?,
        // Nothing has happened yet, and root needs no broker.
        Err(_) if is_root() => open()?.serve(&again, &mut Terminal),
        Err(error) => return Err(error),
    };
    match done {
        Done::Failed {
            failure,
            message,
            hint,
        } => {
            let error = CommandError::new(failure, message);
            Err(match hint {
                Some(hint) => error.hinted(hint),
                None => error,
            })
        }
        done => Ok(done),
    }
}

/// A connection to the broker at the socket, and its first message, which says that it accepts the request.
fn reach_broker(request: Request) -> Result<(ClientEnd<Stream>, FromBroker), CommandError> {
    let unavailable = |why: String| {
        CommandError::new(
            Failure::Unavailable,
            format!("cannot reach the broker at {SOCKET}: {why}"),
        )
        .hinted("ask an administrator to start it: systemctl start twofad.socket")
    };
    let stream = Stream::connect(Path::new(SOCKET), ACCEPT_TIMEOUT)
        .map_err(|error| unavailable(error.to_string()))?;
    let uid = stream
        .peer_uid()
        .map_err(|error| unavailable(error.to_string()))?;
    // It is root where systemd holds the socket.
    if uid != 0 && uid != privileges::service_owner()?.uid {
        return Err(unavailable(format!(
            "the process that listens there belongs to user ID {uid}, which is neither root nor {SERVICE_USER}"
        )));
    }
    limit(&stream, ACCEPT_TIMEOUT)?;
    let mut broker = ClientEnd::open(stream, request)?;
    let first = broker.receive().map_err(not_accepted)?;
    Ok((broker, first))
}

fn limit(stream: &Stream, timeout: Duration) -> Result<(), ConnectionError> {
    Ok(stream.set_read_timeout(timeout).map_err(CodecError::from)?)
}

fn converse(mut broker: ClientEnd<Stream>, first: FromBroker) -> Result<Done, CommandError> {
    let mut terminal = Terminal;
    let mut message = first;
    loop {
        match message {
            FromBroker::Accepted => limit(broker.stream(), MESSAGE_TIMEOUT)?,
            FromBroker::Prompt(prompt) => {
                let answer = terminal
                    .prompt_unless(prompt, broker.stream())
                    .map_err(|gone| gone.0)?;
                if let Typed::Answer(answer) = answer {
                    // A broker that has ended the connection meanwhile has said why.
                    let _ = broker.send(&FromClient::Answer(answer));
                }
            }
            FromBroker::Info(text) => terminal.info(text).map_err(|gone| gone.0)?,
            FromBroker::Error(text) => terminal.error(&text).map_err(|gone| gone.0)?,
            FromBroker::Done(done) => return Ok(done),
        }
        message = broker.receive()?;
    }
}

/// The broker did not accept the request: nothing has happened yet.
fn not_accepted(error: ConnectionError) -> CommandError {
    match error {
        ConnectionError::Codec(CodecError::Closed) => CommandError::new(
            Failure::Unavailable,
            "the broker refused the connection: it is overloaded or being restarted",
        )
        .hinted("try again in a moment"),
        ConnectionError::Codec(CodecError::TimedOut) => {
            let seconds = ACCEPT_TIMEOUT.as_secs();
            let message = format!("the broker at {SOCKET} did not answer within {seconds} seconds");
            CommandError::new(Failure::Unavailable, message)
                .hinted("ask an administrator to restart the broker: systemctl restart twofad.socket twofad")
        }
        error => error.into(),
    }
}
