//! The messages that are sent to users.

use std::fmt;

use twofa_core::Timestamp;
use zeroize::Zeroizing;

/// A message to one person. Its text comes from the templates ([`crate::templates`]).
#[derive(Debug, Clone)]
pub enum Message {
    /// A code to be entered.
    Code(CodeMessage),
    /// A change to the person's second factor. Never contains a code or a key.
    Notice(NoticeMessage),
    /// A test message from an administrator.
    Test {
        /// The name of this machine in messages.
        application: String,
        /// When it was written.
        at: Timestamp,
    },
}

/// A code, and what its recipient should know about it.
#[derive(Clone)]
pub struct CodeMessage {
    /// The code: digits.
    pub code: Zeroizing<String>,
    /// The name of this machine in messages.
    pub application: String,
    /// The login name.
    pub user: String,
    /// What the code is for, such as `log in with sshd` or `confirm this address`.
    pub purpose: String,
    /// The host or terminal it was requested from; `None` if that is not known.
    pub from: Option<String>,
    /// When it was requested.
    pub at: Timestamp,
    /// How long it is valid, in seconds.
    pub lifetime: u64,
    /// The domain the code is bound to, for phones that fill in codes (last line `@domain #code`).
    pub domain: Option<String>,
    /// Whether the subject of a mail may contain the code. Mail systems log subjects.
    pub in_subject: bool,
}

impl fmt::Debug for CodeMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CodeMessage")
            .field("user", &self.user)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// A notice about a change to a person's second factor.
#[derive(Debug, Clone)]
pub struct NoticeMessage {
    /// The name of this machine in messages.
    pub application: String,
    /// The login name.
    pub user: String,
    /// What happened, as a whole sentence such as `An authenticator app was added.`
    pub what: String,
    /// Who did it or from where, if that is known.
    pub from: Option<String>,
    /// When it happened.
    pub at: Timestamp,
}

impl Message {
    /// The code in the message, if it has one.
    pub(crate) fn code(&self) -> Option<&str> {
        match self {
            Self::Code(message) => Some(&message.code),
            Self::Notice(_) | Self::Test { .. } => None,
        }
    }

    /// When the message was written.
    pub(crate) fn written_at(&self) -> Timestamp {
        match self {
            Self::Code(message) => message.at,
            Self::Notice(message) => message.at,
            Self::Test { at, .. } => *at,
        }
    }
}
