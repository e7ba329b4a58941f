//! What administrators do, as a library: rules and findings as typed values, for the command line and for any other
//! program that sets a machine up.
//!
//! [`Administration`] opens the store, and each of these adds what can be done with it:
//!
//! - [`policy`] and [`class`] plan and make changes of the rules; [`document`] is their form in a file;
//! - [`checks`] is what to consider before rules or providers change: whom that leaves without a working method;
//! - [`exemption`] grants and ends exemptions, [`listing`] lists users, and [`users`] changes them;
//! - [`fleet`] adds, removes and admits hosts, [`join_keys`] makes keys for many of them, [`leaving`] counts whom it concerns that
//!   a host leaves, and [`servers`] makes servers; [`rotation`] replaces keys;
//! - [`rescue`] has a rescue code of a host shown;
//! - [`store`] moves, exports and upgrades the store, and [`merging`] merges exported ones into it;
//! - [`devices`] lists the devices that users trust, and ends the trust;
//! - [`providers`] and [`methods`] manage what sends codes;
//! - [`sessions`] reads login sessions and records what became of them;
//! - [`pam`] is this machine's services, and who gets in at them;
//! - [`doctor`] finds what is wrong, [`log`] reads the audit log, and [`stats`] counts.
//!
//! Nothing here prints, asks anybody or makes sentences, except for errors ([`error`]). A caller renders what it gets,
//! and has the administrator agree to the concerns of a plan before it makes the change.

pub mod ca_rotation;
pub mod checks;
pub mod class;
pub mod devices;
pub mod doctor;
pub mod document;
pub mod error;
pub mod exemption;
pub mod fleet;
pub mod join_keys;
pub mod leaving;
pub mod listing;
pub mod log;
mod losses;
pub mod merging;
pub mod methods;
pub mod pam;
pub mod policy;
pub mod providers;
pub mod report;
pub mod rescue;
pub mod rotation;
pub mod servers;
pub mod sessions;
pub mod stats;
pub mod store;
#[cfg(test)]
mod testing;
mod unrecorded;
pub mod users;

use twofa_core::Timestamp;
use twofa_proto::{Done, Request};
use twofa_store::{Location, Origin, Store, StoreError};

pub use error::AdminError;

use crate::identity::authority::Peer;
use crate::journal::{self, Anchored};
use crate::process::location::location;
use crate::process::{self, privileges, reset};
use crate::requests::broker::Broker;
use crate::text::terminal::Terminal;

/// Administration of this machine's store.
#[derive(Debug)]
pub struct Administration {
    broker: Broker,
    /// The uid of the person who logged in and became root since, where it is known.
    login_uid: Option<u32>,
}

/// Writes the checkpoint of the audit log, if the events of this process made one due.
impl Drop for Administration {
    fn drop(&mut self) {
        if self.store().has_logged() {
            // If it cannot be written, the next process does it.
            let _ = journal::keep_up(self.store(), self.now(), Anchored::Quietly);
        }
    }
}

impl Administration {
    /// Opens the store of this machine, and gives root up for the service's user: nothing in the store is read with more
    /// rights than the broker has, and no file in it can come to belong to root.
    ///
    /// From here on this process cannot be stopped by the person who started it, since it may hold the lock that every
    /// login waits for.
    pub fn open() -> Result<Self, AdminError> {
        Self::open_with(Store::open)
    }

    /// The same where the database has gone back, so that nobody else opens it: for [`Self::resume_fleet`].
    pub fn open_to_resume() -> Result<Self, AdminError> {
        Self::open_with(Store::open_to_resume)
    }

    fn open_with(
        open: impl FnOnce(Location) -> Result<Store, StoreError>,
    ) -> Result<Self, AdminError> {
        // If the control group cannot be left, the broker that the module starts in it reports that.
        let _ = reset::reset_limits();
        reset::ignore_job_control();
        privileges::become_service_user()?;
        privileges::harden()?;
        let store = open(location())?;
        store.read_without_standby();
        Ok(Self {
            broker: Broker::on(store, process::log::event_of_command),
            login_uid: process::login_uid(),
        })
    }

    /// Serves what people otherwise ask the broker for, in this process and with root's rights over every user.
    pub fn serve(&self, request: &Request, terminal: &mut dyn Terminal) -> Done {
        let peer = Peer::ROOT.with_login_uid(self.login_uid);
        self.broker.serve(peer, request, terminal)
    }

    /// The current time by the system clock, in whole seconds.
    pub fn now(&self) -> Timestamp {
        self.broker.services().now()
    }

    /// The store itself.
    pub(crate) fn store(&self) -> &Store {
        self.broker.store()
    }

    /// What is done here, in the audit log.
    pub(crate) fn origin(&self) -> Origin {
        Origin::command_line(0).by_login_uid(self.login_uid)
    }
}
