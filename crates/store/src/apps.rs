//! Authenticator apps and tokens, enrolled and removed.

use twofa_core::app::App;
use twofa_core::{Account, Timestamp};

use crate::app_sealing::{enrolled, stored_count};
use crate::database::Store;
use crate::error::StoreError;
use crate::event::{AppFields, Event, Origin};
use crate::generation::Generation;
use crate::sql::{apps, users};
use crate::tx::Tx;

/// An app that is to be enrolled.
#[derive(Debug, Clone)]
pub struct NewApp {
    /// Its label, unique among the apps of the user.
    pub label: String,
    /// The app. `used` must be the count of the code that confirmed it.
    pub app: App,
}

/// How many apps somebody can have: each costs time at every login.
pub(crate) const MOST_APPS: u32 = 10;

impl Store {
    /// Enrols an app whose first code was right. Nothing may be missing from it: from this commit on, the
    /// user needs it.
    pub fn enrol_app(
        &self,
        account: &Account,
        expected: Generation,
        new: &NewApp,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Generation, StoreError> {
        self.change(origin, now, |tx| {
            tx.answer_enrols(account)?;
            let user = tx.unchanged(account, expected)?;
            enrol(tx, account, user, new)?;
            tx.answer_has_enrolled(tx.generation(account)?)
        })
    }

    /// Enrols the apps of many users in one transaction, for imports: all of them, or on an error none.
    pub fn enrol_many(
        &self,
        apps: impl IntoIterator<Item = (Account, NewApp)>,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let apps: Vec<_> = apps.into_iter().collect();
        self.change(origin, now, |tx| {
            apps.iter().try_for_each(|(account, new)| {
                let user = tx.find_or_add(account)?;
                enrol(tx, account, user, new)
            })
        })
    }

    /// Removes the app called `label`, and with the last method the backup codes. Returns whether there was such an app.
    pub fn remove_app(
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
            if !apps::delete(tx.db, user, label)? {
                return Ok(false);
            }
            users::raise_generation(tx.db, user)?;
            let label = label.to_owned();
            tx.record(Some(account), &Event::AppRemoved { label })?;
            tx.remove_what_cannot_stand_alone(account, user)?;
            tx.answer_has_changed()?;
            Ok(true)
        })
    }
}

fn enrol(tx: &Tx<'_>, account: &Account, user: i64, new: &NewApp) -> Result<(), StoreError> {
    let NewApp { label, app } = new;
    let many = apps::count(tx.db, user)?;
    if many >= MOST_APPS {
        return Err(StoreError::TooManyApps(MOST_APPS));
    }
    if apps::has_label(tx.db, user, label)? {
        return Err(StoreError::LabelTaken(label.clone()));
    }
    if many == 0 && !users::has_method(tx.db, user)? {
        tx.ask_from_now_on(user)?;
    }
    let used = app.used.map(stored_count).transpose()?;
    // The key is sealed to its row, so the row must have its number first.
    let row = apps::insert(tx.db, user, label, &app.parameters.into(), used, tx.now)?;
    let sealed = tx.seal(enrolled(row, account), app.key.expose())?;
    apps::set_key(tx.db, row, &sealed)?;
    apps::delete_pending(tx.db, user)?;
    users::raise_generation(tx.db, user)?;
    let event = Event::AppEnrolled(AppFields::new(label, app.parameters));
    tx.record(Some(account), &event).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, alice, app, origin};
    use twofa_core::app::{Algorithm, OtpKind, Parameters};
    use twofa_core::{BackupCode, BackupSet};

    fn backup_set(salt: u8) -> BackupSet {
        let codes: Vec<_> = (0..5).map(|i| BackupCode::from_random([i; 10])).collect();
        BackupSet::hash(&codes, [salt; 16]).unwrap()
    }

    #[test]
    fn an_enrolled_app_comes_back_as_it_was() {
        let bench = Bench::new();
        let store = bench.create();
        let mut new = app("phone");
        new.app.used = Some(60_000_000);
        new.app.parameters =
            Parameters::new(OtpKind::Time { period: 60 }, Algorithm::Sha512, 8).unwrap();
        store
            .enrol_app(
                &alice(),
                Bench::generation(&store, &alice()),
                &new,
                &origin(),
                bench.now,
            )
            .unwrap();
        let user = store.snapshot(&alice()).unwrap().user;
        let [stored] = user.apps.as_slice() else {
            panic!("one app")
        };
        assert_eq!(
            (stored.label.as_str(), stored.enrolled_at),
            ("phone", bench.now)
        );
        assert_eq!(
            (stored.app.parameters, stored.app.used),
            (new.app.parameters, new.app.used)
        );
        assert_eq!(stored.app.key.expose(), new.app.key.expose());
    }

    #[test]
    fn a_token_under_suspicion_keeps_its_counter_until_a_code_is_accepted() {
        let bench = Bench::new();
        let store = bench.create();
        for (label, used) in [("fresh", None), ("first", Some(0)), ("worn", Some(7))] {
            let mut new = app(label);
            new.app.used = used;
            new.app.parameters = Parameters::new(OtpKind::Counter, Algorithm::Sha1, 6).unwrap();
            let generation = Bench::generation(&store, &alice());
            store
                .enrol_app(&alice(), generation, &new, &origin(), bench.now)
                .unwrap();
        }
        let suspect = || store.change(&origin(), bench.now, |tx| apps::suspect_tokens(tx.db));
        let found = || {
            let apps = store.snapshot(&alice()).unwrap().user.apps.into_iter();
            apps.map(|app| (app.app.used, app.must_resync))
                .collect::<Vec<_>>()
        };
        assert_eq!(found(), [(None, false), (Some(0), false), (Some(7), false)]);
        for _ in 0..2 {
            suspect().unwrap();
            assert_eq!(found(), [(None, true), (Some(0), true), (Some(7), true)]);
        }
        let marked = store.change(&origin(), bench.now, |tx| apps::mark_used(tx.db, 3, 9));
        marked.unwrap();
        assert_eq!(found()[2], (Some(9), false));
    }

    #[test]
    fn a_shared_key_is_nowhere_in_the_file() {
        let bench = Bench::on_file();
        let store = bench.create();
        let new = app("phone");
        store
            .enrol_app(
                &alice(),
                Bench::generation(&store, &alice()),
                &new,
                &origin(),
                bench.now,
            )
            .unwrap();
        drop(store);
        let file = std::fs::read(&bench.location.database).unwrap();
        assert!(
            !file
                .windows(20)
                .any(|window| window == new.app.key.expose())
        );
    }

    #[test]
    fn a_sealed_key_moved_to_another_user_does_not_open() {
        let bench = Bench::new();
        let store = bench.create();
        let mallory = Account {
            name: "mallory".into(),
            uid: 1666,
        };
        bench.enrol(&store, &alice(), "phone");
        bench.enrol(&store, &mallory, "phone");
        let steal = "UPDATE app SET key = (SELECT key FROM app WHERE user = 2) WHERE user = 1";
        Bench::execute(&store, steal);
        assert!(matches!(store.snapshot(&alice()), Err(StoreError::Seal)));
        assert!(store.snapshot(&mallory).is_ok());
    }

    #[test]
    fn two_apps_have_different_labels() {
        let bench = Bench::new();
        let store = bench.create();
        let enrol = |label| {
            store.enrol_app(
                &alice(),
                Bench::generation(&store, &alice()),
                &app(label),
                &origin(),
                bench.now,
            )
        };
        enrol("phone").unwrap();
        assert!(matches!(enrol("phone"), Err(StoreError::LabelTaken(_))));
        enrol("tablet").unwrap();
        assert_eq!(store.snapshot(&alice()).unwrap().user.apps.len(), 2);
    }

    #[test]
    fn nobody_has_more_than_ten_apps() {
        let bench = Bench::new();
        let store = bench.create();
        for i in 0..10 {
            bench.enrol(&store, &alice(), &format!("phone {i}"));
        }
        let generation = Bench::generation(&store, &alice());
        let eleventh =
            store.enrol_app(&alice(), generation, &app("one more"), &origin(), bench.now);
        assert!(matches!(eleventh, Err(StoreError::TooManyApps(10))));
    }

    #[test]
    fn a_change_that_was_allowed_before_another_is_not_made_after_it() {
        let bench = Bench::new();
        let store = bench.create();
        let before = Bench::generation(&store, &alice());
        bench.enrol(&store, &alice(), "phone");
        let late =
            |generation| store.enrol_app(&alice(), generation, &app("evil"), &origin(), bench.now);
        assert!(matches!(late(before), Err(StoreError::ChangedMeanwhile)));

        let enrolled = Bench::generation(&store, &alice());
        store.reset(&alice(), &origin(), bench.now).unwrap();
        assert!(matches!(late(enrolled), Err(StoreError::ChangedMeanwhile)));
        let set = backup_set(3);
        let codes = store.replace_backup_codes(&alice(), enrolled, &set, &origin(), bench.now);
        assert!(matches!(codes, Err(StoreError::ChangedMeanwhile)));

        let fresh = Bench::generation(&store, &alice());
        store.remove_user(&alice(), &origin(), bench.now).unwrap();
        for generation in [fresh, enrolled] {
            assert!(matches!(
                late(generation),
                Err(StoreError::ChangedMeanwhile)
            ));
        }
        assert!(store.snapshot(&alice()).unwrap().user.apps.is_empty());
    }

    #[test]
    fn many_users_are_enrolled_in_one_transaction_or_none_is() {
        let bench = Bench::new();
        let store = bench.create();
        let accounts: Vec<_> = (0..3)
            .map(|i| Account {
                name: format!("user{i}"),
                uid: 1000 + i,
            })
            .collect();
        let enrol = |accounts: &[Account]| {
            let apps = accounts
                .iter()
                .map(|account| (account.clone(), app("phone")));
            store.enrol_many(apps, &origin(), bench.now)
        };
        let twice = [accounts.as_slice(), &accounts[..1]].concat();
        assert!(matches!(enrol(&twice), Err(StoreError::LabelTaken(_))));
        assert!(!store.knows(&accounts[1]).unwrap());

        enrol(&accounts).unwrap();
        for account in &accounts {
            assert_eq!(store.snapshot(account).unwrap().user.apps.len(), 1);
        }
    }

    #[test]
    fn removing_the_last_app_removes_the_backup_codes() {
        let bench = Bench::new();
        let store = bench.create();
        bench.enrol(&store, &alice(), "phone");
        bench.enrol(&store, &alice(), "tablet");
        let generation = || Bench::generation(&store, &alice());
        store
            .replace_backup_codes(&alice(), generation(), &backup_set(3), &origin(), bench.now)
            .unwrap();
        let remove = |label| {
            store
                .remove_app(&alice(), generation(), label, &origin(), bench.now)
                .unwrap()
        };
        assert!(remove("phone"));
        assert_eq!(
            store.snapshot(&alice()).unwrap().user.backup_codes_left(),
            5
        );
        assert!(!remove("phone"));
        assert!(remove("tablet"));
        assert_eq!(store.snapshot(&alice()).unwrap().user.backup, None);
    }

    #[test]
    fn new_backup_codes_invalidate_the_old_ones() {
        let bench = Bench::new();
        let store = bench.create();
        for salt in [3, 4] {
            let generation = Bench::generation(&store, &alice());
            store
                .replace_backup_codes(
                    &alice(),
                    generation,
                    &backup_set(salt),
                    &origin(),
                    bench.now,
                )
                .unwrap();
        }
        let stored = store.snapshot(&alice()).unwrap().user.backup.unwrap();
        assert_eq!((stored.salt, stored.unused.len()), ([4; 16], 5));
    }

    #[test]
    fn codes_that_were_shown_are_void_until_they_are_confirmed_or_the_methods_go() {
        let bench = Bench::new();
        let store = bench.create();
        bench.enrol(&store, &alice(), "phone");
        let shown_at = || store.snapshot(&alice()).unwrap().codes_shown_at;
        let show = || {
            let before = Bench::generation(&store, &alice());
            store
                .note_codes_shown(&alice(), &origin(), bench.now)
                .unwrap();
            assert_eq!(shown_at(), Some(bench.now));
            assert_eq!(Bench::generation(&store, &alice()), before);
        };
        show();
        let generation = Bench::generation(&store, &alice());
        store
            .replace_backup_codes(&alice(), generation, &backup_set(3), &origin(), bench.now)
            .unwrap();
        assert_eq!(shown_at(), None);
        show();
        store
            .forget_codes_shown(&alice(), &origin(), bench.now)
            .unwrap();
        assert_eq!(shown_at(), None);
        show();
        store.reset(&alice(), &origin(), bench.now).unwrap();
        assert_eq!(shown_at(), None);
    }
}
