//! What a second factor means: policy, methods, codes, lockout and the decision.
//!
//! Everything here is pure: no files, no clock, no randomness. The time and random bytes are parameters, so that every
//! rule can be tested by a table. `twofa-store` keeps the data, `twofa-broker` asks for codes.
//!
//! What an administrator decides:
//! - [`policy`]: the settings of the machine, and the table of all keys;
//! - [`class`]: own settings for the members of a Unix [`group`]; [`rulebook`]: policy and classes together;
//! - [`exemption`]: accounts that are not asked;
//! - [`transition`]: whom a change would leave without a working method; [`mod@forecast`]: what would come of a login if a
//!   second factor were mandatory.
//!
//! What is known about a [`user`]: an [`account`] and its methods. [`method`] is the table of all methods, [`channel`] how
//! codes are sent.
//!
//! What happens at a login, in this order:
//! 1. [`decide`] says whether this user must show a second factor now ([`decision`]), which a trusted [`device`] may stand in
//!    for;
//! 2. what was typed is read as an [`answer`];
//! 3. the code is verified against the authenticator apps ([`app`]), the code that was [`sent`], or the backup codes
//!    ([`backup`]);
//! 4. a wrong code is counted, and too many lock the account ([`lockout`]).
//!
//! On a host of a fleet that reaches no server, root and a rescue group can log in with a [`rescue`] code.
#![forbid(unsafe_code)]

pub mod account;
pub mod address;
pub mod answer;
pub mod app;
pub mod backup;
pub mod channel;
pub mod class;
pub mod decision;
pub mod device;
pub mod duration;
pub mod exemption;
pub mod fleet_policy;
pub mod forecast;
pub mod group;
pub mod host_rules;
pub mod key;
pub mod lockout;
pub mod method;
pub mod name_pattern;
pub mod policy;
pub mod rescue;
pub mod rulebook;
pub mod sent;
pub mod service;
pub mod shared_accounts;
pub mod text;
pub mod time;
pub mod transition;
pub mod user;

pub use account::Account;
pub use answer::{Answer, Reply};
pub use app::{
    Algorithm, App, AppCodeOutcome, OtpKind, Parameters, PendingResync, Verification,
    check_app_code,
};
pub use backup::{BackupCode, BackupSet};
pub use channel::{Channel, PerChannel};
pub use class::Class;
pub use decision::{Decision, Denial, decide};
pub use device::{Device, DeviceKind, Grant};
pub use duration::Duration;
pub use exemption::Exemption;
pub use fleet_policy::FleetPolicy;
pub use group::{Group, Membership};
pub use host_rules::HostRules;
pub use key::Key;
pub use lockout::{Lock, Throttle};
pub use method::{Method, Methods};
pub use policy::{Mode, Policy};
pub use rescue::RescueSet;
pub use rulebook::Rulebook;
pub use sent::{HashedCode, SentCode};
pub use service::ServiceKind;
pub use shared_accounts::{FleetIdentity, SharedAccounts};
pub use time::Timestamp;
pub use user::{Status, User, Verify};
