//! What the broker sends.

use serde::{Deserialize, Serialize};

use super::NO_TICKET;
use crate::codec::CodecError;
use crate::evidence;
use crate::message::{self, Failure, Prompt, Verdict};
use crate::secret::Secret;
use crate::session::SessionLimit;

/// By the number of each.
const VERDICTS: [Verdict; 9] = [
    Verdict::Passed,
    Verdict::Trusted,
    Verdict::NotRequired,
    Verdict::Exempt,
    Verdict::Later,
    Verdict::Denied,
    Verdict::TriesUsedUp,
    Verdict::Unavailable,
    Verdict::NoAnswer,
];

#[derive(Serialize, Deserialize)]
pub(crate) enum FromBroker {
    Accepted,
    Prompt(Prompt),
    Info(Secret),
    Error(String),
    Done(Done),
}

/// The ends of the command line's requests only keep their numbers.
#[derive(Serialize, Deserialize)]
pub(crate) enum Done {
    Login {
        verdict: u32,
        why: String,
        confirm: Confirm,
    },
    Status,
    Devices,
    Revoked,
    Session {
        lifetime: Option<u64>,
    },
    Sessions,
    Changed,
    Failed {
        failure: Failure,
        message: String,
        hint: Option<String>,
    },
}

#[derive(Serialize, Deserialize)]
pub(crate) enum Confirm {
    No,
    Record,
    Trust,
}

impl TryFrom<FromBroker> for message::FromBroker {
    type Error = CodecError;

    fn try_from(message: FromBroker) -> Result<Self, CodecError> {
        Ok(match message {
            FromBroker::Accepted => Self::Accepted,
            FromBroker::Prompt(prompt) => Self::Prompt(prompt),
            FromBroker::Info(text) => Self::Info(text),
            FromBroker::Error(text) => Self::Error(text),
            FromBroker::Done(done) => Self::Done(done.try_into()?),
        })
    }
}

impl TryFrom<message::FromBroker> for FromBroker {
    type Error = CodecError;

    fn try_from(message: message::FromBroker) -> Result<Self, CodecError> {
        Ok(match message {
            message::FromBroker::Accepted => Self::Accepted,
            message::FromBroker::Prompt(prompt) => Self::Prompt(prompt),
            message::FromBroker::Info(text) => Self::Info(text),
            message::FromBroker::Error(text) => Self::Error(text),
            message::FromBroker::Done(done) => Self::Done(done.try_into()?),
        })
    }
}

impl TryFrom<Done> for message::Done {
    type Error = CodecError;

    fn try_from(done: Done) -> Result<Self, CodecError> {
        Ok(match done {
            Done::Login {
                verdict,
                why,
                confirm,
            } => Self::Login {
                verdict: *VERDICTS
                    .get(verdict as usize)
                    .ok_or(CodecError::Malformed)?,
                why,
                confirm: confirm.into(),
            },
            Done::Session { lifetime } => Self::Session {
                limit: lifetime.map(|seconds| SessionLimit {
                    seconds,
                    notice: String::new(),
                }),
            },
            Done::Changed => Self::Changed,
            Done::Failed {
                failure,
                message,
                hint,
            } => Self::Failed {
                failure,
                message,
                hint,
            },
            Done::Status | Done::Devices | Done::Revoked | Done::Sessions => {
                return Err(CodecError::NotInPrevious);
            }
        })
    }
}

impl TryFrom<message::Done> for Done {
    type Error = CodecError;

    fn try_from(done: message::Done) -> Result<Self, CodecError> {
        Ok(match done {
            message::Done::Login {
                verdict,
                why,
                confirm,
            } => Self::Login {
                verdict: number(verdict)?,
                why,
                confirm: confirm.into(),
            },
            message::Done::Session { limit } => Self::Session {
                lifetime: limit.map(|limit| limit.seconds),
            },
            message::Done::Changed => Self::Changed,
            message::Done::Failed {
                failure,
                message,
                hint,
            } => Self::Failed {
                failure,
                message,
                hint,
            },
            message::Done::Status(_)
            | message::Done::Devices(_)
            | message::Done::Revoked { .. }
            | message::Done::Sessions { .. } => return Err(CodecError::NotInPrevious),
        })
    }
}

impl From<Confirm> for evidence::Confirm {
    fn from(confirm: Confirm) -> Self {
        match confirm {
            Confirm::No => Self::No,
            Confirm::Record => Self::Record(NO_TICKET),
            Confirm::Trust => Self::Trust(NO_TICKET),
        }
    }
}

impl From<evidence::Confirm> for Confirm {
    fn from(confirm: evidence::Confirm) -> Self {
        match confirm {
            evidence::Confirm::No => Self::No,
            evidence::Confirm::Record(_) => Self::Record,
            evidence::Confirm::Trust(_) => Self::Trust,
        }
    }
}

fn number(verdict: Verdict) -> Result<u32, CodecError> {
    let verdict = match verdict {
        // The module of that version then lets in who gave a right code before, and refuses who rests on a trusted device.
        Verdict::NoTicket => Verdict::Unavailable,
        other => other,
    };
    let place = VERDICTS.iter().position(|known| *known == verdict);
    place
        .and_then(|place| u32::try_from(place).ok())
        .ok_or(CodecError::NotInPrevious)
}
