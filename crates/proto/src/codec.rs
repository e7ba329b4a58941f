//! A message on the wire: its length in four bytes, then the message in postcard's format.
//!
//! The length is checked before anything is read, so no peer can make the other keep more than one frame.

use std::io::{self, ErrorKind, Read, Write};

use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

/// The longest frame that either side accepts, in bytes.
pub const FRAME_CAP: usize = 64 * 1024;

const LENGTH_BYTES: usize = 4;

/// Why a message could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The peer closed the connection between two messages.
    #[error("the peer closed the connection")]
    Closed,
    /// The peer sent or read nothing before the timeout.
    #[error("the peer did not answer in time")]
    TimedOut,
    /// This side stopped waiting, for a reason of its own ([`ErrorKind::ConnectionAborted`]).
    #[error("this side ended the connection")]
    Aborted,
    /// A frame over [`FRAME_CAP`].
    #[error("a message of {0} bytes is over the limit of 65536")]
    TooLong(usize),
    /// The bytes are not a message.
    #[error("the peer sent bytes that are not a message")]
    Malformed,
    /// The peer speaks the previous version of the protocol, which serves the PAM module only.
    #[error("the previous version of the protocol does not have this message")]
    NotInPrevious,
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(io::Error),
}

impl From<io::Error> for CodecError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => {
                Self::Closed
            }
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Self::TimedOut,
            ErrorKind::ConnectionAborted => Self::Aborted,
            _ => Self::Io(error),
        }
    }
}

/// Whether `bytes`, the first of a stream, hold a whole message. Fails as soon as they cannot become one.
pub fn holds_message(bytes: &[u8]) -> Result<bool, CodecError> {
    let Some((length, rest)) = bytes.split_first_chunk::<LENGTH_BYTES>() else {
        return Ok(false);
    };
    Ok(rest.len() >= frame_length(*length)?)
}

fn frame_length(length: [u8; LENGTH_BYTES]) -> Result<usize, CodecError> {
    let length = u32::from_be_bytes(length) as usize;
    if length > FRAME_CAP {
        Err(CodecError::TooLong(length))
    } else {
        Ok(length)
    }
}

/// Reads one message. Blocks as long as `stream` does.
pub fn read<T: DeserializeOwned>(stream: &mut impl Read) -> Result<T, CodecError> {
    decode(&read_frame(stream)?)
}

/// Reads the bytes of one message, without the length.
pub(crate) fn read_frame(stream: &mut impl Read) -> Result<Zeroizing<Vec<u8>>, CodecError> {
    let mut length = [0; LENGTH_BYTES];
    stream.read_exact(&mut length)?;
    let mut frame = Zeroizing::new(vec![0; frame_length(length)?]);
    stream.read_exact(&mut frame)?;
    Ok(frame)
}

/// The message that is in `frame`, and nothing else.
pub(crate) fn decode<T: DeserializeOwned>(frame: &[u8]) -> Result<T, CodecError> {
    match postcard::take_from_bytes(frame) {
        Ok((message, [])) => Ok(message),
        Ok(_) | Err(_) => Err(CodecError::Malformed),
    }
}

/// Writes one message, in one write where the stream allows.
pub fn write<T: Serialize>(stream: &mut impl Write, message: &T) -> Result<(), CodecError> {
    let frame =
        postcard::experimental::serialized_size(message).map_err(|_| CodecError::Malformed)?;
    let length = u32::try_from(frame).ok().filter(|_| frame <= FRAME_CAP);
    let length = length.ok_or(CodecError::TooLong(frame))?;
    // Allocated in full: a growing vector would leave copies of a secret behind.
    let mut wire = Zeroizing::new(Vec::with_capacity(LENGTH_BYTES + frame));
    wire.extend_from_slice(&length.to_be_bytes());
    let wire = postcard::to_extend(message, Extended(wire))
        .map_err(|_| CodecError::Malformed)?
        .0;
    stream.write_all(&wire)?;
    Ok(stream.flush()?)
}

/// Lets postcard write into a buffer that wipes itself.
struct Extended(Zeroizing<Vec<u8>>);

impl Extend<u8> for Extended {
    fn extend<I: IntoIterator<Item = u8>>(&mut self, bytes: I) {
        self.0.extend(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{FromClient, Login, Request};
    use proptest::prelude::*;

    fn wire(message: &FromClient) -> Vec<u8> {
        let mut wire = Vec::new();
        write(&mut wire, message).unwrap();
        wire
    }

    #[test]
    fn a_message_over_the_cap_is_refused_before_it_is_read() {
        let mut wire: &[u8] = &[0, 1, 0, 1];
        assert!(matches!(
            read::<FromClient>(&mut wire),
            Err(CodecError::TooLong(65_537))
        ));
        let long = FromClient::Answer(Some("x".repeat(FRAME_CAP).into()));
        assert!(matches!(
            write(&mut Vec::new(), &long),
            Err(CodecError::TooLong(_))
        ));
    }

    #[test]
    fn end_of_stream_is_reported_wherever_it_comes() {
        let whole = wire(&FromClient::Answer(Some("123456".into())));
        for cut in 0..whole.len() {
            assert!(
                matches!(
                    read::<FromClient>(&mut &whole[..cut]),
                    Err(CodecError::Closed)
                ),
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn a_message_is_complete_with_its_last_byte_and_too_long_with_its_fourth() {
        let whole = wire(&FromClient::Answer(Some("123456".into())));
        for cut in 0..whole.len() {
            assert!(!holds_message(&whole[..cut]).unwrap(), "cut at {cut}");
        }
        assert!(holds_message(&whole).unwrap());
        assert!(matches!(
            holds_message(&[0, 1, 0, 1]),
            Err(CodecError::TooLong(65_537))
        ));
    }

    #[test]
    fn trailing_bytes_are_refused() {
        let mut frame = wire(&FromClient::Answer(None));
        frame[3] += 1;
        frame.push(0);
        assert!(matches!(
            read::<FromClient>(&mut frame.as_slice()),
            Err(CodecError::Malformed)
        ));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(user in ".{0,200}", service in ".*", remote_host in proptest::option::of(".*")) {
            let login = Login { user, service, remote_host, behind_password: true, ..Login::default() };
            let message = FromClient::Open { version: 7, request: Request::Login(login), login_uid: Some(1000) };
            let read: FromClient = read(&mut wire(&message).as_slice()).unwrap();
            prop_assert_eq!(read, message);
        }

        #[test]
        fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut framed = u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
            framed.extend(&bytes);
            let _ = read::<FromClient>(&mut framed.as_slice());
            let _ = read::<crate::FromBroker>(&mut framed.as_slice());
            let _ = read::<FromClient>(&mut bytes.as_slice());
        }
    }
}
