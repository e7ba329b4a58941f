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
        /// The limit.
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

/// No code was sent, as the person is told it.
#[derive(Debug)]
pub struct Unsent {
    /// Why, for the person.
    pub text: String,
    /// Whether a limit was reached, so that the providers are not to blame.
    pub is_limited: bool,
}

/// A code that was sent.
#[derive(Debug)]
pub struct DispatchedCode {
    /// The code.
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

/// Sends a new code to `address`, or gives up at `deadline`. It counts against the limits whether it arrives or not. No
/// lock is held while it travels.
pub fn send(
    context: Context<'_>,
    channel: Channel,
    address: &str,
    deadline: Instant,
) -> Result<DispatchedCode, NotSent> {
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
    let code =
        SentCode::generate(context.policy().codes, now, random_byte).map_err(StoreError::from)?;
    let message = Message::Code(message(context, &code, now));
    match sender.send(channel, address, &message, deadline) {
        Ok(Accepted {
            provider,
            id,
            failed,
        }) => {
            for (other, error) in failed {
                log::warn(&log_lines::refused_by(&other, account, &error));
            }
            let to = masked(address);
            let sent = Event::CodeSent {
                channel,
                to,
                provider,
                id,
            };
            record(context, &sent)?;
            let is_late = false;
            Ok(DispatchedCode { code, is_late })
        }
        Err(undelivered) => {
            log::warn(&log_lines::undelivered(account, &undelivered));
            let error = undelivered.to_string();
            let why = event::NotSent::Undelivered { error };
            record_not_sent(context, channel, address, why)?;
            if undelivered.may_have_arrived() {
                let is_late = true;
                return Ok(DispatchedCode { code, is_late });
            }
            store.code_is_not_coming(account)?;
            Err(NotSent::Undelivered(channel))
        }
    }
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
mod tests {
    use super::*;
    use crate::methods::challenge::{Accepted, Challenge, ChallengeOutcome};
    use crate::testing::{Bench, ScriptedTerminal};
    use twofa_core::Method;
    use twofa_store::{EventFilter, SmsAlarm, Tally};

    const MAIL: &str = "alice@example.org";
    const PHONE: &str = "+4917612345678";

    fn send(bench: &Bench, channel: Channel, address: &str) -> Result<DispatchedCode, NotSent> {
        let person = bench.person();
        let deadline = Instant::now() + SEND_TIMEOUT;
        super::send(bench.context(&person), channel, address, deadline)
    }

    /// What the audit log says of limits on text messages, oldest first: how many were sent, and what about it.
    fn alarms(bench: &Bench) -> Vec<(SmsAlarm, u32)> {
        let mut alarms = Vec::new();
        bench
            .store
            .events(&EventFilter::default(), |logged| {
                if let event::Record::Event(event) = logged.record
                    && let Event::SmsLimit { alarm, all, .. } = *event
                {
                    alarms.push((alarm, all));
                }
                true
            })
            .unwrap();
        alarms
    }

    #[test]
    fn an_administrator_hears_once_that_most_and_that_all_text_messages_of_a_day_are_sent() {
        let bench = Bench::new().with(Channel::Sms, PHONE);
        bench.policy(&[("send.sms-daily", "5")]);
        for told in [0, 0, 0, 1, 2] {
            send(&bench, Channel::Sms, PHONE).unwrap();
            assert_eq!(alarms(&bench).len(), told, "{:?}", alarms(&bench));
        }
        for _ in 0..2 {
            assert!(matches!(
                send(&bench, Channel::Sms, PHONE),
                Err(NotSent::TooMany {
                    limit: SendLimit::Sms,
                    ..
                })
            ));
        }
        assert_eq!(alarms(&bench), [(SmsAlarm::Most, 4), (SmsAlarm::All, 5)]);
        assert_eq!(bench.mailbox.destinations().len(), 5);
    }

    #[test]
    fn what_goes_to_numbers_that_are_not_verified_is_told_before_it_takes_much_of_the_rest() {
        let bench = Bench::new();
        bench.policy(&[("send.sms-daily", "10")]);
        for _ in 0..2 {
            send(&bench, Channel::Sms, PHONE).unwrap();
        }
        assert!(matches!(
            send(&bench, Channel::Sms, PHONE),
            Err(NotSent::TooMany {
                limit: SendLimit::UnverifiedSms,
                ..
            })
        ));
        assert_eq!(alarms(&bench), [(SmsAlarm::Unverified, 2)]);
        send(&bench, Channel::Email, MAIL).unwrap();
    }

    #[test]
    fn when_all_text_messages_of_a_day_are_sent_a_login_goes_on_by_mail() {
        let bench = Bench::new()
            .with(Channel::Sms, PHONE)
            .with(Channel::Email, MAIL);
        bench.policy(&[("send.sms-daily", "1")]);
        let person = bench.person();
        let challenge = Challenge {
            context: bench.context(&person),
            accepted: Accepted::Allowed,
            tally: Tally::Proved,
            cannot_answer: false,
        };
        challenge
            .ask("", &mut ScriptedTerminal::new().types(""))
            .unwrap();
        crate::testing::pass(30);
        let mut terminal = ScriptedTerminal::new().answers(|_| bench.mailbox.code());
        let outcome = challenge.ask("", &mut terminal).unwrap();
        assert_eq!(
            outcome,
            ChallengeOutcome::Passed {
                method: Method::Email,
                backup_codes_left: 0
            }
        );
        assert_eq!(bench.mailbox.destinations(), [PHONE, MAIL]);
        let said = &terminal.shown[0];
        assert!(
            said.contains("could not be sent. A code was sent by e-mail"),
            "{said}"
        );
    }
}
