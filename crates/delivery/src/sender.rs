//! The interface by which the broker sends messages, and the outcome of sending one.

use std::fmt;
use std::time::Instant;

use twofa_core::{Channel, Timestamp};

use crate::error::SendError;
use crate::message::Message;
use crate::provider::InboundSms;

/// Sends messages to users.
pub trait Sender: fmt::Debug + Send + Sync {
    /// Whether any provider sends on `channel`.
    fn serves(&self, channel: Channel) -> bool;

    /// Sends `message` to the address or number `to`. Returns by `deadline`.
    fn send(
        &self,
        channel: Channel,
        to: &str,
        message: &Message,
        deadline: Instant,
    ) -> Result<Accepted, Undelivered>;

    /// The number that people can send text messages to, if a provider lists those it receives.
    fn inbox_number(&self) -> Option<String>;

    /// The text messages received at that number since `since`.
    fn received(&self, since: Timestamp, deadline: Instant) -> Result<Vec<InboundSms>, SendError>;
}

/// A message that a provider accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The name of the provider that accepted it.
    pub provider: String,
    /// The provider's ID of the message.
    pub id: Option<String>,
    /// The providers that were tried before and failed, with their errors.
    pub failed: Vec<(String, SendError)>,
}

/// A message that no provider accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.describe())]
pub struct Undelivered {
    /// The providers that were tried, with their errors. Empty if there is no provider.
    pub failed: Vec<(String, SendError)>,
}

impl Undelivered {
    /// Whether the message may reach its recipient nevertheless, because a provider received it and did not say whether
    /// it accepted it.
    pub fn may_have_arrived(&self) -> bool {
        self.failed.iter().any(|(_, error)| error.may_have_arrived)
    }

    fn describe(&self) -> String {
        if self.failed.is_empty() {
            return "no provider is set up".to_owned();
        }
        let failed: Vec<_> = self
            .failed
            .iter()
            .map(|(name, error)| format!("{name}: {error}"))
            .collect();
        failed.join("; ")
    }
}
