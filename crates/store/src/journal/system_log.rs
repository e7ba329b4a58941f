//! What the system log says of the journal: the [`Anchor`] of each checkpoint, and an [`EventAnchor`] in the line of each
//! event. A log server keeps these lines where an intruder on this machine cannot change them.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use super::checkpoint::{Anchor, BadAnchor};
use super::verification::{Finding, Verification};
use crate::error::StoreError;
use crate::seal::HASH_BYTES;
use crate::sql::journal;
use crate::tx::View;

/// Bytes of a leaf that a line shows.
const SHOWN_BYTES: usize = 8;
/// What stands behind an event that did not wait for the disk.
const UNSYNCED: &str = "unsynced";

/// An event as its line in the system log proves it: `JOURNAL:NUMBER:HASH`, the hash in hexadecimal; `:unsynced` follows
/// if it was not on disk yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventAnchor {
    /// The name of the journal.
    pub journal: String,
    /// The number of the event.
    pub number: i64,
    /// The beginning of its leaf.
    hash: [u8; SHOWN_BYTES],
    /// Whether it was on disk before the line was written. Otherwise a power failure may have removed it.
    pub is_synced: bool,
}

impl EventAnchor {
    pub(crate) fn new(
        journal: &str,
        number: i64,
        leaf: &[u8; HASH_BYTES],
        is_synced: bool,
    ) -> Self {
        let mut hash = [0; SHOWN_BYTES];
        hash.copy_from_slice(&leaf[..SHOWN_BYTES]);
        Self {
            journal: journal.to_owned(),
            number,
            hash,
            is_synced,
        }
    }
}

impl fmt::Display for EventAnchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:", self.journal, self.number)?;
        self.hash
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))?;
        if !self.is_synced {
            f.write_char(':')?;
            f.write_str(UNSYNCED)?;
        }
        Ok(())
    }
}

impl FromStr for EventAnchor {
    type Err = BadAnchor;

    fn from_str(text: &str) -> Result<Self, BadAnchor> {
        let parts: Vec<_> = text.split(':').collect();
        let (journal, number, digits, is_synced) = match *parts.as_slice() {
            [journal, number, digits] => (journal, number, digits, true),
            [journal, number, digits, UNSYNCED] => (journal, number, digits, false),
            _ => return Err(BadAnchor),
        };
        let hash = u64::from_str_radix(digits, 16).map_err(|_| BadAnchor)?;
        let number = number.parse().map_err(|_| BadAnchor)?;
        if journal.is_empty() || digits.len() != 2 * SHOWN_BYTES || number <= 0 {
            return Err(BadAnchor);
        }
        Ok(Self {
            journal: journal.to_owned(),
            number,
            hash: hash.to_be_bytes(),
            is_synced,
        })
    }
}

/// What was found in lines of the system log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SystemLog {
    /// The checkpoints.
    pub checkpoints: Vec<Anchor>,
    /// The events, in the order of the lines.
    pub events: Vec<EventAnchor>,
}

impl SystemLog {
    /// Takes what `line` says of the journal. Other lines are passed over: every program writes to a system log.
    pub fn add(&mut self, line: &str) {
        fn values<'a, T: FromStr + 'a>(line: &'a str, key: &str) -> impl Iterator<Item = T> {
            let parts = line.split(key).skip(1);
            parts.filter_map(|rest| rest.split('"').next()?.parse().ok())
        }
        self.checkpoints.extend(values::<Anchor>(line, "anchor=\""));
        self.events.extend(values::<EventAnchor>(line, "leaf=\""));
    }

    /// Whether no line said anything.
    pub fn is_empty(&self) -> bool {
        self.checkpoints.is_empty() && self.events.is_empty()
    }
}

/// Compares the lines of the system log with the events in the journal, and adds what differs to `result`.
pub(super) fn check_events(
    view: &View<'_>,
    lines: &[EventAnchor],
    result: &mut Verification,
) -> Result<(), StoreError> {
    let mut run = Run::default();
    let mut others: Vec<(String, u64)> = Vec::new();
    for line in lines {
        if line.journal != result.journal {
            match others.iter_mut().find(|(name, _)| *name == line.journal) {
                Some((_, count)) => *count += 1,
                None => others.push((line.journal.clone(), 1)),
            }
            continue;
        }
        if line.number <= result.pruned_through {
            result.old_lines += 1;
            continue;
        }
        let leaf = journal::leaf_of(view.db, line.number)?;
        if leaf.is_some_and(|leaf| leaf.starts_with(&line.hash)) {
            result.lines += 1;
            run.close(&mut result.findings);
        } else {
            run.add(line);
        }
    }
    run.close(&mut result.findings);
    let others = others.into_iter();
    let others = others.map(|(journal, lines)| Finding::OtherJournalInLines { journal, lines });
    result.findings.extend(others);
    Ok(())
}

/// Lines in a row whose events are not in the journal.
#[derive(Debug, Default)]
struct Run {
    first: Option<i64>,
    last: i64,
    was_any_synced: bool,
}

impl Run {
    fn add(&mut self, line: &EventAnchor) {
        self.first = Some(
            self.first
                .map_or(line.number, |first| first.min(line.number)),
        );
        self.last = self.last.max(line.number);
        self.was_any_synced |= line.is_synced;
    }

    /// A power failure explains the loss only if none of the events was on disk: one that was had all earlier ones with it.
    fn close(&mut self, findings: &mut Vec<Finding>) {
        let run = std::mem::take(self);
        let Some(first) = run.first else { return };
        let last = run.last;
        findings.push(if run.was_any_synced {
            Finding::NotAsInLines { first, last }
        } else {
            Finding::LostInCrash { first, last }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anchor(is_synced: bool) -> EventAnchor {
        EventAnchor::new("0123456789abcdef", 17, &[0xa5; HASH_BYTES], is_synced)
    }

    #[test]
    fn an_event_is_read_as_its_line_shows_it() {
        let shown = "0123456789abcdef:17:a5a5a5a5a5a5a5a5";
        assert_eq!(anchor(true).to_string(), shown);
        for anchor in [anchor(true), anchor(false)] {
            assert_eq!(anchor.to_string().parse(), Ok(anchor));
        }
        for wrong in [
            "",
            ":17:a5a5a5a5a5a5a5a5",
            "0123456789abcdef:0:a5a5a5a5a5a5a5a5",
            "0123456789abcdef:17:a5a5",
            "0123456789abcdef:17:a5a5a5a5a5a5a5a5:synced",
            "0123456789abcdef:17:a5a5a5a5a5a5a5ag",
        ] {
            assert!(wrong.parse::<EventAnchor>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn lines_of_other_programs_say_nothing() {
        let mut log = SystemLog::default();
        log.add(
            "Nov 26 12:00:00 vm sshd[7]: Accepted password for alice; leaf=\"oak\" anchor=\"\"",
        );
        assert!(log.is_empty());
        log.add(&format!(
            "vm twofad[7]: event=\"passed\" leaf=\"{}\"",
            anchor(true)
        ));
        assert_eq!(log.events, [anchor(true)]);
    }
}
