//! The two ends of a conversation: codec and conduct put together.

use std::io::{Read, Write};

use crate::VERSION;
use crate::ahead::Ahead;
use crate::codec::{self, CodecError};
use crate::conduct::{OutOfTurn, Phase};
use crate::message::{FromBroker, FromClient, Request};

/// Why a conversation cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// Nothing could be read or written.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// Somebody spoke out of turn.
    #[error("the other side broke the protocol: {0}")]
    OutOfTurn(#[from] OutOfTurn),
    /// The two programs are of different versions.
    #[error("the other side speaks version {0} of the protocol, this is version 1")]
    Version(u16),
}

/// The broker's end.
#[derive(Debug)]
pub struct BrokerEnd<S> {
    stream: Ahead<S>,
    phase: Phase,
}

impl<S: Read + Write> BrokerEnd<S> {
    /// The end of a fresh connection.
    pub fn new(stream: S) -> Self {
        Self {
            stream: Ahead::new(stream),
            phase: Phase::Opening,
        }
    }

    /// The connection itself.
    pub const fn stream_mut(&mut self) -> &mut S {
        self.stream.stream_mut()
    }

    /// What the client wants.
    pub fn request(&mut self) -> Result<Request, ChannelError> {
        match self.receive()? {
            FromClient::Open {
                version: VERSION,
                request,
            } => Ok(request),
            FromClient::Open { version, .. } => Err(ChannelError::Version(version)),
            message @ FromClient::Answer(_) => Err(OutOfTurn {
                kind: message.kind(),
                phase: self.phase,
            }
            .into()),
        }
    }

    /// Receives a message if one is permitted now.
    pub fn receive(&mut self) -> Result<FromClient, ChannelError> {
        let message: FromClient = codec::read(&mut self.stream)?;
        self.phase = self.phase.after(message.kind())?;
        Ok(message)
    }

    /// Sends a message if it is permitted now.
    pub fn send(&mut self, message: &FromBroker) -> Result<(), ChannelError> {
        self.phase = self.phase.after(message.kind())?;
        Ok(codec::write(&mut self.stream, message)?)
    }
}

/// The end of the PAM module or the CLI.
#[derive(Debug)]
pub struct ClientEnd<S> {
    stream: Ahead<S>,
    phase: Phase,
}

impl<S: Read + Write> ClientEnd<S> {
    /// Opens a conversation on a fresh connection.
    pub fn open(stream: S, request: Request) -> Result<Self, ChannelError> {
        let mut end = Self {
            stream: Ahead::new(stream),
            phase: Phase::Opening,
        };
        end.send(&FromClient::Open {
            version: VERSION,
            request,
        })?;
        Ok(end)
    }

    /// The connection itself.
    pub const fn stream(&self) -> &S {
        self.stream.stream()
    }

    /// Receives a message if one is permitted now.
    pub fn receive(&mut self) -> Result<FromBroker, ChannelError> {
        let message: FromBroker = codec::read(&mut self.stream)?;
        self.phase = self.phase.after(message.kind())?;
        Ok(message)
    }

    /// Sends a message if it is permitted now.
    pub fn send(&mut self, message: &FromClient) -> Result<(), ChannelError> {
        self.phase = self.phase.after(message.kind())?;
        Ok(codec::write(&mut self.stream, message)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ahead::READ_AHEAD;
    use crate::message::{Done, Login, Prompt};
    use std::os::unix::net::UnixStream;

    fn pair() -> (ClientEnd<UnixStream>, BrokerEnd<UnixStream>) {
        let (client, broker) = UnixStream::pair().unwrap();
        let client = ClientEnd::open(client, Request::Login(Login::default())).unwrap();
        (client, BrokerEnd::new(broker))
    }

    #[test]
    fn a_conversation_goes_to_and_fro() {
        let (mut client, mut broker) = pair();
        assert_eq!(broker.request().unwrap(), Request::Login(Login::default()));
        broker.send(&FromBroker::Accepted).unwrap();
        broker
            .send(&FromBroker::Prompt(Prompt {
                text: "Code: ".into(),
                echo: true,
                digits_behind_password: None,
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
    fn messages_that_come_together_or_in_pieces_are_told_apart() {
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
    fn an_answer_to_a_prompt_that_was_taken_back_does_not_hide_why() {
        let (mut client, mut broker) = pair();
        broker.request().unwrap();
        broker.send(&FromBroker::Accepted).unwrap();
        let prompt = Prompt {
            text: "Code: ".into(),
            echo: true,
            digits_behind_password: None,
        };
        broker.send(&FromBroker::Prompt(prompt)).unwrap();
        assert_eq!(client.receive().unwrap(), FromBroker::Accepted);
        assert!(matches!(client.receive().unwrap(), FromBroker::Prompt(_)));
        // The one is under way when the other is sent.
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
    fn a_client_that_answers_before_it_is_asked_is_cut_off() {
        let (mut client, mut broker) = pair();
        broker.request().unwrap();
        assert!(matches!(
            client.send(&FromClient::Answer(None)),
            Err(ChannelError::OutOfTurn(_))
        ));
        codec::write(
            &mut client.stream,
            &FromClient::Answer(Some("000000".into())),
        )
        .unwrap();
        assert!(matches!(broker.receive(), Err(ChannelError::OutOfTurn(_))));
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
            },
        )
        .unwrap();
        assert!(matches!(broker.request(), Err(ChannelError::Version(999))));
    }

    #[test]
    fn a_broker_that_goes_away_is_noticed_at_once() {
        let (mut client, broker) = pair();
        drop(broker);
        assert!(matches!(
            client.receive(),
            Err(ChannelError::Codec(CodecError::Closed))
        ));
    }
}
