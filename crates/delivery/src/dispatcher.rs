//! Fail-over: tries one provider after the other, until one accepts the message or the time is up.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use twofa_core::{Channel, Timestamp};

use crate::error::{SendError, Step};
use crate::message::Message;
use crate::provider::{InboundSms, Inbox, Provider};
use crate::sender::{Accepted, Sender, Undelivered};

/// How long a provider that did not answer in time is tried after all others.
const COOLDOWN: Duration = Duration::from_secs(60);
/// No further provider is tried when less time than this is left.
const MIN_ATTEMPT: Duration = Duration::from_millis(500);

/// Sends by the providers in the administrator's order.
#[derive(Debug, Default)]
pub struct Dispatcher {
    routes: Vec<Route>,
}

/// A provider and its state.
#[derive(Debug)]
struct Route {
    name: String,
    channel: Channel,
    provider: Arc<dyn Provider>,
    /// When it last failed to answer in time. `None`: it has accepted a message since.
    unresponsive_since: Mutex<Option<Instant>>,
}

impl Dispatcher {
    /// A dispatcher for `providers`, with their names. Those of each channel are in the order in which they are tried.
    pub fn new(providers: impl IntoIterator<Item = (String, Arc<dyn Provider>)>) -> Self {
        let route = |(name, provider): (String, Arc<dyn Provider>)| Route {
            name,
            channel: provider.channel(),
            provider,
            unresponsive_since: Mutex::default(),
        };
        Self {
            routes: providers.into_iter().map(route).collect(),
        }
    }

    fn routes(&self, channel: Channel) -> impl Iterator<Item = &Route> {
        self.routes
            .iter()
            .filter(move |route| route.channel == channel)
    }

    /// The routes of `channel` in the order in which they are tried now. Those that recently did not answer in time
    /// come last, so that not every login waits for a provider that is down.
    fn order(&self, channel: Channel, now: Instant) -> Vec<&Route> {
        let mut routes: Vec<_> = self.routes(channel).collect();
        routes.sort_by_key(|route| route.is_cooling_down(now));
        routes
    }

    fn inbox(&self) -> Option<&dyn Inbox> {
        self.routes(Channel::Sms)
            .find_map(|route| route.provider.inbox())
    }
}

impl Route {
    fn unresponsive_since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.unresponsive_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn is_cooling_down(&self, now: Instant) -> bool {
        self.unresponsive_since()
            .is_some_and(|since| now.saturating_duration_since(since) < COOLDOWN)
    }
}

impl Sender for Dispatcher {
    fn serves(&self, channel: Channel) -> bool {
        self.routes(channel).next().is_some()
    }

    fn send(
        &self,
        channel: Channel,
        to: &str,
        message: &Message,
        deadline: Instant,
    ) -> Result<Accepted, Undelivered> {
        let mut failed = Vec::new();
        let order = self.order(channel, Instant::now());
        for (remaining, route) in (0..order.len()).rev().zip(order) {
            let now = Instant::now();
            let left = deadline.saturating_duration_since(now);
            if left < MIN_ATTEMPT && !failed.is_empty() {
                break;
            }
            // A provider that does not answer leaves the others their share of the time.
            let share = left / u32::try_from(remaining + 1).unwrap_or(u32::MAX);
            let error = match route.provider.send(to, message, now + share) {
                Ok(receipt) => {
                    *route.unresponsive_since() = None;
                    return Ok(Accepted {
                        provider: route.name.clone(),
                        id: receipt.id,
                        failed,
                    });
                }
                Err(error) => error,
            };
            // Another error does not end the cooldown: the provider may not even have been reached.
            if error.timed_out {
                *route.unresponsive_since() = Some(now);
            }
            let stops_failover = error.stops_failover;
            failed.push((route.name.clone(), error));
            if stops_failover {
                break;
            }
        }
        Err(Undelivered { failed })
    }

    fn inbox_number(&self) -> Option<String> {
        self.inbox().map(|inbox| inbox.number().to_owned())
    }

    fn received(&self, since: Timestamp, deadline: Instant) -> Result<Vec<InboundSms>, SendError> {
        let none = || {
            SendError::new(
                Step::Settings,
                "no provider lists the text messages it receives",
            )
            .hinted("add one whose data file has an [inbox] table: see twofa-sms(5)")
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
    enum Behaviour {
        Accepts,
        Refuses,
        RefusesRecipient,
        Hangs,
        HangsAfterHandover,
        HangsThenIsBusy,
    }

    #[derive(Debug)]
    struct Fake {
        behaviour: Behaviour,
        calls: AtomicUsize,
    }

    impl Provider for Fake {
        fn channel(&self) -> Channel {
            Channel::Sms
        }

        fn send(&self, _: &str, _: &Message, deadline: Instant) -> Result<Receipt, SendError> {
            let before = self.calls.fetch_add(1, Ordering::SeqCst);
            match self.behaviour {
                Behaviour::Accepts => Ok(Receipt::default()),
                Behaviour::Refuses => Err(SendError::new(Step::Login, "401 no")),
                Behaviour::RefusesRecipient => Err(SendError {
                    stops_failover: true,
                    ..SendError::new(Step::Recipient, "no such number")
                }),
                Behaviour::Hangs => {
                    std::thread::sleep(deadline.saturating_duration_since(Instant::now()));
                    Err(SendError::timeout(Step::Connect))
                }
                Behaviour::HangsThenIsBusy if before == 0 => Err(SendError::timeout(Step::Connect)),
                Behaviour::HangsThenIsBusy => {
                    Err(SendError::new(Step::Connect, "all connections are in use"))
                }
                Behaviour::HangsAfterHandover => {
                    Err(SendError::timeout(Step::Message).after_handover())
                }
            }
        }

        fn check(&self, _: Instant) -> Result<(), SendError> {
            Ok(())
        }

        fn sender_address(&self) -> Option<&str> {
            None
        }
    }

    fn dispatcher(behaviours: impl IntoIterator<Item = Behaviour>) -> (Dispatcher, Vec<Arc<Fake>>) {
        let fakes: Vec<_> = behaviours
            .into_iter()
            .map(|behaviour| {
                Arc::new(Fake {
                    behaviour,
                    calls: AtomicUsize::new(0),
                })
            })
            .collect();
        let named = (1..)
            .zip(&fakes)
            .map(|(n, fake)| (format!("p{n}"), fake.clone() as Arc<dyn Provider>));
        (Dispatcher::new(named), fakes)
    }

    fn send(dispatcher: &Dispatcher, within: Duration) -> Result<Accepted, Undelivered> {
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

    fn calls(fakes: &[Arc<Fake>]) -> Vec<usize> {
        fakes
            .iter()
            .map(|fake| fake.calls.load(Ordering::SeqCst))
            .collect()
    }

    #[test]
    fn the_next_provider_is_tried_when_the_first_refuses() {
        let (dispatcher, fakes) =
            dispatcher([Behaviour::Refuses, Behaviour::Accepts, Behaviour::Accepts]);
        let accepted = send(&dispatcher, Duration::from_secs(15)).unwrap();
        assert_eq!(
            (accepted.provider.as_str(), accepted.failed.len()),
            ("p2", 1)
        );
        assert_eq!(calls(&fakes), [1, 1, 0]);
    }

    #[test]
    fn an_unresponsive_provider_leaves_time_for_the_next_one_and_is_tried_last_afterwards() {
        let (dispatcher, fakes) = dispatcher([Behaviour::Hangs, Behaviour::Accepts]);
        let start = Instant::now();
        assert_eq!(
            send(&dispatcher, Duration::from_secs(2)).unwrap().provider,
            "p2"
        );
        assert!(start.elapsed() < Duration::from_secs(2));
        assert_eq!(
            send(&dispatcher, Duration::from_secs(2)).unwrap().provider,
            "p2"
        );
        assert_eq!(calls(&fakes), [1, 2]);
    }

    #[test]
    fn a_refusal_that_every_provider_would_repeat_stops_the_failover() {
        let (dispatcher, fakes) = dispatcher([Behaviour::RefusesRecipient, Behaviour::Accepts]);
        let undelivered = send(&dispatcher, Duration::from_secs(15)).unwrap_err();
        assert_eq!(undelivered.to_string(), "p1: recipient: no such number");
        assert_eq!(calls(&fakes), [1, 0]);
    }

    #[test]
    fn the_cooldown_lasts_until_a_message_is_accepted_and_starts_only_after_a_timeout() {
        let (dispatcher, _) = dispatcher([Behaviour::HangsThenIsBusy]);
        for _ in 0..2 {
            send(&dispatcher, Duration::from_secs(2)).unwrap_err();
            assert!(dispatcher.routes[0].is_cooling_down(Instant::now()));
        }
        let (dispatcher, _) = self::dispatcher([Behaviour::Refuses]);
        send(&dispatcher, Duration::from_secs(2)).unwrap_err();
        assert!(!dispatcher.routes[0].is_cooling_down(Instant::now()));
    }

    #[test]
    fn a_message_that_may_have_arrived_is_tried_with_the_next_provider_and_reported() {
        let (dispatcher, fakes) = dispatcher([Behaviour::HangsAfterHandover, Behaviour::Accepts]);
        assert_eq!(
            send(&dispatcher, Duration::from_secs(15)).unwrap().provider,
            "p2"
        );
        assert_eq!(calls(&fakes), [1, 1]);
        let (dispatcher, _) = self::dispatcher([Behaviour::HangsAfterHandover, Behaviour::Refuses]);
        assert!(
            send(&dispatcher, Duration::from_secs(15))
                .unwrap_err()
                .may_have_arrived()
        );
        let (dispatcher, _) = self::dispatcher([Behaviour::Refuses, Behaviour::Hangs]);
        assert!(
            !send(&dispatcher, Duration::from_secs(2))
                .unwrap_err()
                .may_have_arrived()
        );
    }

    #[test]
    fn providers_that_all_hang_take_no_longer_than_the_deadline() {
        let (dispatcher, _) = dispatcher([Behaviour::Hangs, Behaviour::Hangs, Behaviour::Hangs]);
        let start = Instant::now();
        let undelivered = send(&dispatcher, Duration::from_secs(3)).unwrap_err();
        assert!(
            start.elapsed() < Duration::from_millis(3_500),
            "{:?}",
            start.elapsed()
        );
        assert_eq!(undelivered.failed.len(), 3);
    }

    #[test]
    fn without_a_provider_no_channel_is_served() {
        let (dispatcher, _) = dispatcher([]);
        assert!(!dispatcher.serves(Channel::Sms));
        assert_eq!(
            send(&dispatcher, COOLDOWN).unwrap_err().to_string(),
            "no provider is set up"
        );
        let (dispatcher, _) = self::dispatcher([Behaviour::Accepts]);
        assert!(dispatcher.serves(Channel::Sms) && !dispatcher.serves(Channel::Email));
    }
}
