//! A throwaway Linux machine for tests.
//!
//! [`Machine`] is a set of namespaces with an overlay over the host's `/`: every program, user and configuration
//! file has its real path in it, it has its own loopback network, processes, terminals and log, and nothing that
//! happens in it reaches the host. It starts in a fraction of a second, any number of them can run at once, and it
//! ends with the test, however the test ends.
//!
//! - [`Booted`] is a system with systemd as its first process, for what nothing less shows.
//! - [`Builder`] describes the machine: its users, its policy, its PAM stacks, its sshd.
//! - [`Machine`] runs commands in it, and [`Terminal`] is a terminal on it, used as a person would.
//! - [`Authenticator`] is the app on the user's phone; its codes come from oathtool, never from our own code.
//! - [`Broker`] makes the broker fail from outside: kills it, stops it, changes its clock, makes system calls fail.
//! - [`Cable`] connects two machines.
//! - [`Client`] is an ssh client other than OpenSSH's, also on a terminal.
//! - [`mod@screenshot`] draws a terminal.
//! - [`Terminal::read_qr`] is the phone's camera.
//! - [`MailServer`] is a real mail server with mailboxes, and [`HangingServer`] one that never answers.
//! - [`SmsProvider`] accepts text messages, and lists those sent to us; [`SignalApi`] sends them through Signal.
//!
//! It needs root, because creating namespaces, users and device nodes does.

#![forbid(unsafe_code)]
// A test-support library: it says what went wrong by failing the test that uses it.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::missing_panics_doc
)]

mod artefacts;
mod booted;
mod broker;
mod builder;
mod cable;
mod clients;
mod codes;
mod enrol;
mod fleet;
mod log;
mod machine;
mod mailserver;
mod namespaces;
mod postgres;
mod process;
mod qr;
mod screen;
mod screenshot;
mod signalapi;
mod slow_cable;
mod smsprovider;
mod sshd;
mod terminal;
mod wait;
mod window;

pub use artefacts::CHECKOUT;
pub use booted::Booted;
pub use broker::{Broker, Trace};
pub use builder::{Builder, FIRST_FACTOR, password_of};
pub use cable::Cable;
pub use clients::Client;
pub use codes::{Authenticator, oathtool, unix_now};
pub use enrol::{enrol_on, save_backup_codes};
pub use machine::Machine;
pub use mailserver::{HangingServer, add_mail, carry_mail, code_in};
pub use postgres::Postgres;
pub use process::{Output, Process};
pub use screenshot::screenshot;
pub use signalapi::SignalApi;
pub use slow_cable::SlowCable;
pub use smsprovider::SmsProvider;
pub use sshd::{KEY_OR_PASSWORD, SYSTEMCTL};
pub use terminal::Terminal;
pub use twofa_mailserver::{Listener, MailServer};
pub use window::Theme;
