//! One connection, from its request to its end.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use twofa_proto::codec::CodecError;
use twofa_proto::{
    BrokerEnd, ConnectionError, Done, Failure, FromBroker, FromClient, Prompt, Request, Secret,
};
use twofa_store::{StoreError, deadline};

use crate::identity::authority::Peer;
use crate::process::log;
use crate::requests::broker::Broker;
use crate::requests::ending::{Ending, subject};
use crate::requests::login;
use crate::text::messages::{self, log_lines};
use crate::text::terminal::{Progress, Stage, Terminal, TerminalClosed};

/// How long a person has to answer a prompt; sshd and login give up earlier by themselves.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// The same while a method is being set up.
pub const ENROLMENT_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// How long what a client said is worked on with a database on another machine, altogether: the module waits for 20 seconds.
const STORE_TIMEOUT: Duration = Duration::from_secs(15);

/// A client connection on which reads have a deadline.
pub trait Connection: Read + Write {
    /// From the next write on, a read fails as timed out when `timeout` has passed since the last write.
    fn set_answer_timeout(&mut self, timeout: Duration);
}

/// Serves the one request that `peer` makes on `stream`, if `admit` gives a permit for it. Without a store the answer is a
/// refusal that says so. Fails if the connection ends early; the log says why, unless that concerns the client alone.
pub fn serve<S: Connection, P>(
    broker: Result<&Broker, &StoreError>,
    peer: Peer,
    stream: S,
    admit: impl FnOnce(&Request) -> Option<P>,
) -> Result<Done, ConnectionError> {
    let mut end = BrokerEnd::new(stream);
    let request = end.request()?;
    let peer = peer.with_login_uid(end.login_uid());
    // A connection that is closed without an answer tells the module to try elsewhere.
    let Some(_permit) = admit(&request) else {
        return Err(CodecError::Closed.into());
    };
    end.send(&FromBroker::Accepted)?;
    let mut terminal = RemoteTerminal::new(end);
    let done = match broker {
        Ok(broker) => deadline::within(Instant::now() + STORE_TIMEOUT, || {
            broker.serve(peer, &request, &mut terminal)
        }),
        Err(error) => {
            let _ = terminal.error(messages::UNAVAILABLE);
            without_store(&request, error)
        }
    };
    let ending = terminal.ending();
    let finished = terminal.finish(&request, done);
    if let Some(ending) = ending {
        log::warn(&log_lines::ended(&subject(&request, peer), &ending.why()));
        return Err(CodecError::Aborted.into());
    }
    finished
}

/// The client as a terminal, for as long as it is there. Nothing is sent to a client that went away, not even
/// [`Done`]: while a prompt waits that would be out of turn, and look like the client's fault.
struct RemoteTerminal<S> {
    end: BrokerEnd<S>,
    closed: Option<Closed>,
    answer_timeout: Duration,
    progress: Progress,
}

/// Why nothing more can be asked.
enum Closed {
    ByClient(ConnectionError),
    ByBroker(Ending),
}

impl<S: Connection> RemoteTerminal<S> {
    fn new(end: BrokerEnd<S>) -> Self {
        Self {
            end,
            closed: None,
            answer_timeout: ANSWER_TIMEOUT,
            progress: Progress::default(),
        }
    }

    fn ending(&self) -> Option<Ending> {
        match self.closed {
            Some(Closed::ByBroker(ending)) => Some(ending),
            Some(Closed::ByClient(_)) | None => None,
        }
    }

    /// Sends `done`, or the answer to `request` that follows from the broker's own ending.
    fn finish(mut self, request: &Request, done: Done) -> Result<Done, ConnectionError> {
        let done = match self.closed {
            Some(Closed::ByClient(error)) => return Err(error),
            Some(Closed::ByBroker(ending)) => {
                // The command line prints the ending itself.
                if matches!(request, Request::Login(_) | Request::Account(_)) {
                    self.end
                        .send(&FromBroker::Error(ending.text(self.progress)))?;
                }
                ending.done(request, self.progress)
            }
            None => done,
        };
        self.end.send(&FromBroker::Done(done.clone()))?;
        Ok(done)
    }

    fn exchange<T>(
        &mut self,
        exchange: impl FnOnce(&mut BrokerEnd<S>) -> Result<T, ConnectionError>,
    ) -> Result<T, ConnectionError> {
        let closed = || ConnectionError::from(CodecError::Closed);
        if self.closed.is_some() {
            return Err(closed());
        }
        exchange(&mut self.end).inspect_err(|error| {
            self.closed = Some(Closed::ByClient(match error {
                ConnectionError::OutOfTurn(error) => (*error).into(),
                ConnectionError::Codec(_) | ConnectionError::Version(_) => closed(),
            }));
        })
    }
}

impl<S: Connection> Terminal for RemoteTerminal<S> {
    fn reach(&mut self, stage: Stage) {
        self.answer_timeout = ENROLMENT_TIMEOUT;
        self.end
            .stream_mut()
            .set_answer_timeout(self.answer_timeout);
        self.progress.reach(stage);
    }

    fn prompt(&mut self, prompt: Prompt) -> Result<Option<Secret>, TerminalClosed> {
        self.exchange(|end| end.send(&FromBroker::Prompt(prompt)))?;
        let timeout = self.answer_timeout;
        let answer = self.exchange(BrokerEnd::receive).inspect_err(|error| {
            if let Some(ending) = Ending::from_error(error, timeout) {
                self.closed = Some(Closed::ByBroker(ending));
            }
        })?;
        deadline::begin_again(Instant::now() + STORE_TIMEOUT);
        match answer {
            FromClient::Answer(answer) => Ok(answer),
            // The table lets nothing but an answer through while a prompt stands.
            FromClient::Open { .. } => Ok(None),
        }
    }

    fn info(&mut self, text: Secret) -> Result<(), TerminalClosed> {
        Ok(self.exchange(|end| end.send(&FromBroker::Info(text)))?)
    }

    fn error(&mut self, text: &str) -> Result<(), TerminalClosed> {
        Ok(self.exchange(|end| end.send(&FromBroker::Error(text.to_owned())))?)
    }
}

fn without_store(request: &Request, error: &StoreError) -> Done {
    match request {
        Request::Login(_) | Request::Account(_) => login::unavailable(&error.to_string()),
        _ => Done::Failed {
            failure: Failure::Unavailable,
            message: error.to_string(),
            hint: error.hint().map(str::to_owned),
        },
    }
}

#[cfg(test)]
mod tests;
