//! What serves requests: the store, the providers, the PAM stacks and the clock, opened once.

use std::mem;
use std::sync::Arc;

use twofa_core::Timestamp;
use twofa_delivery::{ConfigDirs, Sender};
use twofa_proto::{Done, Request};
use twofa_store::{Event, Listener, Location, Origin, Store, StoreError};

use crate::context::Services;
use crate::deferred::{Deferred, Task};
use crate::fleet::membership::Membership;
use crate::identity::authority::Peer;
use crate::identity::first_factor::Stacks;
use crate::process::{clock, log};
use crate::requests::{login, manage, session};
use crate::sending::providers::StoredProviders;
use crate::text::messages::log_lines;
use crate::text::terminal::Terminal;

/// Serves requests, one after the other or many at once.
#[derive(Debug)]
pub struct Broker {
    store: Arc<Store>,
    clock: fn() -> Timestamp,
    sender: Box<dyn Sender>,
    stacks: Stacks,
    fleet: Membership,
    deferred: Arc<Deferred>,
}

impl Broker {
    /// A broker over the store at `location`, which must exist. `listener` gets what happens there.
    pub fn open(location: Location, listener: Listener) -> Result<Self, StoreError> {
        Ok(Self::on(Store::open(location)?, listener))
    }

    /// A broker over this store.
    pub(crate) fn on(mut store: Store, listener: Listener) -> Self {
        store.set_listener(listener);
        store.compare_clock(clock::now);
        let store = Arc::new(store);
        let sender = Box::new(StoredProviders::new(store.clone(), ConfigDirs::default()));
        Self {
            store,
            clock: clock::now,
            sender,
            stacks: Stacks::default(),
            fleet: Membership::default(),
            deferred: Arc::default(),
        }
    }

    /// Leaves what is to be recorded later to `deferred`, which outlives this broker.
    #[must_use]
    pub(crate) fn deferring_to(self, deferred: Arc<Deferred>) -> Self {
        Self { deferred, ..self }
    }

    /// What is to be recorded later.
    pub(crate) fn deferred(&self) -> &Deferred {
        &self.deferred
    }

    /// Records what a login left behind. What cannot be recorded is logged and counted.
    pub(crate) fn record(&self, task: &Task) {
        let services = self.services();
        let recorded = match task {
            Task::Report(peer, request) => login::record(services, *peer, request),
            Task::Refusal(reason, origin, at) => {
                let event = Event::UnprovedRefused {
                    reason: *reason,
                    count: 1,
                    since: at.unix(),
                };
                let recorded = self.store.record_unsynced(None, &event, origin, *at);
                recorded.map_err(|error| error.to_string())
            }
        };
        if let Err(error) = recorded {
            log::warn(&log_lines::login_not_recorded(&error));
            self.deferred.miss(task, services.now());
        }
    }

    /// Records how many there were of what could only be counted.
    pub(crate) fn record_count(&self, event: &Event) -> Result<(), StoreError> {
        let origin = Origin::command_line(nix::unistd::geteuid().as_raw());
        self.store.record(None, event, &origin, (self.clock)())
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
            deferred,
        } = self;
        Services {
            store,
            sender: &**sender,
            stacks,
            fleet,
            deferred,
            clock: *clock,
            deadline: None,
            at_hand: None,
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
            server: folder.path().join("etc/database"),
            ..Location::default()
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
