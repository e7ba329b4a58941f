//! What a verification of the journal found.

use super::checkpoint::Anchor;

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
