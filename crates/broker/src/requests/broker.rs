//! What serves requests: the store, the providers, the PAM stacks and the clock, opened once.

use std::sync::Arc;

use twofa_core::Timestamp;
use twofa_delivery::{ConfigDirs, Sender};
use twofa_proto::{Done, Request};
use twofa_store::{Location, Store, StoreError};

use crate::context::Services;
use crate::identity::authority::Peer;
use crate::identity::first_factor::Stacks;
use crate::process::clock;
use crate::requests::{login, manage};
use crate::sending::providers::StoredProviders;
use crate::text::terminal::Terminal;

/// Serves requests, one after the other or many at once.
#[derive(Debug)]
pub struct Broker {
    store: Arc<Store>,
    clock: fn() -> Timestamp,
    sender: Box<dyn Sender>,
    stacks: Stacks,
}

impl Broker {
    /// A broker over the store at `location`, which must exist.
    pub fn open(location: Location) -> Result<Self, StoreError> {
        let store = Arc::new(Store::open(location)?);
        let sender = Box::new(StoredProviders::new(store.clone(), ConfigDirs::default()));
        Ok(Self {
            store,
            clock: clock::now,
            sender,
            stacks: Stacks::default(),
        })
    }

    /// The store, for what administrators do without a request.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What every request works with.
    pub fn services(&self) -> Services<'_> {
        let Self {
            store,
            clock,
            sender,
            stacks,
        } = self;
        Services {
            store,
            sender: &**sender,
            stacks,
            clock: *clock,
        }
    }

    /// Serves one request of `peer` over `terminal`.
    pub fn serve(&self, peer: Peer, request: &Request, terminal: &mut dyn Terminal) -> Done {
        match request {
            Request::Login(asked) | Request::Account(asked) => {
                login::serve(self.services(), peer, request, asked, terminal)
            }
            Request::Status { .. }
            | Request::EnrolApp { .. }
            | Request::EnrolAddress { .. }
            | Request::Remove { .. }
            | Request::Set { .. }
            | Request::NewBackupCodes { .. } => {
                manage::serve(self.services(), peer, request, terminal)
            }
        }
    }
}
