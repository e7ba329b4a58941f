//! One message of a host and the reply to it. Between the two a conversation is in the store alone, so that any server replies
//! to the next.
//!
//! An answer has a number. One that comes a second time, because the host did not get the reply, gets that reply again; the
//! store sees to it that no answer is verified twice ([`twofa_store::Conversation`]).

use std::time::{Duration, Instant};

use twofa_core::Account;
use twofa_fleet::wire::{self, ConversationId, DeviceClaim, FromServer, HostAnswer, HostLogin};
use twofa_proto::{Confirm, Done, Login, Request, Verdict};
use twofa_store::{
    AnswerVerdict, Answering, Conversation, Host, NewConversation, OfAnswer, Store, StoreError,
    Turn,
};

use super::opened::{Described, Opened};
use super::own_turns;
use super::seats::{Seat, Seats};
use super::spoken::{
    Spoken, Worked, end_of_prompt, from_text, origin, over, repeated, said, settled, to_text,
    too_many, wait,
};
use crate::context::Services;
use crate::identity::first_factor::FirstFactor;
use crate::identity::relayed::{AnswerTurn, RelayedPeer};
use crate::methods::enrolment::EnrolmentState;
use crate::process::log;
use crate::requests::login::{Exchange, RelayedLogin, Served, record_given_up, serve_relayed};
use crate::text::messages::log_lines;

/// How often an answer is looked up again because another server has it too.
const READS: u32 = 5;
/// Conversations that are swept away in one transaction.
const SWEPT_AT_ONCE: u32 = 500;
/// For how long they are swept away before what else is to be done has its turn.
const SWEEPING: Duration = Duration::from_secs(10);

/// A login on the host whose certificate has `key`, from this device.
pub(super) fn begin(
    services: Services<'_>,
    key: [u8; 32],
    host: Host,
    login: &HostLogin,
    device: Option<&DeviceClaim>,
) -> Result<Spoken, StoreError> {
    let described = Described {
        login: login.clone(),
        device: device.cloned(),
    };
    let opened = Opened::Login(Box::new(described));
    if login.is_again {
        let found = services
            .store
            .conversation(&login.conversation, &key, services.now())?;
        if let Some(found) = found {
            return Ok(repeated(&found, &opened));
        }
    }
    let id = host.id.clone();
    let peer = RelayedPeer::new(host, key, login.asked_by);
    match serve(services, &peer, (login, device), Exchange::default()) {
        Worked::AnsweredMeanwhile => Ok(over().into()),
        Worked::Said { state, said, .. } => {
            if state.is_none() {
                note_passed(services, &peer, &id, login, &said);
            }
            wait(services, &peer, &id, &opened, state.as_deref(), said)
        }
    }
}

/// Works on a login, or on an answer in it.
fn serve(
    services: Services<'_>,
    peer: &RelayedPeer,
    (login, device): (&HostLogin, Option<&DeviceClaim>),
    mut exchange: Exchange,
) -> Worked {
    let (request, account) = read(login);
    let Some(relayed) = relayed(&request, &account, login) else {
        return settled(over());
    };
    let relayed = RelayedLogin { device, ..relayed };
    match serve_relayed(services, peer, relayed, &mut exchange) {
        Served::AnsweredMeanwhile => Worked::AnsweredMeanwhile,
        Served::Asked => said(exchange, None, false),
        Served::Done(done) => {
            // That it has passed is on record with its verdict.
            let is_settled = is_passed(&done);
            said(exchange, Some(done_on_the_wire(done)), is_settled)
        }
        Served::Failed(done) => said(exchange, Some(done_on_the_wire(done)), true),
    }
}

/// Notes a login that passed with no conversation that is on record, so that its host can report its session. It passes
/// whether that can be noted or not.
fn note_passed(
    services: Services<'_>,
    peer: &RelayedPeer,
    host: &str,
    login: &HostLogin,
    said: &[FromServer],
) {
    let Some(FromServer::Done {
        verdict:
            wire::Verdict::Passed
            | wire::Verdict::NotRequired
            | wire::Verdict::Exempt
            | wire::Verdict::Trusted,
        ..
    }) = said.last()
    else {
        return;
    };
    let (Ok(described), Ok(reply)) = (to_text(login), to_text(&said)) else {
        return;
    };
    let now = services.now();
    let new = NewConversation {
        id: &login.conversation,
        host,
        account: &login.user,
        login: &described,
        state: "",
        reply: &reply,
        is_secret: false,
        until: now,
    };
    let noted = services
        .store
        .note_passed_conversation(new, &origin(peer), now);
    if let Err(error) = noted {
        log::warn(&log_lines::session_not_noted(&error));
    }
}

/// An answer on the host whose certificate has `key`, probably `about` this account.
pub(super) fn go_on(
    services: Services<'_>,
    seats: &Seats,
    key: [u8; 32],
    about: Option<&Account>,
    answer: &HostAnswer,
) -> Result<Spoken, StoreError> {
    let HostAnswer {
        conversation,
        number,
        ..
    } = *answer;
    let store = services.store;
    let typed = answer.answer.as_ref().map(twofa_proto::Secret::expose);
    let answering = Answering {
        conversation,
        number,
        hash: store.answer_hash(&conversation, number, typed),
        goes_on: false,
    };
    let mut likely = about.cloned();
    for _ in 0..READS {
        // What is decided from is read once there is a seat.
        let _seat = match seat_for(services, seats, key, likely.as_ref()) {
            Ok(seat) => seat,
            Err(none) => return Ok(none.into()),
        };
        let now = services.now();
        let OfAnswer {
            host,
            conversation: found,
            at_hand,
        } = store.read_for_answer(&key, &conversation, likely.as_ref(), account_of, now)?;
        let Some(found) = found else {
            return Ok(over().into());
        };
        let services = Services {
            at_hand: at_hand.as_ref(),
            ..services
        };
        let is_same = found.number == number && found.hash == Some(answering.hash);
        let is_next =
            number.checked_sub(1) == Some(found.number) && found.reply.is_some() && !found.is_over;
        match &found.reply {
            Some(reply) if is_same => return Ok(Spoken::new(from_text(reply)?, &found.state)),
            None if is_same => confirm(store, &conversation, &found)?,
            _ if is_next => {}
            // Another answer has this number, or the conversation is elsewhere.
            _ => return Ok(over().into()),
        }
        check_sealed(&found)?;
        let opened = Opened::read(&found.login)?;
        let of_it = opened.account();
        if likely.as_ref() != Some(&of_it) {
            likely = Some(of_it);
            continue;
        }
        let turn = AnswerTurn {
            answering,
            verdict: found.verdict.filter(|_| is_same),
            has_failed: Exchange::has_failed(&found.state),
        };
        let peer = RelayedPeer::new(host, key, opened.asked_by()).at(turn);
        if let Some(said) = answer_once(services, &peer, &opened, &found.state, answer)? {
            return Ok(said);
        }
    }
    Ok(over().into())
}

/// The account that a conversation is about, as its host has it.
fn account_of(found: &Conversation) -> Option<Account> {
    let opened = Opened::read(&found.login).ok()?;
    Some(opened.account())
}

/// Only a server can seal, and what is set up goes on from what a server has sealed.
fn check_sealed(found: &Conversation) -> Result<(), StoreError> {
    if EnrolmentState::is_one(&found.state) && !found.is_secret {
        let what = "an enrolment is not sealed".to_owned();
        return Err(StoreError::Damaged(what));
    }
    Ok(())
}

/// Returns when a verdict on a right answer is durable, which was read because its reply was lost or could not be given.
fn confirm(store: &Store, id: &ConversationId, found: &Conversation) -> Result<(), StoreError> {
    if !matches!(
        found.verdict,
        Some(AnswerVerdict::Wrong(_) | AnswerVerdict::Counted) | None
    ) {
        store.confirm_verdict(id)?;
    }
    Ok(())
}

/// A seat for a message about `account`, if that is known. The error is the reply where none is free in time.
fn seat_for<'a>(
    services: Services<'_>,
    seats: &'a Seats,
    key: [u8; 32],
    account: Option<&Account>,
) -> Result<Option<Seat<'a>>, Vec<FromServer>> {
    let seat = |account: &Account| seats.wait(key, &account.name, until(services));
    account
        .map(|account| seat(account).ok_or_else(too_many))
        .transpose()
}

/// The reply to the answer; `None`: another server was quicker.
fn answer_once(
    services: Services<'_>,
    peer: &RelayedPeer,
    opened: &Opened,
    state: &str,
    answer: &HostAnswer,
) -> Result<Option<Spoken>, StoreError> {
    let exchange = Exchange::answer(state, answer.answer.clone());
    let worked = match opened {
        Opened::Login(described) => {
            let login = (&described.login, described.device.as_ref());
            serve(services, peer, login, exchange)
        }
        Opened::Own(request) => own_turns::serve(services, peer, request, exchange),
    };
    let (
        Worked::Said {
            state,
            said,
            is_settled,
        },
        Some(turn),
    ) = (worked, peer.turn.as_ref())
    else {
        return Ok(None);
    };
    if is_settled {
        return Ok(Some(said.into()));
    }
    let now = services.now();
    let next = state.as_ref().map(|state| state.as_str());
    let until = end_of_prompt(next.unwrap_or_default(), now);
    let turn = Turn {
        answering: &turn.answering,
        state: next,
        reply: &to_text(&said)?,
        is_secret: next.is_some_and(EnrolmentState::is_one),
        until,
    };
    let is_recorded = services.store.end_turn(turn, &origin(peer), now)?;
    Ok(is_recorded.then(|| Spoken::new(said, next.unwrap_or_default())))
}

/// Removes what has ended, and records who left a login at its prompt. Says whether nothing is left.
pub(super) fn sweep(services: Services<'_>) -> Result<bool, StoreError> {
    let begun = Instant::now();
    loop {
        let swept = services
            .store
            .sweep_conversations(services.now(), SWEPT_AT_ONCE)?;
        for (conversation, key) in swept.given_up {
            let recorded = record_one(services, &conversation, key);
            if let Err(error) = recorded {
                log::warn(&log_lines::conversation_not_recorded(&error));
            }
        }
        // So many that have ended since then can wait.
        if swept.removed < SWEPT_AT_ONCE as usize {
            return Ok(true);
        }
        if begun.elapsed() >= SWEEPING {
            return Ok(false);
        }
    }
}

fn record_one(
    services: Services<'_>,
    conversation: &Conversation,
    key: [u8; 32],
) -> Result<(), StoreError> {
    let host = services.store.host_by_key(&key, services.now())?;
    let Opened::Login(described) = Opened::read(&conversation.login)? else {
        return Ok(());
    };
    let login = described.login;
    let has_failed = match conversation.verdict {
        Some(AnswerVerdict::Wrong(_) | AnswerVerdict::Counted) => true,
        _ => Exchange::has_failed(&conversation.state),
    };
    if has_failed {
        return Ok(());
    }
    let (request, account) = read(&login);
    let peer = RelayedPeer::new(host, key, login.asked_by);
    relayed(&request, &account, &login)
        .map_or(Ok(()), |relayed| record_given_up(services, &peer, relayed))
}

/// The account that is to log in, as the host has it.
pub(super) fn account(login: &HostLogin) -> Account {
    Account {
        name: login.user.clone(),
        uid: login.uid,
    }
}

/// The login in the terms of this machine. There is no evidence in it: that is what this machine's root has seen.
fn read(login: &HostLogin) -> (Request, Account) {
    let account = account(login);
    let described = Login {
        user: login.user.clone(),
        service: login.service.clone(),
        remote_host: login.remote_host.clone(),
        remote_user: login.remote_user.clone(),
        terminal: login.terminal.clone(),
        behind_password: login.behind_password,
        may_ask: login.may_ask,
        cannot_answer: login.cannot_answer,
        ..Login::default()
    };
    let request = if login.is_account {
        Request::Account(described)
    } else {
        Request::Login(described)
    };
    (request, account)
}

/// The same as one of a host.
fn relayed<'a>(
    request: &'a Request,
    account: &'a Account,
    login: &HostLogin,
) -> Option<RelayedLogin<'a>> {
    let (Request::Login(described) | Request::Account(described)) = request else {
        return None;
    };
    Some(RelayedLogin {
        request,
        login: described,
        account,
        first_factor: match login.first_factor {
            wire::FirstFactor::Shown => FirstFactor::Shown,
            wire::FirstFactor::LaterLine => FirstFactor::LaterLine,
            wire::FirstFactor::Unknown => FirstFactor::Unknown,
        },
        is_sshd: login.is_sshd,
        device: None,
    })
}

/// What the host is told. Only what needs nothing more of this server is a pass.
fn done_on_the_wire(done: Done) -> FromServer {
    let Done::Login {
        verdict,
        why,
        confirm,
    } = done
    else {
        return FromServer::Done {
            verdict: wire::Verdict::Unavailable,
            why: String::new(),
        };
    };
    let verdict = match (verdict, confirm) {
        (Verdict::Passed, Confirm::No) => wire::Verdict::Passed,
        (Verdict::NotRequired, Confirm::No) => wire::Verdict::NotRequired,
        (Verdict::Exempt, Confirm::No) => wire::Verdict::Exempt,
        (Verdict::Later, Confirm::No) => wire::Verdict::Later,
        (Verdict::Trusted, Confirm::No) => wire::Verdict::Trusted,
        (Verdict::TriesUsedUp, _) => wire::Verdict::TriesUsedUp,
        (Verdict::Unavailable, _) => wire::Verdict::Unavailable,
        (Verdict::NoAnswer, _) => wire::Verdict::NoAnswer,
        _ => wire::Verdict::Denied,
    };
    FromServer::Done { verdict, why }
}

const fn is_passed(done: &Done) -> bool {
    matches!(
        done,
        Done::Login {
            verdict: Verdict::Passed,
            ..
        }
    )
}

/// Until when a message waits for others about the same person: as long as its host waits for the reply.
pub(super) fn until(services: Services<'_>) -> Instant {
    services.deadline.unwrap_or_else(Instant::now)
}

#[cfg(test)]
mod tests;
