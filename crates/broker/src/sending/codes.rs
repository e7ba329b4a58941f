//! Sending a code to its owner: within the limits, within the time, and told to the administrator when it fails.

use std::time::{Duration, Instant};

use twofa_core::user::masked;
use twofa_core::{Account, Channel, Policy, SentCode};
use twofa_delivery::{Accepted, CodeMessage, Message};
use twofa_store::{Event, Origin, SendLimit, SendStart, SmsCount, StoreError, event};
use zeroize::Zeroizing;

use crate::context::Services;
use crate::process::log;
use crate::text::messages;

/// How long a person waits for a code to be sent, fail-over to other providers and ways included.
pub const SEND_TIMEOUT: Duration = twofa_proto::WORK_TIMEOUT;

/// Why no code is on its way.
#[derive(Debug, thiserror::Error)]
pub enum NotSent {
    /// Enough was sent. Says when the next may be.
    #[error("{}", messages::too_many_codes(*limit, *next, *now))]
    TooMany {
        /// Which limit was met.
        limit: SendLimit,
        /// When the next is possible.
        next: twofa_core::Timestamp,
        /// When that was found.
        now: twofa_core::Timestamp,
    },
    /// Nobody took it. What went wrong is for the administrator, and was told.
    #[error("{}", messages::not_sent(*.0))]
    Undelivered(Channel),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the codes of one conversation say about it.
#[derive(Debug, Clone, Copy)]
pub struct Sending<'a> {
    /// Store, sender, clock.
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

impl NotSent {
    /// Whether this holds for text messages alone, so that an e-mail may do. What is too much for one person or address
    /// is no reason to go round it.
    pub const fn is_for_want_of_sms(&self) -> bool {
        matches!(
            self,
            Self::Undelivered(Channel::Sms)
                | Self::TooMany {
                    limit: SendLimit::Sms,
                    ..
                }
        )
    }
}

impl Sending<'_> {
    /// Sends a new code to `address`, or gives up by `deadline`. It counts against the limits whether it arrives or not,
    /// and no lock is held while it travels.
    pub fn send(
        &self,
        channel: Channel,
        address: &str,
        deadline: Instant,
    ) -> Result<OnItsWay, NotSent> {
        let Services { store, sender, .. } = self.services;
        let now = self.services.now();
        let start = store.begin_code(channel, self.account, address, self.origin, now)?;
        if channel == Channel::Sms {
            self.raise_alarms()?;
        }
        if let SendStart::TooMany { what, next } = start {
            // Users can ask for themselves as often as they like, and must not write as often.
            if self.origin.actor == 0 {
                self.record_not_sent(channel, address, event::NotSent::LimitReached)?;
            }
            return Err(NotSent::TooMany {
                limit: what,
                next,
                now,
            });
        }
        let code =
            SentCode::generate(self.policy.codes, now, random_byte).map_err(StoreError::from)?;
        let message = Message::Code(CodeMessage {
            code: code.digits().clone(),
            application: messages::application_name(self.policy),
            user: self.account.name.clone(),
            purpose: self.purpose.to_owned(),
            from: self.origin.host_or_terminal().map(ToOwned::to_owned),
            at: now,
            lifetime: self.policy.codes.lifetime.seconds(),
            domain: self.policy.code_domain.clone(),
        });
        match sender.send(channel, address, &message, deadline) {
            Ok(Accepted {
                provider,
                id,
                failed,
            }) => {
                for (other, error) in failed {
                    log::warn(&format!(
                        "provider '{other}' did not take a code for {}: {error}",
                        self.account.name
                    ));
                }
                self.record(&Event::CodeSent {
                    channel,
                    to: masked(address),
                    provider,
                    id,
                })?;
                Ok(OnItsWay {
                    code,
                    is_late: false,
                })
            }
            Err(undelivered) => {
                log::warn(&format!(
                    "no provider took a code for {}: {undelivered}",
                    self.account.name
                ));
                let error = undelivered.to_string();
                self.record_not_sent(channel, address, event::NotSent::Undelivered { error })?;
                if undelivered.may_have_arrived() {
                    return Ok(OnItsWay {
                        code,
                        is_late: true,
                    });
                }
                store.code_is_not_coming(self.account)?;
                Err(NotSent::Undelivered(channel))
            }
        }
    }

    /// Tells the administrator when much is spent on text messages.
    fn raise_alarms(&self) -> Result<(), StoreError> {
        let Services { store, .. } = self.services;
        let now = self.services.now();
        for alarm in store.raise_sms_alarms(now)? {
            let limit = store.rulebook()?.machine().limits.sms_daily;
            let count = store.sms_count(now)?;
            log::warn(&messages::sms_alarm(alarm, count, limit));
            let SmsCount { all, unverified } = count;
            let event = Event::SmsLimit {
                alarm,
                all,
                unverified,
                limit,
            };
            store.record(None, &event, self.origin, now)?;
        }
        Ok(())
    }

    fn record_not_sent(
        &self,
        channel: Channel,
        address: &str,
        why: event::NotSent,
    ) -> Result<(), StoreError> {
        self.record(&Event::CodeNotSent {
            channel,
            to: masked(address),
            why,
        })
    }

    fn record(&self, event: &Event) -> Result<(), StoreError> {
        let Services { store, .. } = self.services;
        store.record(Some(self.account), event, self.origin, self.services.now())
    }
}

/// A byte of the system's generator.
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

    fn send(bench: &Bench, channel: Channel, address: &str) -> Result<OnItsWay, NotSent> {
        let person = bench.person();
        let Bench {
            alice: account,
            origin,
            ..
        } = bench;
        let sending = Sending {
            services: bench.services(),
            account,
            origin,
            policy: &person.policy,
            purpose: "test",
        };
        sending.send(channel, address, Instant::now() + SEND_TIMEOUT)
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
            services: bench.services(),
            account: &bench.alice,
            origin: &bench.origin,
            person: &person,
            purpose: "log in with sshd",
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
