//! Verification of the journal: what is there is compared with what leaves, checkpoints and anchors say was there.

use super::checkpoint::{ANCHOR_BYTES, end_of, link};
use super::forward::{KeyFile, VerificationKey};
use super::system_log::check_events;
use super::walk::Walk;
use super::{Anchor, SystemLog};
use crate::database::Store;
use crate::error::StoreError;
use crate::sql::events;
use crate::sql::journal::{self, Checkpoint};
use crate::tx::View;

/// Something that proves that the log is not what was logged. Numbers are those of events, unless they are said to be of
/// checkpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// These events say something else than what was logged, or nobody logged them.
    Altered {
        /// The first of them.
        first: i64,
        /// The last.
        last: i64,
    },
    /// These events stand in the place of others.
    Moved {
        /// The first of them.
        first: i64,
        /// The last.
        last: i64,
        /// What to add to their numbers for those under which they were logged.
        by: i64,
    },
    /// These events are gone.
    Missing {
        /// The first of them.
        first: i64,
        /// The last.
        last: i64,
    },
    /// Events from before there was a journal are gone, or there are more of them.
    OlderCount {
        /// How many there were.
        expected: i64,
        /// How many there are.
        found: i64,
    },
    /// Nobody logged this event.
    Inserted {
        /// Its number.
        event: i64,
    },
    /// Other events gave way to this one than it says, or it is not there.
    SumDiffers {
        /// Its number.
        event: i64,
    },
    /// The end was cut off: a user's record knows of a later event than there is.
    Cut {
        /// The last event that there is.
        last: i64,
        /// The one that the record knows of.
        known: i64,
    },
    /// These checkpoints are gone.
    CheckpointsMissing {
        /// The number of the first of them.
        first: i64,
        /// The number of the last.
        last: i64,
    },
    /// This checkpoint is not what was written.
    CheckpointAltered {
        /// Its number.
        number: i64,
    },
    /// The events of this checkpoint are others than those it was made of, and were written with the key of the store.
    Rewritten {
        /// The number of the checkpoint.
        number: i64,
        /// Its first event.
        first: i64,
        /// Its last event.
        last: i64,
    },
    /// These checkpoints were not sealed with the key of their time: they were rewritten by an intruder who had only a
    /// later one.
    SealDiffers {
        /// The number of the first of them.
        first: i64,
        /// The number of the last.
        last: i64,
    },
    /// The verification key belongs to another journal.
    OtherKey,
    /// The journal ends before a checkpoint that was sealed: its end was cut off, or an older database was put back.
    EndsBeforeSeal {
        /// The number of the checkpoint that was sealed last.
        sealed: i64,
        /// The number of the last checkpoint that there is.
        number: i64,
    },
    /// The journal is another one than that of an anchor.
    OtherJournal(Anchor),
    /// The journal ends before an anchor: its end was cut off, or an older database was put back.
    EndsBefore {
        /// What was written to the system log.
        anchor: Anchor,
        /// The number of the last checkpoint that there is.
        number: i64,
        /// Its last event.
        last: i64,
    },
    /// The checkpoint of an anchor is another one now: all from here on was written again.
    AnchorDiffers(Anchor),
    /// The system log has these events, and the journal does not, although some of them were on disk: they were removed or
    /// written again, or an older database was put back.
    NotAsInLines {
        /// The first of them.
        first: i64,
        /// The last.
        last: i64,
    },
    /// The system log has these events, and the journal does not. None had been on disk, so that a power failure explains it;
    /// if there was none, they were removed.
    LostInCrash {
        /// The first of them.
        first: i64,
        /// The last.
        last: i64,
    },
    /// Lines of the system log have events of another journal.
    OtherJournalInLines {
        /// Its name.
        journal: String,
        /// How many lines.
        lines: u64,
    },
}

/// The events that no checkpoint seals yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tail {
    /// How many there are.
    pub events: u64,
    /// How many of them did not wait for the disk. A power failure may have removed others after them.
    pub unsynced: u64,
}

/// What a verification found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verification {
    /// The name of the journal.
    pub journal: String,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// How many events are what was logged.
    pub proved: u64,
    /// How many are from before there was a journal, so that nothing is known of them.
    pub older: u64,
    /// How many others sum up, and were proved to have been there.
    pub summed_up: u64,
    /// The last event that was removed because of its age; 0: none was.
    pub pruned_through: i64,
    /// The last event; 0: there is none.
    pub last: i64,
    /// The latest checkpoint, if there is one.
    pub latest: Option<Anchor>,
    /// What is behind it.
    pub tail: Tail,
    /// How many checkpoints have the seal that the verification key asks for.
    pub seals: u64,
    /// How many anchors agree with the journal.
    pub anchors: u64,
    /// How many anchors are of checkpoints that were removed because of their age.
    pub old_anchors: u64,
    /// How many lines of the system log have an event of the journal.
    pub lines: u64,
    /// How many have one that was removed because of its age.
    pub old_lines: u64,
}

impl Store {
    /// Verifies all of the log, that what `system_log` has is in it, and that the checkpoints since `key` are sealed.
    pub fn verify_log(
        &self,
        system_log: &SystemLog,
        key: Option<&VerificationKey>,
    ) -> Result<Verification, StoreError> {
        self.enter_events()?;
        self.read(|view| {
            let journal = view.journal.name(view.db)?;
            let checkpoints = journal::checkpoints(view.db)?;
            let mut result = Verification {
                journal: journal.to_owned(),
                ..Verification::default()
            };
            check_chain(view, journal, &checkpoints, &mut result.findings);
            walk(view, journal, &checkpoints, &mut result)?;
            let known = journal::last_known_to_users(view.db)?;
            if known > result.last {
                let last = result.last;
                result.findings.push(Finding::Cut { last, known });
            }
            check_seals(self.sealed_through(journal), key, &checkpoints, &mut result);
            for anchor in &system_log.checkpoints {
                check_anchor(anchor, &checkpoints, &mut result);
            }
            check_events(view, &system_log.events, &mut result)?;
            let latest = checkpoints.last().filter(|last| last.number > 0);
            result.latest = latest.and_then(|latest| anchor_of(journal, latest));
            Ok(result)
        })
    }
}

/// Checks that every checkpoint is what was written and follows the one before.
fn check_chain(
    view: &View<'_>,
    journal: &str,
    checkpoints: &[Checkpoint],
    findings: &mut Vec<Finding>,
) {
    let mut before: Option<&Checkpoint> = None;
    for checkpoint in checkpoints {
        let number = checkpoint.number;
        let is_as_written = number == 0 || checkpoint.link == link(view.key, journal, checkpoint);
        let follows = before.is_none_or(|before| {
            before.number + 1 != number
                || (checkpoint.previous == end_of(view.key, journal, before)
                    && checkpoint.first == before.last + 1)
        });
        if let Some(before) = before.filter(|before| before.number + 1 < number) {
            findings.push(Finding::CheckpointsMissing {
                first: before.number + 1,
                last: number - 1,
            });
        }
        if !is_as_written || !follows {
            findings.push(Finding::CheckpointAltered { number });
        }
        before = Some(checkpoint);
    }
    if checkpoints.is_empty() {
        findings.push(Finding::CheckpointsMissing { first: 0, last: 0 });
    }
}

impl Store {
    /// The checkpoint that was sealed last, by the key that is left; 0: none.
    fn sealed_through(&self, journal: &str) -> i64 {
        let file = KeyFile {
            location: self.location(),
            key: self.key(),
            journal,
        };
        let latest = file.read().ok().flatten();
        latest.map_or(0, |latest| latest.number - 1)
    }
}

fn check_seals(
    sealed: i64,
    key: Option<&VerificationKey>,
    checkpoints: &[Checkpoint],
    result: &mut Verification,
) {
    let number = checkpoints.last().map_or(0, |last| last.number);
    let sealed = key.map_or(sealed, |key| sealed.max(key.first - 1));
    let Some(key) = key.filter(|key| key.journal == result.journal) else {
        if key.is_some() {
            result.findings.push(Finding::OtherKey);
        }
        if number < sealed {
            let finding = Finding::EndsBeforeSeal { sealed, number };
            result.findings.push(finding);
        }
        return;
    };
    if number < sealed {
        let finding = Finding::EndsBeforeSeal { sealed, number };
        result.findings.push(finding);
    }
    let mut forward = key.start();
    for checkpoint in checkpoints.iter().filter(|it| it.number >= key.first) {
        forward = forward.step_to(checkpoint.number);
        let number = checkpoint.number;
        let expected = forward.seal(&checkpoint.link);
        if checkpoint.seal.as_deref() == Some(expected.as_slice()) {
            result.seals += 1;
            continue;
        }
        match result.findings.last_mut() {
            Some(Finding::SealDiffers { last, .. }) if *last + 1 == number => *last = number,
            _ => result.findings.push(Finding::SealDiffers {
                first: number,
                last: number,
            }),
        }
    }
}

fn walk(
    view: &View<'_>,
    journal: &str,
    checkpoints: &[Checkpoint],
    result: &mut Verification,
) -> Result<(), StoreError> {
    let dropped = journal::dropped(view.db)?;
    let mut walk = Walk::new(view.key, journal, checkpoints, &dropped, result);
    events::each_in_journal(view.db, |row| walk.see(&row))?;
    walk.end();
    Ok(())
}

fn check_anchor(anchor: &Anchor, checkpoints: &[Checkpoint], result: &mut Verification) {
    if anchor.journal != result.journal {
        result.findings.push(Finding::OtherJournal(anchor.clone()));
        return;
    }
    let found = checkpoints
        .iter()
        .find(|checkpoint| checkpoint.number == anchor.number);
    if let Some(found) = found {
        if anchor_of(&result.journal, found).as_ref() == Some(anchor) {
            result.anchors += 1;
        } else {
            result.findings.push(Finding::AnchorDiffers(anchor.clone()));
        }
        return;
    }
    match checkpoints.last() {
        Some(last) if anchor.number < last.number => result.old_anchors += 1,
        last => result.findings.push(Finding::EndsBefore {
            anchor: anchor.clone(),
            number: last.map_or(0, |last| last.number),
            last: last.map_or(0, |last| last.last),
        }),
    }
}

fn anchor_of(journal: &str, checkpoint: &Checkpoint) -> Option<Anchor> {
    let hash: &[u8; ANCHOR_BYTES] = checkpoint.link.first_chunk()?;
    Some(Anchor {
        journal: journal.to_owned(),
        number: checkpoint.number,
        last: checkpoint.last,
        hash: *hash,
    })
}

#[cfg(test)]
mod tests;
