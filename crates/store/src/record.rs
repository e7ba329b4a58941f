//! The audit log: what happened, to whom, from where and by whom.
//!
//! [`Tx::record`] is the one way into it. What the user should know of is queued as a notice in the same transaction: a
//! change without its notice does not happen.

use twofa_core::{Account, Timestamp};

use crate::database::Store;
use crate::error::StoreError;
use crate::event::{Event, EventFilter, Happening, LoggedEvent, Origin, StoredEvent};
use crate::journal::{EventAnchor, leaf};
use crate::notices;
use crate::sql::event_filter;
use crate::sql::events::{self, LoggedAs, NewEvent};
use crate::tx::Tx;

/// After about this many events the oldest of the current user are summed up, if there are too many.
pub(crate) const SUMMED_UP_EVERY: i64 = 64;

impl Store {
    /// Logs an event by itself, with the user it happened to if there is one.
    pub fn record(
        &self,
        user: Option<&Account>,
        event: &Event,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.change(origin, now, |tx| tx.record(user, event).map(drop))
    }

    /// As [`Store::record`], but without waiting for the disk: the event becomes durable with the next change that does.
    pub fn record_unsynced(
        &self,
        user: Option<&Account>,
        event: &Event,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.change_unsynced(origin, now, |tx| tx.record(user, event).map(drop))
    }

    /// The number of the latest event; 0 if there is none.
    pub fn latest_event(&self) -> Result<i64, StoreError> {
        self.read(|view| events::latest(view.db))
    }

    /// Passes the events that `filter` lets through to `each`, oldest first, until it returns `false`.
    pub fn events(
        &self,
        filter: &EventFilter,
        each: impl FnMut(LoggedEvent) -> bool,
    ) -> Result<(), StoreError> {
        self.enter_events()?;
        self.read(|view| event_filter::each(view.db, filter, each))
    }
}

impl Tx<'_> {
    /// Logs `event`, queues the notice that the user gets of it, if any, and returns its number.
    pub(crate) fn record(
        &self,
        user: Option<&Account>,
        event: &Event,
    ) -> Result<LoggedAs, StoreError> {
        let id = self.record_quietly(user, event)?;
        if let Some(user) = user
            && event.is_noticed()
        {
            notices::queue(self, user, &StoredEvent::from(event))?;
        }
        Ok(id)
    }

    /// Logs `event` without a notice, and returns its number.
    pub(crate) fn record_quietly(
        &self,
        user: Option<&Account>,
        event: &Event,
    ) -> Result<LoggedAs, StoreError> {
        let stored = StoredEvent::from(event);
        let anchor = self.append(user, &stored)?;
        let number = anchor.as_ref().map(|anchor| anchor.number);
        if let (Some(user), Some(number)) = (user, number)
            && number % SUMMED_UP_EVERY == 0
        {
            self.sum_up_old(user)?;
        }
        self.happened.borrow_mut().push(Happening {
            user: user.cloned(),
            event: event.clone(),
            origin: self.origin.clone(),
            anchor,
        });
        Ok(number.map_or(LoggedAs::Last, LoggedAs::Number))
    }
}

impl Tx<'_> {
    /// Writes `event`. Returns its place in the journal, if it has it already.
    fn append(
        &self,
        user: Option<&Account>,
        event: &StoredEvent,
    ) -> Result<Option<EventAnchor>, StoreError> {
        if self.db.as_sqlite().is_some() {
            let anchor = self.append_to_journal(user, event, self.origin)?;
            return Ok(Some(anchor));
        }
        let event = NewEvent {
            user,
            event,
            origin: self.origin,
            at: self.now,
            is_synced: self.is_synced,
        };
        self.journal.note_written();
        events::write(self.db, &event).map(|()| None)
    }

    /// Adds `event` of `origin` to the journal, and returns its place there.
    pub(crate) fn append_to_journal(
        &self,
        user: Option<&Account>,
        event: &StoredEvent,
        origin: &Origin,
    ) -> Result<EventAnchor, StoreError> {
        let event = NewEvent {
            user,
            event,
            origin,
            at: self.now,
            is_synced: self.is_synced,
        };
        let number = events::next_number(self.db)?;
        let journal = self.journal.name(self.db)?;
        let leaf = leaf(self.key, journal, number, event.columns());
        events::insert(self.db, number, &event, &leaf)?;
        self.journal.note(number);
        Ok(EventAnchor::new(journal, number, &leaf, self.is_synced))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{LoginOrigin, NotSent, Proof, Record, RefusalReason, ReportedOutcome};
    use crate::journal::{LOGINS_OF_A_USER, SUMMED_UP_AT_ONCE, SystemLog};
    use crate::testing::{Bench, alice, origin};
    use std::sync::Mutex;
    use twofa_core::Channel;

    const REFUSED: Event = Event::Refused {
        why: RefusalReason::WrongCode,
    };

    fn kinds(store: &Store, filter: &EventFilter) -> Vec<String> {
        let mut kinds = Vec::new();
        let each = |event: LoggedEvent| {
            kinds.push(event.kind);
            true
        };
        store.events(filter, each).unwrap();
        kinds
    }

    #[test]
    fn refusals_beyond_a_number_are_summed_up_and_everything_else_is_kept() {
        let bench = Bench::new();
        let store = bench.create();
        let alice = alice();
        bench.enrol(&store, &alice, "phone");
        store
            .change(&origin(), bench.now, |tx| {
                (0..LOGINS_OF_A_USER + 2 * SUMMED_UP_AT_ONCE + 100)
                    .try_for_each(|_| tx.record(Some(&alice), &REFUSED).map(drop))
            })
            .unwrap();
        let kinds = kinds(&store, &EventFilter::default());
        let count = |kind: &str| kinds.iter().filter(|found| *found == kind).count();
        assert_eq!(kinds[0], "app-enrolled");
        assert_eq!((count("refused"), count("summed-up")), (5_100, 2));
        let sum = Bench::log(&store)
            .into_iter()
            .find(|event| matches!(event, Event::SummedUp { .. }));
        let Some(Event::SummedUp {
            of_kind,
            count,
            other_places,
            since,
            until,
            ..
        }) = sum
        else {
            panic!("{sum:?}")
        };
        let now = bench.now.unix();
        assert_eq!(
            (of_kind.as_str(), count, other_places),
            ("refused", 1_000, 0)
        );
        assert_eq!((since, until), (now, now));
        let verification = store.verify_log(&SystemLog::default(), None).unwrap();
        assert_eq!(
            (verification.findings, verification.summed_up),
            (vec![], 2_000)
        );
    }

    #[test]
    fn logins_that_were_only_reported_are_summed_up_beyond_a_number() {
        let bench = Bench::new();
        let store = bench.create();
        let alice = alice();
        let reported = Event::Reported {
            class: "everyone".into(),
            outcome: ReportedOutcome::Asked,
        };
        store
            .change(&origin(), bench.now, |tx| {
                (0..LOGINS_OF_A_USER + SUMMED_UP_AT_ONCE + 100)
                    .try_for_each(|_| tx.record(Some(&alice), &reported).map(drop))
            })
            .unwrap();
        let kinds = kinds(&store, &EventFilter::default());
        let count = |kind: &str| kinds.iter().filter(|found| *found == kind).count();
        assert_eq!((count("reported"), count("summed-up")), (5_100, 1));
    }

    #[test]
    fn what_happened_in_different_hours_is_summed_up_apart_with_the_place_it_mostly_came_from() {
        let bench = Bench::new();
        let store = bench.create();
        let alice = alice();
        let places = ["192.0.2.7", "192.0.2.8", "192.0.2.7"];
        for i in 0..u64::from(LOGINS_OF_A_USER + SUMMED_UP_AT_ONCE + 64) {
            let login = LoginOrigin {
                remote_host: Some(places[usize::try_from(i % 3).unwrap()].into()),
                ..Default::default()
            };
            let now = bench.now.after(if i < 500 { 0 } else { 3_600 });
            let origin = Origin::login(0, login);
            store
                .change_unsynced(&origin, now, |tx| {
                    tx.record(Some(&alice), &REFUSED).map(drop)
                })
                .unwrap();
        }
        let mut sums = Vec::new();
        let each = |logged: LoggedEvent| {
            if let Record::Event(event) = logged.record
                && let Event::SummedUp {
                    count,
                    other_places,
                    ..
                } = *event
            {
                let from = logged.origin.host_or_terminal().unwrap().to_owned();
                sums.push((count, other_places, from));
            }
            true
        };
        store.events(&EventFilter::default(), each).unwrap();
        let from = || String::from("192.0.2.7");
        assert_eq!(sums, [(500, 1, from()), (500, 1, from())]);
        assert_eq!(
            store
                .verify_log(&SystemLog::default(), None)
                .unwrap()
                .findings,
            []
        );
    }

    #[test]
    fn codes_beyond_a_number_are_summed_up_and_no_logins_with_them() {
        let bench = Bench::new();
        let store = bench.create();
        let alice = alice();
        let channel = Channel::Email;
        let passed = Event::Passed {
            by: Proof::SentCode { channel },
        };
        let to = String::from("a***e@example.org");
        let codes = [
            Event::CodeSent {
                channel,
                to: to.clone(),
                provider: "relay".into(),
                id: None,
                milliseconds: None,
                failed: Vec::new(),
            },
            Event::CodeNotSent {
                channel,
                to,
                why: NotSent::LimitReached,
            },
        ];
        store
            .change(&origin(), bench.now, |tx| {
                tx.record(Some(&alice), &passed)?;
                (0..6_000).try_for_each(|i| tx.record(Some(&alice), &codes[i % 2]).map(drop))
            })
            .unwrap();
        let kinds = kinds(&store, &EventFilter::default());
        let sums = kinds.iter().filter(|kind| *kind == "summed-up").count();
        assert!(
            kinds.len() - sums <= 2_000 + 1 + 64 && sums <= 10,
            "{}",
            kinds.len()
        );
        assert_eq!(kinds[0], "passed");
    }

    #[test]
    fn the_listener_gets_each_committed_event_once_and_no_other() {
        static TOLD: Mutex<Vec<(Option<Account>, Event)>> = Mutex::new(Vec::new());
        let bench = Bench::new();
        let mut store = bench.create();
        store.set_listener(|it| {
            TOLD.lock()
                .unwrap()
                .push((it.user.clone(), it.event.clone()));
        });
        let alice = alice();
        let both = store.change(&origin(), bench.now, |tx| {
            tx.record(Some(&alice), &Event::Required)?;
            tx.record(None, &Event::Released)?;
            assert_eq!(TOLD.lock().unwrap().len(), 0, "not before it is on disk");
            Ok(())
        });
        both.unwrap();
        let failed = store.change(&origin(), bench.now, |tx| {
            tx.record(None, &Event::Reset)?;
            Err::<(), _>(StoreError::ChangedMeanwhile)
        });
        failed.unwrap_err();
        let told = TOLD.lock().unwrap();
        assert_eq!(
            *told,
            [(Some(alice), Event::Required), (None, Event::Released)]
        );
    }

    #[test]
    fn events_come_back_in_order_and_for_one_user() {
        let bench = Bench::new();
        let store = bench.create();
        let alice = alice();
        let events = [
            (None, Event::UserRemoved),
            (Some(&alice), Event::UserAdded),
            (Some(&alice), Event::Required),
            (None, Event::Released),
        ];
        for (user, event) in events {
            store.record(user, &event, &origin(), bench.now).unwrap();
        }
        let kinds = |user: Option<&str>, last| {
            let user = user.map(Into::into);
            let filter = EventFilter {
                user,
                last,
                ..EventFilter::default()
            };
            kinds(&store, &filter)
        };
        assert_eq!(
            kinds(None, None),
            ["user-removed", "user-added", "required", "released"]
        );
        assert_eq!(kinds(Some("alice"), None), ["user-added", "required"]);
        assert_eq!(kinds(None, Some(2)), ["required", "released"]);
    }

    /// A store with one event of each, a minute apart, and when the first was.
    fn three_events(bench: &Bench) -> Store {
        let store = bench.create();
        let login = |host: &str| {
            let login = LoginOrigin {
                service: Some("sshd".into()),
                remote_host: Some(host.into()),
                ..LoginOrigin::default()
            };
            Origin::login(0, login)
        };
        let events = [
            (login("::ffff:192.0.2.7"), REFUSED),
            (login("host.example.org"), Event::Required),
            (Origin::command_line(0), Event::Released),
        ];
        for (minute, (origin, event)) in (0..).zip(events) {
            let at = bench.now.after(60 * minute);
            store.record(Some(&alice()), &event, &origin, at).unwrap();
        }
        store
    }

    #[allow(clippy::too_many_lines, reason = "a table")]
    #[test]
    fn each_filter_lets_through_what_it_names() {
        let bench = Bench::new();
        let store = three_events(&bench);
        let second = bench.now.after(60);
        let filters: [(EventFilter, &[&str]); 8] = [
            (
                EventFilter {
                    since: Some(second),
                    ..EventFilter::default()
                },
                &["required", "released"],
            ),
            (
                EventFilter {
                    until: Some(second),
                    ..EventFilter::default()
                },
                &["refused"],
            ),
            (
                EventFilter {
                    after: Some(2),
                    ..EventFilter::default()
                },
                &["released"],
            ),
            (
                EventFilter {
                    kinds: vec!["refused".into(), "released".into()],
                    ..EventFilter::default()
                },
                &["refused", "released"],
            ),
            (
                EventFilter {
                    service: Some("sshd".into()),
                    ..EventFilter::default()
                },
                &["refused", "required"],
            ),
            (
                EventFilter {
                    service: Some("twofa".into()),
                    ..EventFilter::default()
                },
                &["released"],
            ),
            (
                EventFilter {
                    from: "192.0.2.0/24".parse().ok(),
                    last: Some(1),
                    ..EventFilter::default()
                },
                &["refused"],
            ),
            (
                EventFilter {
                    user: Some("alice".into()),
                    since: Some(second),
                    service: Some("sshd".into()),
                    ..EventFilter::default()
                },
                &["required"],
            ),
        ];
        for (filter, expected) in filters {
            assert_eq!(kinds(&store, &filter), expected, "{filter:?}");
        }
    }
}
