//! What logins leave to be recorded once they have their answer.
//!
//! A login under `mode=report` waits for no name service and no disk because of its record. And how long a refusal takes must
//! not tell somebody without the first factor which refusal it was. What cannot be recorded is counted here, and the counts
//! are recorded every hour.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use twofa_core::Timestamp;
use twofa_proto::Request;
use twofa_store::event::UnprovedReason;
use twofa_store::{Event, Origin};

use crate::identity::authority::Peer;

/// How many records may wait. More are counted alone.
const MAX_WAITING: usize = 256;
/// So many refusals of a reason are recorded one by one in an hour.
const RECORDED_EACH_HOUR: u32 = 20;
/// An hour, in seconds.
const HOUR: u64 = 3_600;

/// What waits to be recorded, and what has been counted instead.
#[derive(Debug, Default)]
pub struct Deferred {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Task>,
    refusals: BTreeMap<UnprovedReason, Hour>,
    /// Logins under `mode=report` without a record.
    missed: Counted,
    is_ended: bool,
}

/// The refusals of a reason since `begun`.
#[derive(Debug)]
struct Hour {
    begun: Timestamp,
    recorded: u32,
    others: Counted,
}

/// How many there were, and when the first was.
#[derive(Debug, Default, Clone, Copy)]
struct Counted {
    count: u64,
    since: Option<Timestamp>,
}

/// Something to be recorded.
#[derive(Debug)]
pub(crate) enum Task {
    /// What would have come of a login, under `mode=report`.
    Report(Peer, Request),
    /// An event that concerns no user.
    Refusal(UnprovedReason, Origin, Timestamp),
}

impl Deferred {
    /// Has a login recorded that `peer` made with `request`, at `now`.
    pub(crate) fn report(&self, peer: Peer, request: &Request, now: Timestamp) {
        let mut state = self.lock();
        if state.waiting.len() < MAX_WAITING {
            state.waiting.push_back(Task::Report(peer, request.clone()));
        } else {
            state.missed.add(now);
        }
        self.arrived.notify_one();
    }

    /// Counts a refusal for `why`, and has it recorded unless there were many this hour.
    pub(crate) fn refusal(&self, why: UnprovedReason, origin: Origin, now: Timestamp) {
        let mut state = self.lock();
        let is_full = state.waiting.len() >= MAX_WAITING;
        let hour = state
            .refusals
            .entry(why)
            .or_insert_with(|| Hour::begin(now));
        if hour.is_over(now) && hour.others.count == 0 {
            *hour = Hour::begin(now);
        }
        if is_full || hour.recorded >= RECORDED_EACH_HOUR || hour.is_over(now) {
            hour.others.add(now);
        } else {
            hour.recorded += 1;
            state.waiting.push_back(Task::Refusal(why, origin, now));
        }
        self.arrived.notify_one();
    }

    /// Counts what could not be recorded at `now`.
    pub(crate) fn miss(&self, task: &Task, now: Timestamp) {
        let mut state = self.lock();
        match task {
            Task::Report(..) => state.missed.add(now),
            Task::Refusal(why, _, at) => {
                let hour = state
                    .refusals
                    .entry(*why)
                    .or_insert_with(|| Hour::begin(*at));
                hour.others.add(*at);
            }
        }
    }

    /// What is to be recorded next, if anything waits.
    pub(crate) fn take(&self) -> Option<Task> {
        self.lock().waiting.pop_front()
    }

    /// Waits for something to be recorded. `None`: there will be nothing more.
    pub(crate) fn wait(&self) -> Option<Task> {
        let state = self.lock();
        let waited = self
            .arrived
            .wait_while(state, |state| state.waiting.is_empty() && !state.is_ended);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.waiting.pop_front()
    }

    /// Ends [`wait`](Self::wait) once nothing waits any longer.
    pub(crate) fn end(&self) {
        self.lock().is_ended = true;
        self.arrived.notify_all();
    }

    /// The events about what was counted in the hours that are over at `now`, or about everything if `is_end`. Give back
    /// what cannot be recorded.
    pub(crate) fn take_counts(&self, now: Timestamp, is_end: bool) -> Vec<Event> {
        let mut state = self.lock();
        let mut events = Vec::new();
        state.refusals.retain(|why, hour| {
            if !(is_end || hour.is_over(now)) {
                return true;
            }
            if let Some(since) = hour.others.since {
                events.push(Event::UnprovedRefused {
                    reason: *why,
                    count: hour.others.count,
                    since: since.unix(),
                });
            }
            false
        });
        let is_over = |since: Timestamp| is_end || since.after(HOUR) <= now;
        if let Some(since) = state.missed.since.filter(|since| is_over(*since)) {
            let Counted { count, .. } = mem::take(&mut state.missed);
            let since = since.unix();
            events.push(Event::ReportsMissed { count, since });
        }
        events
    }

    /// Counts again what `event` of [`take_counts`](Self::take_counts) says.
    pub(crate) fn give_back(&self, event: &Event) {
        let mut state = self.lock();
        match *event {
            Event::UnprovedRefused {
                reason,
                count,
                since,
            } => {
                let since = Timestamp::from_unix(since);
                let hour = state
                    .refusals
                    .entry(reason)
                    .or_insert_with(|| Hour::begin(since));
                hour.others.add_many(count, since);
            }
            Event::ReportsMissed { count, since } => {
                state.missed.add_many(count, Timestamp::from_unix(since));
            }
            _ => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hour {
    fn begin(begun: Timestamp) -> Self {
        Self {
            begun,
            recorded: 0,
            others: Counted::default(),
        }
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.begun.after(HOUR) <= now
    }
}

impl Counted {
    fn add(&mut self, at: Timestamp) {
        self.add_many(1, at);
    }

    fn add_many(&mut self, count: u64, since: Timestamp) {
        self.count += count;
        self.since = Some(self.since.map_or(since, |earlier| earlier.min(since)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use UnprovedReason::{NoAccount, WrongCode};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(1_800_000_000 + seconds)
    }

    fn request() -> Request {
        Request::Status {
            user: "alice".into(),
        }
    }

    fn refuse(deferred: &Deferred, why: UnprovedReason, now: Timestamp) {
        deferred.refusal(why, Origin::command_line(0), now);
    }

    fn counted(why: UnprovedReason, count: u64, since: Timestamp) -> Event {
        Event::UnprovedRefused {
            reason: why,
            count,
            since: since.unix(),
        }
    }

    #[test]
    fn twenty_refusals_of_a_reason_are_recorded_in_an_hour_and_the_rest_is_counted() {
        let deferred = Deferred::default();
        for second in 0..25 {
            refuse(&deferred, NoAccount, at(second));
        }
        refuse(&deferred, WrongCode, at(30));
        let mut recorded = Vec::new();
        while let Some(Task::Refusal(why, ..)) = deferred.take() {
            recorded.push(why);
        }
        assert_eq!(recorded.len(), 21);
        assert_eq!(recorded.last(), Some(&WrongCode));
        assert_eq!(deferred.take_counts(at(3_599), false), []);
        let rest = counted(NoAccount, 5, at(20));
        assert_eq!(deferred.take_counts(at(3_600), false), [rest]);
        assert_eq!(deferred.take_counts(at(3_600), false), []);
        refuse(&deferred, NoAccount, at(3_601));
        assert!(deferred.take().is_some(), "a new hour");
    }

    #[test]
    fn what_could_not_be_recorded_is_counted_until_it_can_be_and_at_the_end() {
        let deferred = Deferred::default();
        let report = Task::Report(Peer::ROOT, request());
        deferred.miss(&report, at(5));
        deferred.miss(&report, at(6));
        let refusal = Task::Refusal(WrongCode, Origin::command_line(0), at(7));
        deferred.miss(&refusal, at(8));
        let since = at(5).unix();
        let missed = Event::ReportsMissed { count: 2, since };
        let events = [counted(WrongCode, 1, at(7)), missed];
        for _ in 0..2 {
            let taken = deferred.take_counts(at(8), true);
            assert_eq!(taken, events);
            for event in &taken {
                deferred.give_back(event);
            }
        }
    }

    #[test]
    fn no_more_than_a_number_of_records_wait() {
        let deferred = Deferred::default();
        let request = request();
        for _ in 0..MAX_WAITING + 3 {
            deferred.report(Peer::ROOT, &request, at(0));
        }
        refuse(&deferred, WrongCode, at(1));
        let taken = std::iter::from_fn(|| deferred.take()).count();
        assert_eq!(taken, MAX_WAITING);
        let since = at(0).unix();
        let missed = Event::ReportsMissed { count: 3, since };
        let events = [counted(WrongCode, 1, at(1)), missed];
        assert_eq!(deferred.take_counts(at(2), true), events);
    }
}
