//! Why a method could not be set up.

use twofa_core::Lock;
use twofa_core::backup::HashError;
use twofa_core::key::BadKey;
use twofa_store::StoreError;

use crate::identity::person::PersonError;
use crate::sending::codes::{NotSent, Unsent};
use crate::text::messages::commands;
use crate::text::terminal::TerminalClosed;

/// Why a method could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum EnrolmentError {
    /// No right code was typed.
    #[error("{}", commands::NOT_CONFIRMED)]
    NotConfirmed,
    /// The store or the name service failed.
    #[error(transparent)]
    Person(#[from] PersonError),
    /// A backup code could not be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// A key could not be made.
    #[error(transparent)]
    Key(#[from] BadKey),
    /// No method that the policy allows can be set up, because no provider sends codes.
    #[error("{}", commands::NO_METHOD_HERE)]
    NoMethod,
    /// A code to the address on file must prove the person, and no provider sends there.
    #[error("{}", commands::NOTHING_SENT_THERE)]
    OutOfReach,
    /// A code could not be sent.
    #[error("{}", .0.text)]
    NotSent(Unsent),
    /// Too many wrong codes.
    #[error("{}", commands::TOO_MANY_WRONG_CODES)]
    Locked(Lock),
    /// The terminal went away.
    #[error(transparent)]
    Terminal(#[from] TerminalClosed),
}

impl From<getrandom::Error> for EnrolmentError {
    fn from(error: getrandom::Error) -> Self {
        StoreError::from(error).into()
    }
}

impl From<StoreError> for EnrolmentError {
    fn from(error: StoreError) -> Self {
        Self::Person(error.into())
    }
}

impl From<NotSent> for EnrolmentError {
    fn from(why: NotSent) -> Self {
        match why.into_unsent() {
            Ok(unsent) => Self::NotSent(unsent),
            Err(error) => error.into(),
        }
    }
}
