//! One pass over all events, in which each is compared with its leaf and each checkpoint with the leaves it was made of.

use std::collections::BTreeMap;

use super::displaced::{Displaced, Misfit};
use super::leaf::{content, leaf_of};
use super::summary::SumDigest;
use super::verification::{Finding, Verification};
use super::{Value, merkle};
use crate::error::StoreError;
use crate::event::{Event, Record};
use crate::seal::SealingKey;
use crate::sql::events::JournalRow;
use crate::sql::journal::{Checkpoint, Dropped};

pub(super) struct Walk<'a> {
    key: &'a SealingKey,
    journal: &'a str,
    /// Those that are not reached yet; the first is the one whose events are being read.
    checkpoints: &'a [Checkpoint],
    /// Likewise.
    dropped: &'a [Dropped],
    result: &'a mut Verification,
    /// The last event from before there was a journal.
    older: Older,
    /// The number that is to come next.
    expected: i64,
    leaves: Vec<Vec<u8>>,
    /// Whether something is wrong with the events of the checkpoint, which explains that their root differs.
    is_disturbed: bool,
    misfits: Displaced,
    /// What gave way to each event that has not been seen yet.
    sums: BTreeMap<i64, SumDigest>,
    /// Up to where events are said to have been removed because of their age.
    said_pruned: Vec<i64>,
}

/// What is known of events from before there was a journal.
#[derive(Debug, Default)]
struct Older {
    last: i64,
    /// `None`: they were removed because of their age.
    expected: Option<i64>,
    found: i64,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        key: &'a SealingKey,
        journal: &'a str,
        checkpoints: &'a [Checkpoint],
        dropped: &'a [Dropped],
        result: &'a mut Verification,
    ) -> Self {
        let mut older = Older::default();
        let mut of_events = checkpoints;
        if let [first, others @ ..] = checkpoints
            && first.number == 0
        {
            older.last = first.last;
            older.expected = Some(first.count);
            of_events = others;
        } else if let Some(first) = checkpoints.first() {
            result.pruned_through = first.first - 1;
        }
        let expected = older.last.max(result.pruned_through) + 1;
        Self {
            key,
            journal,
            checkpoints: of_events,
            dropped,
            result,
            older,
            expected,
            leaves: Vec::new(),
            is_disturbed: false,
            misfits: Displaced::default(),
            sums: BTreeMap::new(),
            said_pruned: Vec::new(),
        }
    }

    pub(super) fn see(&mut self, row: &JournalRow<'_>) -> Result<(), StoreError> {
        let number = row.number;
        self.see_dropped_before(number);
        if self
            .dropped
            .first()
            .is_some_and(|next| next.number == number)
        {
            self.result
                .findings
                .push(Finding::Inserted { event: number });
            return Ok(());
        }
        self.result.last = self.result.last.max(number);
        let columns = row.columns()?;
        let is_unsynced = matches!(column(&columns, "unsynced"), Value::Integer(_));
        let said = said(&columns);
        let content = content(columns);
        let Some(leaf) = &row.leaf else {
            self.see_without_leaf(number);
            return Ok(());
        };
        let is_as_logged = leaf_of(self.key, self.journal, number, &content) == leaf.as_slice();
        if number < self.expected {
            self.see_below(number, is_as_logged);
            return Ok(());
        }
        self.advance_to(number);
        if is_as_logged {
            self.result.proved += 1;
            self.believe(number, said);
        } else {
            self.is_disturbed = true;
            let leaf = leaf.clone();
            self.misfits.add(Misfit {
                number,
                content,
                leaf,
            });
        }
        if self.checkpoints.is_empty() {
            self.result.tail.events += 1;
            self.result.tail.unsynced += u64::from(is_unsynced);
        }
        self.leaves.push(leaf.clone());
        Ok(())
    }

    /// After the last event.
    pub(super) fn end(mut self) {
        self.see_dropped_before(i64::MAX);
        if let Some(last) = self.checkpoints.last().map(|checkpoint| checkpoint.last) {
            self.advance_to(last + 1);
        }
        let Older {
            expected, found, ..
        } = self.older;
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            self.result
                .findings
                .push(Finding::OlderCount { expected, found });
        }
        let of_pruned = |instead: &i64| *instead <= self.result.pruned_through;
        let hidden = self.sums.keys().filter(|instead| !of_pruned(instead));
        let hidden = hidden.map(|event| Finding::SumDiffers { event: *event });
        self.result.findings.extend(hidden);
        let through = self.result.pruned_through;
        if through > 0 && !self.said_pruned.contains(&through) {
            self.result.findings.push(Finding::Missing {
                first: 1,
                last: through,
            });
        }
        let misfits = std::mem::take(&mut self.misfits);
        let found =
            misfits.findings(|number, content| leaf_of(self.key, self.journal, number, content));
        self.result.findings.extend(found);
    }

    fn see_without_leaf(&mut self, number: i64) {
        if number <= self.older.last {
            self.older.found += 1;
            self.result.older += 1;
            return;
        }
        // What was removed because of its age goes a little at a time.
        if number <= self.result.pruned_through {
            self.result.older += 1;
            return;
        }
        self.result
            .findings
            .push(Finding::Inserted { event: number });
        self.is_disturbed = true;
        if number >= self.expected {
            self.advance_to(number);
        }
    }

    /// An event with a leaf among those that are removed because of their age, or are older than the journal.
    fn see_below(&mut self, number: i64, is_as_logged: bool) {
        if !is_as_logged || number > self.result.pruned_through {
            self.result
                .findings
                .push(Finding::Inserted { event: number });
        }
    }

    fn see_dropped_before(&mut self, number: i64) {
        while let Some((next, others)) = self
            .dropped
            .split_first()
            .filter(|(next, _)| next.number < number)
        {
            self.dropped = others;
            self.see_dropped(next);
        }
    }

    /// Takes what an event that was logged says of others.
    fn believe(&mut self, number: i64, said: Option<Event>) {
        match said {
            Some(Event::SummedUp { count, digest, .. }) => {
                let sum = self.sums.remove(&number).unwrap_or_default();
                if (count, digest) != (sum.count, sum.finish()) {
                    self.result
                        .findings
                        .push(Finding::SumDiffers { event: number });
                }
            }
            Some(Event::LogPruned { through, .. }) => self.said_pruned.push(through),
            _ => {}
        }
    }

    fn see_dropped(&mut self, dropped: &Dropped) {
        let number = dropped.number;
        let sum = self.sums.entry(dropped.instead).or_default();
        sum.add(number, dropped.leaf.as_deref());
        self.result.last = self.result.last.max(number);
        match &dropped.leaf {
            None if number <= self.older.last => self.older.found += 1,
            _ if number <= self.result.pruned_through => {}
            Some(leaf) if number >= self.expected => {
                self.advance_to(number);
                self.leaves.push(leaf.clone());
                self.result.summed_up += 1;
            }
            _ => self
                .result
                .findings
                .push(Finding::Inserted { event: number }),
        }
    }

    /// Goes on to event `number`, which is behind all that were seen.
    fn advance_to(&mut self, number: i64) {
        while let Some((checkpoint, others)) = self
            .checkpoints
            .split_first()
            .filter(|(checkpoint, _)| checkpoint.last < number)
        {
            self.miss_before((checkpoint.last + 1).max(self.expected));
            self.close(checkpoint);
            self.checkpoints = others;
        }
        self.miss_before(number);
        self.expected = number + 1;
    }

    fn miss_before(&mut self, number: i64) {
        if self.expected < number {
            let (first, last) = (self.expected, number - 1);
            match self.result.findings.last_mut() {
                Some(Finding::Missing { last: before, .. }) if *before + 1 == first => {
                    *before = last;
                }
                _ => self.result.findings.push(Finding::Missing { first, last }),
            }
            self.is_disturbed = true;
            self.expected = number;
        }
    }

    fn close(&mut self, checkpoint: &Checkpoint) {
        let root = merkle::root(&self.leaves);
        let number = checkpoint.number;
        let is_altered = Finding::CheckpointAltered { number };
        if root != checkpoint.root.as_slice()
            && !self.is_disturbed
            && !self.result.findings.contains(&is_altered)
        {
            self.result.findings.push(Finding::Rewritten {
                number,
                first: checkpoint.first,
                last: checkpoint.last,
            });
        }
        self.leaves.clear();
        self.is_disturbed = false;
    }
}

fn column<'a>(columns: &[(&'static str, Value<'a>)], name: &str) -> Value<'a> {
    let found = columns.iter().find(|(found, _)| *found == name);
    found.map_or(Value::Null, |(_, value)| *value)
}

/// The event, if it says something of others.
fn said(columns: &[(&'static str, Value<'_>)]) -> Option<Event> {
    let text = |name| match column(columns, name) {
        Value::Text(text) => std::str::from_utf8(text).ok(),
        Value::Null | Value::Integer(_) => None,
    };
    let kind = text("kind").filter(|kind| ["summed-up", "log-pruned"].contains(kind))?;
    match Record::read(kind, text("fields").map(ToOwned::to_owned), None) {
        Record::Event(event) => Some(*event),
        Record::Text(_) => None,
    }
}
