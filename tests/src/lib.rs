//! A throwaway Linux machine for tests.
//!
//! [`Machine`] is a set of namespaces with an overlay over the host's `/`: every program, user and configuration
//! file has its real path in it, it has its own loopback network, processes, terminals and log, and nothing that
//! happens in it reaches the host. It takes a fraction of a second to make, any number of them run at once, and it
//! dies with the test, however the test dies.
//!
//! - [`Builder`] says what the machine is like: its users, its policy, its PAM stacks, its sshd.
//! - [`Machine`] runs commands in it, and [`Terminal`] is a terminal on it, used as a person would.
//! - [`Authenticator`] is the app on the user's phone; its codes come from oathtool, never from our own code.
//! - [`Broker`] makes the broker fail from outside: killed, stopped, out of time, with failing system calls.
//! - [`Client`] is one of other people's ssh clients, used on a terminal as well.
//! - [`decode_qr`] is the phone's camera.
//! - [`MailServer`] is a real mail server with mailboxes, and [`HangingServer`] one that never says a word.
//! - [`SmsProvider`] takes text messages, and has some for us.
//!
//! It needs root, because namespaces, users and device nodes do.

#![forbid(unsafe_code)]
// A test-support library: it says what went wrong by failing the test that uses it.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::missing_panics_doc
)]

mod artefacts;
mod broker;
mod builder;
mod clients;
mod codes;
mod enrol;
mod log;
mod machine;
mod mailserver;
mod namespaces;
mod process;
mod qr;
mod screen;
mod smsprovider;
mod sshd;
mod terminal;
mod wait;

pub use broker::{Broker, Trace};
pub use builder::{Builder, FIRST_FACTOR, password_of};
pub use clients::Client;
pub use codes::{Authenticator, oathtool, unix_now};
pub use enrol::{enrol_on, save_backup_codes};
pub use machine::Machine;
pub use mailserver::{HangingServer, carry_mail, code_in};
pub use process::{Output, Process};
pub use qr::decode_qr;
pub use smsprovider::SmsProvider;
pub use terminal::Terminal;
pub use twofa_mailserver::{Door, MailServer};
