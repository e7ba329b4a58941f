//! The two ends of a connection: codec and protocol state put together.

use std::io::{Read, Write};

use crate::buffered::BufferedStream;
use crate::codec::{self, CodecError};
use crate::message::{FromBroker, FromClient, Request};
use crate::state::{OutOfTurn, State};
use crate::version::{self, VERSION, Version};

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// A message could not be read or written.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The peer sent a message that its state does not permit.
    #[error("the peer broke the protocol: {0}")]
    OutOfTurn(#[from] OutOfTurn),
    /// The peer speaks a version of the protocol that is neither this program's nor the one before.
    #[error("the peer speaks version {0} of the protocol, this program version {VERSION}")]
    Version(u16),
}

/// The broker's end of a connection.
#[derive(Debug)]
pub struct BrokerEnd<S> {
    stream: BufferedStream<S>,
    state: State,
    version: Version,
    login_uid: Option<u32>,
}

impl<S: Read + Write> BrokerEnd<S> {
    /// The broker's end of a new connection.
    pub fn new(stream: S) -> Self {
        Self {
            stream: BufferedStream::new(stream),
            state: State::Opening,
            version: Version::Current,
            login_uid: None,
        }
    }

    /// The stream under the connection.
    pub const fn stream_mut(&mut self) -> &mut S {
        self.stream.stream_mut()
    }

    /// The login uid that the request came with.
    pub const fn login_uid(&self) -> Option<u32> {
        self.login_uid
    }

    /// Receives the request, and settles the version.
    pub fn request(&mut self) -> Result<Request, ConnectionError> {
        let frame = codec::read_frame(&mut self.stream)?;
        let number = version::announced(&frame)?;
        self.version = Version::by_number(number).ok_or(ConnectionError::Version(number))?;
        match self.accept(&frame)? {
            FromClient::Open {
                request, login_uid, ..
            } => {
                self.login_uid = login_uid;
                Ok(request)
            }
            message @ FromClient::Answer(_) => Err(OutOfTurn {
                kind: message.kind(),
                state: self.state,
            }
            .into()),
        }
    }

    /// Receives an answer; fails if the state does not permit it.
    pub fn receive(&mut self) -> Result<FromClient, ConnectionError> {
        let frame = codec::read_frame(&mut self.stream)?;
        self.accept(&frame)
    }

    fn accept(&mut self, frame: &[u8]) -> Result<FromClient, ConnectionError> {
        let message = self.version.decode_from_client(frame)?;
        self.state = self.state.after(message.kind())?;
        Ok(message)
    }

    /// Sends a message; fails if the state does not permit it.
    pub fn send(&mut self, message: &FromBroker) -> Result<(), ConnectionError> {
        self.state = self.state.after(message.kind())?;
        Ok(self.version.write_from_broker(&mut self.stream, message)?)
    }
}

/// The end of the PAM module or the command line.
#[derive(Debug)]
pub struct ClientEnd<S> {
    stream: BufferedStream<S>,
    state: State,
    version: Version,
}

impl<S: Read + Write> ClientEnd<S> {
    /// Makes `request` on a new connection.
    pub fn open(stream: S, request: Request) -> Result<Self, ConnectionError> {
        Self::open_in(Version::Current, stream, request)
    }

    /// Makes `request` on a new connection in `version`.
    pub fn open_in(version: Version, stream: S, request: Request) -> Result<Self, ConnectionError> {
        Self::begin(version, stream, request, None)
    }

    /// Makes `request` on a new connection, for the person who logged in as `login_uid`.
    pub fn open_by(
        stream: S,
        request: Request,
        login_uid: Option<u32>,
    ) -> Result<Self, ConnectionError> {
        Self::begin(Version::Current, stream, request, login_uid)
    }

    fn begin(
        version: Version,
        stream: S,
        request: Request,
        login_uid: Option<u32>,
    ) -> Result<Self, ConnectionError> {
        let mut end = Self {
            stream: BufferedStream::new(stream),
            state: State::Opening,
            version,
        };
        end.send(&FromClient::Open {
            version: version.number(),
            request,
            login_uid,
        })?;
        Ok(end)
    }

    /// The stream under the connection.
    pub const fn stream(&self) -> &S {
        self.stream.stream()
    }

    /// Receives a message; fails if the state does not permit it.
    pub fn receive(&mut self) -> Result<FromBroker, ConnectionError> {
        let frame = codec::read_frame(&mut self.stream)?;
        let message = self.version.decode_from_broker(&frame)?;
        self.state = self.state.after(message.kind())?;
        Ok(message)
    }

    /// Sends a message; fails if the state does not permit it.
    pub fn send(&mut self, message: &FromClient) -> Result<(), ConnectionError> {
        self.state = self.state.after(message.kind())?;
        Ok(self.version.write_from_client(&mut self.stream, message)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffered::READ_AHEAD;
    use crate::message::{Done, Login, Prompt};
    use std::os::unix::net::UnixStream;

    fn pair() -> (ClientEnd<UnixStream>, BrokerEnd<UnixStream>) {
        let (client, broker) = UnixStream::pair().unwrap();
        let client = ClientEnd::open(client, Request::Login(Login::default())).unwrap();
        (client, BrokerEnd::new(broker))
    }

    #[test]
    fn a_request_is_answered_with_a_prompt_and_the_prompt_with_an_answer() {
        let (mut client, mut broker) = pair();
        assert_eq!(broker.request().unwrap(), Request::Login(Login::default()));
        broker.send(&FromBroker::Accepted).unwrap();
        broker
            .send(&FromBroker::Prompt(Prompt {
                text: "Code: ".into(),
                echo: true,
                digits_behind_password: None,
                link: None,
            }))
            .unwrap();
        assert_eq!(client.receive().unwrap(), FromBroker::Accepted);
        assert!(matches!(client.receive().unwrap(), FromBroker::Prompt(_)));
        client
            .send(&FromClient::Answer(Some("123456".into())))
            .unwrap();
        assert_eq!(
            broker.receive().unwrap(),
            FromClient::Answer(Some("123456".into()))
        );
    }

    #[test]
    fn messages_that_arrive_together_or_in_pieces_are_separated() {
        let (mut client, mut broker) = pair();
        broker.request().unwrap();
        let mut messages = vec![FromBroker::Accepted];
        for text in [
            "a",
            &"b".repeat(READ_AHEAD),
            &"c".repeat(3 * READ_AHEAD),
            "d",
        ] {
            messages.push(FromBroker::Error(text.to_owned()));
        }
        messages.push(FromBroker::Done(Done::Changed));
        for message in &messages {
            broker.send(message).unwrap();
        }
        for message in messages {
            assert_eq!(client.receive().unwrap(), message);
        }
    }

    #[test]
    fn an_answer_to_a_withdrawn_prompt_does_not_hide_the_reason() {
        let (mut client, mut broker) = pair();
        broker.request().unwrap();
        broker.send(&FromBroker::Accepted).unwrap();
        let prompt = Prompt {
            text: "Code: ".into(),
            echo: true,
            digits_behind_password: None,
            link: None,
        };
        broker.send(&FromBroker::Prompt(prompt)).unwrap();
        assert_eq!(client.receive().unwrap(), FromBroker::Accepted);
        assert!(matches!(client.receive().unwrap(), FromBroker::Prompt(_)));
        // The answer is under way when the error is sent.
        client
            .send(&FromClient::Answer(Some("123456".into())))
            .unwrap();
        broker.send(&FromBroker::Error("Too late.".into())).unwrap();
        broker.send(&FromBroker::Done(Done::Changed)).unwrap();
        drop(broker);
        assert_eq!(
            client.receive().unwrap(),
            FromBroker::Error("Too late.".into())
        );
        assert_eq!(client.receive().unwrap(), FromBroker::Done(Done::Changed));
    }

    #[test]
    fn an_answer_before_a_prompt_ends_the_connection() {
        let (mut client, mut broker) = pair();
        broker.request().unwrap();
        assert!(matches!(
            client.send(&FromClient::Answer(None)),
            Err(ConnectionError::OutOfTurn(_))
        ));
        codec::write(
            &mut client.stream,
            &FromClient::Answer(Some("000000".into())),
        )
        .unwrap();
        assert!(matches!(
            broker.receive(),
            Err(ConnectionError::OutOfTurn(_))
        ));
    }

    #[test]
    fn a_client_of_another_version_is_refused() {
        let (client, broker) = UnixStream::pair().unwrap();
        let (mut client, mut broker) = (client, BrokerEnd::new(broker));
        let request = Request::Status {
            user: "alice".into(),
        };
        codec::write(
            &mut client,
            &FromClient::Open {
                version: 999,
                request,
                login_uid: None,
            },
        )
        .unwrap();
        assert!(matches!(
            broker.request(),
            Err(ConnectionError::Version(999))
        ));
    }

    #[test]
    fn a_closed_connection_is_noticed_at_once() {
        let (mut client, broker) = pair();
        drop(broker);
        assert!(matches!(
            client.receive(),
            Err(ConnectionError::Codec(CodecError::Closed))
        ));
    }
}
