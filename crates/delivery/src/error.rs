//! Why a provider did not accept a message: which step failed, the reason, and what an administrator can do about it.

use std::fmt;

/// A step in sending a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Reading the provider's settings and the files they name.
    Settings,
    /// Looking up the server's name.
    Lookup,
    /// Connecting to the server.
    Connect,
    /// The TLS handshake, including the server's certificate.
    Tls,
    /// The server's greeting.
    Greeting,
    /// Authenticating with a password, key or token.
    Login,
    /// The server's check of the sender's address or number.
    Sender,
    /// The server's check of the recipient's address or number.
    Recipient,
    /// Handing over the message, including the provider's answer to it.
    Message,
    /// Running a program on this machine.
    Program,
}

impl Step {
    /// The step's name in errors and data files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Lookup => "name lookup",
            Self::Connect => "connect",
            Self::Tls => "TLS",
            Self::Greeting => "greeting",
            Self::Login => "login",
            Self::Sender => "sender",
            Self::Recipient => "recipient",
            Self::Message => "message",
            Self::Program => "program",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a provider did not accept a message. Contains no code, no password and no message: what a provider said is
/// shortened to one printable line, and the secrets of the request are redacted from it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{step}: {reason}")]
pub struct SendError {
    /// The step that failed.
    pub step: Step,
    /// Why it failed: the provider's own code and text where it gave any.
    pub reason: String,
    /// What an administrator can do about it.
    pub hint: Option<String>,
    /// What the provider said of the recipient holds for every other provider too, so that trying another one is
    /// pointless. Rare; `false` when in doubt.
    pub stops_failover: bool,
    /// The deadline passed.
    pub timed_out: bool,
    /// The message was handed over and it is unknown whether it was accepted: the deadline passed or the connection
    /// broke before an answer. The message may still reach its recipient, so the code in it should stay valid.
    pub may_have_arrived: bool,
}

impl SendError {
    /// A failure at `step`.
    pub fn new(step: Step, reason: impl Into<String>) -> Self {
        Self {
            step,
            reason: reason.into(),
            hint: None,
            stops_failover: false,
            timed_out: false,
            may_have_arrived: false,
        }
    }

    /// No answer by the deadline, at `step`.
    pub fn timeout(step: Step) -> Self {
        Self {
            timed_out: true,
            ..Self::new(step, "no answer in time")
        }
    }

    /// The same error with a hint at what to do about it.
    #[must_use]
    pub fn hinted(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same error for a message that had been handed over, so that it may have arrived.
    #[must_use]
    pub(crate) fn after_handover(mut self) -> Self {
        self.may_have_arrived = true;
        self
    }
}
