//! Checkpoints: who writes them and when, and what they hold.
//!
//! A checkpoint is due when a thousand events are behind the last one, or the first of them is a minute old. The daemon
//! looks once a minute; a process that serves one login or one command looks at its end. It is a transaction of its own,
//! which no login waits for, and is on disk before its anchor is written anywhere.

use std::fmt;
use std::str::FromStr;

use twofa_core::Timestamp;

use super::forward::KeyFile;
use super::{EVENTS_OF_A_CHECKPOINT, merkle};
use crate::database::Store;
use crate::error::StoreError;
use crate::seal::SealingKey;
use crate::sql::journal::{self, Checkpoint, Unsealed};
use crate::tx::View;

const LINK: &str = "link of a checkpoint";
/// How long an event may be without a checkpoint, in seconds.
const LONGEST_UNSEALED: u64 = 60;
/// Bytes of a link that its anchor shows.
pub(super) const ANCHOR_BYTES: usize = 16;

/// A checkpoint as it is written to the system log: `JOURNAL:CHECKPOINT:LAST EVENT:HASH`, the hash in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// The name of the journal.
    pub journal: String,
    /// The number of the checkpoint.
    pub number: i64,
    /// The number of its last event.
    pub last: i64,
    /// The beginning of its link.
    pub hash: [u8; ANCHOR_BYTES],
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            journal,
            number,
            last,
            hash,
        } = self;
        write!(f, "{journal}:{number}:{last}:")?;
        hash.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A text that is no anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an anchor is JOURNAL:CHECKPOINT:EVENT:HASH, as the system log has it")]
pub struct BadAnchor;

impl FromStr for Anchor {
    type Err = BadAnchor;

    fn from_str(text: &str) -> Result<Self, BadAnchor> {
        let parts: Vec<_> = text.split(':').collect();
        let [journal, number, last, digits] = *parts.as_slice() else {
            return Err(BadAnchor);
        };
        let positive = |number: &str| number.parse().ok().filter(|number: &i64| *number > 0);
        let mut hash = [0; ANCHOR_BYTES];
        for (i, byte) in hash.iter_mut().enumerate() {
            let digits = digits.get(2 * i..2 * i + 2).ok_or(BadAnchor)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| BadAnchor)?;
        }
        if journal.is_empty() || digits.len() != 2 * ANCHOR_BYTES {
            return Err(BadAnchor);
        }
        Ok(Self {
            journal: journal.to_owned(),
            number: positive(number).ok_or(BadAnchor)?,
            last: positive(last).ok_or(BadAnchor)?,
            hash,
        })
    }
}

/// A checkpoint that is on disk.
#[derive(Debug)]
pub struct Written {
    /// What is to be written where it leaves the machine.
    pub anchor: Anchor,
    /// Why it could not be sealed, or its key not erased.
    pub trouble: Option<StoreError>,
}

impl Store {
    /// Whether this process has logged anything since it was asked last.
    pub fn has_logged(&self) -> bool {
        self.journal().has_logged()
    }

    /// Whether a checkpoint may be due because this process has logged many events since it was asked last.
    pub fn journal_may_be_full(&self) -> bool {
        self.journal().may_be_full()
    }

    /// Whether a checkpoint is due at `now`.
    pub fn is_checkpoint_due(&self, now: Timestamp) -> Result<bool, StoreError> {
        self.enter_events()?;
        self.read(|view| {
            let last = journal::last_checkpoint(view.db)?;
            let unsealed = journal::unsealed(view.db, last.last)?;
            Ok(unsealed.is_some_and(|unsealed| is_due(&last, unsealed, now)))
        })
    }

    /// Writes a checkpoint, if one is due at `now`. It is on disk when this returns.
    pub fn write_checkpoint(&self, now: Timestamp) -> Result<Option<Written>, StoreError> {
        self.seal(now, is_due)
    }

    /// Writes a checkpoint, if there is anything to seal. One holds a thousand events at most: the caller may go on until
    /// there is none.
    pub fn write_last_checkpoint(&self, now: Timestamp) -> Result<Option<Written>, StoreError> {
        self.seal(now, |_, _, _| true)
    }

    fn seal(
        &self,
        now: Timestamp,
        is_wanted: impl Fn(&Checkpoint, Unsealed, Timestamp) -> bool,
    ) -> Result<Option<Written>, StoreError> {
        self.enter_events()?;
        let written = self.write(|view| {
            view.db.lock("journal", "")?;
            let last = journal::last_checkpoint(view.db)?;
            let unsealed = journal::unsealed(view.db, last.last)?;
            let Some(unsealed) = unsealed.filter(|unsealed| is_wanted(&last, *unsealed, now))
            else {
                return Ok(None);
            };
            let file = KeyFile {
                location: self.location(),
                key: self.key(),
                journal: view.journal.name(view.db)?,
            };
            // A problem with the key stops no login and no checkpoint.
            let (key, unsealed_because) = match file.read() {
                Ok(key) => (key, None),
                Err(error) => (None, Some(error)),
            };
            // Numbers that were sealed are not given again, whatever database was put back.
            let sealed = key.as_ref().map_or(0, |key| key.number);
            let number = sealed.max(last.number + 1);
            let key = key.map(|key| key.step_to(number));
            let mut checkpoint = next(view, &last, number, unsealed, now)?;
            checkpoint.seal = key.as_ref().map(|key| key.seal(&checkpoint.link).into());
            journal::insert_checkpoint(view.db, &checkpoint)?;
            let anchor = anchor(view, &checkpoint)?;
            Ok(Some((anchor, key.is_some(), unsealed_because)))
        })?;
        Ok(written.map(|(anchor, is_sealed, unsealed_because)| {
            // Only now, since a key that is gone seals nothing again.
            let erased = if is_sealed {
                let file = KeyFile {
                    location: self.location(),
                    key: self.key(),
                    journal: &anchor.journal,
                };
                self.write(|_| file.step_to(anchor.number + 1))
            } else {
                Ok(())
            };
            Written {
                anchor,
                trouble: unsealed_because.or(erased.err()),
            }
        }))
    }
}

fn is_due(last: &Checkpoint, unsealed: Unsealed, now: Timestamp) -> bool {
    let age = now.unix().saturating_sub(unsealed.since.unix());
    unsealed.last - last.last >= EVENTS_OF_A_CHECKPOINT
        // After the clock went back, too.
        || age.unsigned_abs() >= LONGEST_UNSEALED
}

/// The checkpoint that follows `last`.
fn next(
    view: &View<'_>,
    last: &Checkpoint,
    number: i64,
    unsealed: Unsealed,
    now: Timestamp,
) -> Result<Checkpoint, StoreError> {
    let first = last.last + 1;
    let end = unsealed.last.min(last.last + EVENTS_OF_A_CHECKPOINT);
    let stored = journal::leaves(view.db, first, end)?;
    let latest = stored.iter().filter_map(|leaf| leaf.at).max();
    let count = i64::try_from(stored.len()).unwrap_or(i64::MAX);
    let leaves: Vec<_> = stored
        .into_iter()
        .map(|stored| stored.leaf.unwrap_or_default())
        .collect();
    let mut checkpoint = Checkpoint {
        number,
        first,
        last: end,
        count,
        at: now,
        latest_event_at: latest.unwrap_or(unsealed.since),
        root: merkle::root(&leaves).into(),
        previous: end_of(view.key, view.journal.name(view.db)?, last),
        link: Vec::new(),
        seal: None,
    };
    checkpoint.link = link(view.key, view.journal.name(view.db)?, &checkpoint);
    Ok(checkpoint)
}

/// The link that the checkpoint after `checkpoint` is chained to. The first one was written by a migration, which knows no
/// key.
pub(super) fn end_of(key: &SealingKey, journal: &str, checkpoint: &Checkpoint) -> Vec<u8> {
    if checkpoint.link.is_empty() {
        link(key, journal, checkpoint)
    } else {
        checkpoint.link.clone()
    }
}

/// A keyed hash of everything in `checkpoint` but the link itself and the seal.
pub(super) fn link(key: &SealingKey, journal: &str, checkpoint: &Checkpoint) -> Vec<u8> {
    let numbers = [
        checkpoint.number,
        checkpoint.first,
        checkpoint.last,
        checkpoint.count,
        checkpoint.at.unix(),
        checkpoint.latest_event_at.unix(),
    ]
    .map(i64::to_be_bytes);
    let parts: [&[u8]; 4] = [
        journal.as_bytes(),
        numbers.as_flattened(),
        &checkpoint.root,
        &checkpoint.previous,
    ];
    key.keyed_hash(LINK, &parts).into()
}

fn anchor(view: &View<'_>, checkpoint: &Checkpoint) -> Result<Anchor, StoreError> {
    let hash = checkpoint.link.first_chunk().copied();
    Ok(Anchor {
        journal: view.journal.name(view.db)?.to_owned(),
        number: checkpoint.number,
        last: checkpoint.last,
        hash: hash.ok_or(StoreError::Seal)?,
    })
}
