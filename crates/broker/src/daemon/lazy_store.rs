//! The store, opened when it is first needed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use twofa_store::{Location, StoreError};

use crate::deferred::Deferred;
use crate::process::log;
use crate::requests::broker::Broker;

/// The store and what works on it. A broker that starts before there is a store answers with a refusal that says why,
/// and works as soon as there is one.
#[derive(Debug)]
pub(super) struct LazyStore {
    location: Location,
    broker: Mutex<Option<Arc<Broker>>>,
    /// One for all brokers, of which there may be one after the other.
    deferred: Arc<Deferred>,
}

impl LazyStore {
    pub(super) fn new(location: Location) -> Self {
        let broker = Mutex::default();
        Self {
            location,
            broker,
            deferred: Arc::default(),
        }
    }

    /// What its brokers leave to be recorded later.
    pub(super) fn deferred(&self) -> &Arc<Deferred> {
        &self.deferred
    }

    /// The open store; it is opened now if it is not.
    pub(super) fn open(&self) -> Result<Arc<Broker>, StoreError> {
        let mut open = self.lock();
        if let Some(broker) = &*open {
            return Ok(broker.clone());
        }
        let broker = Broker::open(self.location.clone(), log::event)?;
        // From here on it gives marks, and serves nobody if it cannot.
        broker.store().give_mark(broker.services().now())?;
        let broker = Arc::new(broker.deferring_to(self.deferred.clone()));
        // One that cannot be written is opened again for each connection, until it can.
        if !broker.store().is_snapshot() {
            *open = Some(broker.clone());
        }
        Ok(broker)
    }

    /// Whether a newer program has brought the store up to date since it was opened here.
    pub(super) fn is_outdated(&self) -> bool {
        let rules = self.if_open().map(|broker| broker.store().rulebook());
        matches!(rules, Some(Err(StoreError::Newer { .. })))
    }

    /// The store if it is open. One that cannot be opened has nothing to send.
    pub(super) fn if_open(&self) -> Option<Arc<Broker>> {
        self.lock().clone()
    }

    /// Closes the store as soon as no connection uses it: a clean end leaves no write-ahead log.
    pub(super) fn close(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Broker>>> {
        self.broker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
