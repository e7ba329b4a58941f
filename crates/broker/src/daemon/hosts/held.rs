//! What holds a thread from its beginning to its end: what a person does with their own record. It has few permits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use twofa_core::{Account, Timestamp};
use twofa_fleet::stream::ToHost;
use twofa_fleet::wire::{self, ConversationId, FromHost, FromServer, HostRequest};
use twofa_proto::codec::CodecError;
use twofa_proto::state::State;
use twofa_proto::{ConnectionError, Prompt, Secret};
use twofa_store::{Host, Store, StoreError};

use super::connection::{Held, HostConnection};
use super::permits::{Permit, Permits, Purpose};
use super::replies::{refuse, refuse_host, send};
use super::{Shared, turns};
use crate::context::Services;
use crate::fleet::own_record;
use crate::identity::relayed::RelayedPeer;
use crate::requests::connection::{ANSWER_TIMEOUT, ENROLMENT_TIMEOUT};
use crate::requests::manage;
use crate::text::messages::{self, endings, reasons};
use crate::text::terminal::{Progress, Stage, Terminal, TerminalClosed};

/// Serves what is held, on this thread, until it ends. `None`: the connection has ended with it.
pub(super) fn hold(
    shared: &Shared,
    mut connection: HostConnection,
    held: Held,
) -> Option<HostConnection> {
    let Held { host, request } = held;
    let HostConnection { link, key, .. } = &mut connection;
    let Some(_held) = shared.permits.acquire(Purpose::Held(*key)) else {
        let verdict = wire::Verdict::Unavailable;
        let (text, why) = (messages::TOO_MANY_LOGINS, reasons::TOO_MANY_LOGINS);
        let refused = refuse(link, State::Working, text, verdict, why);
        return refused.is_ok().then_some(connection);
    };
    let broker = shared.store.open().ok()?;
    let services = broker.services();
    let mut terminal = HostTerminal {
        link,
        conversation: request.conversation,
        state: State::Working,
        store: services.store,
        clock: services.clock,
        key: *key,
        permits: shared.permits.clone(),
        deciding: shared.permits.acquire(Purpose::Deciding),
        answer_timeout: ANSWER_TIMEOUT,
        progress: Progress::default(),
        ended: None,
    };
    let end = serve_own(services, host, *key, &request, &mut terminal);
    let finished = terminal.finish(&end);
    if services.store.may_have_notices() {
        shared.notices.wake();
    }
    finished.is_ok().then_some(connection)
}

fn serve_own(
    services: Services<'_>,
    host: Host,
    key: [u8; 32],
    request: &HostRequest,
    terminal: &mut HostTerminal<'_>,
) -> FromServer {
    let account = Account {
        name: request.user.clone(),
        uid: request.uid,
    };
    let peer = RelayedPeer::new(host, key, request.uid);
    let asked = own_record::request(&request.user, request.act.clone());
    let done = manage::serve_relayed(services, &peer, &account, &asked, terminal);
    FromServer::Own(own_record::end_on_the_wire(done))
}

/// The host as a terminal.
struct HostTerminal<'a> {
    link: &'a mut ToHost,
    conversation: ConversationId,
    state: State,
    store: &'a Store,
    clock: fn() -> Timestamp,
    key: [u8; 32],
    permits: Arc<Permits>,
    /// Held while this server works, and not while a person types.
    deciding: Option<Permit>,
    answer_timeout: Duration,
    progress: Progress,
    ended: Option<Ended>,
}

/// Why nothing more can be asked.
enum Ended {
    /// The host went away, or broke the protocol.
    ByHost,
    /// No answer came.
    TimedOut,
    /// The host is not one of the fleet now, or that cannot be found out.
    Refused(StoreError),
}

impl HostTerminal<'_> {
    fn send(&mut self, message: &FromServer) -> Result<(), ConnectionError> {
        if self.ended.is_some() {
            return Err(CodecError::Closed.into());
        }
        let sent = send(self.link, &mut self.state, message);
        sent.inspect_err(|_| self.ended = Some(Ended::ByHost))
    }

    fn receive(&mut self) -> Result<Option<Secret>, ConnectionError> {
        self.deciding = None;
        self.link.set_deadline(Instant::now() + self.answer_timeout);
        let received: Result<FromHost, _> = self.link.receive();
        self.deciding = self.permits.acquire(Purpose::Deciding);
        let message = received.inspect_err(|error| {
            self.ended = Some(match error {
                CodecError::TimedOut => Ended::TimedOut,
                _ => Ended::ByHost,
            });
        })?;
        let next = self.state.after(message.kind());
        next.inspect_err(|_| self.ended = Some(Ended::ByHost))?;
        match message {
            FromHost::Answer(answer) if answer.conversation == self.conversation => {
                self.state = State::Opened;
                self.send(&FromServer::Accepted(None))?;
                Ok(answer.answer)
            }
            _ => {
                self.ended = Some(Ended::ByHost);
                Err(CodecError::Aborted.into())
            }
        }
    }

    /// Sends the end of the conversation, which may be another than what was decided.
    fn finish(self, end: &FromServer) -> Result<(), ConnectionError> {
        let Self {
            link,
            mut state,
            answer_timeout,
            progress,
            ..
        } = self;
        match self.ended {
            Some(Ended::ByHost) => return Err(CodecError::Closed.into()),
            Some(Ended::Refused(error)) => return refuse_host(link, state, &error),
            Some(Ended::TimedOut) => {
                let text = endings::login_timed_out(answer_timeout, progress);
                let why = endings::why_timed_out(answer_timeout);
                return refuse(link, state, &text, wire::Verdict::NoAnswer, &why);
            }
            None => {}
        }
        send(link, &mut state, end)
    }
}

impl Terminal for HostTerminal<'_> {
    fn reach(&mut self, stage: Stage) {
        self.answer_timeout = ENROLMENT_TIMEOUT;
        self.progress.reach(stage);
    }

    fn prompt(&mut self, prompt: Prompt) -> Result<Option<Secret>, TerminalClosed> {
        self.send(&turns::prompt_on_the_wire(prompt))?;
        let answer = self.receive()?;
        if let Err(error) = self.store.host_by_key(&self.key, (self.clock)()) {
            self.ended = Some(Ended::Refused(error));
            return Err(ConnectionError::from(CodecError::Aborted).into());
        }
        Ok(answer)
    }

    fn info(&mut self, text: Secret) -> Result<(), TerminalClosed> {
        Ok(self.send(&FromServer::Info(text))?)
    }

    fn error(&mut self, text: &str) -> Result<(), TerminalClosed> {
        Ok(self.send(&FromServer::Error(text.to_owned()))?)
    }
}
