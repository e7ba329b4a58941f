//! Where users, the policy and the audit log are kept.
//!
//! All SQL of the project is in this crate and no type of SQLite leaves it: another engine would be
//! another crate with these methods. [`Store`] is opened with [`Store::open`]; only [`Store::create`]
//! makes one, and only where none was, because a store that has gone missing must never read as "nobody
//! has a second factor".
//!
//! Each operation that counts is one method, one write transaction, and on disk when it returns
//! (`synchronous=FULL`). A login is [`Store::situation`], [`Store::begin_send`] where a code is sent, and
//! [`Store::try_code`], or for a backup code [`Store::count_attempt`] and [`Store::use_backup_code`] ([`attempts`]). What people should know of is queued with the change itself ([`notices`]).
//!
//! Shared keys and providers' passwords are sealed to their row ([`seal`]); [`location`] says where the files are and who may
//! see them.
#![forbid(unsafe_code)]

mod addresses;
pub mod attempts;
mod changes;
mod database;
mod error;
mod events;
mod exemptions;
mod holder;
mod listing;
pub mod location;
mod methods;
mod notices;
mod pending;
mod policy;
mod providers;
mod rules;
pub mod seal;
mod sends;
mod settings;
#[cfg(test)]
mod testing;
mod unproved;
mod users;

pub use attempts::{Attempt, CodeAttempt, CodeOutcome, CodeProof, Counted, Tally, Use};
pub use database::Store;
pub use error::StoreError;
pub use events::{Event, EventFilter, EventKind, LoggedEvent, Origin};
pub use exemptions::StoredExemption;
pub use holder::Holder;
pub use listing::UserRow;
pub use location::{Location, Owner};
pub use methods::NewApp;
pub use notices::{Notice, NoticeFate};
pub use providers::{ProviderRecord, Providers, Value};
pub use rules::Rules;
pub use sends::{SendKind, SendLimit, SendStart, SmsAlarm, SmsCount};
pub use settings::Settings;
pub use users::{Generation, Missed, Situation};
