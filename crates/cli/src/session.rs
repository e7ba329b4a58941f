//! How a request reaches the broker's code: over the socket for users, in this process for root.

use std::path::Path;
use std::time::Duration;

use nix::unistd::{User, getuid};
use twofa_broker::{Broker, Dialogue, Peer, privileges};
use twofa_proto::codec::CodecError;
use twofa_proto::{
    ChannelError, ClientEnd, Done, Failure as Kind, FromBroker, FromClient, MESSAGE_PATIENCE, Request,
    SOCKET, Stream,
};
use twofa_store::Location;

use crate::failure::Failure;
use crate::terminal::{Terminal, Typed};

/// How long the broker may take to take notice of us. From then on it has [`MESSAGE_PATIENCE`].
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether this is root's session.
pub(crate) fn is_root() -> bool {
    getuid().is_root()
}

/// The user a command is about: the one named, or oneself.
pub(crate) fn user(named: Option<String>) -> Result<String, Failure> {
    if let Some(named) = named {
        return Ok(named);
    }
    let uid = getuid();
    match User::from_uid(uid) {
        Ok(Some(user)) => Ok(user.name),
        Ok(None) => Err(Failure::new(Kind::NotFound, format!("uid {uid} has no account"))),
        Err(error) => {
            Err(Failure::new(Kind::Unavailable, format!("the name service does not answer: {error}")))
        }
    }
}

/// Opens the store for root, as the service's user: nothing in it is read with more rights than the
/// broker has, and no file in it can come to belong to root.
pub(crate) fn open() -> Result<Broker, Failure> {
    privileges::become_service_user()?;
    privileges::harden()?;
    Ok(Broker::open(Location::default())?)
}

/// Carries out `request` and shows what it says on the way.
pub(crate) fn carry_out(request: Request) -> Result<Done, Failure> {
    let done = if is_root() {
        open()?.serve(Peer::ROOT, &request, &mut Terminal)
    } else {
        over_the_socket(request)?
    };
    match done {
        Done::Failed { failure, message, hint } => {
            let failure = Failure::new(failure, message);
            Err(match hint {
                Some(hint) => failure.hinted(hint),
                None => failure,
            })
        }
        done => Ok(done),
    }
}

fn over_the_socket(request: Request) -> Result<Done, Failure> {
    let stream = Stream::connect(Path::new(SOCKET), PATIENCE).map_err(|error| {
        Failure::new(Kind::Unavailable, format!("the broker does not answer at {SOCKET}: {error}"))
            .hinted("ask an administrator to start it: systemctl start twofad.socket")
    })?;
    let limit = |stream: &Stream, patience| {
        stream.set_read_timeout(patience).map_err(CodecError::from).map_err(ChannelError::from)
    };
    limit(&stream, PATIENCE)?;
    let mut broker = ClientEnd::open(stream, request)?;
    let mut terminal = Terminal;
    let mut next = broker.receive().map_err(not_accepted)?;
    loop {
        match next {
            FromBroker::Accepted => limit(broker.stream(), MESSAGE_PATIENCE)?,
            FromBroker::Prompt(prompt) => {
                let answer = terminal.prompt_unless(prompt, broker.stream()).map_err(|gone| gone.0)?;
                if let Typed::Answer(answer) = answer {
                    // A broker that has ended the conversation meanwhile has said why.
                    let _ = broker.send(&FromClient::Answer(answer));
                }
            }
            FromBroker::Info(text) => terminal.info(text).map_err(|gone| gone.0)?,
            FromBroker::Error(text) => terminal.error(&text).map_err(|gone| gone.0)?,
            FromBroker::Done(done) => return Ok(done),
        }
        next = broker.receive()?;
    }
}

/// Nothing has happened yet.
fn not_accepted(error: ChannelError) -> Failure {
    match error {
        ChannelError::Codec(CodecError::Closed) => Failure::new(
            Kind::Unavailable,
            "the broker turned this away: it has too much to do, or is being restarted",
        )
        .hinted("try again in a moment"),
        ChannelError::Codec(CodecError::TimedOut) => {
            let seconds = PATIENCE.as_secs();
            let message =
                format!("the socket {SOCKET} is there, but nobody answered within {seconds} seconds");
            Failure::new(Kind::Unavailable, message)
                .hinted("ask an administrator to restart the broker: systemctl restart twofad.socket twofad")
        }
        error => error.into(),
    }
}
