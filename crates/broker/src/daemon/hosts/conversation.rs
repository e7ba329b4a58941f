//! The conversations of one host on one connection. With each message the host's row is looked at: one that was removed, or
//! whose certificate has ended, is refused at once. What a message means is found in [`turns`]; only a login in which a method
//! is set up is held here from its beginning to its end.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use twofa_core::Timestamp;
use twofa_core::text::printable;
use twofa_fleet::stream::ToHost;
use twofa_fleet::wire::{self, ConversationId, FromHost, FromServer, HostLogin};
use twofa_proto::codec::CodecError;
use twofa_proto::state::State;
use twofa_proto::{ConnectionError, Done, Prompt, Secret};
use twofa_store::{Host, Store, StoreError, deadline as store_deadline};

use super::connection::HostConnection;
use super::permits::{Permit, Permits, Purpose};
use super::turns::{self, Reply};
use super::work::{Job, Task};
use super::{Shared, WRITE_TIMEOUT, policy};
use crate::context::Services;
use crate::fleet::marks;
use crate::identity::relayed::RelayedPeer;
use crate::process::log;
use crate::requests::broker::Broker;
use crate::requests::connection::{ANSWER_TIMEOUT, ENROLMENT_TIMEOUT};
use crate::requests::login::{RelayedLogin, Served, serve_relayed};
use crate::text::messages::{self, endings, reasons};
use crate::text::terminal::{Progress, Stage, Terminal, TerminalClosed};

/// How long a host may take to send a message that has begun to arrive.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(5);
/// How often at most it is noted that somebody logs in on a host.
const SEEN_INTERVAL: Duration = Duration::from_secs(60);
/// Characters of a host's version that are kept at most.
const MAX_VERSION: usize = 32;

/// When it was noted of each host that somebody logs in there.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<HashMap<String, Instant>>);

impl Seen {
    fn is_due(&self, host: &str) -> bool {
        let now = Instant::now();
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, at| now.saturating_duration_since(*at) < SEEN_INTERVAL);
        let is_due = !seen.contains_key(host);
        if is_due {
            seen.insert(host.to_owned(), now);
        }
        is_due
    }
}

/// What became of a connection on which something was done.
pub(super) enum Next {
    /// It waits for the next message.
    Wait(HostConnection),
    /// A method is to be set up, by this call, in a thread of its own.
    Hold(HostConnection, Box<HeldLogin>),
    /// It has ended.
    End,
}

/// Works on one message of a host, and replies.
pub(super) fn serve(shared: &Shared, job: Job) -> Next {
    let Job {
        mut connection,
        task,
        since,
    } = job;
    let HostConnection {
        link, key, asking, ..
    } = &mut connection;
    if task == Task::TimeOut {
        *asking = None;
        return match time_out(link) {
            Ok(()) => Next::Wait(connection),
            Err(_) => Next::End,
        };
    }
    link.set_deadline(Instant::now() + MESSAGE_TIMEOUT);
    let Ok(message) = link.receive() else {
        return Next::End;
    };
    if let FromHost::Policy { known } = message {
        let is_served = asking.is_none() && policy::serve(shared, link, *key, known);
        return if is_served {
            Next::Wait(connection)
        } else {
            Next::End
        };
    }
    // Whatever else comes is out of turn, and ends the connection.
    if !is_in_turn(&message, *asking) {
        return Next::End;
    }
    let Some(_deciding) = shared.permits.acquire(Purpose::Deciding) else {
        return Next::End;
    };
    let broker = shared.store.open();
    let served = match &broker {
        Ok(broker) => reply_to(shared, broker, link, *key, &message, since),
        Err(error) => {
            let (verdict, why) = (wire::Verdict::Unavailable, error.to_string());
            refuse(link, State::Opened, messages::UNAVAILABLE, verdict, &why)
                .map(|()| Replied::Asked(None))
        }
    };
    if broker.is_ok_and(|broker| broker.store().may_have_notices()) {
        shared.notices.wake();
    }
    match served {
        Ok(Replied::Asked(waiting)) => {
            *asking = waiting;
            Next::Wait(connection)
        }
        Ok(Replied::Held(login)) => Next::Hold(connection, login),
        Err(_) => Next::End,
    }
}

/// What became of a message.
enum Replied {
    /// This conversation waits for an answer, if any does.
    Asked(Option<ConversationId>),
    Held(Box<HeldLogin>),
}

/// Whether the message may come where `asking` waits for an answer.
fn is_in_turn(message: &FromHost, asking: Option<ConversationId>) -> bool {
    match (message, asking) {
        (FromHost::Login(_) | FromHost::Resume(_), None) => true,
        (FromHost::Answer(answer), Some(asking)) => answer.conversation == asking,
        _ => false,
    }
}

/// Ends a conversation whose prompt was not answered. Its row ends by itself.
fn time_out(link: &mut ToHost) -> Result<(), ConnectionError> {
    let text = endings::login_timed_out(ANSWER_TIMEOUT, Progress::default());
    let why = endings::why_timed_out(ANSWER_TIMEOUT);
    refuse(link, State::Asking, &text, wire::Verdict::NoAnswer, &why)
}

/// Replies to a message that came at `since`.
fn reply_to(
    shared: &Shared,
    broker: &Broker,
    link: &mut ToHost,
    key: [u8; 32],
    message: &FromHost,
    since: Instant,
) -> Result<Replied, ConnectionError> {
    let (conversation, deadline) = match message {
        FromHost::Login(login) => (login.conversation, login.deadline),
        FromHost::Answer(answer) | FromHost::Resume(answer) => {
            (answer.conversation, answer.deadline)
        }
        FromHost::Policy { .. } => return Err(CodecError::Aborted.into()),
    };
    let mut state = State::Opened;
    let mark = broker.store().last_mark().ok().flatten();
    let accepted = FromServer::Accepted(mark.as_ref().map(marks::on_the_wire));
    send(link, &mut state, &accepted)?;
    let deadline = since + Duration::from_millis(deadline.into());
    if deadline <= Instant::now() {
        // Nobody waits for it.
        return Err(CodecError::TimedOut.into());
    }
    let services = Services {
        deadline: Some(deadline),
        ..broker.services()
    };
    let replied = store_deadline::within(deadline, || reply(shared, services, key, message));
    let said = match replied {
        Ok(Reply::Say(said)) => said,
        Ok(Reply::Hold(host)) => {
            let FromHost::Login(login) = message else {
                return Err(CodecError::Aborted.into());
            };
            let login = login.clone();
            return Ok(Replied::Held(Box::new(HeldLogin { host: *host, login })));
        }
        Err(error) => {
            return refuse_host(link, state, &error).map(|()| Replied::Asked(None));
        }
    };
    for message in &said {
        send(link, &mut state, message)?;
    }
    let is_asking = state == State::Asking;
    Ok(Replied::Asked(is_asking.then_some(conversation)))
}

fn reply(
    shared: &Shared,
    services: Services<'_>,
    key: [u8; 32],
    message: &FromHost,
) -> Result<Reply, StoreError> {
    let host = services.store.host_by_key(&key, services.now())?;
    match message {
        FromHost::Login(login) => {
            if let Some(seen) = login.seen {
                services.store.check_mark(&marks::from_the_wire(seen))?;
            }
            if shared.seen.is_due(&host.id) {
                // Only a listing shows it.
                let version = printable(&login.version);
                let version: String = version.chars().take(MAX_VERSION).collect();
                let _ = services
                    .store
                    .note_host_seen(&host.id, &version, services.now());
            }
            turns::begin(services, key, host, login)
        }
        FromHost::Answer(answer) | FromHost::Resume(answer) => {
            turns::go_on(services, key, &host, answer).map(Reply::Say)
        }
        // It is no message of a conversation.
        FromHost::Policy { .. } => Ok(Reply::Say(Vec::new())),
    }
}

/// A login in which a method is set up.
#[derive(Debug)]
pub(super) struct HeldLogin {
    host: Host,
    login: HostLogin,
}

/// Serves a login in which a method is set up. This thread is held until it ends.
pub(super) fn hold(
    shared: &Shared,
    mut connection: HostConnection,
    held: HeldLogin,
) -> Option<HostConnection> {
    let HeldLogin { host, login } = held;
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
        conversation: login.conversation,
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
    let (request, account) = turns::read(&login);
    let relayed = RelayedLogin {
        may_hold: true,
        ..turns::relayed(&request, &account, &login)?
    };
    let peer = RelayedPeer::new(host, *key, login.asked_by);
    let finished = match serve_relayed(services, &peer, relayed, &mut terminal) {
        Served::Done(done) | Served::Failed(done) => terminal.finish(done),
        Served::Asked | Served::MustHold | Served::AnsweredMeanwhile => {
            Err(CodecError::Aborted.into())
        }
    };
    if services.store.may_have_notices() {
        shared.notices.wake();
    }
    finished.is_ok().then_some(connection)
}

/// The host as a terminal.
struct HostTerminal<'a> {
    link: &'a mut ToHost,
    conversation: ConversationId,
    state: State,
    store: &'a Store,
    clock: fn() -> Timestamp,
    key: [u8; 32],
    permits: std::sync::Arc<Permits>,
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

    /// Sends the end of the conversation, which may be another than that of the login.
    fn finish(self, done: Done) -> Result<(), ConnectionError> {
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
        send(link, &mut state, &turns::done_on_the_wire(done))
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

fn send(link: &mut ToHost, state: &mut State, message: &FromServer) -> Result<(), ConnectionError> {
    *state = state.after(message.kind())?;
    link.set_deadline(Instant::now() + WRITE_TIMEOUT);
    Ok(link.send(message)?)
}

/// Ends the conversation of a host that is not one of the fleet now, and with it the connection.
fn refuse_host(link: &mut ToHost, state: State, error: &StoreError) -> Result<(), ConnectionError> {
    let (text, verdict) = match error {
        StoreError::HostRefused => (messages::HOST_REFUSED, wire::Verdict::Denied),
        _ => (messages::UNAVAILABLE, wire::Verdict::Unavailable),
    };
    log::warn(&reasons::host_refused(error));
    refuse(link, state, text, verdict, &error.to_string())?;
    Err(CodecError::Aborted.into())
}

fn refuse(
    link: &mut ToHost,
    mut state: State,
    text: &str,
    verdict: wire::Verdict,
    why: &str,
) -> Result<(), ConnectionError> {
    if state == State::Opened {
        send(link, &mut state, &FromServer::Accepted(None))?;
    }
    send(link, &mut state, &FromServer::Error(text.to_owned()))?;
    let why = why.to_owned();
    send(link, &mut state, &FromServer::Done { verdict, why })
}
