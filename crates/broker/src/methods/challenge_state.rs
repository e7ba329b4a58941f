//! What one challenge remembers between two prompts. It is in the memory of its process and nowhere else.

use twofa_core::{Channel, Method, PendingResync, SentCode};

/// What one challenge remembers between two prompts.
#[derive(Debug, Default)]
pub(super) struct ChallengeState {
    /// The code that was sent last, until it is used or replaced.
    pub(super) outstanding: Option<OutstandingCode>,
    /// A hardware token that ran ahead and whose next code is waited for.
    pub(super) pending_resync: Option<PendingResync>,
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
