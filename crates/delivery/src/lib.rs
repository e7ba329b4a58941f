//! Sends codes and notices to users: e-mail and SMS providers, and fail-over between them.
//!
//! The broker hands a [`Message`] and a deadline to a [`Sender`]. In production that is the [`Dispatcher`]: it tries
//! the providers of a channel in the administrator's order, until one accepts the message or the time is up.
//!
//! From the top down:
//!
//! - [`dispatcher`]: fail-over; [`sender`]: its interface;
//! - [`catalogue`]: the kinds of providers on this machine. It is the only module that knows all of them;
//! - [`mail`]: SMTP, `sendmail`, and gateways from e-mail to SMS;
//! - [`sms`]: an HTTP client for all SMS providers. Each of them is a data file in `sms/providers/`, so that a new one
//!   takes no code. And a local modem;
//! - [`templates`]: the texts of messages;
//! - [`provider`]: what a provider is: its kind, its settings, the trait it implements; [`account`]: account strings;
//!   [`fingerprint`]: whether an administrator's files have changed;
//! - [`phone`]: phone numbers; [`characters`]: what is pasted together with them and with e-mail addresses;
//! - [`net`]: name lookup, HTTP and TLS; [`subprocess`]: programs on this machine;
//! - [`redaction`]: keeps secrets out of errors;
//! - [`message`], [`error`]: what is sent, and why it was not.
//!
//! Times are parameters, and the caller sets the deadlines. The clock is asked in one place: a signature for AWS has to
//! bear the time at which it is sent.
#![forbid(unsafe_code)]

mod account;
mod catalogue;
mod characters;
mod dispatcher;
pub mod error;
mod fingerprint;
pub mod mail;
pub mod message;
mod net;
pub mod phone;
pub mod provider;
mod redaction;
mod sender;
pub mod sms;
pub mod subprocess;
pub mod templates;

pub use account::BadAccount;
pub use catalogue::Catalogue;
pub use dispatcher::Dispatcher;
pub use error::{SendError, Step};
pub use message::{CodeMessage, Message, NoticeMessage};
pub use net::certificate::first_end;
pub use provider::{
    BadProvider, ConfigDirs, InboundSms, Inbox, Provider, ProviderConfig, ProviderKind, Receipt,
};
pub use sender::{Accepted, Sender, Undelivered};
