//! The conversations of one host on one connection. With each message the host's row is looked at: one that was removed, or
//! whose certificate has ended, is refused at once. What a message means is found in [`turns`] and [`own_turns`].

use std::time::{Duration, Instant};

use twofa_core::Account;
use twofa_fleet::stream::ToHost;
use twofa_fleet::wire::{self, DeviceClaim, FromHost, FromServer};
use twofa_proto::ConnectionError;
use twofa_proto::codec::CodecError;
use twofa_proto::state::State;
use twofa_store::{StoreError, deadline as store_deadline};

use super::connection::{Asking, HostConnection, MESSAGE_TIMEOUT, Next};
use super::opened::Opened;
use super::own_turns;
use super::permits::Purpose;
use super::replies::{refuse, refuse_host, send};
use super::seen::note_seen;
use super::spoken::{Spoken, too_many};
use super::turns;
use super::work::{Job, Task};
use super::{Shared, policy, watch};
use crate::context::Services;
use crate::fleet::marks;
use crate::requests::broker::Broker;
use crate::text::messages::{self, endings};

fn wait_if(goes_on: bool, connection: HostConnection) -> Next {
    if goes_on {
        Next::Wait(connection)
    } else {
        Next::End
    }
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
        shown,
        ..
    } = &mut connection;
    if task == Task::TimeOut {
        let timed_out = asking.take().map(|asking| time_out(link, &asking));
        return match timed_out {
            Some(Ok(())) => Next::Wait(connection),
            Some(Err(_)) | None => Next::End,
        };
    }
    link.set_deadline(Instant::now() + MESSAGE_TIMEOUT);
    let Ok(message) = link.receive().map(FromHost::without_device) else {
        return Next::End;
    };
    if let FromHost::Policy { known } = message.0 {
        let is_served = asking.is_none() && policy::serve(shared, link, (*key, shown), known);
        return wait_if(is_served, connection);
    }
    // Whatever else comes is out of turn, and ends the connection.
    if !is_in_turn(&message.0, *asking) {
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
            refuse(link, State::Opened, messages::UNAVAILABLE, verdict, &why).map(|()| None)
        }
    };
    if broker.is_ok_and(|broker| broker.store().may_have_notices()) {
        shared.notices.wake();
    }
    match served {
        Ok(waiting) => {
            *asking = waiting;
            Next::Wait(connection)
        }
        Err(_) => Next::End,
    }
}

/// Whether the message may come where `asking` waits for an answer.
fn is_in_turn(message: &FromHost, asking: Option<Asking>) -> bool {
    match (message, asking) {
        (FromHost::Login(_) | FromHost::Resume(_) | FromHost::Own(_), None) => true,
        (FromHost::Answer(answer), Some(asking)) => answer.conversation == asking.conversation,
        _ => false,
    }
}

/// Ends a conversation whose prompt was not answered. Its row ends by itself.
fn time_out(link: &mut ToHost, asking: &Asking) -> Result<(), ConnectionError> {
    let text = endings::login_timed_out(asking.timeout, asking.progress);
    let why = endings::why_timed_out(asking.timeout);
    refuse(link, State::Asking, &text, wire::Verdict::NoAnswer, &why)
}

/// Replies to a message that came at `since`. Returns what waits for an answer, if anything does.
fn reply_to(
    shared: &Shared,
    broker: &Broker,
    link: &mut ToHost,
    (key, about): ([u8; 32], &mut Option<Account>),
    (message, device): &(FromHost, Option<DeviceClaim>),
    since: Instant,
) -> Result<Option<Asking>, ConnectionError> {
    match message {
        FromHost::Login(login) => *about = Some(turns::account(login)),
        FromHost::Own(request) => *about = Some(Opened::Own(request.clone()).account()),
        _ => {}
    }
    let (conversation, deadline) = match message {
        FromHost::Login(login) => (login.conversation, login.deadline),
        FromHost::Answer(answer) | FromHost::Resume(answer) => {
            (answer.conversation, answer.deadline)
        }
        FromHost::Own(request) => (request.conversation, request.deadline),
        FromHost::LoginFrom(..) | FromHost::Policy { .. } => {
            return Err(CodecError::Aborted.into());
        }
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
    let replied = store_deadline::within(deadline, || {
        reply(shared, services, (key, about), (message, device.as_ref()))
    });
    let Spoken {
        said,
        timeout,
        progress,
    } = match replied {
        Ok(spoken) => spoken,
        Err(error) => {
            return refuse_host(link, state, &error).map(|()| None);
        }
    };
    for message in &said {
        send(link, &mut state, message)?;
    }
    let is_asking = state == State::Asking;
    Ok(is_asking.then_some(Asking {
        conversation,
        timeout,
        progress,
    }))
}

fn reply(
    shared: &Shared,
    services: Services<'_>,
    (key, about): ([u8; 32], Option<&Account>),
    (message, device): (&FromHost, Option<&DeviceClaim>),
) -> Result<Spoken, StoreError> {
    match message {
        FromHost::Login(login) => {
            // What is decided from is read afterwards.
            let Some(_seat) = shared.seats.wait(key, &login.user, turns::until(services)) else {
                return Ok(too_many().into());
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
            turns::begin(services, key, host, login, device)
        }
        FromHost::Answer(answer) | FromHost::Resume(answer) => {
            turns::go_on(services, &shared.seats, key, about, answer)
        }
        FromHost::Own(request) => {
            let Some(_seat) = shared
                .seats
                .wait(key, &request.user, turns::until(services))
            else {
                return Ok(too_many().into());
            };
            let host = services.store.host_by_key(&key, services.now())?;
            check_seen(services, request.seen.as_ref())?;
            note_seen(shared, services, &host, &request.version);
            own_turns::begin(services, key, host, request)
        }
        // It is no message of a conversation.
        FromHost::LoginFrom(..) | FromHost::Policy { .. } => Ok(Vec::new().into()),
    }
}

/// Refuses where the database does not know the mark that a host has seen.
fn check_seen(services: Services<'_>, seen: Option<&wire::Mark>) -> Result<(), StoreError> {
    seen.map_or(Ok(()), |seen| {
        services.store.check_mark(&marks::from_the_wire(*seen))
    })
}
