//! Transactions, as the rules of the store see them: [`View`] is one consistent view, [`Tx`] a change that somebody makes.

use std::cell::RefCell;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use twofa_core::Timestamp;

use crate::error::StoreError;
use crate::event::{Happening, Origin};
use crate::journal::JournalState;
use crate::rules::{Rules, RulesCache};
use crate::seal::{AssociatedData, SealingKey};
use crate::sql::{Db, sealing};

/// One transaction, and what everything in it shares.
#[derive(Debug)]
pub(crate) struct View<'a> {
    pub db: &'a Db<'a>,
    pub key: &'a SealingKey,
    pub rules: &'a RulesCache,
    /// Set when a notice may have been queued, by this process or another.
    pub may_have_notices: &'a AtomicBool,
    /// The name of the journal, and what this process has logged in it.
    pub journal: &'a JournalState,
}

impl View<'_> {
    /// Seals `secret` for `data` with the key that seals from now on. In a change, that stays the one until the change ends.
    pub(crate) fn seal(
        &self,
        data: AssociatedData<'_>,
        secret: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        let number = sealing::in_force(self.db)?;
        self.key.seal(number, data, secret)
    }

    /// The rules in force.
    pub(crate) fn rules(&self) -> Result<Arc<Rules>, StoreError> {
        self.rules.load(self, self.may_have_notices)
    }
}

/// A write transaction of somebody: what happens in it is logged with `origin` and `now`.
#[derive(Debug)]
pub(crate) struct Tx<'a> {
    pub view: View<'a>,
    pub origin: &'a Origin,
    pub now: Timestamp,
    /// What is logged in this transaction, for the listener: see [`crate::Store::set_listener`].
    pub happened: &'a RefCell<Vec<Happening>>,
    /// Whether the commit waits for the disk.
    pub is_synced: bool,
}

impl Tx<'_> {
    /// The key of the host of the fleet for which this is done; `None`: for this machine.
    pub(crate) fn host_key(&self) -> Option<&[u8; 32]> {
        self.origin.host.as_ref()?.key.as_ref()
    }
}

impl<'a> Deref for Tx<'a> {
    type Target = View<'a>;

    fn deref(&self) -> &View<'a> {
        &self.view
    }
}
