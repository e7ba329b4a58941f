//! Events that do not fit their leaf: whether they were altered, inserted, or stand under another number than their own.

use std::collections::BTreeMap;

use super::verification::Finding;
use crate::seal::HASH_BYTES;

/// How many are looked at one by one; the others count as altered.
const MOST: usize = 10_000;
/// Among how many each is compared with the numbers of all others.
const MOST_COMPARED: usize = 64;

/// An event that does not fit its leaf.
#[derive(Debug)]
pub(super) struct Misfit {
    pub number: i64,
    pub content: Vec<u8>,
    pub leaf: Vec<u8>,
}

#[derive(Debug, Default)]
pub(super) struct Displaced {
    misfits: Vec<Misfit>,
    others: Vec<i64>,
}

/// What a misfit turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Altered,
    Moved { by: i64 },
    Inserted,
}

impl Displaced {
    pub(super) fn add(&mut self, misfit: Misfit) {
        if self.misfits.len() < MOST {
            self.misfits.push(misfit);
        } else {
            self.others.push(misfit.number);
        }
    }

    /// What they are. `leaf_of` makes the leaf of a number and a content.
    pub(super) fn findings(
        &self,
        leaf_of: impl Fn(i64, &[u8]) -> [u8; HASH_BYTES],
    ) -> Vec<Finding> {
        let mut fates = BTreeMap::new();
        for misfit in &self.misfits {
            let fits = |number: &i64| leaf_of(*number, &misfit.content) == misfit.leaf.as_slice();
            let neighbours = [misfit.number - 1, misfit.number + 1];
            let all = self.misfits.iter().map(|other| other.number);
            let compared = if self.misfits.len() <= MOST_COMPARED {
                MOST_COMPARED
            } else {
                0
            };
            let from = neighbours.into_iter().chain(all.take(compared)).find(fits);
            let fate = from.map_or(Fate::Altered, |from| Fate::Moved {
                by: from - misfit.number,
            });
            fates.insert(misfit.number, fate);
        }
        fates.extend(self.others.iter().map(|number| (*number, Fate::Altered)));
        // Those behind an inserted one have been moved up.
        let inserted: Vec<i64> = fates
            .iter()
            .filter(|(number, fate)| {
                **fate == Fate::Altered
                    && fates.get(&(*number + 1)) == Some(&Fate::Moved { by: -1 })
            })
            .map(|(number, _)| *number)
            .collect();
        fates.extend(inserted.into_iter().map(|number| (number, Fate::Inserted)));
        ranges(&fates)
    }
}

/// One finding for each row of events that share a fate.
fn ranges(fates: &BTreeMap<i64, Fate>) -> Vec<Finding> {
    let mut ranges: Vec<(i64, i64, Fate)> = Vec::new();
    for (&number, &fate) in fates {
        match ranges.last_mut() {
            Some((_, last, same)) if *last + 1 == number && *same == fate => *last = number,
            _ => ranges.push((number, number, fate)),
        }
    }
    let finding = |(first, last, fate)| match fate {
        Fate::Altered => Finding::Altered { first, last },
        Fate::Moved { by } => Finding::Moved { first, last, by },
        Fate::Inserted => Finding::Inserted { event: first },
    };
    ranges.into_iter().map(finding).collect()
}
