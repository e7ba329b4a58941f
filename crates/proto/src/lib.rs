//! What the PAM module, the CLI and the broker say to each other.
//!
//! One connection is one conversation. The client opens it with a [`Request`]; from then on the broker
//! leads: it sends texts and prompts, the client shows them and answers, until [`Done`] ends it. Which
//! message may come when is a table ([`conduct::TABLE`]), checked at both ends; a message out of turn
//! ends the conversation. End of file is an answer and ends it too.
//!
//! [`message`] has the messages, [`codec`] their frames on the wire, [`conduct`] the table,
//! [`channel`] the two ends that put the three together, [`stream`] the socket under them; [`ahead`] spares them reads.
#![forbid(unsafe_code)]

mod ahead;
pub mod channel;
pub mod codec;
pub mod conduct;
pub mod message;
pub mod secret;
pub mod stream;

use std::time::Duration;

pub use channel::{BrokerEnd, ChannelError, ClientEnd};
pub use message::{
    AppReport, AppRequest, ContactReport, Done, ExemptionReport, Failure, FromBroker, FromClient,
    Login, Prompt, Report, Request, Standing, Verdict,
};
pub use secret::Secret;
pub use stream::Stream;

/// Raised whenever a message changes; a broker and a client of different versions refuse each other.
pub const VERSION: u16 = 2;

/// How long the broker works, at most, before it gives up: a code that is sent has the longest way, fail-over
/// included. sshd gives a login two minutes, login(1) one.
pub const WORK_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a client waits for the next message of a conversation that was accepted.
pub const MESSAGE_TIMEOUT: Duration = WORK_TIMEOUT.saturating_add(Duration::from_secs(5));

/// Where the broker listens.
pub const SOCKET: &str = "/run/twofa/twofad.sock";

/// The system user that the broker runs as.
pub const SERVICE_USER: &str = "twofa";
