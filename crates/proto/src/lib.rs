//! The messages between the broker and its clients, the PAM module and the command line.
//!
//! A connection serves one request. The client sends a [`Request`]. From then on the broker leads: it sends texts and
//! prompts, the client shows them and sends answers, until [`Done`] ends the connection. Both ends check each message
//! against one table of permitted transitions ([`state::TRANSITIONS`]); a message out of turn ends the connection, and so
//! does end of file.
//!
//! [`message`] has the messages, [`evidence`] what root's module knows of a login, [`session`] what it tells of login
//! sessions, [`codec`] their frames on the wire, [`state`] the table, [`endpoint`] the two ends, which put these together,
//! and [`stream`] the socket under them, read through [`buffered`].
//!
//! The first message names a version of the protocol. [`Version`] has the one of this program and the one before, so that
//! logins go on while packages are upgraded; `previous` has the messages that were different, and converts them. Nothing
//! else knows them. How a message is changed is in docs/architecture.md.
#![forbid(unsafe_code)]

mod buffered;
pub mod codec;
pub mod endpoint;
pub mod evidence;
pub mod message;
mod previous;
pub mod secret;
pub mod session;
pub mod state;
pub mod stream;
mod version;

use std::time::Duration;

pub use endpoint::{BrokerEnd, ClientEnd, ConnectionError};
pub use evidence::{
    Confirm, Evidence, PasswordState, ProcessId, SessionEvidence, TerminalEvidence, Ticket,
};
pub use message::{
    AppReport, AppRequest, ContactReport, DeviceReport, Done, ExemptionReport, Failure, FromBroker,
    FromClient, Login, Prompt, Request, SecurityKeyReport, UserReport, UserStatus, Verdict,
};
pub use secret::Secret;
pub use session::{SessionLimit, SessionProcess, SessionReport, SessionStart, is_no_login};
pub use stream::Stream;
pub use version::{VERSION, Version};

/// How long the broker works at most before it gives up. Sending a code, fail-over included, takes longest. sshd gives a
/// login two minutes, login(1) one.
pub const WORK_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a client waits for the next message once its request was accepted.
pub const MESSAGE_TIMEOUT: Duration = WORK_TIMEOUT.saturating_add(Duration::from_secs(5));

/// The socket that the broker listens at.
pub const SOCKET: &str = "/run/twofa/twofad.sock";

/// The system user that the broker runs as.
pub const SERVICE_USER: &str = "twofa";
