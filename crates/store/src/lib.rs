//! Where users, the policy and the audit log are kept.
//!
//! [`Store`] is opened with [`Store::open`]; only [`Store::create`] makes one, and only where none was, because a store
//! that is missing must never read as "nobody has a second factor". No type of a database leaves this crate.
//!
//! Each operation that counts is one method, one write transaction, and on disk when it returns. A login is
//! [`Store::snapshot`], [`Store::begin_code`] where a code is sent, and [`Store::try_code`], or for a backup code
//! [`Store::count_attempt`] and [`Store::use_backup_code`] ([`attempts`]).
//!
//! From the bottom up:
//!
//! - [`event`] is what can happen, as data, and who did it; [`error`] is what can go wrong;
//! - [`seal`] binds secrets to their row, [`location`] says where the files are, and [`private_file`] who may read them;
//! - [`mark`] gives and checks moments in the history of a database, by which it is noticed when one goes back; [`seen_mark`]
//!   remembers the last one;
//! - [`model`] has values that rules and statements share;
//! - [`sql`] has the statements, and is all that knows SQLite and PostgreSQL;
//! - [`deadline`] bounds how long a request waits for a database on a server altogether;
//! - [`tx`] is what a transaction hands to the rules; [`backing`] begins and ends
//!   them, in a file or on a server, and [`database`] is the store itself;
//! - the rest are the rules, a file for each subject. [`record`] logs an event and queues its notice ([`notices`]),
//!   and [`journal`] proves that nobody changed one;
//!   [`methods`] is what follows from a change of any method; [`snapshot`] is all that a decision about a user needs.
#![forbid(unsafe_code)]

mod addresses;
mod app_sealing;
mod apps;
pub mod attempts;
mod backing;
mod backup_codes;
mod ca_rotation;
mod conversations;
mod database;
pub mod deadline;
mod devices;
mod error;
pub mod event;
mod exemptions;
mod exporting;
mod fleet;
mod fleet_policy;
mod generation;
mod holder;
mod host_in_force;
mod host_limits;
mod host_message;
mod host_renewal;
mod host_sessions;
mod integrity;
mod invitations;
mod join_keys;
pub mod journal;
mod keys;
mod listing;
pub mod location;
mod mark;
mod merging;
mod methods;
mod model;
mod moving;
mod notices;
mod own_rescue;
mod pending;
mod place;
mod policy;
mod private_file;
mod providers;
mod record;
mod rekeying;
mod reported_devices;
mod reported_sessions;
mod rescue;
mod resume;
mod rules;
pub mod seal;
mod security_keys;
mod seen_mark;
mod sends;
mod servers;
mod sessions;
mod settings;
mod sms_alarm;
mod snapshot;
mod sql;
#[cfg(test)]
mod testing;
pub mod tickets;
mod tx;
mod unproved_changes;
mod users;

pub use apps::NewApp;
pub use attempts::{Attempt, CodeAttempt, CodeOutcome, CodeProof, Counted, MarkUsedOutcome, Tally};
pub use ca_rotation::CaProgress;
pub use conversations::{AnswerVerdict, Conversation, NewConversation, Swept, Turn};
pub use database::{Listener, Store};
pub use error::StoreError;
pub use event::Answering;
pub use event::EventFilter;
pub use event::{Event, LoggedEvent, Missed, Origin, SmsAlarm};
pub use fleet::{HostJoin, NewHost, UnjoinedHost};
pub use generation::Generation;
pub use holder::Holder;
pub use host_limits::HostAdmission;
pub use host_message::{AtHand, OfAnswer};
pub use host_renewal::{HostRenewal, RenewalOutcome};
pub use host_sessions::{
    HostOrder, HostReport, HostSession, HostSessionFilter, HostSessionLogin, OrderForHost,
    RefusedReport,
};
pub use integrity::AlteredRow;
pub use invitations::InvitationOutcome;
pub use join_keys::{DeadToken, KeyJoin, KeyJoinOutcome, NewJoinKey};
pub use keys::{Keys, NumberedKey};
pub use listing::UserRow;
pub use location::{Location, Owner};
pub use merging::{
    Choice, Export, Matter, MergeFinding, MergePlan, MergeRules, MergedPeople, Standing,
};
pub use model::device::{ReportedDevice, TrustedDevice};
pub use model::mark::{BadMark, Mark};
pub use model::session::{LockerPlace, NewSession, SessionFilter, StoredSession};
pub use model::ticket::{
    AccountPhase, Confirmation, FleetLogin, LoginProcess, NewTrust, Pass, ProcessId, Settlement,
    TicketLogin, TicketNumber,
};
pub use notices::NoticeFate;
pub use own_rescue::{FoundRescueCode, OwnRescue, RescueAttempt, RescueStart};
pub use place::{Place, ServerPlace};
pub use providers::{ProviderRecord, Providers, Value};
pub use rekeying::{Rekeying, SealedCount};
pub use reported_devices::ReportedPass;
pub use reported_sessions::SessionWork;
pub use rescue::{NewRescueSet, RescueNews, RescueReport, RescueUse, ShownRescueCode};
pub use resume::Setback;
pub use rules::Rules;
pub use sends::{SendKind, SendLimit, SendStart};
pub use servers::{AdmittedServer, NewServer, open_package};
pub use settings::Settings;
pub use sms_alarm::SmsCount;
pub use snapshot::UserSnapshot;
pub use sql::ca_rotation::{CaRotation, HostCa};
pub use sql::copy::Moved;
pub use sql::exemptions::StoredExemption;
pub use sql::fleet::{Host, HostRights, JoinedFleet, KnownAuthorities, Renewed};
pub use sql::fleet_policy::KnownFleetPolicy;
pub use sql::join_keys::{JoinKey, UsedToken};
pub use sql::notices::Notice;
pub use sql::postgres::fitness::FARTHEST_CLOCK;
pub use sql::postgres::pipeline::{DatabaseCounters, Traffic};
pub use sql::postgres::replication::{Replication, Standby};
pub use sql::servers::Server;
