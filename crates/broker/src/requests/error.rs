//! Why a request of the command line is not carried out, in the form that is sent to the client.

use twofa_proto::Failure;
use twofa_store::StoreError;

use crate::identity::person::PersonError;
use crate::methods::challenge::ChallengeError;
use crate::methods::error::EnrolmentError;
use crate::sending::codes::Unsent;
use crate::text::messages::commands::{self, Refusal};
use crate::text::terminal::TerminalClosed;

/// Why a request was not carried out.
pub(crate) struct RequestError {
    /// The kind of failure.
    pub(crate) failure: Failure,
    /// What failed and why.
    pub(crate) message: String,
    /// What to do next.
    pub(crate) hint: Option<String>,
    /// The answer was given to another server of the fleet, or another answer with its number was.
    pub(crate) is_answered_meanwhile: bool,
}

impl RequestError {
    /// An error without a hint.
    pub(crate) fn new(failure: Failure, message: impl Into<String>) -> Self {
        Self {
            failure,
            message: message.into(),
            hint: None,
            is_answered_meanwhile: false,
        }
    }

    /// The same error with a hint.
    #[must_use]
    pub(crate) fn hinted(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<Refusal> for RequestError {
    fn from(refusal: Refusal) -> Self {
        Self {
            failure: refusal.failure,
            message: refusal.message.to_owned(),
            hint: refusal.hint.map(str::to_owned),
            is_answered_meanwhile: false,
        }
    }
}

impl From<StoreError> for RequestError {
    fn from(error: StoreError) -> Self {
        let failure = match error {
            StoreError::LabelTaken(_)
            | StoreError::TooManyApps(_)
            | StoreError::TooManySecurityKeys
            | StoreError::KeyTaken(_)
            | StoreError::AddressTaken(_)
            | StoreError::ChangedMeanwhile => Failure::Failed,
            _ => Failure::Unavailable,
        };
        Self {
            failure,
            hint: error.hint().map(str::to_owned),
            message: error.to_string(),
            is_answered_meanwhile: matches!(error, StoreError::AnsweredMeanwhile),
        }
    }
}

impl From<PersonError> for RequestError {
    fn from(error: PersonError) -> Self {
        match error {
            PersonError::Store(error) => error.into(),
            error => Self::new(Failure::Unavailable, error.to_string()),
        }
    }
}

impl From<TerminalClosed> for RequestError {
    fn from(closed: TerminalClosed) -> Self {
        Self::new(Failure::Failed, closed.to_string())
    }
}

impl From<ChallengeError> for RequestError {
    fn from(error: ChallengeError) -> Self {
        match error {
            ChallengeError::Person(error) => error.into(),
            ChallengeError::Terminal(closed) => closed.into(),
            ChallengeError::Hash(error) => Self::new(Failure::Failed, error.to_string()),
        }
    }
}

impl From<EnrolmentError> for RequestError {
    fn from(error: EnrolmentError) -> Self {
        match error {
            EnrolmentError::Person(error) => error.into(),
            EnrolmentError::Terminal(closed) => closed.into(),
            EnrolmentError::NotConfirmed | EnrolmentError::Locked(_) => {
                Self::new(Failure::Denied, error.to_string())
            }
            EnrolmentError::NotSent(Unsent { text, is_limited }) => {
                let error = Self::new(Failure::Failed, text);
                if is_limited {
                    return error;
                }
                error.hinted(commands::SEE_LOG)
            }
            EnrolmentError::OutOfReach => Self::new(Failure::Failed, error.to_string())
                .hinted(commands::ADD_A_PROVIDER_OR_ENROL),
            EnrolmentError::NoMethod | EnrolmentError::Hash(_) | EnrolmentError::Key(_) => {
                Self::new(Failure::Failed, error.to_string())
            }
        }
    }
}
