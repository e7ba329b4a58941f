//! People: what is known of each, and what administrators and owners change.

use rusqlite::{OptionalExtension, Row, Transaction};
use twofa_core::app::{Algorithm, App, Movement, Parameters};
use twofa_core::backup::{BackupSet, Cost};
use twofa_core::lockout::Throttle;
use twofa_core::user::EnrolledApp;
use twofa_core::{Account, Key, Policy, Status, Timestamp, User};

use crate::database::Store;
use crate::error::StoreError;
use crate::events::{self, Event, EventKind, Origin};
use crate::policy;
use crate::seal::{Place, SealingKey};

/// All that a decision about a user needs, from one moment.
#[derive(Debug, Clone)]
pub struct Situation {
    /// The policy in force.
    pub policy: Policy,
    /// What is known of the user; nothing, for somebody never seen.
    pub user: User,
}

/// An app that is to be enrolled.
#[derive(Debug, Clone)]
pub struct NewApp {
    /// What its owner calls it.
    pub label: String,
    /// The app. `used` must be the count of the code that confirmed it.
    pub app: App,
}

/// A user in a listing, without keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRow {
    /// Who.
    pub account: Account,
    /// An administrator requires a second factor.
    pub required: bool,
    /// Failures and lock.
    pub throttle: Throttle,
    /// How many apps are enrolled.
    pub apps: u32,
    /// Backup codes not used yet.
    pub backup_codes: u32,
}

impl UserRow {
    /// Where the user stands at `now`.
    pub fn status(&self, policy: &Policy, now: Timestamp) -> Status {
        let enrolled = policy.methods.app && self.apps > 0;
        Status::of(policy, self.required, enrolled, self.throttle, now)
    }
}

impl Store {
    /// The policy and what is known of `account`, as of one moment.
    pub fn situation(&self, account: &Account) -> Result<Situation, StoreError> {
        self.read(|db| {
            let policy = policy::load(db)?;
            let user = match find(db, account)? {
                Some(stored) => stored.load(db, self.key(), account)?,
                None => User::default(),
            };
            Ok(Situation { policy, user })
        })
    }

    /// Whether anything is known of `account`.
    pub fn knows(&self, account: &Account) -> Result<bool, StoreError> {
        self.read(|db| Ok(find(db, account)?.is_some()))
    }

    /// The uids under which something is known of the login name `name`.
    pub fn uids_of(&self, name: &str) -> Result<Vec<u32>, StoreError> {
        self.read(|db| {
            let mut statement = db.prepare_cached("SELECT uid FROM user WHERE name = ?1 ORDER BY uid")?;
            let uids = statement.query_map([name], |row| row.get(0))?;
            Ok(uids.collect::<Result<_, _>>()?)
        })
    }

    /// Gives every user to `each`, by name, until it answers `false`.
    pub fn users(&self, mut each: impl FnMut(UserRow) -> bool) -> Result<(), StoreError> {
        self.read(|db| {
            let mut statement = db.prepare_cached(
                "SELECT name, uid, required, failures, locked_until,
                        (SELECT count(*) FROM app WHERE app.user = user.id),
                        (SELECT count(*) FROM backup_code WHERE backup_code.user = user.id)
                 FROM user ORDER BY name, uid",
            )?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let user = UserRow {
                    account: Account { name: row.get(0)?, uid: row.get(1)? },
                    required: row.get(2)?,
                    throttle: throttle(row.get(3)?, row.get(4)?),
                    apps: row.get(5)?,
                    backup_codes: row.get(6)?,
                };
                if !each(user) {
                    break;
                }
            }
            Ok(())
        })
    }

    /// Enrols an app whose first code was right. Nothing may be missing from it: from this commit on, the
    /// user needs it.
    pub fn enrol_app(
        &self,
        account: &Account,
        new: &NewApp,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(|db| enrol(db, self.key(), account, new, origin, now))
    }

    /// Enrols the apps of many users in one transaction, for imports: all of them, or on an error none.
    pub fn enrol_many(
        &self,
        apps: impl IntoIterator<Item = (Account, NewApp)>,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(|db| {
            apps.into_iter().try_for_each(|(account, new)| enrol(db, self.key(), &account, &new, origin, now))
        })
    }

    /// Removes the app called `label`, and with the last app the backup codes, which cannot stand alone.
    /// Answers whether there was such an app.
    pub fn remove_app(
        &self,
        account: &Account,
        label: &str,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(|db| {
            let Some(user) = find(db, account)? else { return Ok(false) };
            if db.execute("DELETE FROM app WHERE user = ?1 AND label = ?2", (user.id, label))? == 0 {
                return Ok(false);
            }
            let detail = Some(format!("'{label}'"));
            events::record(
                db,
                &Event { kind: EventKind::AppRemoved, user: Some(account), detail },
                origin,
                now,
            )?;
            let left: bool =
                db.query_one("SELECT EXISTS (SELECT 1 FROM app WHERE user = ?1)", [user.id], |row| {
                    row.get(0)
                })?;
            if !left {
                delete_backup_codes(db, &user, account, origin, now)?;
            }
            Ok(true)
        })
    }

    /// Puts `set` in the place of whatever backup codes there were.
    pub fn replace_backup_codes(
        &self,
        account: &Account,
        set: &BackupSet,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(|db| {
            let user = find_or_add(db, account)?;
            db.execute("DELETE FROM backup_set WHERE user = ?1", [user])?;
            let Cost { memory_kib, passes } = set.cost;
            db.execute(
                "INSERT INTO backup_set (user, salt, memory_kib, passes) VALUES (?1, ?2, ?3, ?4)",
                (user, set.salt, memory_kib, passes),
            )?;
            for digest in &set.unused {
                db.execute("INSERT INTO backup_code (user, digest) VALUES (?1, ?2)", (user, digest))?;
            }
            let event = Event { kind: EventKind::BackupCodesMade, user: Some(account), detail: None };
            events::record(db, &event, origin, now)
        })
    }

    /// Removes the backup codes. Answers whether there were any.
    pub fn remove_backup_codes(
        &self,
        account: &Account,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(|db| match find(db, account)? {
            Some(user) => delete_backup_codes(db, &user, account, origin, now),
            None => Ok(false),
        })
    }

    /// Requires a second factor of `account`, or no longer requires it. Answers whether that changed
    /// anything.
    pub fn set_required(
        &self,
        account: &Account,
        required: bool,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(|db| {
            if !required && find(db, account)?.is_none() {
                return Ok(false);
            }
            let user = find_or_add(db, account)?;
            let sql = "UPDATE user SET required = ?2 WHERE id = ?1 AND required <> ?2";
            if db.execute(sql, (user, required))? == 0 {
                return Ok(false);
            }
            let kind = if required { EventKind::Required } else { EventKind::Released };
            events::record(db, &Event { kind, user: Some(account), detail: None }, origin, now)?;
            Ok(true)
        })
    }

    /// Forgets the failures of `account` and opens its lock. Answers whether there was anything to forget.
    pub fn unlock(&self, account: &Account, origin: &Origin, now: Timestamp) -> Result<bool, StoreError> {
        self.write(|db| {
            let Some(user) = find(db, account)?.filter(|user| user.throttle != Throttle::default()) else {
                return Ok(false);
            };
            db.execute("UPDATE user SET failures = 0, locked_until = NULL WHERE id = ?1", [user.id])?;
            let detail = Some(format!("after {} wrong codes in a row", user.throttle.failures));
            events::record(
                db,
                &Event { kind: EventKind::Unlocked, user: Some(account), detail },
                origin,
                now,
            )?;
            Ok(true)
        })
    }

    /// Removes every method of `account` and opens its lock, for somebody who lost them all. Whether the
    /// user is required stays. Answers whether anything was known of the user.
    pub fn reset(&self, account: &Account, origin: &Origin, now: Timestamp) -> Result<bool, StoreError> {
        self.write(|db| {
            let Some(user) = find(db, account)? else { return Ok(false) };
            db.execute("DELETE FROM app WHERE user = ?1", [user.id])?;
            db.execute("DELETE FROM backup_set WHERE user = ?1", [user.id])?;
            db.execute("UPDATE user SET failures = 0, locked_until = NULL WHERE id = ?1", [user.id])?;
            events::record(
                db,
                &Event { kind: EventKind::Reset, user: Some(account), detail: None },
                origin,
                now,
            )?;
            Ok(true)
        })
    }

    /// Removes everything known of `account` but what was logged. Answers whether there was anything.
    pub fn remove_user(
        &self,
        account: &Account,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(|db| {
            if db.execute("DELETE FROM user WHERE name = ?1 AND uid = ?2", (&account.name, account.uid))? == 0
            {
                return Ok(false);
            }
            events::record(
                db,
                &Event { kind: EventKind::UserRemoved, user: Some(account), detail: None },
                origin,
                now,
            )?;
            Ok(true)
        })
    }
}

/// A row of `user` without what hangs on it.
pub(crate) struct StoredUser {
    pub id: i64,
    pub required: bool,
    pub throttle: Throttle,
}

pub(crate) fn find(db: &Transaction<'_>, account: &Account) -> Result<Option<StoredUser>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT id, required, failures, locked_until FROM user WHERE name = ?1 AND uid = ?2",
    )?;
    let stored = statement.query_row((&account.name, account.uid), |row| {
        Ok(StoredUser {
            id: row.get(0)?,
            required: row.get(1)?,
            throttle: throttle(row.get(2)?, row.get(3)?),
        })
    });
    Ok(stored.optional()?)
}

fn throttle(failures: u32, locked_until: Option<i64>) -> Throttle {
    Throttle { failures, locked_until: locked_until.map(Timestamp::from_unix) }
}

fn find_or_add(db: &Transaction<'_>, account: &Account) -> Result<i64, StoreError> {
    if let Some(user) = find(db, account)? {
        return Ok(user.id);
    }
    let mut statement = db.prepare_cached("INSERT INTO user (name, uid) VALUES (?1, ?2)")?;
    Ok(statement.insert((&account.name, account.uid))?)
}

fn enrol(
    db: &Transaction<'_>,
    key: &SealingKey,
    account: &Account,
    new: &NewApp,
    origin: &Origin,
    now: Timestamp,
) -> Result<(), StoreError> {
    let user = find_or_add(db, account)?;
    let taken = "SELECT EXISTS (SELECT 1 FROM app WHERE user = ?1 AND label = ?2)";
    if db.prepare_cached(taken)?.query_one((user, &new.label), |row| row.get(0))? {
        return Err(StoreError::LabelTaken(new.label.clone()));
    }
    insert_app(db, key, user, account, new, now)?;
    let detail = Some(format!("'{}', {}", new.label, new.app.parameters));
    events::record(db, &Event { kind: EventKind::AppEnrolled, user: Some(account), detail }, origin, now)
}

fn insert_app(
    db: &Transaction<'_>,
    key: &SealingKey,
    user: i64,
    account: &Account,
    new: &NewApp,
    now: Timestamp,
) -> Result<(), StoreError> {
    let parameters = new.app.parameters;
    let period = match parameters.movement() {
        Movement::Time { period } => Some(period),
        Movement::Counter => None,
    };
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
        parameters.algorithm().name(),
        parameters.digits(),
        used,
        now.unix(),
    ))?;
    let row = db.last_insert_rowid();
    let sealed = key.seal(place(row, account), new.app.key.expose())?;
    db.prepare_cached("UPDATE app SET key = ?2 WHERE id = ?1")?.execute((row, sealed))?;
    Ok(())
}

fn delete_backup_codes(
    db: &Transaction<'_>,
    user: &StoredUser,
    account: &Account,
    origin: &Origin,
    now: Timestamp,
) -> Result<bool, StoreError> {
    if db.execute("DELETE FROM backup_set WHERE user = ?1", [user.id])? == 0 {
        return Ok(false);
    }
    let event = Event { kind: EventKind::BackupCodesRemoved, user: Some(account), detail: None };
    events::record(db, &event, origin, now)?;
    Ok(true)
}

impl StoredUser {
    pub(crate) fn load(
        &self,
        db: &Transaction<'_>,
        key: &SealingKey,
        account: &Account,
    ) -> Result<User, StoreError> {
        Ok(User {
            required: self.required,
            throttle: self.throttle,
            apps: self.apps(db, key, account)?,
            backup: self.backup(db)?,
        })
    }

    fn apps(
        &self,
        db: &Transaction<'_>,
        key: &SealingKey,
        account: &Account,
    ) -> Result<Vec<EnrolledApp>, StoreError> {
        let mut statement = db.prepare_cached(
            "SELECT id, label, period, algorithm, digits, key, used, enrolled_at FROM app WHERE user = ?1 ORDER BY id",
        )?;
        let mut rows = statement.query([self.id])?;
        let mut apps = Vec::new();
        while let Some(row) = rows.next()? {
            apps.push(enrolled_app(row, key, account)?);
        }
        Ok(apps)
    }

    fn backup(&self, db: &Transaction<'_>) -> Result<Option<BackupSet>, StoreError> {
        let mut statement =
            db.prepare_cached("SELECT salt, memory_kib, passes FROM backup_set WHERE user = ?1")?;
        let set = statement.query_row([self.id], |row| {
            let cost = Cost { memory_kib: row.get(1)?, passes: row.get(2)? };
            Ok(BackupSet { salt: row.get(0)?, cost, unused: Vec::new() })
        });
        let Some(mut set) = set.optional()? else { return Ok(None) };
        let mut statement = db.prepare_cached("SELECT digest FROM backup_code WHERE user = ?1")?;
        set.unused = statement.query_map([self.id], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(Some(set))
    }
}

fn enrolled_app(row: &Row<'_>, key: &SealingKey, account: &Account) -> Result<EnrolledApp, StoreError> {
    let damaged = |what: String| StoreError::Damaged(format!("an app of {} {what}", account.name));
    let id = row.get(0)?;
    let movement =
        row.get::<_, Option<u32>>(2)?.map_or(Movement::Counter, |period| Movement::Time { period });
    let algorithm: Algorithm = row
        .get_ref(3)?
        .as_str()
        .ok()
        .and_then(|name| name.parse().ok())
        .ok_or_else(|| damaged("has an unknown algorithm".to_owned()))?;
    let parameters = Parameters::new(movement, algorithm, row.get(4)?)
        .map_err(|bad| damaged(format!("is impossible: {bad}")))?;
    let sealed = row.get_ref(5)?.as_blob().map_err(|_| damaged("has no key".to_owned()))?;
    let bytes = key.open(place(id, account), sealed)?;
    let key = Key::new(bytes.to_vec()).map_err(|bad| damaged(format!("has a bad key: {bad}")))?;
    let used = row.get::<_, Option<i64>>(6)?.map(u64::try_from).transpose();
    let used = used.map_err(|_| damaged("counts backwards".to_owned()))?;
    let app = App { parameters, key, used };
    Ok(EnrolledApp { id, label: row.get(1)?, enrolled_at: Timestamp::from_unix(row.get(7)?), app })
}

pub(crate) fn count_to_sql(count: u64) -> Result<i64, StoreError> {
    i64::try_from(count).map_err(|_| StoreError::Other("a counter ran over".to_owned()))
}

fn place(row: i64, owner: &Account) -> Place<'_> {
    Place { table: "app", column: "key", row, owner }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, alice, app, origin};
    use twofa_core::BackupCode;

    fn backup_set() -> BackupSet {
        let codes: Vec<_> = (0..5).map(|i| BackupCode::from_random([i; 10])).collect();
        BackupSet::seal(&codes, [3; 16]).unwrap()
    }

    #[test]
    fn an_enrolled_app_comes_back_as_it_was() {
        let bench = Bench::new();
        let store = bench.create();
        let mut new = app("phone");
        new.app.used = Some(60_000_000);
        new.app.parameters = Parameters::new(Movement::Time { period: 60 }, Algorithm::Sha512, 8).unwrap();
        store.enrol_app(&alice(), &new, &origin(), bench.now).unwrap();
        let user = store.situation(&alice()).unwrap().user;
        let [stored] = user.apps.as_slice() else { panic!("one app") };
        assert_eq!((stored.label.as_str(), stored.enrolled_at), ("phone", bench.now));
        assert_eq!((stored.app.parameters, stored.app.used), (new.app.parameters, new.app.used));
        assert_eq!(stored.app.key.expose(), new.app.key.expose());
    }

    #[test]
    fn a_shared_key_is_nowhere_in_the_file() {
        let bench = Bench::new();
        let store = bench.create();
        let new = app("phone");
        store.enrol_app(&alice(), &new, &origin(), bench.now).unwrap();
        drop(store);
        let file = std::fs::read(&bench.location.database).unwrap();
        assert!(!file.windows(20).any(|window| window == new.app.key.expose()));
    }

    #[test]
    fn a_sealed_key_moved_to_another_user_does_not_open() {
        let bench = Bench::new();
        let store = bench.create();
        let mallory = Account { name: "mallory".into(), uid: 1666 };
        store.enrol_app(&alice(), &app("phone"), &origin(), bench.now).unwrap();
        store.enrol_app(&mallory, &app("phone"), &origin(), bench.now).unwrap();
        let steal = "UPDATE app SET key = (SELECT key FROM app WHERE user = 2) WHERE user = 1";
        store.write(|db| Ok(db.execute(steal, [])?)).unwrap();
        assert!(matches!(store.situation(&alice()), Err(StoreError::Seal)));
        assert!(store.situation(&mallory).is_ok());
    }

    #[test]
    fn an_account_made_anew_with_another_uid_has_nothing_of_the_old_one() {
        let bench = Bench::new();
        let store = bench.create();
        store.enrol_app(&alice(), &app("phone"), &origin(), bench.now).unwrap();
        store.set_required(&alice(), true, &origin(), bench.now).unwrap();
        let anew = Account { uid: 2000, ..alice() };
        let user = store.situation(&anew).unwrap().user;
        assert!(user.apps.is_empty() && !user.required);
        assert_eq!(store.uids_of("alice").unwrap(), [1000]);
    }

    #[test]
    fn two_apps_have_different_labels() {
        let bench = Bench::new();
        let store = bench.create();
        store.enrol_app(&alice(), &app("phone"), &origin(), bench.now).unwrap();
        let again = store.enrol_app(&alice(), &app("phone"), &origin(), bench.now);
        assert!(matches!(again, Err(StoreError::LabelTaken(_))));
        store.enrol_app(&alice(), &app("tablet"), &origin(), bench.now).unwrap();
        assert_eq!(store.situation(&alice()).unwrap().user.apps.len(), 2);
    }

    #[test]
    fn many_users_are_enrolled_in_one_go_or_none_is() {
        let bench = Bench::new();
        let store = bench.create();
        let accounts: Vec<_> = (0..3).map(|i| Account { name: format!("user{i}"), uid: 1000 + i }).collect();
        let enrol = |accounts: &[Account]| {
            let apps = accounts.iter().map(|account| (account.clone(), app("phone")));
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
        for label in ["phone", "tablet"] {
            store.enrol_app(&alice(), &app(label), &origin(), bench.now).unwrap();
        }
        store.replace_backup_codes(&alice(), &backup_set(), &origin(), bench.now).unwrap();
        assert!(store.remove_app(&alice(), "phone", &origin(), bench.now).unwrap());
        assert_eq!(store.situation(&alice()).unwrap().user.backup_codes_left(), 5);
        assert!(!store.remove_app(&alice(), "phone", &origin(), bench.now).unwrap());
        assert!(store.remove_app(&alice(), "tablet", &origin(), bench.now).unwrap());
        assert_eq!(store.situation(&alice()).unwrap().user.backup, None);
    }

    #[test]
    fn new_backup_codes_kill_the_old() {
        let bench = Bench::new();
        let store = bench.create();
        store.replace_backup_codes(&alice(), &backup_set(), &origin(), bench.now).unwrap();
        let new = BackupSet::seal(&[BackupCode::from_random([200; 10])], [4; 16]).unwrap();
        store.replace_backup_codes(&alice(), &new, &origin(), bench.now).unwrap();
        assert_eq!(store.situation(&alice()).unwrap().user.backup, Some(new));
    }

    #[test]
    fn a_reset_leaves_nothing_but_the_requirement() {
        let bench = Bench::new();
        let store = bench.create();
        store.enrol_app(&alice(), &app("phone"), &origin(), bench.now).unwrap();
        store.set_required(&alice(), true, &origin(), bench.now).unwrap();
        assert!(store.reset(&alice(), &origin(), bench.now).unwrap());
        let user = store.situation(&alice()).unwrap().user;
        assert!(user.required && user.apps.is_empty() && user.backup.is_none());
    }

    #[test]
    fn a_removed_user_is_as_if_never_seen() {
        let bench = Bench::new();
        let store = bench.create();
        store.enrol_app(&alice(), &app("phone"), &origin(), bench.now).unwrap();
        assert!(store.remove_user(&alice(), &origin(), bench.now).unwrap());
        assert!(!store.remove_user(&alice(), &origin(), bench.now).unwrap());
        assert!(!store.knows(&alice()).unwrap());
    }

    #[test]
    fn users_are_listed_by_name() {
        let bench = Bench::new();
        let store = bench.create();
        for name in ["carol", "alice", "bob"] {
            let account = Account { name: name.into(), uid: 1000 };
            store.enrol_app(&account, &app("phone"), &origin(), bench.now).unwrap();
        }
        let mut names = Vec::new();
        store
            .users(|user| {
                names.push(user.account.name);
                names.len() < 2
            })
            .unwrap();
        assert_eq!(names, ["alice", "bob"]);
    }
}
