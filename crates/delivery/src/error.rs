//! What can go wrong on the way, said so that an administrator can mend it.

use std::fmt;

/// How far a message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The settings do not fit together, or a file they name cannot be read.
    Settings,
    /// Looking up the server's name.
    Name,
    /// Connecting.
    Connect,
    /// TLS: the handshake or the certificate.
    Tls,
    /// The server's greeting.
    Greeting,
    /// Logging in: a password, a key, a token.
    Login,
    /// The sender's address or number.
    Sender,
    /// The recipient's address or number.
    Recipient,
    /// The message itself, or the provider's answer to it.
    Message,
    /// A program on this machine.
    Program,
}

impl Step {
    /// The step as it is named in errors.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Name => "name",
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

/// Why a provider did not take a message. It never holds the code, a password or the message: what the provider
/// said is cut to one printable line, and the secrets of the request are struck out of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{step}: {reason}")]
pub struct SendError {
    /// Where it failed.
    pub step: Step,
    /// Why: the provider's own code and words where it had any.
    pub reason: String,
    /// What an administrator can do about it.
    pub hint: Option<String>,
    /// Whether the provider said of this recipient what every other provider would say too, so that trying another
    /// one is no use. Rare; when in doubt `false`.
    pub final_: bool,
    /// The deadline passed.
    pub timed_out: bool,
    /// The message was handed over, and whether it was taken is not known: the deadline passed or the connection broke
    /// before an answer. It may still reach its recipient, so the code in it should stay good.
    pub may_have_arrived: bool,
}

impl SendError {
    /// A failure at `step`.
    pub fn at(step: Step, reason: impl Into<String>) -> Self {
        Self {
            step,
            reason: reason.into(),
            hint: None,
            final_: false,
            timed_out: false,
            may_have_arrived: false,
        }
    }

    /// The same with something to do about it.
    #[must_use]
    pub fn hinted(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same of a message that was handed over, and about which nothing was heard after that.
    #[must_use]
    pub(crate) fn after_handover(mut self) -> Self {
        self.may_have_arrived = true;
        self
    }

    /// No answer in time, at `step`.
    pub fn late(step: Step) -> Self {
        Self {
            timed_out: true,
            ..Self::at(step, "no answer in time")
        }
    }
}
