//! One conversation, from its request to its end.

use std::io::{Read, Write};
use std::sync::Arc;

use twofa_core::Timestamp;
use twofa_delivery::{Courier, Places};
use twofa_proto::codec::CodecError;
use twofa_proto::{BrokerEnd, ChannelError, Done, Failure, FromBroker, Prompt, Request, Secret};
use twofa_store::{Location, Store, StoreError};

use crate::authority::Peer;
use crate::dialogue::{Dialogue, Gone};
use crate::first_factor::Stacks;
use crate::providers::StoredProviders;
use crate::services::Services;
use crate::{clock, login, manage, words};

/// What every conversation needs.
#[derive(Debug)]
pub struct Broker {
    store: Arc<Store>,
    clock: fn() -> Timestamp,
    courier: Box<dyn Courier>,
    stacks: Stacks,
}

impl Broker {
    /// A broker over the store at `location`, which must exist.
    pub fn open(location: Location) -> Result<Self, StoreError> {
        let store = Arc::new(Store::open(location)?);
        let courier = Box::new(StoredProviders::new(store.clone(), Places::default()));
        Ok(Self { store, clock: clock::now, courier, stacks: Stacks::default() })
    }

    /// The store, for administrators' business that is no conversation.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What every conversation works with.
    pub fn services(&self) -> Services<'_> {
        let Self { store, clock, courier, stacks } = self;
        Services { store, courier: &**courier, stacks, clock: *clock }
    }

    /// Serves one request of `peer` over `dialogue`.
    pub fn serve(&self, peer: Peer, request: &Request, dialogue: &mut dyn Dialogue) -> Done {
        match request {
            Request::Login(asked) | Request::Account(asked) => {
                login::serve(self.services(), peer, request, asked, dialogue)
            }
            Request::Status { .. }
            | Request::EnrolApp { .. }
            | Request::EnrolAddress { .. }
            | Request::Remove { .. }
            | Request::Set { .. }
            | Request::NewBackupCodes { .. } => manage::serve(self.services(), peer, request, dialogue),
        }
    }
}

/// Holds one conversation on `stream` with `peer`. Without a store the answer is a refusal that says so.
pub fn hold<S: Read + Write>(
    broker: Result<&Broker, &StoreError>,
    peer: Peer,
    stream: S,
) -> Result<Done, ChannelError> {
    let mut end = BrokerEnd::new(stream);
    let request = end.request()?;
    end.send(&FromBroker::Accepted)?;
    let mut line = Line { end, lost: None };
    let done = match broker {
        Ok(broker) => broker.serve(peer, &request, &mut line),
        Err(error) => {
            let _ = line.error(words::UNAVAILABLE);
            without_store(&request, error)
        }
    };
    line.finish(done)
}

/// The terminal, for as long as it is there. Nothing is sent to one that went away, not even the end:
/// that would be out of turn while a prompt stands, and look like the client's fault.
struct Line<S> {
    end: BrokerEnd<S>,
    lost: Option<ChannelError>,
}

impl<S: Read + Write> Line<S> {
    fn finish(mut self, done: Done) -> Result<Done, ChannelError> {
        if let Some(error) = self.lost {
            return Err(error);
        }
        self.end.send(&FromBroker::Done(done.clone()))?;
        Ok(done)
    }

    fn talk<T>(&mut self, say: impl FnOnce(&mut BrokerEnd<S>) -> Result<T, Gone>) -> Result<T, Gone> {
        let closed = || ChannelError::from(CodecError::Closed);
        if self.lost.is_some() {
            return Err(closed().into());
        }
        say(&mut self.end).inspect_err(|Gone(error)| {
            self.lost = Some(match error {
                ChannelError::OutOfTurn(error) => (*error).into(),
                ChannelError::Codec(_) | ChannelError::Version(_) => closed(),
            });
        })
    }
}

impl<S: Read + Write> Dialogue for Line<S> {
    fn prompt(&mut self, prompt: Prompt) -> Result<Option<Secret>, Gone> {
        self.talk(|end| end.prompt(prompt))
    }

    fn info(&mut self, text: Secret) -> Result<(), Gone> {
        self.talk(|end| end.info(text))
    }

    fn error(&mut self, text: &str) -> Result<(), Gone> {
        self.talk(|end| end.error(text))
    }
}

fn without_store(request: &Request, error: &StoreError) -> Done {
    match request {
        Request::Login(_) | Request::Account(_) => login::unavailable(&error.to_string()),
        _ => Done::Failed {
            failure: Failure::Unavailable,
            message: error.to_string(),
            hint: error.hint().map(str::to_owned),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;
    use twofa_proto::{ClientEnd, FromClient, Login, codec};

    fn line() -> (UnixStream, Line<UnixStream>) {
        let (client, broker) = UnixStream::pair().unwrap();
        let kept = client.try_clone().unwrap();
        ClientEnd::open(client, Request::Login(Login::default())).unwrap();
        let mut end = BrokerEnd::new(broker);
        end.request().unwrap();
        end.send(&FromBroker::Accepted).unwrap();
        (kept, Line { end, lost: None })
    }

    #[test]
    fn a_client_that_hangs_up_at_a_prompt_broke_no_protocol() {
        let (client, mut line) = line();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(line.ask("Code: ".into()).is_err());
        assert!(line.error("Nobody sees this.").is_err());
        assert!(matches!(line.finish(Done::Changed), Err(ChannelError::Codec(CodecError::Closed))));
        let mut sent = client;
        let mut next = || codec::read::<FromBroker>(&mut sent);
        assert!(matches!(next(), Ok(FromBroker::Accepted)));
        assert!(matches!(next(), Ok(FromBroker::Prompt(_))));
        assert!(matches!(next(), Err(CodecError::Closed)), "no end for one that went away");
    }

    #[test]
    fn a_client_that_speaks_out_of_turn_at_a_prompt_is_told_of() {
        let (mut client, mut line) = line();
        let request = Request::Status { user: "alice".into() };
        codec::write(&mut client, &FromClient::Open { version: twofa_proto::VERSION, request }).unwrap();
        assert!(line.ask("Code: ".into()).is_err());
        let error = line.finish(Done::Changed).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the other side broke the protocol: Open is not permitted while Asking"
        );
    }
}
