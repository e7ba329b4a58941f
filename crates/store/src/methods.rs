//! Methods: authenticator apps and backup codes, enrolled and removed.

use rusqlite::{OptionalExtension, Row, Transaction};
use twofa_core::app::{Algorithm, App, OtpKind, Parameters};
use twofa_core::backup::{BackupSet, Cost};
use twofa_core::user::EnrolledApp;
use twofa_core::{Account, Key, Timestamp};

use crate::database::Store;
use crate::error::StoreError;
use crate::events::{self, Event, EventKind, Origin};
use crate::seal::{Place, SealingKey, Whose};
use crate::users::{Generation, StoredUser, find, find_or_add, next_generation, unchanged};

/// An app that is to be enrolled.
#[derive(Debug, Clone)]
pub struct NewApp {
    /// What its owner calls it.
    pub label: String,
    /// The app. `used` must be the count of the code that confirmed it.
    pub app: App,
}

/// How many apps somebody can have: each costs time at every login.
const MOST_APPS: u32 = 10;

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
        self.write(|db| {
            let user = unchanged(db, account, expected)?;
            enrol(db, self.key(), user, account, new, origin, now)?;
            generation(db, account)
        })
    }

    /// Enrols the apps of many users in one transaction, for imports: all of them, or on an error none.
    pub fn enrol_many(
        &self,
        apps: impl IntoIterator<Item = (Account, NewApp)>,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(|db| {
            apps.into_iter().try_for_each(|(account, new)| {
                let user = find_or_add(db, &account)?;
                enrol(db, self.key(), user, &account, &new, origin, now)
            })
        })
    }

    /// Removes the app called `label`, and with the last method the backup codes, which cannot stand alone.
    /// Answers whether there was such an app.
    pub fn remove_app(
        &self,
        account: &Account,
        expected: Generation,
        label: &str,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(|db| {
            let user = unchanged(db, account, expected)?;
            if db.execute(
                "DELETE FROM app WHERE user = ?1 AND label = ?2",
                (user, label),
            )? == 0
            {
                return Ok(false);
            }
            next_generation(db, user)?;
            let detail = Some(format!("'{label}'"));
            events::record(
                db,
                &Event {
                    kind: EventKind::AppRemoved,
                    user: Some(account),
                    detail,
                },
                origin,
                now,
            )?;
            if !has_method(db, user)? {
                delete_backup_codes(db, user, account, origin, now)?;
            }
            Ok(true)
        })
    }

    /// Puts `set` in the place of whatever backup codes there were.
    pub fn replace_backup_codes(
        &self,
        account: &Account,
        expected: Generation,
        set: &BackupSet,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Generation, StoreError> {
        self.write(|db| {
            let user = unchanged(db, account, expected)?;
            next_generation(db, user)?;
            let replaced = db.execute("DELETE FROM backup_set WHERE user = ?1", [user])?;
            let Cost { memory_kib, passes } = set.cost;
            db.execute(
                "INSERT INTO backup_set (user, salt, memory_kib, passes) VALUES (?1, ?2, ?3, ?4)",
                (user, set.salt, memory_kib, passes),
            )?;
            for digest in &set.unused {
                db.execute(
                    "INSERT INTO backup_code (user, digest) VALUES (?1, ?2)",
                    (user, digest),
                )?;
            }
            let kind = if replaced == 0 {
                EventKind::BackupCodesMade
            } else {
                EventKind::BackupCodesReplaced
            };
            let event = Event {
                kind,
                user: Some(account),
                detail: None,
            };
            events::record(db, &event, origin, now)?;
            generation(db, account)
        })
    }

    /// Removes the backup codes. Answers whether there were any.
    pub fn remove_backup_codes(
        &self,
        account: &Account,
        expected: Generation,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(|db| {
            let user = unchanged(db, account, expected)?;
            next_generation(db, user)?;
            delete_backup_codes(db, user, account, origin, now)
        })
    }
}

/// The generation of `account`, which has a record.
pub(crate) fn generation(
    db: &Transaction<'_>,
    account: &Account,
) -> Result<Generation, StoreError> {
    find(db, account)?
        .map(|user| user.generation())
        .ok_or(StoreError::ChangedMeanwhile)
}

/// The parameters of an app as columns.
pub(crate) struct Parts {
    pub period: Option<u32>,
    pub algorithm: &'static str,
    pub digits: u8,
}

pub(crate) fn parts(parameters: Parameters) -> Parts {
    let period = match parameters.kind() {
        OtpKind::Time { period } => Some(period),
        OtpKind::Counter => None,
    };
    Parts {
        period,
        algorithm: parameters.algorithm().name(),
        digits: parameters.digits(),
    }
}

fn enrol(
    db: &Transaction<'_>,
    key: &SealingKey,
    user: i64,
    account: &Account,
    new: &NewApp,
    origin: &Origin,
    now: Timestamp,
) -> Result<(), StoreError> {
    let many: u32 = db
        .prepare_cached("SELECT count(*) FROM app WHERE user = ?1")?
        .query_one([user], |row| row.get(0))?;
    if many >= MOST_APPS {
        return Err(StoreError::TooManyApps(MOST_APPS));
    }
    let taken = "SELECT EXISTS (SELECT 1 FROM app WHERE user = ?1 AND label = ?2)";
    if db
        .prepare_cached(taken)?
        .query_one((user, &new.label), |row| row.get(0))?
    {
        return Err(StoreError::LabelTaken(new.label.clone()));
    }
    if many == 0 && !has_method(db, user)? {
        ask_from_now_on(db, user)?;
    }
    insert_app(db, key, user, account, new, now)?;
    db.prepare_cached("DELETE FROM pending_app WHERE user = ?1")?
        .execute([user])?;
    next_generation(db, user)?;
    let detail = Some(format!("'{}', {}", new.label, new.app.parameters));
    events::record(
        db,
        &Event {
            kind: EventKind::AppEnrolled,
            user: Some(account),
            detail,
        },
        origin,
        now,
    )
    .map(drop)
}

/// Whether `user` has a method that can stand alone.
pub(crate) fn has_method(db: &Transaction<'_>, user: i64) -> Result<bool, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT email_verified OR phone_verified OR EXISTS (SELECT 1 FROM app WHERE app.user = user.id)
         FROM user WHERE id = ?1",
    )?;
    Ok(statement.query_one([user], |row| row.get(0))?)
}

/// Who sets up a second factor wants to be asked for it, whatever was set before there was one.
pub(crate) fn ask_from_now_on(db: &Transaction<'_>, user: i64) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE user SET verify = 'new-device' WHERE id = ?1 AND verify = 'never'")?
        .execute([user])?;
    Ok(())
}

fn insert_app(
    db: &Transaction<'_>,
    key: &SealingKey,
    user: i64,
    account: &Account,
    new: &NewApp,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Parts {
        period,
        algorithm,
        digits,
    } = parts(new.app.parameters);
    let used = new.app.used.map(count_to_sql).transpose()?;
    // The key is sealed to its row, so the row must have its number first.
    db.prepare_cached(
        "INSERT INTO app (user, label, period, algorithm, digits, key, used, enrolled_at)
         VALUES (?1, ?2, ?3, ?4, ?5, x'', ?6, ?7)",
    )?
    .execute((
        user,
        &new.label,
        period,
        algorithm,
        digits,
        used,
        now.unix(),
    ))?;
    let row = db.last_insert_rowid();
    let sealed = key.seal(place(row, account), new.app.key.expose())?;
    db.prepare_cached("UPDATE app SET key = ?2 WHERE id = ?1")?
        .execute((row, sealed))?;
    Ok(())
}

pub(crate) fn delete_backup_codes(
    db: &Transaction<'_>,
    user: i64,
    account: &Account,
    origin: &Origin,
    now: Timestamp,
) -> Result<bool, StoreError> {
    if db.execute("DELETE FROM backup_set WHERE user = ?1", [user])? == 0 {
        return Ok(false);
    }
    let event = Event {
        kind: EventKind::BackupCodesRemoved,
        user: Some(account),
        detail: None,
    };
    events::record(db, &event, origin, now)?;
    Ok(true)
}

pub(crate) fn apps(
    db: &Transaction<'_>,
    user: &StoredUser,
    key: &SealingKey,
    account: &Account,
) -> Result<Vec<EnrolledApp>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT period, algorithm, digits, key, id, label, used, enrolled_at FROM app WHERE user = ?1 ORDER BY id",
    )?;
    let mut rows = statement.query([user.id])?;
    let mut apps = Vec::new();
    while let Some(row) = rows.next()? {
        let id = row.get(4)?;
        let used = row.get::<_, Option<i64>>(6)?.map(u64::try_from).transpose();
        let used = used.map_err(|_| {
            StoreError::Damaged(format!("an app of {} counts backwards", account.name))
        })?;
        let app = app_of(row, 0, key, place(id, account), used)?;
        apps.push(EnrolledApp {
            id,
            label: row.get(5)?,
            enrolled_at: Timestamp::from_unix(row.get(7)?),
            app,
        });
    }
    Ok(apps)
}

pub(crate) fn backup_set(
    db: &Transaction<'_>,
    user: &StoredUser,
) -> Result<Option<BackupSet>, StoreError> {
    let mut statement =
        db.prepare_cached("SELECT salt, memory_kib, passes FROM backup_set WHERE user = ?1")?;
    let set = statement.query_row([user.id], |row| {
        let cost = Cost {
            memory_kib: row.get(1)?,
            passes: row.get(2)?,
        };
        Ok(BackupSet {
            salt: row.get(0)?,
            cost,
            unused: Vec::new(),
        })
    });
    let Some(mut set) = set.optional()? else {
        return Ok(None);
    };
    let mut statement = db.prepare_cached("SELECT digest FROM backup_code WHERE user = ?1")?;
    set.unused = statement
        .query_map([user.id], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok(Some(set))
}

/// The app in the columns period, algorithm, digits and key, which begin at `first`.
pub(crate) fn app_of(
    row: &Row<'_>,
    first: usize,
    key: &SealingKey,
    place: Place<'_>,
    used: Option<u64>,
) -> Result<App, StoreError> {
    let damaged = |what: String| StoreError::Damaged(format!("an app of {} {what}", place.whose));
    let movement = row
        .get::<_, Option<u32>>(first)?
        .map_or(OtpKind::Counter, |period| OtpKind::Time { period });
    let algorithm: String = row.get(first + 1)?;
    let algorithm: Algorithm = algorithm
        .parse()
        .map_err(|bad| damaged(format!("is impossible: {bad}")))?;
    let parameters = Parameters::new(movement, algorithm, row.get(first + 2)?);
    let parameters = parameters.map_err(|bad| damaged(format!("is impossible: {bad}")))?;
    let sealed = row
        .get_ref(first + 3)?
        .as_blob()
        .map_err(|_| damaged("has no key".to_owned()))?;
    let bytes = key.open(place, sealed)?;
    let key = Key::new(bytes.to_vec()).map_err(|bad| damaged(format!("has a bad key: {bad}")))?;
    Ok(App {
        parameters,
        key,
        used,
    })
}

pub(crate) fn count_to_sql(count: u64) -> Result<i64, StoreError> {
    i64::try_from(count).map_err(|_| StoreError::Other("a counter ran over".to_owned()))
}

fn place(row: i64, owner: &Account) -> Place<'_> {
    Place {
        table: "app",
        column: "key",
        row,
        whose: Whose::User(owner),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, alice, app, origin};
    use twofa_core::BackupCode;

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
        let user = store.situation(&alice()).unwrap().user;
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
    fn a_shared_key_is_nowhere_in_the_file() {
        let bench = Bench::new();
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
        store.write(|db| Ok(db.execute(steal, [])?)).unwrap();
        assert!(matches!(store.situation(&alice()), Err(StoreError::Seal)));
        assert!(store.situation(&mallory).is_ok());
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
        assert_eq!(store.situation(&alice()).unwrap().user.apps.len(), 2);
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
        assert!(store.situation(&alice()).unwrap().user.apps.is_empty());
    }

    #[test]
    fn many_users_are_enrolled_in_one_go_or_none_is() {
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
            assert_eq!(store.situation(account).unwrap().user.apps.len(), 1);
        }
    }

    #[test]
    fn with_the_last_app_the_backup_codes_go() {
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
            store.situation(&alice()).unwrap().user.backup_codes_left(),
            5
        );
        assert!(!remove("phone"));
        assert!(remove("tablet"));
        assert_eq!(store.situation(&alice()).unwrap().user.backup, None);
    }

    #[test]
    fn new_backup_codes_kill_the_old() {
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
        let stored = store.situation(&alice()).unwrap().user.backup.unwrap();
        assert_eq!((stored.salt, stored.unused.len()), ([4; 16], 5));
    }
}
