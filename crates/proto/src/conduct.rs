//! Which message is permitted when.
//!
//! After OpenSSH's `monitor.c`: every message has a row, and a message without one for the present
//! phase is the end. There is no other state a conversation could be confused by.

use crate::message::{FromBroker, FromClient};

/// Where a conversation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Connected; the client has not said what it wants.
    Opening,
    /// The broker has read the request and not said that it serves it.
    Opened,
    /// The broker is at work.
    Working,
    /// A prompt waits for its answer.
    Asking,
    /// The broker took its prompt back and said why. An answer that crosses this is not read.
    Withdrawn,
    /// It is over.
    Over,
}

/// A message without its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
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

/// In this phase, this message is permitted and leads to that phase.
pub type Row = (Phase, Kind, Phase);

/// All that is ever permitted.
pub static TABLE: [Row; 11] = [
    (Phase::Opening, Kind::Open, Phase::Opened),
    (Phase::Opened, Kind::Accepted, Phase::Working),
    (Phase::Opened, Kind::Done, Phase::Over),
    (Phase::Working, Kind::Info, Phase::Working),
    (Phase::Working, Kind::Error, Phase::Working),
    (Phase::Working, Kind::Prompt, Phase::Asking),
    (Phase::Working, Kind::Done, Phase::Over),
    (Phase::Asking, Kind::Answer, Phase::Working),
    (Phase::Asking, Kind::Error, Phase::Withdrawn),
    (Phase::Asking, Kind::Done, Phase::Over),
    (Phase::Withdrawn, Kind::Done, Phase::Over),
];

/// A message came out of turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind:?} is not permitted while {phase:?}")]
pub struct OutOfTurn {
    /// The message.
    pub kind: Kind,
    /// The phase it came in.
    pub phase: Phase,
}

impl Phase {
    /// The phase after a message of `kind`, whoever sent it.
    pub fn after(self, kind: Kind) -> Result<Self, OutOfTurn> {
        TABLE
            .iter()
            .find(|(phase, permitted, _)| *phase == self && *permitted == kind)
            .map(|(_, _, next)| *next)
            .ok_or(OutOfTurn { kind, phase: self })
    }
}

impl FromClient {
    /// The message without its content.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Open { .. } => Kind::Open,
            Self::Answer(_) => Kind::Answer,
        }
    }
}

impl FromBroker {
    /// The message without its content.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Accepted => Kind::Accepted,
            Self::Prompt(_) => Kind::Prompt,
            Self::Info(_) => Kind::Info,
            Self::Error(_) => Kind::Error,
            Self::Done(_) => Kind::Done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_a_prompt_is_out_of_turn() {
        for phase in [
            Phase::Opening,
            Phase::Opened,
            Phase::Working,
            Phase::Withdrawn,
            Phase::Over,
        ] {
            assert_eq!(
                phase.after(Kind::Answer),
                Err(OutOfTurn {
                    kind: Kind::Answer,
                    phase
                })
            );
        }
    }

    #[test]
    fn a_conversation_opens_once() {
        for phase in [
            Phase::Opened,
            Phase::Working,
            Phase::Asking,
            Phase::Withdrawn,
            Phase::Over,
        ] {
            assert!(phase.after(Kind::Open).is_err(), "{phase:?}");
        }
    }

    #[test]
    fn a_prompt_that_was_taken_back_is_followed_by_the_end_alone() {
        let withdrawn = Phase::Asking.after(Kind::Error).unwrap();
        for kind in [
            Kind::Open,
            Kind::Answer,
            Kind::Accepted,
            Kind::Prompt,
            Kind::Info,
            Kind::Error,
        ] {
            assert!(withdrawn.after(kind).is_err(), "{kind:?}");
        }
        assert_eq!(withdrawn.after(Kind::Done), Ok(Phase::Over));
    }

    #[test]
    fn nothing_is_permitted_when_it_is_over() {
        assert!(TABLE.iter().all(|(phase, _, _)| *phase != Phase::Over));
    }
}
