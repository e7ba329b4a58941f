//! A host asks for the hashes of its rescue codes, and tells of uses.

use twofa_core::backup::{self, BackupCode};
use twofa_core::rescue::{CODES, RescueSet};
use twofa_core::{Account, Timestamp};
use twofa_fleet::wire::{MemberAnswer, RescueHashes, RescueReport};
use twofa_store::{NewRescueSet, Origin, RescueNews, RescueUse, StoreError};
use zeroize::Zeroizing;

use super::Failure;
use crate::admin::rescue::administrators;
use crate::context::Services;
use crate::requests::session::claim;

/// Uses that are taken of one report. More than there are codes are no report.
const MOST_USES: usize = CODES;

/// Answers the host with this `key`. `None`: it is none of the fleet.
pub(super) fn answer(
    services: Services<'_>,
    key: &[u8; 32],
    report: RescueReport,
    origin: &Origin,
) -> Result<Option<MemberAnswer>, Failure> {
    let (store, now) = (services.store, services.now());
    let rules = store.rules_in_force()?;
    let policy = rules.rulebook.machine();
    let report = read(report);
    // Nobody is looked up while a transaction is open.
    let told = if report.uses.is_empty() {
        Vec::new()
    } else {
        administrators(policy)
    };
    let lifetime = policy.rescue_lifetime.seconds();
    let news = store.take_rescue_report(key, &report, lifetime, &told, origin, now);
    let RescueNews {
        host,
        confirmed,
        next,
        is_due,
    } = match news {
        Err(StoreError::HostRefused) => return Ok(None),
        news => news?,
    };
    let next = if is_due {
        Some(store.add_rescue_set(key, &draw(&host)?, origin, now)?)
    } else {
        next
    };
    Ok(Some(MemberAnswer::Rescue {
        confirmed,
        next: next.map(write),
    }))
}

/// Draws codes for the host with the id `host`. Hashing takes long, and no transaction is open.
fn draw(host: &str) -> Result<NewRescueSet, Failure> {
    let mut codes = Vec::with_capacity(CODES);
    for _ in 0..CODES {
        let mut random = Zeroizing::new([0; backup::CODE_BYTES]);
        getrandom::fill(&mut *random)?;
        codes.push(BackupCode::from_random(*random));
    }
    let mut salt = [0; backup::SALT_BYTES];
    getrandom::fill(&mut salt)?;
    let mut number = [0; 8];
    getrandom::fill(&mut number)?;
    // More than zero, so that it is one before all that is listed after zero.
    let number = (i64::from_be_bytes(number) & i64::MAX).max(1);
    let set = RescueSet::hash(number, &codes, host, salt)?;
    Ok(NewRescueSet { codes, set })
}

/// What a host says, without what is no text of an application.
fn read(report: RescueReport) -> twofa_store::RescueReport {
    let RescueReport {
        held,
        is_used,
        is_locked,
        uses,
    } = report;
    let uses = uses.into_iter().take(MOST_USES).map(|it| RescueUse {
        account: Account {
            name: claim(&it.user).unwrap_or_default(),
            uid: it.uid,
        },
        service: claim(&it.service).unwrap_or_default(),
        at: Timestamp::from_unix(it.at),
    });
    twofa_store::RescueReport {
        held,
        is_used,
        is_locked,
        uses: uses.collect(),
    }
}

fn write(set: RescueSet) -> RescueHashes {
    RescueHashes {
        number: set.number,
        salt: set.salt,
        memory_kib: set.cost.memory_kib,
        passes: set.cost.passes,
        digests: set.digests,
    }
}
