//! What is said to people.

use std::fmt;

use twofa_core::Timestamp;
use zeroize::Zeroizing;

/// Something to be said to one person. Its words come from the templates ([`crate::mail`]).
#[derive(Debug, Clone)]
pub enum Message {
    /// A code to be typed back.
    Code(CodeMessage),
    /// Something that happened to the person's second factor. Never holds a code or a key.
    Notice(NoticeMessage),
    /// A test by an administrator.
    Test {
        /// The name this machine goes by.
        application: String,
        /// Now.
        at: Timestamp,
    },
}

/// A code, and what its owner should know about it.
#[derive(Clone)]
pub struct CodeMessage {
    /// The code: digits.
    pub code: Zeroizing<String>,
    /// The name this machine goes by.
    pub application: String,
    /// The login name.
    pub user: String,
    /// What it is for, such as `log in with sshd` or `confirm this address`.
    pub purpose: String,
    /// From where it was asked for: a host or a terminal; `None` where that is not known.
    pub from: Option<String>,
    /// When it was asked for.
    pub at: Timestamp,
    /// How long it is good for, in seconds.
    pub lifetime: u64,
    /// The domain the code is bound to, for phones that fill it in (last line `@domain #code`).
    pub domain: Option<String>,
}

impl fmt::Debug for CodeMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CodeMessage")
            .field("user", &self.user)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// Something that happened.
#[derive(Debug, Clone)]
pub struct NoticeMessage {
    /// The name this machine goes by.
    pub application: String,
    /// The login name.
    pub user: String,
    /// What happened, a whole sentence such as `An authenticator app was added.`
    pub what: String,
    /// By whom or from where, if known.
    pub from: Option<String>,
    /// When it happened.
    pub at: Timestamp,
}
