//! The rescue codes of this host: it fetches their hashes from a server, and tells of uses.

use twofa_core::backup::Cost;
use twofa_core::rescue::{CODES, RescueSet};
use twofa_fleet::wire::{MemberAnswer, MemberRequest, RescueHashes, RescueReport, RescueUse};
use twofa_store::{OwnRescue, Store};

use super::membership::Membership;
use super::upkeep::{UpkeepError, ask};

/// So often a server is asked in one contact: for new codes, to confirm them, and that the old ones are over.
const ROUNDS: u32 = 3;
/// What hashing a code may cost: a server is not to have every attempt fill this machine's memory.
const MOST: Cost = Cost {
    memory_kib: 64 * 1024,
    passes: 16,
};

/// Tells a server of this host's rescue codes and takes those that it is to have, unless it is in no fleet.
pub(crate) fn exchange(store: &Store, membership: &Membership) -> Result<(), UpkeepError> {
    let rules = store.rules_in_force()?;
    let Some(joined) = rules.fleet.as_ref() else {
        return Ok(());
    };
    let files = membership.files(joined, store)?;
    for _ in 0..ROUNDS {
        let own = store.own_rescue()?;
        let MemberAnswer::Rescue { confirmed, next } =
            ask(&files, &MemberRequest::Rescue(report(&own)))?
        else {
            return Err(UpkeepError::BadAnswer);
        };
        let next = next.map(|next| read(next).ok_or(UpkeepError::BadAnswer));
        let next = next.transpose()?;
        store.take_rescue_news(&own, confirmed, next.as_ref())?;
        if next.is_none() {
            break;
        }
    }
    Ok(())
}

fn report(own: &OwnRescue) -> RescueReport {
    let twofa_store::RescueReport {
        held,
        is_used,
        is_locked,
        uses,
    } = &own.report;
    let uses = uses.iter().map(|it| RescueUse {
        user: it.account.name.clone(),
        uid: it.account.uid,
        service: it.service.clone(),
        at: it.at.unix(),
    });
    RescueReport {
        held: *held,
        is_used: *is_used,
        is_locked: *is_locked,
        uses: uses.collect(),
    }
}

/// The set that a server has sent; `None`: it is none.
fn read(hashes: RescueHashes) -> Option<RescueSet> {
    let RescueHashes {
        number,
        salt,
        memory_kib,
        passes,
        digests,
    } = hashes;
    let is_good = digests.len() == CODES
        && (8..=MOST.memory_kib).contains(&memory_kib)
        && (1..=MOST.passes).contains(&passes);
    is_good.then_some(RescueSet {
        number,
        salt,
        cost: Cost { memory_kib, passes },
        digests,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_that_would_cost_too_much_or_has_another_number_of_codes_is_not_taken() {
        let hashes = |memory_kib, passes, digests: usize| RescueHashes {
            number: 1,
            salt: [0; 16],
            memory_kib,
            passes,
            digests: vec![[0; 32]; digests],
        };
        assert!(read(hashes(4096, 2, CODES)).is_some());
        for bad in [
            hashes(4096, 2, CODES + 1),
            hashes(4096, 2, 0),
            hashes(MOST.memory_kib + 1, 2, CODES),
            hashes(4096, MOST.passes + 1, CODES),
            hashes(0, 2, CODES),
            hashes(4096, 0, CODES),
        ] {
            assert_eq!(read(bad), None);
        }
    }
}
