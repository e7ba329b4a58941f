//! How a code travels to its owner: e-mail and SMS providers, and their order of fail-over.
//!
//! The broker hands a [`Message`] and a deadline to a [`Courier`]. The real one is the [`Dispatcher`]: it tries the
//! providers of a [`twofa_core::Channel`] in the administrator's order until one has taken the message or the time is up.
//!
//! - [`provider`]: what kinds of providers there are, which settings each takes, and opening one;
//! - [`mail`]: SMTP and the machine's own `sendmail`, and what a mail looks like;
//! - [`sms`]: one engine for all SMS providers. Each of them is a data file in `sms/providers/`, so that a new one
//!   takes no code;
//! - [`templates`]: what messages say;
//! - [`lookup`], [`tls`], [`program`]: servers' names, their certificates, and programs of this machine;
//! - [`secrets`]: what must not stand in an error; [`stamp`]: whether an administrator's files have changed;
//! - [`error`]: what went wrong, at which step, and what to do about it.
//!
//! Moments are parameters and deadlines are the caller's. One place asks the clock: a signature for Amazon must be of
//! the moment when it is sent.
#![forbid(unsafe_code)]

mod dispatcher;
pub mod error;
mod lookup;
pub mod mail;
pub mod message;
mod program;
pub mod provider;
mod secrets;
pub mod sms;
mod stamp;
pub mod templates;
mod tls;

pub use dispatcher::{Attempted, Courier, Dispatcher, Undelivered};
pub use error::{SendError, Step};
pub use message::{CodeMessage, Message, NoticeMessage};
pub use provider::{
    BadProvider, Catalogue, Configuration, Inbox, Kind, Places, Provider, Receipt, Received,
};
