//! A host's certificate is renewed. On the server that tells a host from a copy of it: each certificate can be renewed once.
//!
//! A host keeps the key for which it asks for a certificate before it asks. If the answer is lost, it asks again with the same
//! key, and gets the same answer. A host that asks for another key with a certificate that has been renewed already is a copy of
//! the host, or the host was set back to an older state of itself: which of the two is right cannot be told, so neither is let
//! in until an administrator comes.

use twofa_core::Timestamp;
use zeroize::Zeroizing;

use crate::database::Store;
use crate::error::StoreError;
use crate::event::{Event, Origin};
use crate::seal::{AssociatedData, Owner, SealingKey};
use crate::sql::devices;
use crate::sql::fleet::{self, HostKeys, JoinedFleet, Renewed};
use crate::sql::row_hashes::HOST;

/// For how long after a renewal the key before goes on to be good, in seconds: 10 minutes. A login that has begun with it ends
/// by then.
const OVERLAP: u64 = 10 * 60;

/// A host asks for a new certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRenewal {
    /// The host's id, from the certificate that it has shown.
    pub id: String,
    /// SHA-256 of the public key of that certificate.
    pub shown: [u8; 32],
    /// When that certificate was issued.
    pub issued_at: Timestamp,
    /// Whether that certificate is of a certificate authority that was rotated.
    pub is_of_old_ca: bool,
    /// For how many seconds after its end a certificate can still be renewed.
    pub grace: u64,
    /// SHA-256 of the public key that the new certificate is for.
    pub key: [u8; 32],
    /// When the new certificate ends.
    pub key_until: Timestamp,
}

/// What became of a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RenewalOutcome {
    /// The host may have the new certificate.
    Renewed,
    /// Two machines have the host's key: both are refused from now on.
    Copied,
}

impl Store {
    /// Puts the new key of a host in the place of the one that it has shown.
    pub fn renew_host(
        &self,
        renewal: &HostRenewal,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<RenewalOutcome, StoreError> {
        let HostRenewal {
            id,
            shown,
            issued_at,
            is_of_old_ca,
            grace,
            key,
            key_until,
        } = renewal;
        self.change(origin, now, |tx| {
            tx.lock_row(&HOST, id)?;
            let found = fleet::find_by_id(tx.db, id)?;
            // One that was removed, or has not joined again since it was cut off.
            let host = found.filter(|host| host.copied_at.is_none());
            let host = host.ok_or(StoreError::HostRefused)?;
            let until = host.key_until.ok_or(StoreError::HostRefused)?;
            // A copy of what the host was before it joined again says nothing against what it is now.
            let is_old = host.joined_at.is_some_and(|joined| *issued_at < joined);
            if is_old || until.after(*grace) <= now {
                return Err(StoreError::HostRefused);
            }
            let name = host.name;
            let overlap = now.after(OVERLAP);
            if fleet::renew_key(tx.db, id, shown, overlap, (key, *key_until))? {
                tx.hash_row(&HOST, id)?;
                if until <= now {
                    // Trust ends with the certificate, and does not come back.
                    devices::delete_of_host(tx.db, id)?;
                }
                tx.record(None, &Event::HostRenewed { name })?;
                return Ok(RenewalOutcome::Renewed);
            }
            let asked_before = HostKeys {
                current: Some(*key),
                previous: Some(*shown),
            };
            if fleet::keys(tx.db, id)? == asked_before {
                return Ok(RenewalOutcome::Renewed);
            }
            if *is_of_old_ca {
                // With the key of the old authority, anyone could cut off any host. The one that has renewed since is the host.
                return Err(StoreError::HostRefused);
            }
            fleet::set_copied(tx.db, id, now)?;
            tx.hash_row(&HOST, id)?;
            tx.record(None, &Event::HostCopied { name })?;
            Ok(RenewalOutcome::Copied)
        })
    }

    /// On a host: notes where its servers are.
    pub fn note_servers(&self, servers: &[String]) -> Result<(), StoreError> {
        self.write(|view| {
            view.rules.forget(view.db)?;
            fleet::set_servers(view.db, servers)
        })
    }

    /// On a host: the key for which it asks for a certificate, as PEM. It is the one that it asked for before, or `fresh`, which
    /// is then kept until there is an answer. `None`: another process has renewed the certificate that is in `joined`.
    pub fn begin_renewal(
        &self,
        joined: &JoinedFleet,
        fresh: &str,
    ) -> Result<Option<Zeroizing<String>>, StoreError> {
        self.write(|view| {
            let now = fleet::joined(view.db)?;
            if now.is_none_or(|now| {
                (now.host, now.renewed) != (joined.host.clone(), joined.renewed.clone())
            }) {
                return Ok(None);
            }
            if let Some(kept) = fleet::next_key(view.db)? {
                return open(view.key, "next_key", &kept).map(Some);
            }
            let sealed = view.seal(place("next_key"), fresh.as_bytes())?;
            fleet::set_next_key(view.db, &sealed)?;
            Ok(Some(Zeroizing::new(fresh.to_owned())))
        })
    }

    /// On a host: puts the new certificate and its key, both as PEM, in the place of those before.
    pub fn end_renewal(&self, certificate: &str, key: &str) -> Result<(), StoreError> {
        self.write(|view| {
            view.rules.forget(view.db)?;
            let sealed = view.seal(place("key"), key.as_bytes())?;
            fleet::set_certificate(view.db, certificate, &sealed)
        })
    }

    /// On a host: the key of the certificate that it got after it joined, as PEM; `None`: it has the one with which it joined.
    pub fn renewed_key(
        &self,
        joined: &JoinedFleet,
    ) -> Result<Option<Zeroizing<String>>, StoreError> {
        let open = |Renewed { key, .. }: &Renewed| open(self.key(), "key", key);
        joined.renewed.as_ref().map(open).transpose()
    }
}

fn open(
    key: &SealingKey,
    column: &'static str,
    sealed: &[u8],
) -> Result<Zeroizing<String>, StoreError> {
    let bytes = key.open(place(column), sealed)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| StoreError::Seal)?;
    Ok(Zeroizing::new(text.to_owned()))
}

pub(crate) const fn place(column: &'static str) -> AssociatedData<'static> {
    AssociatedData {
        table: "joined_fleet",
        column,
        row: 1,
        owner: Owner::Setting("host"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{HostJoin, NewHost};
    use crate::sql::fleet::HostRights;
    use crate::testing::{Bench, joined_fleet, origin};

    const TOKEN: [u8; 32] = [1; 32];

    fn joined(bench: &Bench) -> Store {
        let store = bench.create();
        let new = NewHost {
            id: "00".into(),
            name: "web1".into(),
            rights: HostRights::default(),
            token: TOKEN,
        };
        store.add_host(&new, &origin(), bench.now).unwrap();
        join(bench, &store, [2; 32]);
        store
    }

    fn join(bench: &Bench, store: &Store, key: [u8; 32]) {
        let join = HostJoin {
            token: TOKEN,
            key,
            key_until: bench.now.after(1_000_000),
        };
        assert!(store.join_host(join, &origin(), bench.now).unwrap());
    }

    fn renew(
        bench: &Bench,
        store: &Store,
        shown: [u8; 32],
        key: [u8; 32],
    ) -> Result<RenewalOutcome, StoreError> {
        renew_at(bench, store, (shown, bench.now), key, bench.now)
    }

    /// Renews the certificate with the key `shown`, which was issued then, for `key`, at `now`.
    fn renew_at(
        bench: &Bench,
        store: &Store,
        (shown, issued_at): ([u8; 32], Timestamp),
        key: [u8; 32],
        now: Timestamp,
    ) -> Result<RenewalOutcome, StoreError> {
        let renewal = HostRenewal {
            id: "00".into(),
            shown,
            issued_at,
            is_of_old_ca: false,
            grace: 500,
            key,
            key_until: bench.now.after(2_000_000),
        };
        store.renew_host(&renewal, &origin(), now)
    }

    #[test]
    fn a_lapsed_certificate_is_renewed_within_the_grace_and_lets_do_nothing_else() {
        let bench = Bench::new();
        let store = joined(&bench);
        let own = ([2; 32], bench.now);
        let end = bench.now.after(1_000_000);
        let refused = store.host_by_key(&[2; 32], end);
        assert!(matches!(refused, Err(StoreError::HostRefused)));
        let late = renew_at(&bench, &store, own, [3; 32], end.after(500));
        assert!(matches!(late, Err(StoreError::HostRefused)));
        let in_time = renew_at(&bench, &store, own, [3; 32], end.after(499));
        assert_eq!(in_time.unwrap(), RenewalOutcome::Renewed);
        assert!(store.host_by_key(&[3; 32], end.after(499)).is_ok());
    }

    #[test]
    fn a_copy_from_before_the_host_joined_again_cuts_nobody_off() {
        let bench = Bench::new();
        let store = joined(&bench);
        let again = bench.now.after(10);
        store
            .readmit_host("web1", &TOKEN, &origin(), again)
            .unwrap();
        let join = HostJoin {
            token: TOKEN,
            key: [6; 32],
            key_until: again.after(1_000_000),
        };
        assert!(store.join_host(join, &origin(), again).unwrap());
        let copy = renew_at(
            &bench,
            &store,
            ([2; 32], bench.now),
            [7; 32],
            again.after(1),
        );
        assert!(matches!(copy, Err(StoreError::HostRefused)));
        assert!(store.host_by_key(&[6; 32], again.after(1)).is_ok());
    }

    #[test]
    fn a_renewed_host_is_known_by_its_new_key_and_by_the_old_one_until_its_logins_have_ended() {
        let bench = Bench::new();
        let store = joined(&bench);
        let renewed = renew(&bench, &store, [2; 32], [3; 32]).unwrap();
        assert_eq!(renewed, RenewalOutcome::Renewed);
        let known = |key, at| store.host_by_key(&key, at).map(|host| host.renewals);
        let end = bench.now.after(OVERLAP);
        assert_eq!(known([3; 32], end).unwrap(), 1);
        assert_eq!(known([2; 32], end.before(1)).unwrap(), 1);
        assert!(matches!(known([2; 32], end), Err(StoreError::HostRefused)));
        // The answer was lost, and the host asks again.
        let again = renew(&bench, &store, [2; 32], [3; 32]).unwrap();
        assert_eq!(again, RenewalOutcome::Renewed);
        assert_eq!(known([3; 32], bench.now).unwrap(), 1);
    }

    #[test]
    fn a_certificate_that_renews_after_it_was_renewed_cuts_off_both_until_the_host_joins_again() {
        let bench = Bench::new();
        let store = joined(&bench);
        renew(&bench, &store, [2; 32], [3; 32]).unwrap();
        let copied = renew(&bench, &store, [2; 32], [4; 32]).unwrap();
        assert_eq!(copied, RenewalOutcome::Copied);
        for key in [2, 3, 4] {
            let found = store.host_by_key(&[key; 32], bench.now);
            assert!(matches!(found, Err(StoreError::HostRefused)), "{key}");
            let renewed = renew(&bench, &store, [key; 32], [5; 32]);
            assert!(matches!(renewed, Err(StoreError::HostRefused)), "{key}");
        }
        let alarm = Event::HostCopied {
            name: "web1".into(),
        };
        assert_eq!(Bench::log(&store).last(), Some(&alarm));

        let again = store.readmit_host("web1", &TOKEN, &origin(), bench.now);
        assert_eq!(again.unwrap().unwrap().id, "00");
        assert!(store.host_by_key(&[3; 32], bench.now).is_err());
        join(&bench, &store, [6; 32]);
        assert!(store.host_by_key(&[6; 32], bench.now).is_ok());
        assert!(store.host_by_key(&[3; 32], bench.now).is_err());
    }

    #[test]
    fn a_removed_host_renews_nothing() {
        let bench = Bench::new();
        let store = joined(&bench);
        store.remove_host("web1", &origin(), bench.now).unwrap();
        let renewed = renew(&bench, &store, [2; 32], [3; 32]);
        assert!(matches!(renewed, Err(StoreError::HostRefused)));
    }

    #[test]
    fn a_host_asks_with_one_key_until_it_has_the_certificate_and_has_it_after_a_restart() {
        let bench = Bench::new();
        let store = bench.create();
        let (fleet, policy) = joined_fleet(bench.now);
        store
            .join_fleet(&fleet, &policy, &origin(), bench.now)
            .unwrap();
        let begin = |store: &Store, joined: &JoinedFleet, fresh: &str| {
            let key = store.begin_renewal(joined, fresh).unwrap();
            key.map(|key| key.to_string())
        };
        assert_eq!(begin(&store, &fleet, "one").unwrap(), "one");
        assert_eq!(begin(&store, &fleet, "two").unwrap(), "one");
        store.end_renewal("certificate", "one").unwrap();
        store.note_servers(&["a".into(), "b".into()]).unwrap();
        assert_eq!(begin(&store, &fleet, "two"), None);
        drop(store);
        let store = Store::open(bench.location.clone()).unwrap();
        let rules = store.rules_in_force().unwrap();
        let joined = rules.fleet.as_ref().unwrap();
        assert_eq!(joined.servers, ["a", "b"]);
        assert_eq!(begin(&store, joined, "two").unwrap(), "two");
        let key = store.renewed_key(joined).unwrap().unwrap();
        assert_eq!(&**key, "one");
    }
}
