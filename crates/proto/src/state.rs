//! Which message is permitted in which state of a connection.
//!
//! Modelled on OpenSSH's `monitor.c`: each permitted message has a row in a table, and a message without a row for the
//! present state ends the connection. There is no other state.

use crate::message::{FromBroker, FromClient};

/// The state of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Connected; no request has arrived.
    Opening,
    /// The request has arrived; the broker has not accepted it yet.
    Opened,
    /// The broker works on the request.
    Working,
    /// A prompt waits for its answer.
    Asking,
    /// The broker withdrew its prompt and said why. An answer that crosses this is not read.
    Withdrawn,
    /// The connection has ended.
    Over,
}

/// The kind of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// [`FromClient::Open`]
    Open,
    /// [`FromClient::Answer`]
    Answer,
    /// [`FromBroker::Accepted`]
    Accepted,
    /// [`FromBroker::Prompt`]
    Prompt,
    /// [`FromBroker::Info`]
    Info,
    /// [`FromBroker::Error`]
    Error,
    /// [`FromBroker::Done`]
    Done,
}

/// In this state, this message is permitted and leads to that state.
pub type Transition = (State, MessageKind, State);

/// Every transition that is permitted.
pub static TRANSITIONS: [Transition; 11] = [
    (State::Opening, MessageKind::Open, State::Opened),
    (State::Opened, MessageKind::Accepted, State::Working),
    (State::Opened, MessageKind::Done, State::Over),
    (State::Working, MessageKind::Info, State::Working),
    (State::Working, MessageKind::Error, State::Working),
    (State::Working, MessageKind::Prompt, State::Asking),
    (State::Working, MessageKind::Done, State::Over),
    (State::Asking, MessageKind::Answer, State::Working),
    (State::Asking, MessageKind::Error, State::Withdrawn),
    (State::Asking, MessageKind::Done, State::Over),
    (State::Withdrawn, MessageKind::Done, State::Over),
];

/// A message that the state does not permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind:?} is not permitted while {state:?}")]
pub struct OutOfTurn {
    /// The kind of the message.
    pub kind: MessageKind,
    /// The state it was sent in.
    pub state: State,
}

impl State {
    /// The state after a message of `kind` from either side.
    pub fn after(self, kind: MessageKind) -> Result<Self, OutOfTurn> {
        TRANSITIONS
            .iter()
            .find(|(from, permitted, _)| *from == self && *permitted == kind)
            .map(|(_, _, next)| *next)
            .ok_or(OutOfTurn { kind, state: self })
    }
}

impl FromClient {
    /// The kind of this message.
    pub const fn kind(&self) -> MessageKind {
        match self {
            Self::Open { .. } => MessageKind::Open,
            Self::Answer(_) => MessageKind::Answer,
        }
    }
}

impl FromBroker {
    /// The kind of this message.
    pub const fn kind(&self) -> MessageKind {
        match self {
            Self::Accepted => MessageKind::Accepted,
            Self::Prompt(_) => MessageKind::Prompt,
            Self::Info(_) => MessageKind::Info,
            Self::Error(_) => MessageKind::Error,
            Self::Done(_) => MessageKind::Done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_a_prompt_is_not_permitted() {
        for state in [
            State::Opening,
            State::Opened,
            State::Working,
            State::Withdrawn,
            State::Over,
        ] {
            assert_eq!(
                state.after(MessageKind::Answer),
                Err(OutOfTurn {
                    kind: MessageKind::Answer,
                    state
                })
            );
        }
    }

    #[test]
    fn a_request_is_made_once() {
        for state in [
            State::Opened,
            State::Working,
            State::Asking,
            State::Withdrawn,
            State::Over,
        ] {
            assert!(state.after(MessageKind::Open).is_err(), "{state:?}");
        }
    }

    #[test]
    fn after_a_withdrawn_prompt_only_the_end_is_permitted() {
        let withdrawn = State::Asking.after(MessageKind::Error).unwrap();
        for kind in [
            MessageKind::Open,
            MessageKind::Answer,
            MessageKind::Accepted,
            MessageKind::Prompt,
            MessageKind::Info,
            MessageKind::Error,
        ] {
            assert!(withdrawn.after(kind).is_err(), "{kind:?}");
        }
        assert_eq!(withdrawn.after(MessageKind::Done), Ok(State::Over));
    }

    #[test]
    fn after_the_end_nothing_is_permitted() {
        assert!(
            TRANSITIONS
                .iter()
                .all(|(state, _, _)| *state != State::Over)
        );
    }
}
