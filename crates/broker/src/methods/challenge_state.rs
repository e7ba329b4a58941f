//! What one challenge remembers between two prompts. It is in the memory of its process and nowhere else.

use twofa_core::{Channel, Method, PendingResync, SentCode, Timestamp};

/// How many wrong answers a challenge takes.
const TRIES: u32 = 3;
/// How often a person may ask for help, another code or another method. sshd 9.4 to 10.2 drop a login after 32 messages.
const COMMANDS: u32 = 8;

/// What one challenge remembers between two prompts. Everything else is read again for each answer.
#[derive(Debug)]
pub(super) struct ChallengeState {
    /// How many wrong answers are left.
    pub(super) tries: u32,
    /// How often help, another code or another method may be asked for.
    pub(super) commands: u32,
    /// The methods as they were listed in the last prompt, so that the answer may be a number; empty: they were not.
    pub(super) listed: Vec<Method>,
    /// By which methods codes were sent, and from when on another may be.
    pub(super) next_at: Vec<(Method, Timestamp)>,
    /// The code that was sent last, until it is used or replaced.
    pub(super) outstanding: Option<OutstandingCode>,
    /// A hardware token that ran ahead and whose next code is waited for.
    pub(super) pending_resync: Option<PendingResync>,
}

impl Default for ChallengeState {
    fn default() -> Self {
        Self {
            tries: TRIES,
            commands: COMMANDS,
            listed: Vec::new(),
            next_at: Vec::new(),
            outstanding: None,
            pending_resync: None,
        }
    }
}

/// A code that was sent and not typed yet.
#[derive(Debug)]
pub(super) struct OutstandingCode {
    pub(super) code: SentCode,
    pub(super) channel: Channel,
    pub(super) address: String,
    /// The method that was asked for. An e-mail that stands in for a text message proves it as well.
    pub(super) wanted: Method,
    /// Whether no provider has confirmed in time that it took the code.
    pub(super) is_late: bool,
}

impl OutstandingCode {
    /// The method that the code proves.
    pub(super) const fn method(&self) -> Method {
        self.channel.method()
    }
}
