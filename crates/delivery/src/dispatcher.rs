//! The order of fail-over: one provider after the other, until one has taken the message or the time is up.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use crate::error::SendError;
use crate::message::{Channel, Message};
use crate::provider::{Inbox, Provider};

/// Carries messages to addresses.
pub trait Courier: fmt::Debug + Send + Sync {
    /// Whether anybody carries by `channel` at all.
    fn carries(&self, channel: Channel) -> bool;

    /// Sends `message` to `to`, and gives up by `deadline`. Says who took it, and who did not before that.
    fn send(
        &self,
        channel: Channel,
        to: &str,
        message: &Message,
        deadline: Instant,
    ) -> Result<Attempted, Undelivered>;

    /// Text messages that people send to us, where a provider tells of them.
    fn inbox(&self) -> Option<&dyn Inbox>;
}

/// A message that somebody took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempted {
    /// The provider's name.
    pub by: String,
    /// The provider's own name for the message.
    pub id: Option<String>,
    /// Providers that were tried before, and why they did not take it.
    pub before: Vec<(String, SendError)>,
}

/// A message that nobody took.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.describe())]
pub struct Undelivered {
    /// Who was tried, and why they did not take it; nobody, where there is no provider.
    pub tried: Vec<(String, SendError)>,
}

impl Undelivered {
    fn describe(&self) -> String {
        if self.tried.is_empty() {
            return "no provider is set up".to_owned();
        }
        let tried: Vec<_> = self.tried.iter().map(|(name, error)| format!("{name}: {error}")).collect();
        tried.join("; ")
    }
}

/// The providers in their order.
#[derive(Debug)]
pub struct Dispatcher {
    providers: Vec<(String, Arc<dyn Provider>)>,
}
