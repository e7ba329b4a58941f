//! Testing providers: as far as it goes without sending, or with a message.

use std::thread;
use std::time::{Duration, Instant};

use twofa_delivery::{Message, Provider, SendError};

use super::{ProviderFailure, catalogue, find};
use crate::admin::{AdminError, Administration};
use crate::sending::addresses;
use crate::sending::codes::SEND_TIMEOUT;
use crate::sending::providers::configuration;
use crate::text::messages;

/// A provider that is to send a test message.
#[derive(Debug)]
pub struct ProviderTest {
    /// Where the message goes.
    pub to: String,
    provider: Box<dyn Provider>,
    message: Message,
}

/// A message that a provider accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The provider's name for it.
    pub id: Option<String>,
    /// How long it took.
    pub after: Duration,
}

impl Administration {
    /// Opens the provider called `name` for a test, with a message to `to` or else to its own address.
    pub fn open_test(&self, name: &str, to: Option<&str>) -> Result<ProviderTest, AdminError> {
        let providers = self.store().providers()?;
        let record = find(&providers, name)?;
        let provider = open(&catalogue(), record)?;
        let rulebook = self.rulebook()?;
        let policy = rulebook.machine();
        let to = match to {
            Some(to) => addresses::read(policy, provider.channel(), to)?,
            None => provider
                .sender_address()
                .map(str::to_owned)
                .ok_or_else(|| AdminError::NoTestAddress(name.to_owned()))?,
        };
        let message = Message::Test {
            application: messages::application_name(policy),
            at: self.now(),
        };
        Ok(ProviderTest {
            to,
            provider,
            message,
        })
    }
}

impl ProviderTest {
    /// Goes as far as the provider can without sending anything. Returns how long that took.
    pub fn check(&self) -> Result<Duration, ProviderFailure> {
        check(&*self.provider)
    }

    /// Sends the message.
    pub fn send(&self) -> Result<Sent, ProviderFailure> {
        let begun = Instant::now();
        let receipt = self
            .provider
            .send(&self.to, &self.message, begun + SEND_TIMEOUT)?;
        Ok(Sent {
            id: receipt.id,
            after: begun.elapsed(),
        })
    }
}

/// Goes as far as `provider` can without sending anything. Returns how long that took.
pub(super) fn check(provider: &dyn Provider) -> Result<Duration, ProviderFailure> {
    let begun = Instant::now();
    provider.check(begun + SEND_TIMEOUT)?;
    Ok(begun.elapsed())
}

/// Checks all of `providers` at once, so that those that hang do so together.
pub(in crate::admin) fn check_all(
    providers: &[(String, Box<dyn Provider>)],
) -> Vec<(&str, ProviderFailure)> {
    let deadline = Instant::now() + SEND_TIMEOUT;
    let failure = |error: SendError| error.into();
    thread::scope(|scope| {
        let checks: Vec<_> = providers
            .iter()
            .map(|(name, provider)| (name.as_str(), scope.spawn(move || provider.check(deadline))))
            .collect();
        checks
            .into_iter()
            .filter_map(|(name, check)| Some((name, failure(check.join().ok()?.err()?))))
            .collect()
    })
}

/// Makes a provider of its settings.
pub(super) fn open(
    catalogue: &twofa_delivery::Catalogue,
    record: &twofa_store::ProviderRecord,
) -> Result<Box<dyn Provider>, AdminError> {
    catalogue
        .open(&configuration(record))
        .map_err(|error| AdminError::BadProvider {
            kind: record.kind.clone(),
            error,
        })
}
