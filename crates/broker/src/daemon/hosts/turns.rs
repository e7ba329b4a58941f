//! One message of a host and the reply to it. Between the two a conversation is in the store alone, so that any server replies
//! to the next.
//!
//! An answer has a number. One that comes a second time, because the host did not get the reply, gets that reply again; the
//! store sees to it that no answer is verified twice ([`twofa_store::Conversation`]).

use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use twofa_core::{Account, Timestamp};
use twofa_fleet::wire::{self, ConversationId, DeviceClaim, FromServer, HostAnswer, HostLogin};
use twofa_proto::{Confirm, Done, Login, Prompt, Request, Verdict};
use twofa_store::event::LoginOrigin;
use twofa_store::{
    AnswerVerdict, Answering, Conversation, Host, NewConversation, OfAnswer, Origin, Store,
    StoreError, Turn,
};
use zeroize::Zeroizing;

use super::seats::{Seat, Seats};
use crate::context::Services;
use crate::identity::first_factor::FirstFactor;
use crate::identity::relayed::{AnswerTurn, RelayedPeer};
use crate::methods::enrolment::EnrolmentState;
use crate::process::log;
use crate::requests::connection::{ANSWER_TIMEOUT, ENROLMENT_TIMEOUT};
use crate::requests::login::{
    Exchange, RelayedLogin, Said, Served, record_given_up, serve_relayed,
};
use crate::text::messages::{self, log_lines, reasons};
use crate::text::terminal::Progress;

/// How often an answer is looked up again because another server has it too.
const READS: u32 = 5;
/// Conversations that are swept away in one transaction.
const SWEPT_AT_ONCE: u32 = 500;
/// For how long they are swept away before what else is to be done has its turn.
const SWEEPING: Duration = Duration::from_secs(10);

/// What is said in reply to a message of a host.
#[derive(Debug)]
pub(super) struct Spoken {
    /// These messages, of which the last is a prompt or the end.
    pub(super) said: Vec<FromServer>,
    /// How long the prompt can be answered.
    pub(super) timeout: Duration,
    /// What has been set up.
    pub(super) progress: Progress,
}

impl From<Vec<FromServer>> for Spoken {
    fn from(said: Vec<FromServer>) -> Self {
        Self::new(said, "")
    }
}

impl Spoken {
    /// What is said where the answer needs this `state`.
    fn new(said: Vec<FromServer>, state: &str) -> Self {
        let enrolment = EnrolmentState::read(state);
        Self {
            said,
            timeout: timeout(state),
            progress: enrolment.map(|it| it.progress()).unwrap_or_default(),
        }
    }
}

/// How long a person may take at the prompt of which `state` was kept.
fn timeout(state: &str) -> Duration {
    if EnrolmentState::is_one(state) {
        ENROLMENT_TIMEOUT
    } else {
        ANSWER_TIMEOUT
    }
}

/// A login as it is on record. The build before knows nothing of the device, and passes over it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Described {
    #[serde(flatten)]
    login: HostLogin,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device: Option<DeviceClaim>,
}

/// A login on the host whose certificate has `key`, from this device.
pub(super) fn begin(
    services: Services<'_>,
    key: [u8; 32],
    host: Host,
    login: &HostLogin,
    device: Option<&DeviceClaim>,
) -> Result<Spoken, StoreError> {
    if login.is_again {
        let found = services
            .store
            .conversation(&login.conversation, &key, services.now())?;
        if let Some(found) = found {
            return Ok(Spoken::new(repeated_login(&found, login), &found.state));
        }
    }
    let (request, account) = read(login);
    let Some(relayed) = relayed(&request, &account, login) else {
        return Ok(over().into());
    };
    let relayed = RelayedLogin { device, ..relayed };
    let id = host.id.clone();
    let peer = RelayedPeer::new(host, key, login.asked_by);
    let mut exchange = Exchange::default();
    let done = match serve_relayed(services, &peer, relayed, &mut exchange) {
        Served::Asked => None,
        Served::Done(done) | Served::Failed(done) => Some(done),
        Served::AnsweredMeanwhile => return Ok(over().into()),
    };
    let (state, said) = said(exchange, done);
    if state.is_none() {
        note_passed(services, &peer, &id, login, &said);
    }
    if let Some(state) = &state {
        let new = NewConversation {
            id: &login.conversation,
            host: &id,
            account: &account.name,
            login: &to_text(&Described {
                login: login.clone(),
                device: device.cloned(),
            })?,
            state,
            reply: &to_text(&said)?,
            is_secret: EnrolmentState::is_one(state),
            until: end_of_prompt(state, services.now()),
        };
        let origin = origin(&peer);
        if !services
            .store
            .begin_conversation(new, &origin, services.now())?
        {
            return Ok(too_many().into());
        }
    }
    let state = state.unwrap_or_default();
    Ok(Spoken::new(said, &state))
}

/// Notes a login that passed with no conversation that is on record, so that its host can report its session. It passes
/// whether that can be noted or not.
pub(super) fn note_passed(
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

/// The reply to a login that another server, or this one on another connection, has replied to.
fn repeated_login(found: &Conversation, login: &HostLogin) -> Vec<FromServer> {
    let of_that = from_text::<HostLogin>(&found.login).ok();
    let is_same = of_that.is_some_and(|of_that| {
        let HostLogin {
            is_again, deadline, ..
        } = of_that;
        HostLogin {
            is_again,
            deadline,
            ..login.clone()
        } == of_that
    });
    let reply = found
        .reply
        .as_deref()
        .filter(|_| found.number == 0 && is_same);
    reply
        .and_then(|reply| from_text(reply).ok())
        .unwrap_or_else(over)
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
        let account_of = |found: &Conversation| Some(account(&from_text(&found.login).ok()?));
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
        let Described { login, device } = from_text(&found.login)?;
        if likely != Some(account(&login)) {
            likely = Some(account(&login));
            continue;
        }
        let turn = AnswerTurn {
            answering,
            verdict: found.verdict.filter(|_| is_same),
            has_failed: Exchange::has_failed(&found.state),
        };
        let peer = RelayedPeer::new(host, key, login.asked_by).at(turn);
        let login = (&login, device.as_ref());
        if let Some(said) = answer_once(services, &peer, login, &found.state, answer)? {
            return Ok(said);
        }
    }
    Ok(over().into())
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
    (login, device): (&HostLogin, Option<&DeviceClaim>),
    state: &str,
    answer: &HostAnswer,
) -> Result<Option<Spoken>, StoreError> {
    let (request, account) = read(login);
    let Some(relayed) = relayed(&request, &account, login) else {
        return Ok(Some(over().into()));
    };
    let relayed = RelayedLogin { device, ..relayed };
    let mut exchange = Exchange::answer(state, answer.answer.clone());
    let done = match serve_relayed(services, peer, relayed, &mut exchange) {
        Served::AnsweredMeanwhile => return Ok(None),
        Served::Failed(done) => return Ok(Some(said(exchange, Some(done)).1.into())),
        Served::Asked => None,
        Served::Done(done) => Some(done),
    };
    let is_passed = is_passed(done.as_ref());
    let (state, said) = said(exchange, done);
    // That it has passed is on record with its verdict.
    if is_passed {
        return Ok(Some(said.into()));
    }
    let Some(turn) = peer.turn.as_ref() else {
        return Ok(None);
    };
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
    let login: HostLogin = from_text(&conversation.login)?;
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
pub(super) fn read(login: &HostLogin) -> (Request, Account) {
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
pub(super) fn relayed<'a>(
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

/// What is said on the wire, and the state that the answer needs; `None`: the conversation is over.
fn said(exchange: Exchange, done: Option<Done>) -> (Option<Zeroizing<String>>, Vec<FromServer>) {
    let said = exchange.said.into_iter().map(|said| match said {
        Said::Info(text) => FromServer::Info(text),
        Said::Error(text) => FromServer::Error(text),
    });
    let mut said: Vec<_> = said.collect();
    match (done, exchange.prompt) {
        (None, Some(prompt)) => {
            said.push(prompt_on_the_wire(prompt));
            (Some(exchange.state), said)
        }
        (done, _) => {
            let done = done.unwrap_or_else(|| Done::Login {
                verdict: Verdict::Unavailable,
                why: String::new(),
                confirm: Confirm::No,
            });
            said.push(done_on_the_wire(done));
            (None, said)
        }
    }
}

pub(super) fn prompt_on_the_wire(prompt: Prompt) -> FromServer {
    let Prompt {
        text,
        echo,
        digits_behind_password,
        link,
    } = prompt;
    FromServer::Prompt {
        text,
        echo,
        digits_behind_password,
        link,
    }
}

/// What the host is told. Only what needs nothing more of this server is a pass.
pub(super) fn done_on_the_wire(done: Done) -> FromServer {
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

const fn is_passed(done: Option<&Done>) -> bool {
    matches!(
        done,
        Some(Done::Login {
            verdict: Verdict::Passed,
            ..
        })
    )
}

/// The reply where there is no such conversation, or it is over, or has gone on with another answer.
fn over() -> Vec<FromServer> {
    vec![
        FromServer::Error(messages::CONVERSATION_OVER.to_owned()),
        FromServer::Done {
            verdict: wire::Verdict::NoAnswer,
            why: reasons::CONVERSATION_OVER.to_owned(),
        },
    ]
}

/// Until when a message waits for others about the same person: as long as its host waits for the reply.
pub(super) fn until(services: Services<'_>) -> Instant {
    services.deadline.unwrap_or_else(Instant::now)
}

/// The reply where too many logins wait for an answer, or as good as at once another server began this one.
pub(super) fn too_many() -> Vec<FromServer> {
    vec![
        FromServer::Error(messages::TOO_MANY_LOGINS.to_owned()),
        FromServer::Done {
            verdict: wire::Verdict::Unavailable,
            why: reasons::TOO_MANY_LOGINS.to_owned(),
        },
    ]
}

fn origin(peer: &RelayedPeer) -> Origin {
    Origin::login(peer.asked_by, LoginOrigin::default()).on_host(peer.origin())
}

/// Until when a prompt that is shown at `now` can be answered, of which `state` was kept.
fn end_of_prompt(state: &str, now: Timestamp) -> Timestamp {
    now.after(timeout(state).as_secs())
}

/// It as text, which may show a key.
fn to_text(value: &impl Serialize) -> Result<Zeroizing<String>, StoreError> {
    let text = serde_json::to_string(value).map(Zeroizing::new);
    text.map_err(|error| StoreError::Other(error.to_string()))
}

fn from_text<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    let damaged = |_| StoreError::Damaged("a conversation does not read".to_owned());
    serde_json::from_str(text).map_err(damaged)
}

#[cfg(test)]
mod tests;
