//! What a host is told in reply to a message, and how that waits in the store for the answer.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use twofa_core::Timestamp;
use twofa_fleet::wire::{self, FromServer};
use twofa_proto::Prompt;
use twofa_store::event::LoginOrigin;
use twofa_store::{Conversation, NewConversation, Origin, StoreError};
use zeroize::Zeroizing;

use super::opened::Opened;
use crate::context::Services;
use crate::identity::relayed::RelayedPeer;
use crate::methods::enrolment::EnrolmentState;
use crate::requests::connection::{ANSWER_TIMEOUT, ENROLMENT_TIMEOUT};
use crate::requests::login::{Exchange, Said};
use crate::text::messages::{self, reasons};
use crate::text::terminal::Progress;

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
    pub(super) fn new(said: Vec<FromServer>, state: &str) -> Self {
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

/// What became of a message.
pub(super) enum Worked {
    /// This is said.
    Said {
        /// What the answer needs; `None`: the conversation is over.
        state: Option<Zeroizing<String>>,
        said: Vec<FromServer>,
        /// It is on record, or is not to be.
        is_settled: bool,
    },
    /// Another server was quicker.
    AnsweredMeanwhile,
}

/// What is said on the wire, with the `end` of the conversation if it has ended. `is_settled`: that is not to be recorded.
pub(super) fn said(exchange: Exchange, end: Option<FromServer>, is_settled: bool) -> Worked {
    let said = exchange.said.into_iter().map(|said| match said {
        Said::Info(text) => FromServer::Info(text),
        Said::Error(text) => FromServer::Error(text),
    });
    let mut said: Vec<_> = said.collect();
    let (state, last) = match (end, exchange.prompt) {
        (Some(end), _) => (None, end),
        (None, Some(prompt)) => (Some(exchange.state), prompt_on_the_wire(prompt)),
        (None, None) => return settled(too_many()),
    };
    said.push(last);
    Worked::Said {
        state,
        said,
        is_settled,
    }
}

fn prompt_on_the_wire(prompt: Prompt) -> FromServer {
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

/// This is said, and is on record or not to be.
pub(super) const fn settled(said: Vec<FromServer>) -> Worked {
    Worked::Said {
        state: None,
        said,
        is_settled: true,
    }
}

/// Has the conversation wait for its first answer, which needs `state`, if it is not over.
pub(super) fn wait(
    services: Services<'_>,
    peer: &RelayedPeer,
    host: &str,
    opened: &Opened,
    state: Option<&String>,
    said: Vec<FromServer>,
) -> Result<Spoken, StoreError> {
    let Some(state) = state else {
        return Ok(said.into());
    };
    let now = services.now();
    let new = NewConversation {
        id: opened.conversation(),
        host,
        account: &opened.account().name,
        login: &opened.to_text()?,
        state,
        reply: &to_text(&said)?,
        is_secret: EnrolmentState::is_one(state),
        until: end_of_prompt(state, now),
    };
    if !services.store.begin_conversation(new, &origin(peer), now)? {
        return Ok(too_many().into());
    }
    Ok(Spoken::new(said, state))
}

/// The reply to a beginning that another server, or this one on another connection, has replied to.
pub(super) fn repeated(found: &Conversation, opened: &Opened) -> Spoken {
    let is_same = Opened::read(&found.login).is_ok_and(|before| before.is_same(opened));
    let reply = found
        .reply
        .as_deref()
        .filter(|_| found.number == 0 && is_same);
    let said = reply
        .and_then(|reply| from_text(reply).ok())
        .unwrap_or_else(over);
    Spoken::new(said, &found.state)
}

/// The reply where there is no such conversation, or it is over, or has gone on with another answer.
pub(super) fn over() -> Vec<FromServer> {
    vec![
        FromServer::Error(messages::CONVERSATION_OVER.to_owned()),
        FromServer::Done {
            verdict: wire::Verdict::NoAnswer,
            why: reasons::CONVERSATION_OVER.to_owned(),
        },
    ]
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

pub(super) fn origin(peer: &RelayedPeer) -> Origin {
    Origin::login(peer.asked_by, LoginOrigin::default()).on_host(peer.origin())
}

/// Until when a prompt that is shown at `now` can be answered, of which `state` was kept.
pub(super) fn end_of_prompt(state: &str, now: Timestamp) -> Timestamp {
    now.after(timeout(state).as_secs())
}

/// It as text, which may show a key.
pub(super) fn to_text(value: &impl Serialize) -> Result<Zeroizing<String>, StoreError> {
    let text = serde_json::to_string(value).map(Zeroizing::new);
    text.map_err(|error| StoreError::Other(error.to_string()))
}

pub(super) fn from_text<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    let damaged = |_| StoreError::Damaged("a conversation does not read".to_owned());
    serde_json::from_str(text).map_err(damaged)
}
