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
mod app_sealing;
mod apps;
pub mod attempts;
mod backup_codes;
mod database;
mod error;
pub mod event;
mod exemptions;
mod generation;
mod holder;
mod listing;
pub mod location;
mod methods;
mod notices;
mod pending;
mod policy;
mod providers;
mod record;
mod rules;
pub mod seal;
mod sends;
mod settings;
mod sms_alarm;
mod snapshot;
mod sql;
#[cfg(test)]
mod testing;
mod tx;
mod unproved_changes;
mod users;

pub use apps::NewApp;
pub use attempts::{Attempt, CodeAttempt, CodeOutcome, CodeProof, Counted, Tally, Use};
pub use database::Store;
pub use error::StoreError;
pub use event::{Event, LoggedEvent, Missed, Origin, SmsAlarm};
pub use generation::Generation;
pub use holder::Holder;
pub use listing::UserRow;
pub use location::{Location, Owner};
pub use notices::NoticeFate;
pub use providers::{ProviderRecord, Providers, Value};
pub use record::EventFilter;
pub use rules::Rules;
pub use sends::{SendKind, SendLimit, SendStart};
pub use settings::Settings;
pub use sms_alarm::SmsCount;
pub use snapshot::UserSnapshot;
pub use sql::exemptions::StoredExemption;
pub use sql::notices::Notice;
