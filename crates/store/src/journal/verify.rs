//! Verification of the journal: what is there is compared with what leaves, checkpoints and anchors say was there.

use super::checkpoint::{ANCHOR_BYTES, end_of, link};
use super::forward::{KeyFile, VerificationKey};
use super::system_log::check_events;
use super::verification::{Finding, Verification};
use super::walk::Walk;
use super::{Anchor, SystemLog};
use crate::database::Store;
use crate::error::StoreError;
use crate::sql::events;
use crate::sql::journal::{self, Checkpoint};
use crate::tx::View;

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
