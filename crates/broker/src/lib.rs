//! The broker: it decides, verifies and records. The PAM module and the CLI are its terminals.
//!
//! A folder uses only those below it:
//!
//! - [`daemon`] is `twofad`: it listens, limits connections and waits no longer than it must;
//! - [`requests`] serves one connection: a login or a command, permitted by a table;
//! - [`methods`] asks for codes and verifies them, and sets up methods;
//! - [`sending`] sends codes and notices through the providers in the store;
//! - `journal` keeps the audit log provable;
//! - [`fleet`] is this machine as a host of a fleet, whose servers decide about some logins;
//! - [`context`] is what all of these work with;
//! - [`identity`] finds out who asks, about whom, and what is known of them;
//! - [`process`] resets what the starting program has set, gives up root, and writes the log;
//! - [`sshd`] reads sshd's configuration, for the doctor and for changes of it;
//! - [`text`] has every sentence that people read.
//!
//! [`admin`] is administration as a library, for the command line: it uses all of them but [`daemon`]. [`client`] is the
//! other end of a request.

pub mod admin;
pub mod client;
pub mod context;
pub mod daemon;
mod deferred;
pub mod fleet;
pub mod identity;
mod journal;
pub mod methods;
pub mod process;
pub mod requests;
pub mod sending;
pub mod sshd;
#[cfg(test)]
mod testing;
pub mod text;

pub use process::{clock, privileges};
pub use text::qr;
pub use text::terminal::{Terminal, TerminalClosed};
/// What requests, terminals and the answers to them are made of.
pub use twofa_proto::{
    AppRequest, ContactReport, DeviceReport, Done, ExemptionReport, Failure, Prompt, Request,
    SERVICE_USER, SOCKET, Secret, SecurityKeyReport, SessionReport, UserReport, UserStatus,
};
