//! Figures about people and logins, from one pass over the records and one over the events of a period.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use twofa_core::{Method, Timestamp};
use twofa_store::Place;
use twofa_store::event::{NotSent, Proof, Record};
pub use twofa_store::{DatabaseCounters, Host, HostRights, Replication, Server, Standby};
use twofa_store::{Event, EventFilter, LoggedEvent};

use super::listing::ListingGaps;
use super::users::{ListedUser, StatusKind, UserFilter};
use super::{AdminError, Administration};

/// The kinds of events that are counted.
const COUNTED: [&str; 6] = [
    "passed",
    "refused",
    "locked",
    "code-sent",
    "code-not-sent",
    "summed-up",
];

/// Figures for a period.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Everybody on record, now.
    pub people: People,
    /// Codes and trusted devices that were accepted, by the name of the method or `trusted-device`. Codes that permitted a
    /// change on the command line are counted as well.
    pub passed: BTreeMap<String, u64>,
    /// Refusals, by the name of the reason.
    pub refused: BTreeMap<String, u64>,
    /// How often an account was locked.
    pub locked: u64,
    /// Codes that were sent, by provider.
    pub providers: BTreeMap<String, Sends>,
    /// Codes that were not sent because of a limit.
    pub limited: u64,
    /// Codes that no provider accepted.
    pub undelivered: u64,
    /// Logins on each day of the period, in the system's time zone, the earliest day first.
    pub days: Vec<Day>,
    /// What the name service did not list.
    pub gaps: ListingGaps,
}

/// How many people there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct People {
    /// By the name of their status; 0 for one that nobody has.
    pub by_status: BTreeMap<&'static str, u64>,
    /// By the name of a method that they have; a user with two methods is counted under both.
    pub by_method: BTreeMap<&'static str, u64>,
    /// By the name of the class that applies.
    pub by_class: BTreeMap<String, u64>,
}

/// What a provider sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sends {
    /// Codes that it accepted.
    pub sent: u64,
    /// Codes that it did not accept.
    pub failed: u64,
    /// How many of the accepted ones were timed.
    pub timed: u64,
    /// How long the timed ones took in total, in milliseconds.
    pub milliseconds: u64,
}

/// The logins of one day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Day {
    /// The date, such as `2026-11-26`.
    pub date: String,
    /// Codes that were accepted.
    pub passed: u64,
    /// Logins in which a trusted device stood in for a code.
    pub trusted: u64,
    /// Logins and codes that were refused.
    pub refused: u64,
}

impl Administration {
    /// Counts people, and the events of the last `days` days, today included; `None`: of the last 24 hours.
    pub fn statistics(&self, days: Option<u16>) -> Result<Statistics, AdminError> {
        let mut statistics = Statistics::default();
        statistics.people.start();
        statistics.gaps = self.users(&UserFilter::default(), |user| {
            statistics.people.count(&user);
            true
        })?;
        let since = match days {
            Some(days) => statistics.begin_days(days, self.now()),
            None => self.now().before(86_400),
        };
        let filter = EventFilter {
            since: Some(since),
            kinds: COUNTED.map(str::to_owned).to_vec(),
            ..EventFilter::default()
        };
        self.events(&filter, |event| {
            statistics.count(&event);
            true
        })?;
        Ok(statistics)
    }
}

/// What a server knows of its fleet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FleetFigures {
    /// Every host.
    pub hosts: Vec<Host>,
    /// Every server.
    pub servers: Vec<Server>,
    /// Events that have no place in the journal yet.
    pub unsealed: u64,
    /// The standbys of the database; `None`: the store is in a file.
    pub replication: Option<Replication>,
}

impl Administration {
    /// Figures about the fleet. They are taken before others, as reading the log gives events their place in the journal.
    pub fn fleet_figures(&self) -> Result<FleetFigures, AdminError> {
        let store = self.store();
        Ok(FleetFigures {
            unsealed: store.unentered_events()?,
            hosts: store.hosts()?,
            servers: store.servers()?,
            replication: match store.place()? {
                Place::File { .. } => None,
                Place::Server(place) => Some(place.replication),
            },
        })
    }
}

impl People {
    fn start(&mut self) {
        self.by_status = StatusKind::ALL.map(|kind| (kind.name(), 0)).into();
        self.by_method = twofa_core::method::METHODS
            .iter()
            .map(|info| (info.name, 0))
            .collect();
    }

    fn count(&mut self, user: &ListedUser) {
        let status = StatusKind::from_status(user.status).name();
        *self.by_status.entry(status).or_default() += 1;
        let backup = (user.backup_codes > 0).then_some(Method::Backup);
        for method in user.methods.iter().chain(backup) {
            *self.by_method.entry(method.name()).or_default() += 1;
        }
        *self.by_class.entry(user.class.clone()).or_default() += 1;
    }
}

impl Statistics {
    /// Creates an entry for each day, and returns when the first of them begins.
    fn begin_days(&mut self, days: u16, now: Timestamp) -> Timestamp {
        let today = date(now);
        let first = today.saturating_sub(jiff::Span::new().days(i64::from(days) - 1));
        let dates = first.series(jiff::Span::new().days(1));
        self.days = dates
            .take_while(|date| *date <= today)
            .map(|date| Day {
                date: date.to_string(),
                ..Day::default()
            })
            .collect();
        let start = first.to_zoned(TimeZone::system());
        start.map_or(now, |start| {
            Timestamp::from_unix(start.timestamp().as_second())
        })
    }

    fn count(&mut self, event: &LoggedEvent) {
        let Record::Event(what) = &event.record else {
            return;
        };
        match &**what {
            Event::Passed { by } => {
                let (name, is_trusted) = proof_name(by);
                self.add_passed(name, is_trusted, 1, event.at);
            }
            Event::Refused { why } => {
                let fields = Event::Refused { why: *why }.flat_fields();
                let reason = fields.into_iter().find(|(key, _)| key == "reason");
                let reason = reason.map_or_else(String::new, |(_, reason)| reason);
                self.add_refused(reason, 1, event.at);
            }
            Event::SummedUp { of_kind, count, .. } if of_kind == "refused" => {
                self.add_refused("summed-up".to_owned(), *count, event.at);
            }
            Event::SummedUp { of_kind, count, .. } if of_kind == "passed" => {
                self.add_passed("summed-up", false, *count, event.at);
            }
            Event::Locked { .. } => self.locked += 1,
            Event::CodeSent {
                provider,
                milliseconds,
                failed,
                ..
            } => {
                let sends = self.providers.entry(provider.clone()).or_default();
                sends.sent += 1;
                if let Some(milliseconds) = milliseconds {
                    sends.timed += 1;
                    sends.milliseconds += milliseconds;
                }
                self.add_failed(failed);
            }
            Event::CodeNotSent { why, .. } => match why {
                NotSent::LimitReached => self.limited += 1,
                NotSent::Undelivered { failed, .. } => {
                    self.undelivered += 1;
                    self.add_failed(failed);
                }
            },
            _ => {}
        }
    }

    fn add_passed(&mut self, name: &str, is_trusted: bool, count: u64, at: Timestamp) {
        *self.passed.entry(name.to_owned()).or_default() += count;
        if let Some(day) = self.day(at) {
            if is_trusted {
                day.trusted += count;
            } else {
                day.passed += count;
            }
        }
    }

    fn add_refused(&mut self, reason: String, count: u64, at: Timestamp) {
        *self.refused.entry(reason).or_default() += count;
        if let Some(day) = self.day(at) {
            day.refused += count;
        }
    }

    fn add_failed(&mut self, failed: &[String]) {
        for provider in failed {
            self.providers.entry(provider.clone()).or_default().failed += 1;
        }
    }

    fn day(&mut self, at: Timestamp) -> Option<&mut Day> {
        if self.days.is_empty() {
            return None;
        }
        let date = date(at).to_string();
        self.days.iter_mut().rev().find(|day| day.date == date)
    }
}

fn proof_name(by: &Proof) -> (&'static str, bool) {
    match by {
        Proof::TrustedDevice(_) => ("trusted-device", true),
        Proof::App { .. } | Proof::EnrolledApp { .. } => (Method::App.name(), false),
        Proof::SentCode { channel } | Proof::EnrolledAddress { channel, .. } => {
            (channel.method().name(), false)
        }
        Proof::BackupCode => (Method::Backup.name(), false),
        Proof::SecurityKey { .. } => (Method::SecurityKey.name(), false),
        // No event has it.
        Proof::Server => ("server", false),
        Proof::RescueCode => ("rescue", false),
    }
}

fn date(at: Timestamp) -> jiff::civil::Date {
    let at = jiff::Timestamp::from_second(at.unix()).unwrap_or(jiff::Timestamp::MAX);
    at.to_zoned(TimeZone::system()).date()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::testing::Bench;
    use twofa_core::{Account, Channel};
    use twofa_store::Origin;
    use twofa_store::event::{DeviceFields, RefusalReason};

    #[test]
    #[allow(clippy::too_many_lines, reason = "a log, and what is counted in it")]
    fn logins_locks_and_sends_are_counted_by_kind() {
        let bench = Bench::new();
        let alice = Account {
            name: "alice".into(),
            uid: 1000,
        };
        let channel = Channel::Email;
        let sent = |failed: &[&str]| Event::CodeSent {
            channel,
            to: "a***e@example.org".into(),
            provider: "relay".into(),
            id: None,
            milliseconds: Some(200),
            failed: failed.iter().map(|name| (*name).to_owned()).collect(),
        };
        let device = DeviceFields {
            of_kind: "address".into(),
            label: "192.0.2.7".into(),
        };
        let why = RefusalReason::WrongCode;
        let events = [
            sent(&["other"]),
            sent(&[]),
            Event::Passed {
                by: Proof::SentCode { channel },
            },
            Event::Passed {
                by: Proof::TrustedDevice(device),
            },
            Event::Refused { why },
            Event::Locked { failures: 5 },
            Event::CodeNotSent {
                channel,
                to: String::new(),
                why: NotSent::LimitReached,
            },
        ];
        let admin: &Administration = &bench;
        for event in events {
            let (store, now) = (admin.store(), admin.now());
            let origin = Origin::command_line(0);
            store.record(Some(&alice), &event, &origin, now).unwrap();
        }
        let long_ago = admin.now().before(3 * 86_400);
        let store = admin.store();
        let origin = Origin::command_line(0);
        let early = Event::Refused { why };
        store.record(None, &early, &origin, long_ago).unwrap();
        let statistics = admin.statistics(Some(2)).unwrap();
        let of = |map: &BTreeMap<String, u64>| -> Vec<_> {
            map.iter()
                .map(|(name, count)| (name.clone(), *count))
                .collect()
        };
        assert_eq!(
            of(&statistics.passed),
            [("email".to_owned(), 1), ("trusted-device".to_owned(), 1)]
        );
        assert_eq!(of(&statistics.refused), [("wrong-code".to_owned(), 1)]);
        assert_eq!(
            (
                statistics.locked,
                statistics.limited,
                statistics.undelivered
            ),
            (1, 1, 0)
        );
        let relay = Sends {
            sent: 2,
            failed: 0,
            timed: 2,
            milliseconds: 400,
        };
        assert_eq!(statistics.providers["relay"], relay);
        assert_eq!(statistics.providers["other"].failed, 1);
        let [_, today] = statistics.days.as_slice() else {
            panic!("{:?}", statistics.days)
        };
        assert_eq!((today.passed, today.trusted, today.refused), (1, 1, 1));
        assert_eq!(admin.statistics(None).unwrap().days, []);
    }
}
