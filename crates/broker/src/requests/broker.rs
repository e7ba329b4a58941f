//! What serves requests: the store, the providers, the PAM stacks and the clock, opened once.

use std::mem;
use std::sync::Arc;

use twofa_core::Timestamp;
use twofa_delivery::{ConfigDirs, Sender};
use twofa_proto::{Done, Request};
use twofa_store::{Listener, Location, Store, StoreError};

use crate::context::Services;
use crate::fleet::membership::Membership;
use crate::identity::authority::Peer;
use crate::identity::first_factor::Stacks;
use crate::process::clock;
use crate::requests::{login, manage, session};
use crate::sending::providers::StoredProviders;
use crate::text::terminal::Terminal;

/// Serves requests, one after the other or many at once.
#[derive(Debug)]
pub struct Broker {
    store: Arc<Store>,
    clock: fn() -> Timestamp,
    sender: Box<dyn Sender>,
    stacks: Stacks,
    fleet: Membership,
}

impl Broker {
    /// A broker over the store at `location`, which must exist. `listener` gets what happens there.
    pub fn open(location: Location, listener: Listener) -> Result<Self, StoreError> {
        let mut store = Store::open(location)?;
        store.set_listener(listener);
        let store = Arc::new(store);
        let sender = Box::new(StoredProviders::new(store.clone(), ConfigDirs::default()));
        Ok(Self {
            store,
            clock: clock::now,
            sender,
            stacks: Stacks::default(),
            fleet: Membership::default(),
        })
    }

    /// The store, for what administrators do without a request.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Has the store stay open until the process ends, which closes it in less time. The rest is closed with the broker:
    /// a mail server is to get its QUIT.
    pub fn keep_store_open(&self) {
        mem::forget(self.store.clone());
    }

    /// What every request works with.
    pub fn services(&self) -> Services<'_> {
        let Self {
            store,
            clock,
            sender,
            stacks,
            fleet,
        } = self;
        Services {
            store,
            sender: &**sender,
            stacks,
            fleet,
            clock: *clock,
        }
    }

    /// Serves one request of `peer` over `terminal`.
    pub fn serve(&self, peer: Peer, request: &Request, terminal: &mut dyn Terminal) -> Done {
        match request {
            Request::Login(asked) | Request::Account(asked) => {
                login::serve(self.services(), peer, request, asked, terminal)
            }
            Request::OpenSession(_)
            | Request::CloseSession { .. }
            | Request::PasswordChanged { .. }
            | Request::Sessions { .. } => session::serve(self.services(), peer, request),
            Request::Status { .. }
            | Request::EnrolApp { .. }
            | Request::EnrolAddress { .. }
            | Request::EnrolSecurityKey { .. }
            | Request::Remove { .. }
            | Request::Set { .. }
            | Request::NewBackupCodes { .. }
            | Request::Devices { .. }
            | Request::RevokeDevices { .. } => {
                manage::serve(self.services(), peer, request, terminal)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use twofa_store::Owner;

    #[test]
    fn where_the_store_stays_open_the_providers_are_closed() {
        let folder = tempfile::tempdir().unwrap();
        let location = Location {
            database: folder.path().join("db/twofa.db"),
            key: folder.path().join("etc/key"),
        };
        let owner = Owner {
            uid: nix::unistd::geteuid().as_raw(),
            gid: nix::unistd::getegid().as_raw(),
        };
        drop(Store::create(location.clone(), owner).unwrap());
        let broker = Broker::open(location, |_| ()).unwrap();
        let store = Arc::downgrade(&broker.store);
        assert_eq!(store.strong_count(), 2, "the broker's and the providers'");
        broker.keep_store_open();
        drop(broker);
        assert_eq!(store.strong_count(), 1, "the one that is kept");
    }
}
