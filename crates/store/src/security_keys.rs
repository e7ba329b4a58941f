//! Keys in FIDO2 authenticators, enrolled, shown at a login and removed.

use twofa_core::user::SecurityKey;
use twofa_core::{Account, Timestamp};

use crate::attempts::settle_without_code;
use crate::database::Store;
use crate::error::StoreError;
use crate::event::{Event, Origin, Proof};
use crate::generation::Generation;
use crate::model::ticket::Settlement;
use crate::sql::{apps, security_keys, users};

/// How many keys a user can have.
const MOST_KEYS: usize = 10;

impl Store {
    /// Enrols `key`. It counts from its first login, at which sshd proves that the user holds it.
    pub fn enrol_security_key(
        &self,
        account: &Account,
        expected: Generation,
        key: &SecurityKey,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Generation, StoreError> {
        self.change(origin, now, |tx| {
            let user = tx.unchanged(account, expected)?;
            let known = security_keys::all(tx.db, account)?;
            if known.len() >= MOST_KEYS {
                return Err(StoreError::TooManySecurityKeys);
            }
            if let Some(same) = known.iter().find(|known| known.identity == key.identity) {
                return Err(StoreError::KeyTaken(same.label.clone()));
            }
            if known.iter().any(|known| known.label == key.label)
                || apps::has_label(tx.db, user, &key.label)?
            {
                return Err(StoreError::LabelTaken(key.label.clone()));
            }
            security_keys::insert(tx.db, user, key)?;
            users::raise_generation(tx.db, user)?;
            let event = Event::SecurityKeyEnrolled {
                label: key.label.clone(),
                fingerprint: key.fingerprint.clone(),
            };
            tx.record(Some(account), &event)?;
            tx.generation(account)
        })
    }

    /// Removes the key called `label`. Returns whether there was one.
    pub fn remove_security_key(
        &self,
        account: &Account,
        expected: Generation,
        label: &str,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.change(origin, now, |tx| {
            tx.answer_changes(account)?;
            let user = tx.unchanged(account, expected)?;
            if !security_keys::delete(tx.db, user, label)? {
                return Ok(false);
            }
            users::raise_generation(tx.db, user)?;
            let label = label.to_owned();
            tx.record(Some(account), &Event::SecurityKeyRemoved { label })?;
            tx.answer_has_changed()?;
            Ok(true)
        })
    }

    /// Lets `account` pass by `key`, which sshd proved in this login, as long as its methods are those of `expected` and it
    /// is not locked.
    pub fn pass_by_security_key(
        &self,
        account: &Account,
        expected: Generation,
        key: &SecurityKey,
        settlement: Settlement<'_>,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.change(origin, now, |tx| {
            let by = Proof::SecurityKey {
                label: key.label.clone(),
            };
            settle_without_code(tx, account, expected, settlement, by)?;
            security_keys::set_confirmed(tx.db, key.id, now)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, alice, origin};

    fn key(label: &str, identity: &[u8], bench: &Bench) -> SecurityKey {
        SecurityKey {
            id: 0,
            label: label.into(),
            identity: identity.to_vec(),
            fingerprint: "SHA256:x".into(),
            enrolled_at: bench.now,
            confirmed_at: None,
            without_touch: false,
        }
    }

    fn enrol(bench: &Bench, store: &Store, key: &SecurityKey) -> Result<Generation, StoreError> {
        let generation = Bench::generation(store, &alice());
        store.enrol_security_key(&alice(), generation, key, &origin(), bench.now)
    }

    #[test]
    fn a_key_that_passed_is_confirmed_and_one_that_was_removed_is_gone() {
        let bench = Bench::new();
        let store = bench.create();
        bench.enrol(&store, &alice(), "phone");
        let generation = enrol(&bench, &store, &key("yubikey", b"1", &bench)).unwrap();
        let stored = store.snapshot(&alice()).unwrap().user.security_keys;
        assert_eq!((stored.len(), stored[0].confirmed_at), (1, None));
        let pass = |generation| {
            let settlement = Settlement::Now(None);
            let key = &stored[0];
            store.pass_by_security_key(&alice(), generation, key, settlement, &origin(), bench.now)
        };
        pass(generation).unwrap();
        let confirmed = store.snapshot(&alice()).unwrap().user.security_keys;
        assert_eq!(confirmed[0].confirmed_at, Some(bench.now));
        store
            .remove_security_key(&alice(), generation, "yubikey", &origin(), bench.now)
            .unwrap();
        assert!(
            store
                .snapshot(&alice())
                .unwrap()
                .user
                .security_keys
                .is_empty()
        );
        assert!(matches!(
            pass(generation),
            Err(StoreError::ChangedMeanwhile)
        ));
    }

    #[test]
    fn a_key_is_enrolled_once_and_a_label_is_given_once() {
        let bench = Bench::new();
        let store = bench.create();
        enrol(&bench, &store, &key("one", b"1", &bench)).unwrap();
        let label = enrol(&bench, &store, &key("one", b"2", &bench));
        assert!(matches!(label, Err(StoreError::LabelTaken(taken)) if taken == "one"));
        let same = enrol(&bench, &store, &key("two", b"1", &bench));
        assert!(matches!(same, Err(StoreError::KeyTaken(taken)) if taken == "one"));
    }
}
