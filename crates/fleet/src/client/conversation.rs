//! A login that a server has accepted, and what is done when that server is lost or cannot decide.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use twofa_proto::codec::CodecError;
use twofa_proto::state::{MessageKind, State};
use twofa_proto::{ConnectionError, Secret};

use super::{SERVER_TIMEOUT, Servers, Unreached};
use crate::stream::ToServer;
use crate::token::Address;
use crate::wire::{
    ConversationId, DeviceClaim, FromHost, FromServer, HostAnswer, HostLogin, HostRequest, Mark,
    Verdict,
};

/// A login that a server has accepted.
#[derive(Debug)]
pub struct Conversation<'a> {
    servers: &'a Servers,
    server: usize,
    link: ToServer,
    state: State,
    first: Option<FromServer>,
    /// What was received and not handed on yet.
    received: VecDeque<FromServer>,
    mark: Option<Mark>,
    /// What the servers were told last.
    last: Last,
    /// How often another server may be asked to go on.
    failovers: usize,
}

/// A message that waits for its reply.
#[derive(Debug, Clone)]
pub(super) enum Last {
    Login(HostLogin, Option<DeviceClaim>),
    Own(HostRequest),
    Answer(HostAnswer),
}

impl Last {
    /// It for the server that serves the conversation. `is_current`: that speaks the current protocol.
    fn message(&self, left: Duration, is_current: bool) -> FromHost {
        match self.with_deadline(left) {
            Self::Login(login, Some(device)) if is_current => FromHost::LoginFrom(login, device),
            Self::Login(login, _) => FromHost::Login(login),
            Self::Own(request) => FromHost::Own(request),
            Self::Answer(answer) => FromHost::Answer(answer),
        }
    }

    /// It for another server, or on another connection.
    fn message_again(&self, left: Duration, is_current: bool) -> FromHost {
        match self.message(left, is_current) {
            FromHost::Login(mut login) => {
                login.is_again = true;
                FromHost::Login(login)
            }
            FromHost::LoginFrom(mut login, device) => {
                login.is_again = true;
                FromHost::LoginFrom(login, device)
            }
            FromHost::Answer(answer) => FromHost::Resume(answer),
            // Without an answer nothing was changed.
            other => other,
        }
    }

    fn with_deadline(&self, left: Duration) -> Self {
        let deadline = u32::try_from(left.as_millis()).unwrap_or(u32::MAX);
        match self.clone() {
            Self::Login(login, device) => Self::Login(HostLogin { deadline, ..login }, device),
            Self::Own(request) => Self::Own(HostRequest {
                deadline,
                ..request
            }),
            Self::Answer(answer) => Self::Answer(HostAnswer { deadline, ..answer }),
        }
    }
}

impl Servers {
    /// Sends the message on `link`, until `until`; the host waits for the reply for the time `left`. `is_again`: a server may
    /// have had it, as this one may from now on.
    pub(super) fn begin(
        &self,
        server: usize,
        mut link: ToServer,
        last: &Last,
        is_again: &mut bool,
        left: Duration,
        until: Instant,
    ) -> Result<Conversation<'_>, ConnectionError> {
        let message = if *is_again {
            last.message_again(left, link.is_current())
        } else {
            last.message(left, link.is_current())
        };
        *is_again = true;
        link.set_deadline(until);
        link.send(&message)?;
        let mut conversation = Conversation {
            servers: self,
            server,
            link,
            state: State::Opened,
            first: None,
            received: VecDeque::new(),
            mark: None,
            last: last.clone(),
            failovers: self.addresses.len(),
        };
        match conversation.receive_here(until)? {
            FromServer::Accepted(mark) => conversation.mark = mark,
            first => conversation.first = Some(first),
        }
        Ok(conversation)
    }
}

impl Conversation<'_> {
    /// The server that serves it.
    pub fn server(&self) -> &Address {
        &self.servers.addresses[self.server]
    }

    /// Its id.
    pub const fn id(&self) -> ConversationId {
        match &self.last {
            Last::Login(login, _) => login.conversation,
            Last::Own(request) => request.conversation,
            Last::Answer(answer) => answer.conversation,
        }
    }

    /// The last mark of the fleet's database, of which the server has told.
    pub const fn mark(&self) -> Option<Mark> {
        self.mark
    }

    /// The next message, if it comes before `deadline`. If the connection ends, or the server cannot decide, another server goes
    /// on.
    pub fn receive(&mut self, deadline: Instant) -> Result<FromServer, ConnectionError> {
        if self.received.is_empty() {
            self.received = self.receive_reply(deadline)?;
        }
        let next = self.received.pop_front();
        next.ok_or_else(|| CodecError::Aborted.into())
    }

    /// What is said until a prompt or the end. A server that cannot decide is passed over if another one can.
    fn receive_reply(
        &mut self,
        deadline: Instant,
    ) -> Result<VecDeque<FromServer>, ConnectionError> {
        let mut said = self.receive_from_any(deadline)?;
        let mut passed_over = Vec::new();
        // Nothing was verified, or it is not known that it was: then the other server finds what became of the answer.
        while is_undecided(&said) {
            passed_over.push(self.server);
            if self.go_on_elsewhere(&passed_over, deadline).is_err() {
                break;
            }
            match self.receive_from_any(deadline) {
                Ok(reply) => said = reply,
                Err(_) => break,
            }
        }
        Ok(said)
    }

    /// The same of one server, or of another one if the connection to it ends.
    fn receive_from_any(
        &mut self,
        deadline: Instant,
    ) -> Result<VecDeque<FromServer>, ConnectionError> {
        let mut said = VecDeque::new();
        loop {
            match self.receive_next(deadline) {
                Ok(FromServer::Accepted(_)) => {}
                Ok(message) => {
                    let is_last = matches!(message.kind(), MessageKind::Prompt | MessageKind::Done);
                    said.push_back(message);
                    if is_last {
                        return Ok(said);
                    }
                }
                Err((error, false)) => return Err(error),
                Err((error, true)) => {
                    self.go_on_elsewhere(&[], deadline).map_err(|_| error)?;
                    said.clear();
                }
            }
        }
    }

    /// One message. With an error: whether another server may go on.
    fn receive_next(&mut self, deadline: Instant) -> Result<FromServer, (ConnectionError, bool)> {
        if let Some(first) = self.first.take() {
            return Ok(first);
        }
        // A server that lives accepts what it is told at once.
        let is_accepted = self.state != State::Opened;
        let until = if is_accepted {
            deadline
        } else {
            deadline.min(Instant::now() + SERVER_TIMEOUT)
        };
        self.receive_here(until).map_err(|error| {
            let is_late = matches!(error, ConnectionError::Codec(CodecError::TimedOut));
            (error, !(is_late && is_accepted))
        })
    }

    fn receive_here(&mut self, deadline: Instant) -> Result<FromServer, ConnectionError> {
        self.link.set_deadline(deadline);
        let message: FromServer = self.link.receive()?;
        self.state = self.state.after(message.kind())?;
        Ok(message)
    }

    /// Has a server that is none of `except` go on with what was said last: another one, or this one on another connection.
    fn go_on_elsewhere(&mut self, except: &[usize], deadline: Instant) -> Result<(), Unreached> {
        let Some(failovers) = self.failovers.checked_sub(1) else {
            return Err(Unreached(Vec::new()));
        };
        self.servers.has_failed(self.server);
        let servers = self.servers;
        *self = Conversation {
            failovers,
            ..servers.deliver(&self.last, true, except, deadline)?
        };
        Ok(())
    }

    /// Sends the answer to a prompt, if that goes before `deadline`.
    pub fn answer(
        &mut self,
        answer: Option<Secret>,
        deadline: Instant,
    ) -> Result<(), ConnectionError> {
        self.state = self.state.after(MessageKind::Answer)?;
        let (conversation, number) = match &self.last {
            Last::Login(login, _) => (login.conversation, 1),
            Last::Own(request) => (request.conversation, 1),
            Last::Answer(last) => (last.conversation, last.number.saturating_add(1)),
        };
        self.last = Last::Answer(HostAnswer {
            conversation,
            number,
            deadline: 0,
            answer,
        });
        self.state = State::Opened;
        self.link.set_deadline(deadline);
        let left = deadline.saturating_duration_since(Instant::now());
        let message = self.last.message(left, self.link.is_current());
        if self.link.send(&message).is_ok() {
            return Ok(());
        }
        let gone = |_| ConnectionError::from(CodecError::Closed);
        self.go_on_elsewhere(&[], deadline).map_err(gone)
    }

    /// Ends it. If it has come to its end, the connection is kept.
    pub fn finish(self) {
        if self.state == State::Over {
            self.servers.keep(self.server, self.link);
        }
    }
}

/// Whether a server has ended the conversation without having been able to decide.
fn is_undecided(said: &VecDeque<FromServer>) -> bool {
    matches!(
        said.back(),
        Some(FromServer::Done {
            verdict: Verdict::Unavailable,
            ..
        })
    )
}
