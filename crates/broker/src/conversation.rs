//! One conversation, from its request to its end.

use std::io::{Read, Write};

use twofa_core::Timestamp;
use twofa_proto::{BrokerEnd, ChannelError, Done, Failure, FromBroker, Request};
use twofa_store::{Location, Store, StoreError};

use crate::authority::Peer;
use crate::dialogue::Dialogue;
use crate::{clock, login, manage, words};

/// What every conversation needs.
#[derive(Debug)]
pub struct Broker {
    store: Store,
    clock: fn() -> Timestamp,
}

impl Broker {
    /// A broker over the store at `location`, which must exist.
    pub fn open(location: Location) -> Result<Self, StoreError> {
        Ok(Self { store: Store::open(location)?, clock: clock::now })
    }

    /// The store, for administrators' business that is no conversation.
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Serves one request of `peer` over `dialogue`.
    pub fn serve(&self, peer: Peer, request: &Request, dialogue: &mut dyn Dialogue) -> Done {
        match request {
            Request::Login(asked) | Request::Account(asked) => {
                login::serve(&self.store, self.clock, peer, request, asked, dialogue)
            }
            Request::Status { .. }
            | Request::EnrolApp { .. }
            | Request::Remove { .. }
            | Request::NewBackupCodes { .. } => {
                manage::serve(&self.store, self.clock, peer, request, dialogue)
            }
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
    let done = match broker {
        Ok(broker) => broker.serve(peer, &request, &mut end),
        Err(error) => {
            let _ = end.error(words::UNAVAILABLE);
            without_store(&request, error)
        }
    };
    end.send(&FromBroker::Done(done.clone()))?;
    Ok(done)
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
