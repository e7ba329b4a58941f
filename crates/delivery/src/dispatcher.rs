//! The order of fail-over: one provider after the other, until one has taken the message or the time is up.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use twofa_core::{Channel, Timestamp};

use crate::error::{SendError, Step};
use crate::message::Message;
use crate::provider::{Inbox, Provider, Received};

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

    /// The number that people can text to, where a provider tells of what came in.
    fn inbox_number(&self) -> Option<String>;

    /// What came in there since `since`.
    fn received(&self, since: Timestamp, deadline: Instant) -> Result<Vec<Received>, SendError>;
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
    /// Whether it may reach its recipient all the same: somebody had it and did not say what became of it.
    pub fn may_have_arrived(&self) -> bool {
        self.tried.iter().any(|(_, error)| error.may_have_arrived)
    }

    fn describe(&self) -> String {
        if self.tried.is_empty() {
            return "no provider is set up".to_owned();
        }
        let tried: Vec<_> = self
            .tried
            .iter()
            .map(|(name, error)| format!("{name}: {error}"))
            .collect();
        tried.join("; ")
    }
}

/// How long a provider that gave no answer in time is tried last.
const REST: Duration = Duration::from_secs(60);
/// The least time a provider is given. With less left there is no use in asking one more.
const LEAST: Duration = Duration::from_millis(500);

/// The providers in the administrator's order.
#[derive(Debug, Default)]
pub struct Dispatcher {
    lines: Vec<Line>,
}

/// One provider and how it did.
#[derive(Debug)]
struct Line {
    name: String,
    /// For what it is used: an order of fail-over names it, whatever else it could carry.
    channel: Channel,
    provider: Arc<dyn Provider>,
    /// It gave no answer then.
    silent_since: Mutex<Option<Instant>>,
}

impl Dispatcher {
    /// A dispatcher over `providers`, those of each channel in their order.
    pub fn new(providers: impl IntoIterator<Item = (String, Arc<dyn Provider>)>) -> Self {
        let line = |(name, provider): (String, Arc<dyn Provider>)| Line {
            name,
            channel: provider.channel(),
            provider,
            silent_since: Mutex::default(),
        };
        Self {
            lines: providers.into_iter().map(line).collect(),
        }
    }

    fn inbox(&self) -> Option<&dyn Inbox> {
        let mut lines = self
            .lines
            .iter()
            .filter(|line| line.channel == Channel::Sms);
        lines.find_map(|line| line.provider.inbox())
    }

    /// The providers of `channel` in the order in which they are tried now: those that were silent a moment ago come
    /// last, so that not every login waits for a dead one.
    fn order(&self, channel: Channel, now: Instant) -> Vec<&Line> {
        let mut lines: Vec<_> = self
            .lines
            .iter()
            .filter(|line| line.channel == channel)
            .collect();
        lines.sort_by_key(|line| line.is_resting(now));
        lines
    }
}

impl Line {
    fn silent_since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.silent_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn is_resting(&self, now: Instant) -> bool {
        self.silent_since()
            .is_some_and(|since| now.saturating_duration_since(since) < REST)
    }
}

impl Courier for Dispatcher {
    fn carries(&self, channel: Channel) -> bool {
        self.lines.iter().any(|line| line.channel == channel)
    }

    fn send(
        &self,
        channel: Channel,
        to: &str,
        message: &Message,
        deadline: Instant,
    ) -> Result<Attempted, Undelivered> {
        let mut tried = Vec::new();
        let order = self.order(channel, Instant::now());
        for (behind, line) in (0..order.len()).rev().zip(order) {
            let now = Instant::now();
            let left = deadline.saturating_duration_since(now);
            if left < LEAST && !tried.is_empty() {
                break;
            }
            // A silent provider leaves the others their share.
            let share = left / u32::try_from(behind + 1).unwrap_or(u32::MAX);
            let result = line.provider.send(to, message, now + share);
            match &result {
                Err(error) if error.timed_out => *line.silent_since() = Some(now),
                // It may not even have been asked.
                Err(_) => (),
                Ok(_) => *line.silent_since() = None,
            }
            match result {
                Ok(receipt) => {
                    return Ok(Attempted {
                        by: line.name.clone(),
                        id: receipt.id,
                        before: tried,
                    });
                }
                Err(error) => {
                    let is_final = error.final_;
                    tried.push((line.name.clone(), error));
                    if is_final {
                        break;
                    }
                }
            }
        }
        Err(Undelivered { tried })
    }

    fn inbox_number(&self) -> Option<String> {
        self.inbox().map(|inbox| inbox.number().to_owned())
    }

    fn received(&self, since: Timestamp, deadline: Instant) -> Result<Vec<Received>, SendError> {
        let none = || {
            SendError::at(
                Step::Settings,
                "no provider tells of text messages that came in",
            )
        };
        self.inbox().ok_or_else(none)?.received(since, deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::Receipt;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Debug)]
    enum Manner {
        Takes,
        Refuses,
        RefusesForGood,
        Hangs,
        HangsWithTheMessage,
        HangsAndThenIsCrowded,
    }

    #[derive(Debug)]
    struct Fake {
        manner: Manner,
        asked: AtomicUsize,
    }

    impl Provider for Fake {
        fn channel(&self) -> Channel {
            Channel::Sms
        }

        fn send(&self, _: &str, _: &Message, deadline: Instant) -> Result<Receipt, SendError> {
            let before = self.asked.fetch_add(1, Ordering::SeqCst);
            match self.manner {
                Manner::Takes => Ok(Receipt::default()),
                Manner::Refuses => Err(SendError::at(Step::Login, "401 no")),
                Manner::RefusesForGood => Err(SendError {
                    final_: true,
                    ..SendError::at(Step::Recipient, "no such number")
                }),
                Manner::Hangs => {
                    std::thread::sleep(deadline.saturating_duration_since(Instant::now()));
                    Err(SendError::late(Step::Connect))
                }
                Manner::HangsAndThenIsCrowded if before == 0 => Err(SendError::late(Step::Connect)),
                Manner::HangsAndThenIsCrowded => {
                    Err(SendError::at(Step::Connect, "too much at once"))
                }
                Manner::HangsWithTheMessage => Err(SendError::late(Step::Message).after_handover()),
            }
        }

        fn check(&self, _: Instant) -> Result<(), SendError> {
            Ok(())
        }

        fn own_address(&self) -> Option<&str> {
            None
        }
    }

    fn dispatcher(manners: impl IntoIterator<Item = Manner>) -> (Dispatcher, Vec<Arc<Fake>>) {
        let fakes: Vec<_> = manners
            .into_iter()
            .map(|manner| {
                Arc::new(Fake {
                    manner,
                    asked: AtomicUsize::new(0),
                })
            })
            .collect();
        let named = (1..)
            .zip(&fakes)
            .map(|(n, fake)| (format!("p{n}"), fake.clone() as Arc<dyn Provider>));
        (Dispatcher::new(named), fakes)
    }

    fn send(dispatcher: &Dispatcher, within: Duration) -> Result<Attempted, Undelivered> {
        let message = Message::Test {
            application: "Acme".into(),
            at: Timestamp::from_unix(1_800_000_000),
        };
        dispatcher.send(
            Channel::Sms,
            "+4930123456",
            &message,
            Instant::now() + within,
        )
    }

    fn asked(fakes: &[Arc<Fake>]) -> Vec<usize> {
        fakes
            .iter()
            .map(|fake| fake.asked.load(Ordering::SeqCst))
            .collect()
    }

    #[test]
    fn the_next_provider_takes_what_the_first_refused() {
        let (dispatcher, fakes) = dispatcher([Manner::Refuses, Manner::Takes, Manner::Takes]);
        let taken = send(&dispatcher, Duration::from_secs(15)).unwrap();
        assert_eq!((taken.by.as_str(), taken.before.len()), ("p2", 1));
        assert_eq!(asked(&fakes), [1, 1, 0]);
    }

    #[test]
    fn a_silent_provider_leaves_the_next_one_its_time_and_is_asked_last_from_then_on() {
        let (dispatcher, fakes) = dispatcher([Manner::Hangs, Manner::Takes]);
        let begun = Instant::now();
        assert_eq!(send(&dispatcher, Duration::from_secs(2)).unwrap().by, "p2");
        assert!(begun.elapsed() < Duration::from_secs(2));
        assert_eq!(send(&dispatcher, Duration::from_secs(2)).unwrap().by, "p2");
        assert_eq!(asked(&fakes), [1, 2]);
    }

    #[test]
    fn what_no_provider_could_deliver_is_not_tried_with_each() {
        let (dispatcher, fakes) = dispatcher([Manner::RefusesForGood, Manner::Takes]);
        let undelivered = send(&dispatcher, Duration::from_secs(15)).unwrap_err();
        assert_eq!(undelivered.to_string(), "p1: recipient: no such number");
        assert_eq!(asked(&fakes), [1, 0]);
    }

    #[test]
    fn a_silent_provider_rests_until_it_takes_something_and_a_crowded_one_does_not_rest() {
        let (dispatcher, _) = dispatcher([Manner::HangsAndThenIsCrowded]);
        for _ in 0..2 {
            send(&dispatcher, Duration::from_secs(2)).unwrap_err();
            assert!(dispatcher.lines[0].is_resting(Instant::now()));
        }
        let (dispatcher, _) = self::dispatcher([Manner::Refuses]);
        send(&dispatcher, Duration::from_secs(2)).unwrap_err();
        assert!(!dispatcher.lines[0].is_resting(Instant::now()));
    }

    #[test]
    fn a_message_that_may_have_arrived_is_tried_with_the_next_and_told_of() {
        let (dispatcher, fakes) = dispatcher([Manner::HangsWithTheMessage, Manner::Takes]);
        assert_eq!(send(&dispatcher, Duration::from_secs(15)).unwrap().by, "p2");
        assert_eq!(asked(&fakes), [1, 1]);
        let (dispatcher, _) = self::dispatcher([Manner::HangsWithTheMessage, Manner::Refuses]);
        assert!(
            send(&dispatcher, Duration::from_secs(15))
                .unwrap_err()
                .may_have_arrived()
        );
        let (dispatcher, _) = self::dispatcher([Manner::Refuses, Manner::Hangs]);
        assert!(
            !send(&dispatcher, Duration::from_secs(2))
                .unwrap_err()
                .may_have_arrived()
        );
    }

    #[test]
    fn all_that_hang_together_take_no_longer_than_the_deadline() {
        let (dispatcher, _) = dispatcher([Manner::Hangs, Manner::Hangs, Manner::Hangs]);
        let begun = Instant::now();
        let undelivered = send(&dispatcher, Duration::from_secs(3)).unwrap_err();
        assert!(
            begun.elapsed() < Duration::from_millis(3_500),
            "{:?}",
            begun.elapsed()
        );
        assert_eq!(undelivered.tried.len(), 3);
    }

    #[test]
    fn without_a_provider_nothing_is_carried() {
        let (dispatcher, _) = dispatcher([]);
        assert!(!dispatcher.carries(Channel::Sms));
        assert_eq!(
            send(&dispatcher, REST).unwrap_err().to_string(),
            "no provider is set up"
        );
        let (dispatcher, _) = self::dispatcher([Manner::Takes]);
        assert!(dispatcher.carries(Channel::Sms) && !dispatcher.carries(Channel::Email));
    }
}
