//! The conversations of one host on one connection. With each message the host's row is looked at: one that was removed, or
//! whose certificate has ended, is refused at once. What a message means is found in [`turns`]; what takes a thread of its own
//! from its beginning to its end is [`held`](super::held).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use twofa_core::Account;
use twofa_core::text::printable;
use twofa_fleet::stream::ToHost;
use twofa_fleet::wire::{self, ConversationId, FromHost, FromServer};
use twofa_proto::ConnectionError;
use twofa_proto::codec::CodecError;
use twofa_proto::state::State;
use twofa_store::{Host, StoreError, deadline as store_deadline};

use super::connection::HostConnection;
use super::held::{Held, HeldWork};
use super::permits::Purpose;
use super::turns::{self, Reply};
use super::work::{Job, Task};
use super::{Shared, WRITE_TIMEOUT, policy, watch};
use crate::context::Services;
use crate::fleet::marks;
use crate::process::log;
use crate::requests::broker::Broker;
use crate::requests::connection::ANSWER_TIMEOUT;
use crate::text::messages::{self, endings, reasons};
use crate::text::terminal::Progress;

/// How long a host may take to send a message that has begun to arrive.
pub(super) const MESSAGE_TIMEOUT: Duration = Duration::from_secs(5);
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
    /// This is to be done in a thread of its own.
    Hold(HostConnection, Box<Held>),
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
    if connection.watcher.is_some() {
        return watch::serve(shared, connection, task);
    }
    let HostConnection {
        link,
        key,
        asking,
        about,
        ..
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
        Ok(broker) => reply_to(shared, broker, link, (*key, about), &message, since),
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
        Ok(Replied::Held(held)) => Next::Hold(connection, held),
        Err(_) => Next::End,
    }
}

/// What became of a message.
enum Replied {
    /// This conversation waits for an answer, if any does.
    Asked(Option<ConversationId>),
    Held(Box<Held>),
}

/// Whether the message may come where `asking` waits for an answer.
fn is_in_turn(message: &FromHost, asking: Option<ConversationId>) -> bool {
    match (message, asking) {
        (FromHost::Login(_) | FromHost::Resume(_) | FromHost::Own(_), None) => true,
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
    (key, about): ([u8; 32], &mut Option<Account>),
    message: &FromHost,
    since: Instant,
) -> Result<Replied, ConnectionError> {
    if let FromHost::Login(login) = message {
        *about = Some(turns::account(login));
    }
    let (conversation, deadline) = match message {
        FromHost::Login(login) => (login.conversation, login.deadline),
        FromHost::Answer(answer) | FromHost::Resume(answer) => {
            (answer.conversation, answer.deadline)
        }
        FromHost::Own(request) => (request.conversation, request.deadline),
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
    let about = about.as_ref();
    let replied =
        store_deadline::within(deadline, || reply(shared, services, (key, about), message));
    let said = match replied {
        Ok(Reply::Say(said)) => said,
        Ok(Reply::Hold(host)) => {
            let work = match message {
                FromHost::Login(login) => HeldWork::Login(login.clone()),
                FromHost::Own(request) => HeldWork::Own(request.clone()),
                _ => return Err(CodecError::Aborted.into()),
            };
            return Ok(Replied::Held(Box::new(Held { host: *host, work })));
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
    (key, about): ([u8; 32], Option<&Account>),
    message: &FromHost,
) -> Result<Reply, StoreError> {
    match message {
        FromHost::Login(login) => {
            // What is decided from is read afterwards.
            let Some(_seat) = shared.seats.wait(key, &login.user, turns::until(services)) else {
                return Ok(Reply::Say(turns::too_many()));
            };
            let seen = login.seen.map(marks::from_the_wire);
            let account = turns::account(login);
            let (host, at_hand) =
                services
                    .store
                    .read_for_login(&key, &account, seen.as_ref(), services.now())?;
            note_seen(shared, services, &host, &login.version);
            let services = Services {
                at_hand: Some(&at_hand),
                ..services
            };
            turns::begin(services, key, host, login)
        }
        FromHost::Answer(answer) | FromHost::Resume(answer) => {
            turns::go_on(services, &shared.seats, key, about, answer).map(Reply::Say)
        }
        FromHost::Own(request) => {
            let host = services.store.host_by_key(&key, services.now())?;
            check_seen(services, request.seen.as_ref())?;
            note_seen(shared, services, &host, &request.version);
            Ok(Reply::Hold(Box::new(host)))
        }
        // It is no message of a conversation.
        FromHost::Policy { .. } => Ok(Reply::Say(Vec::new())),
    }
}

/// Refuses where the database does not know the mark that a host has seen.
fn check_seen(services: Services<'_>, seen: Option<&wire::Mark>) -> Result<(), StoreError> {
    seen.map_or(Ok(()), |seen| {
        services.store.check_mark(&marks::from_the_wire(*seen))
    })
}

/// Notes now and then that the host is there.
pub(super) fn note_seen(shared: &Shared, services: Services<'_>, host: &Host, version: &str) {
    if shared.seen.is_due(&host.id) {
        // Only a listing shows it.
        let version: String = printable(version).chars().take(MAX_VERSION).collect();
        let _ = services
            .store
            .note_host_seen(&host.id, &version, services.now());
    }
}

pub(super) fn send(
    link: &mut ToHost,
    state: &mut State,
    message: &FromServer,
) -> Result<(), ConnectionError> {
    *state = state.after(message.kind())?;
    link.set_deadline(Instant::now() + WRITE_TIMEOUT);
    Ok(link.send(message)?)
}

/// Ends the conversation of a host that is not one of the fleet now, and with it the connection.
pub(super) fn refuse_host(
    link: &mut ToHost,
    state: State,
    error: &StoreError,
) -> Result<(), ConnectionError> {
    let (text, verdict) = match error {
        StoreError::HostRefused => (messages::HOST_REFUSED, wire::Verdict::Denied),
        _ => (messages::UNAVAILABLE, wire::Verdict::Unavailable),
    };
    log::warn(&reasons::host_refused(error));
    refuse(link, state, text, verdict, &error.to_string())?;
    Err(CodecError::Aborted.into())
}

pub(super) fn refuse(
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
