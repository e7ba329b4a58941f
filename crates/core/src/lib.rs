//! What a second factor means, and nothing else.
//!
//! Everything here is pure: no files, no clock, no randomness. The time and random bytes are
//! parameters, so that every rule can be tested by a table. Where it is kept is `twofa-store`,
//! who asks for it is `twofa-broker`.
//!
//! A login reads top to bottom:
//! 1. [`decide`] says whether this person must show a second factor now ([`decision`]);
//! 2. what was typed is read as an [`Answer`], or as nothing a code could be ([`answer`]);
//! 3. an attempt is counted before it is verified ([`lockout`]);
//! 4. the code is verified against the authenticator apps ([`app_code`], [`app`]), the code just [`sent`] or the backup
//!    codes ([`backup`]).
//!
//! What holds for whom is the [`policy`], with what a [`class`] has of its own, less what an [`exemption`]
//! spares. What a change of it takes from people is told before it is made ([`transition`]).
#![forbid(unsafe_code)]

pub mod account;
pub mod answer;
pub mod app;
pub mod app_code;
pub mod backup;
pub mod channel;
pub mod class;
pub mod decision;
pub mod duration;
pub mod exemption;
pub mod group;
pub mod key;
pub mod lockout;
pub mod method;
pub mod policy;
pub mod rulebook;
pub mod sent;
pub mod text;
pub mod time;
pub mod transition;
pub mod user;

pub use account::Account;
pub use answer::Answer;
pub use app::{Algorithm, App, OtpKind, Parameters, Verification};
pub use app_code::{AppCodeOutcome, PendingResync, check_app_code};
pub use backup::{BackupCode, BackupSet};
pub use channel::{Channel, PerChannel};
pub use class::Class;
pub use decision::{Decision, Denial, decide};
pub use exemption::Exemption;
pub use group::{Group, Membership};
pub use key::Key;
pub use lockout::{Lock, Throttle};
pub use method::{Method, Methods};
pub use policy::{Mode, Policy};
pub use rulebook::Rulebook;
pub use sent::SentCode;
pub use time::Timestamp;
pub use user::{Status, User, Verify};
