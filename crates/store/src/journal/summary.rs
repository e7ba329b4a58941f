//! What keeps one user from filling the disk: of logins, refusals and sent codes beyond a number, the oldest are summed up,
//! those of an hour in one event. Their leaves stay, so that the journal still proves that they were there and that nothing
//! else gave way to the sum. Events of other kinds are never touched.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use twofa_core::Account;

use crate::error::StoreError;
use crate::event::{Event, LoginOrigin, Origin, Source};
use crate::seal::HASH_BYTES;
use crate::sql::events::{self, Class, OldEvent};
use crate::sql::journal;
use crate::tx::Tx;

/// How many logins and refusals of one user are kept as they are.
pub(crate) const LOGINS_OF_A_USER: u32 = 5_000;
/// How many events about codes that were sent or not. They are counted apart: a user who requests code after code does not
/// have other events summed up.
pub(crate) const CODES_OF_A_USER: u32 = 1_000;
/// How many are summed up at once: enough that an hour of refusals makes few sums.
pub(crate) const SUMMED_UP_AT_ONCE: u32 = 1_000;

const HOUR: i64 = 3_600;

impl Tx<'_> {
    /// Sums up the oldest events of `user` that are more than are kept.
    pub(crate) fn sum_up_old(&self, user: &Account) -> Result<(), StoreError> {
        for (class, kept) in [
            (Class::Logins, LOGINS_OF_A_USER),
            (Class::Codes, CODES_OF_A_USER),
        ] {
            // Of most users there are few, which costs next to nothing to see.
            if !events::has_more_than(self.db, user, kept)? {
                continue;
            }
            let old = events::beyond(self.db, user, class, kept, SUMMED_UP_AT_ONCE)?;
            let mut groups: BTreeMap<_, Vec<OldEvent>> = BTreeMap::new();
            for event in old {
                let hour = event.at.unix().div_euclid(HOUR);
                groups
                    .entry((hour, event.kind.clone()))
                    .or_default()
                    .push(event);
            }
            for ((_, kind), group) in groups {
                self.sum_up(user, kind, &group)?;
            }
        }
        Ok(())
    }

    fn sum_up(
        &self,
        user: &Account,
        of_kind: String,
        group: &[OldEvent],
    ) -> Result<(), StoreError> {
        let mut places: BTreeMap<_, usize> = BTreeMap::new();
        for event in group {
            *places.entry(event.place()).or_default() += 1;
        }
        let most = places.iter().max_by_key(|(_, count)| **count);
        let Some(first) =
            most.and_then(|(place, _)| group.iter().find(|event| event.place() == *place))
        else {
            return Ok(());
        };
        let mut digest = SumDigest::default();
        for event in group {
            digest.add(event.number, event.leaf.as_deref());
        }
        let times = || group.iter().map(|event| event.at.unix());
        let sum = Event::SummedUp {
            of_kind,
            count: digest.count,
            other_places: u64::try_from(places.len() - 1).unwrap_or(u64::MAX),
            since: times().min().unwrap_or_default(),
            until: times().max().unwrap_or_default(),
            digest: digest.finish(),
        };
        let login = LoginOrigin {
            service: first.service.clone(),
            remote_host: first.remote_host.clone(),
            remote_user: None,
            terminal: first.terminal.clone(),
        };
        let origin = Origin {
            actor: first.actor,
            login_uid: None,
            source: Source::stored(&first.source, login),
            host: None,
        };
        let instead = self
            .append_to_journal(Some(user), &(&sum).into(), &origin)?
            .number;
        group
            .iter()
            .try_for_each(|event| journal::drop_event(self.db, event.number, instead))
    }
}

/// What the sum says of the events it stands for, so that no others give way to it: a hash of their numbers and leaves, in
/// their order.
#[derive(Debug, Default)]
pub(super) struct SumDigest {
    pub(super) count: u64,
    hash: Sha256,
}

impl SumDigest {
    pub(super) fn add(&mut self, number: i64, leaf: Option<&[u8]>) {
        self.count += 1;
        self.hash.update(number.to_be_bytes());
        self.hash.update(leaf.unwrap_or(&[0; HASH_BYTES]));
    }

    /// In hexadecimal.
    pub(super) fn finish(self) -> String {
        let mut text = String::with_capacity(2 * HASH_BYTES);
        for byte in self.hash.finalize() {
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}
