//! Sending a code to its owner: within the limits and in time. The administrator learns what failed.

use std::time::{Duration, Instant};

use twofa_core::user::masked;
use twofa_core::{Channel, SentCode, Timestamp};
use twofa_delivery::{Accepted, CodeMessage, Message};
use twofa_store::{Event, SendLimit, SendStart, SmsCount, StoreError, event};
use zeroize::Zeroizing;

use crate::context::{Context, Services};
use crate::process::log;
use crate::text::messages::{self, log_lines};

/// How long a person waits for a code to be sent, fail-over to other providers and channels included.
pub const SEND_TIMEOUT: Duration = twofa_proto::WORK_TIMEOUT;

/// Why no code was sent.
#[derive(Debug, thiserror::Error)]
pub enum NotSent {
    /// A limit was reached.
    #[error("{}", messages::too_many_codes(*limit, *next, *now))]
    TooMany {
        /// The limit that was reached.
        limit: SendLimit,
        /// When the next code may be sent.
        next: Timestamp,
        /// When that was found.
        now: Timestamp,
    },
    /// No provider took it. The administrator was told why.
    #[error("{}", messages::not_sent(*.0))]
    Undelivered(Channel),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why no code was sent, as the person is told.
#[derive(Debug)]
pub struct Unsent {
    /// Why, for the person.
    pub text: String,
    /// Whether a limit was reached; otherwise no provider took the code.
    pub is_limited: bool,
}

/// A code that was sent.
#[derive(Debug)]
pub struct DispatchedCode {
    /// The code, with the time at which it was sent.
    pub code: SentCode,
    /// Whether no provider has confirmed in time that it took the code.
    pub is_late: bool,
}

impl NotSent {
    /// Whether the reason concerns text messages alone, so that an e-mail can stand in. A limit of the person or the
    /// address must hold for every channel.
    pub const fn is_about_sms_alone(&self) -> bool {
        matches!(
            self,
            Self::Undelivered(Channel::Sms)
                | Self::TooMany {
                    limit: SendLimit::Sms,
                    ..
                }
        )
    }

    /// The same for the person; an error of the store stays one.
    pub fn into_unsent(self) -> Result<Unsent, StoreError> {
        match self {
            Self::Store(error) => Err(error),
            Self::TooMany { .. } | Self::Undelivered(_) => Ok(Unsent {
                text: self.to_string(),
                is_limited: matches!(self, Self::TooMany { .. }),
            }),
        }
    }
}

/// Sends a new code to `address`, or gives up at `deadline`.
pub fn send(
    context: Context<'_>,
    channel: Channel,
    address: &str,
    deadline: Instant,
) -> Result<DispatchedCode, NotSent> {
    let code = generate(context)?;
    let is_late = dispatch(context, channel, address, &code, deadline)?;
    Ok(DispatchedCode { code, is_late })
}

/// A new code, which is about to be sent.
pub fn generate(context: Context<'_>) -> Result<SentCode, StoreError> {
    Ok(SentCode::generate(
        context.policy().codes,
        context.now(),
        random_byte,
    )?)
}

/// Sends `code` to `address`, or gives up at `deadline`. It counts against the limits whether it arrives or not. No lock is
/// held while it travels. Says whether no provider has confirmed in time that it took the code.
pub fn dispatch(
    context: Context<'_>,
    channel: Channel,
    address: &str,
    code: &SentCode,
    deadline: Instant,
) -> Result<bool, NotSent> {
    let Context {
        account, origin, ..
    } = context;
    let Services { store, sender, .. } = context.services;
    let now = context.now();
    let start = store.begin_code(channel, account, address, origin, now)?;
    if channel == Channel::Sms {
        raise_alarms(context)?;
    }
    if let SendStart::TooMany { what: limit, next } = start {
        // Users can ask for codes as often as they like, and must not fill the disk with it.
        if origin.actor == 0 {
            record_not_sent(context, channel, address, event::NotSent::LimitReached)?;
        }
        return Err(NotSent::TooMany { limit, next, now });
    }
    let message = Message::Code(message(context, code, now));
    let begun = Instant::now();
    match sender.send(channel, address, &message, deadline) {
        Ok(Accepted {
            provider,
            id,
            failed,
        }) => {
            for (other, error) in &failed {
                log::warn(&log_lines::refused_by(other, account, error));
            }
            let to = masked(address);
            let sent = Event::CodeSent {
                channel,
                to,
                provider,
                id,
                milliseconds: u64::try_from(begun.elapsed().as_millis()).ok(),
                failed: names(failed),
            };
            record(context, &sent)?;
            Ok(false)
        }
        Err(undelivered) => {
            log::warn(&log_lines::undelivered(account, &undelivered));
            let error = undelivered.to_string();
            let may_have_arrived = undelivered.may_have_arrived();
            let failed = names(undelivered.failed);
            let why = event::NotSent::Undelivered { error, failed };
            record_not_sent(context, channel, address, why)?;
            if may_have_arrived {
                return Ok(true);
            }
            store.code_is_not_coming(account)?;
            Err(NotSent::Undelivered(channel))
        }
    }
}

fn names<E>(failed: Vec<(String, E)>) -> Vec<String> {
    failed.into_iter().map(|(name, _)| name).collect()
}

fn message(context: Context<'_>, code: &SentCode, now: Timestamp) -> CodeMessage {
    CodeMessage {
        code: code.digits().clone(),
        application: context.application(),
        user: context.account.name.clone(),
        purpose: context.purpose.to_owned(),
        from: context.origin.host_or_terminal().map(ToOwned::to_owned),
        at: now,
        lifetime: context.policy().codes.lifetime.seconds(),
        domain: context.policy().code_domain.clone(),
        in_subject: context.policy().code_in_subject,
    }
}

/// Tells the administrator when many text messages have been sent.
fn raise_alarms(context: Context<'_>) -> Result<(), StoreError> {
    let store = context.store();
    let now = context.now();
    for alarm in store.raise_sms_alarms(now)? {
        let limit = store.rulebook()?.machine().limits.sms_daily;
        let count = store.sms_count(now)?;
        log::warn(&log_lines::sms_alarm(alarm, count, limit));
        let SmsCount { all, unverified } = count;
        let event = Event::SmsLimit {
            alarm,
            all,
            unverified,
            limit,
        };
        store.record(None, &event, context.origin, now)?;
    }
    Ok(())
}

fn record_not_sent(
    context: Context<'_>,
    channel: Channel,
    address: &str,
    why: event::NotSent,
) -> Result<(), StoreError> {
    let to = masked(address);
    record(context, &Event::CodeNotSent { channel, to, why })
}

fn record(context: Context<'_>, event: &Event) -> Result<(), StoreError> {
    let Context {
        account, origin, ..
    } = context;
    context
        .store()
        .record(Some(account), event, origin, context.now())
}

/// A byte from the system's random number generator.
pub fn random_byte() -> Result<u8, getrandom::Error> {
    let mut byte = Zeroizing::new([0]);
    getrandom::fill(&mut *byte)?;
    Ok(byte[0])
}

#[cfg(test)]
mod tests;
