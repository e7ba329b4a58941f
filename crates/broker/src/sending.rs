//! Sending a code to its owner: within the limits, within the time, and told to the administrator when it fails.

use std::time::{Duration, Instant};

use twofa_core::{Account, Policy, SentCode};
use twofa_delivery::{Attempted, Channel, CodeMessage, Message};
use twofa_store::{AddressKind, Event, EventKind, Origin, SendKind, SendLimit, SendStart, StoreError};
use zeroize::Zeroizing;

use crate::journal::say;
use crate::services::Services;
use crate::words;

/// How long a person waits for a code to be sent, fail-over to other providers and ways included.
pub const PATIENCE: Duration = twofa_proto::LONGEST_WORK;

/// Why no code is on its way.
#[derive(Debug, thiserror::Error)]
pub enum NotSent {
    /// Enough was sent. Says when the next may be.
    #[error("{}", words::too_many_codes(*limit, *next, *now))]
    TooMany {
        /// Which limit was met.
        limit: SendLimit,
        /// When the next is possible.
        next: twofa_core::Timestamp,
        /// When that was found.
        now: twofa_core::Timestamp,
    },
    /// Nobody took it. What went wrong is for the administrator, and was told.
    #[error("{}", words::not_sent(*.0))]
    Undelivered(AddressKind),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the codes of one conversation say about it.
#[derive(Debug, Clone, Copy)]
pub struct Sending<'a> {
    /// Store, courier, clock.
    pub services: Services<'a>,
    /// Whose code it is.
    pub account: &'a Account,
    /// From where it is asked for.
    pub origin: &'a Origin,
    /// The policy that holds.
    pub policy: &'a Policy,
    /// What it is for, such as `log in with sshd`.
    pub purpose: &'a str,
}

/// A code on its way.
#[derive(Debug)]
pub struct OnItsWay {
    /// The code.
    pub code: SentCode,
    /// A provider had it and did not say in time what became of it.
    pub is_late: bool,
}

/// The channel to an address of this kind.
pub const fn channel(which: AddressKind) -> Channel {
    match which {
        AddressKind::Email => Channel::Email,
        AddressKind::Phone => Channel::Sms,
    }
}

impl Sending<'_> {
    /// Sends a new code to `address`, or gives up by `deadline`. It counts against the limits whether it arrives or not,
    /// and no lock is held while it travels.
    pub fn send(&self, which: AddressKind, address: &str, deadline: Instant) -> Result<OnItsWay, NotSent> {
        let Services { store, courier, .. } = self.services;
        let now = self.services.now();
        let start = store.begin_send(SendKind::Code, self.account, address, now)?;
        if let SendStart::TooMany { what, next } = start {
            // Users can ask for themselves as often as they like, and must not write as often.
            if self.origin.actor == 0 {
                self.record(EventKind::CodeNotSent, format!("{}: the limit is reached", to(which, address)))?;
            }
            return Err(NotSent::TooMany { limit: what, next, now });
        }
        let code = SentCode::make(self.policy.codes, now, random_byte).map_err(StoreError::from)?;
        let message = Message::Code(CodeMessage {
            code: code.digits().clone(),
            application: words::application_name(self.policy),
            user: self.account.name.clone(),
            purpose: self.purpose.to_owned(),
            from: self.origin.remote_host.clone().or_else(|| self.origin.terminal.clone()),
            at: now,
            lifetime: self.policy.codes.lifetime.seconds(),
            domain: self.policy.code_domain.clone(),
        });
        match courier.send(channel(which), address, &message, deadline) {
            Ok(Attempted { by, id, before }) => {
                for (provider, error) in before {
                    say(&format!(
                        "provider '{provider}' did not take a code for {}: {error}",
                        self.account.name
                    ));
                }
                let id = id.map_or(String::new(), |id| format!(" as {id}"));
                self.record(EventKind::CodeSent, format!("{} by '{by}'{id}", to(which, address)))?;
                Ok(OnItsWay { code, is_late: false })
            }
            Err(undelivered) => {
                say(&format!("no provider took a code for {}: {undelivered}", self.account.name));
                self.record(EventKind::CodeNotSent, format!("{}: {undelivered}", to(which, address)))?;
                if undelivered.may_have_arrived() {
                    return Ok(OnItsWay { code, is_late: true });
                }
                Err(NotSent::Undelivered(which))
            }
        }
    }

    fn record(&self, kind: EventKind, detail: String) -> Result<(), StoreError> {
        let event = Event { kind, user: Some(self.account), detail: Some(detail) };
        self.services.store.record(&event, self.origin, self.services.now())
    }
}

/// Where a code goes, for the audit log.
fn to(which: AddressKind, address: &str) -> String {
    format!("{} to {}", words::way(which), twofa_core::user::masked(address))
}

/// A byte of the system's generator.
pub fn random_byte() -> Result<u8, getrandom::Error> {
    let mut byte = Zeroizing::new([0]);
    getrandom::fill(&mut *byte)?;
    Ok(byte[0])
}
