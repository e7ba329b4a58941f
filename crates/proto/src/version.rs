//! The versions of the protocol that this program speaks, and their messages on the wire.

use std::io::Write;

use serde::Deserialize;

use crate::codec::{self, CodecError};
use crate::message::{FromBroker, FromClient};
use crate::previous;

/// The version of the protocol, raised whenever a message changes.
pub const VERSION: u16 = 7;

/// A version of the protocol that this program speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// [`VERSION`]: this program's own.
    Current,
    /// The one before, with the requests of the PAM module only. What it cannot express is missing, never weaker: nobody
    /// is let in that it would refuse.
    Previous,
}

/// How the first message begins in every version.
#[derive(Deserialize)]
enum Opening {
    Open { version: u16 },
    Answer,
}

/// The version that a client's first message names. An answer in its place names none, and is out of turn in any.
pub(crate) fn announced(frame: &[u8]) -> Result<u16, CodecError> {
    match postcard::take_from_bytes(frame) {
        Ok((Opening::Open { version }, _)) => Ok(version),
        Ok((Opening::Answer, _)) => Ok(VERSION),
        Err(_) => Err(CodecError::Malformed),
    }
}

impl Version {
    pub(crate) const fn number(self) -> u16 {
        match self {
            Self::Current => VERSION,
            Self::Previous => previous::VERSION,
        }
    }

    pub(crate) const fn by_number(number: u16) -> Option<Self> {
        match number {
            VERSION => Some(Self::Current),
            previous::VERSION => Some(Self::Previous),
            _ => None,
        }
    }

    pub(crate) fn decode_from_client(self, frame: &[u8]) -> Result<FromClient, CodecError> {
        match self {
            Self::Current => codec::decode(frame),
            Self::Previous => codec::decode::<previous::FromClient>(frame)?.try_into(),
        }
    }

    pub(crate) fn decode_from_broker(self, frame: &[u8]) -> Result<FromBroker, CodecError> {
        match self {
            Self::Current => codec::decode(frame),
            Self::Previous => codec::decode::<previous::FromBroker>(frame)?.try_into(),
        }
    }

    pub(crate) fn write_from_client(
        self,
        stream: &mut impl Write,
        message: &FromClient,
    ) -> Result<(), CodecError> {
        match self {
            Self::Current => codec::write(stream, message),
            Self::Previous => {
                let message = previous::FromClient::try_from(message.clone())?;
                codec::write(stream, &message)
            }
        }
    }

    pub(crate) fn write_from_broker(
        self,
        stream: &mut impl Write,
        message: &FromBroker,
    ) -> Result<(), CodecError> {
        match self {
            Self::Current => codec::write(stream, message),
            Self::Previous => {
                let message = previous::FromBroker::try_from(message.clone())?;
                codec::write(stream, &message)
            }
        }
    }
}
