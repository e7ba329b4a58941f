//! Where users, the policy and the audit log are kept.
//!
//! All SQL of the project is in this crate and no type of SQLite leaves it: another engine would be
//! another crate with these methods. [`Store`] is opened with [`Store::open`]; only [`Store::create`]
//! makes one, and only where none was, because a store that has gone missing must never read as "nobody
//! has a second factor".
//!
//! Each operation that counts is one method, one write transaction, and on disk when it returns
//! (`synchronous=FULL`). A login is [`Store::situation`], [`Store::count_attempt`], and
//! [`Store::use_app_code`] or [`Store::use_backup_code`], in this order ([`attempts`]).
//!
//! Shared keys are sealed to their row ([`seal`]); [`location`] says where the files are and who may
//! see them.
#![forbid(unsafe_code)]

pub mod attempts;
mod database;
mod error;
mod events;
mod exemptions;
pub mod location;
mod methods;
mod policy;
mod rules;
pub mod seal;
#[cfg(test)]
mod testing;
mod users;

pub use attempts::{Attempt, Counted, Use};
pub use database::Store;
pub use error::StoreError;
pub use events::{Event, EventFilter, EventKind, LoggedEvent, Origin};
pub use exemptions::StoredExemption;
pub use location::{Location, Owner};
pub use methods::NewApp;
pub use rules::Rules;
pub use users::{AddressKind, Generation, Missed, Settings, Situation, UserRow};
