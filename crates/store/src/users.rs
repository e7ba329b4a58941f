//! People: what is known of each, and what administrators and owners set.

use std::sync::Arc;

use rusqlite::{Row, Transaction};
use twofa_core::lockout::Throttle;
use twofa_core::user::{Contact, Summary, Verify};
use twofa_core::{Account, Timestamp, User};

use crate::database::Store;
use crate::error::StoreError;
use crate::events::{self, Event, EventKind, Origin};
use crate::methods;
use crate::rules::Rules;
use crate::seal::SealingKey;

/// All that a decision about a user needs, from one moment.
#[derive(Debug, Clone)]
pub struct Situation {
    /// Policy, classes and exemptions in force.
    pub rules: Arc<Rules>,
    /// What is known of the user; nothing, for somebody never seen.
    pub user: User,
    /// What was refused since the last time a code was right.
    pub missed: Option<Missed>,
    /// Nothing is known of the user, but there is a record with a method or a requirement under the same name or
    /// the same uid.
    pub has_namesake: bool,
    /// Which methods this is about: see [`Generation`].
    pub generation: Generation,
}

/// Stands for a user's methods as they were at one moment. A change that was allowed on the strength of them is
/// made only while they are the same: whoever was asked for a code, or for none because nothing was enrolled,
/// must not change what somebody else has enrolled, or an administrator has reset, since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generation(Option<(i64, u64)>);

/// Refusals that the user has not been told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// How many.
    pub count: u32,
    /// When the last one was.
    pub last_at: Timestamp,
    /// From where the last one came: host, else terminal.
    pub last_from: Option<String>,
}

/// A user in a listing, without keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRow {
    /// Who.
    pub account: Account,
    /// What a status depends on.
    pub summary: Summary,
    /// How many apps are enrolled.
    pub apps: u32,
    /// Backup codes not used yet.
    pub backup_codes: u32,
    /// When a code was right for the last time.
    pub passed_at: Option<Timestamp>,
}

/// Which of a user's addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressKind {
    /// The e-mail address.
    Email,
    /// The phone number.
    Phone,
}

/// What somebody sets for themselves, or an administrator for them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// When to ask.
    pub verify: Option<Verify>,
    /// The e-mail address; `Some(None)` removes it. Unverified until a code sent there comes back.
    pub email: Option<Option<String>>,
    /// The phone number, likewise.
    pub phone: Option<Option<String>>,
}

impl Store {
    /// The policy and what is known of `account`, as of one moment.
    pub fn situation(&self, account: &Account) -> Result<Situation, StoreError> {
        self.read(|db| self.situation_of(db, find(db, account)?.as_ref(), account))
    }

    /// The situation of `account`, which is `stored` if anything is known of it.
    pub(crate) fn situation_of(
        &self,
        db: &Transaction<'_>,
        stored: Option<&StoredUser>,
        account: &Account,
    ) -> Result<Situation, StoreError> {
        Ok(Situation {
            rules: self.rules(db)?,
            user: stored.map(|stored| load(db, stored, self.key(), account)).transpose()?.unwrap_or_default(),
            missed: stored.map(|stored| missed(db, stored, account)).transpose()?.flatten(),
            has_namesake: stored.is_none() && has_namesake(db, account)?,
            generation: stored.map_or(Generation(None), StoredUser::generation),
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
                "SELECT id, required, verify, counted, forgiven, locked_until, generation, passed_event,
                        email, email_verified, phone, phone_verified, name, uid, passed_at,
                        (SELECT count(*) FROM app WHERE app.user = user.id),
                        (SELECT count(*) FROM backup_code WHERE backup_code.user = user.id)
                 FROM user ORDER BY name, uid",
            )?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let stored = StoredUser::of(row)?;
                let apps = row.get(15)?;
                let user = UserRow {
                    account: Account { name: row.get(12)?, uid: row.get(13)? },
                    summary: Summary {
                        required: stored.required,
                        verify: stored.verify,
                        has_method: apps > 0,
                        throttle: stored.throttle,
                    },
                    apps,
                    backup_codes: row.get(16)?,
                    passed_at: row.get::<_, Option<i64>>(14)?.map(Timestamp::from_unix),
                };
                if !each(user) {
                    break;
                }
            }
            Ok(())
        })
    }

    /// Makes a record of `account`, so that it is listed. Answers whether there was none.
    pub fn add_user(&self, account: &Account, origin: &Origin, now: Timestamp) -> Result<bool, StoreError> {
        self.write(|db| {
            if find(db, account)?.is_some() {
                return Ok(false);
            }
            find_or_add(db, account)?;
            let event = Event { kind: EventKind::UserAdded, user: Some(account), detail: None };
            events::record(db, &event, origin, now)?;
            Ok(true)
        })
    }

    /// Sets what `settings` holds, all of it in one go, and says what changed in words.
    pub fn set_user(
        &self,
        account: &Account,
        settings: &Settings,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Vec<String>, StoreError> {
        self.write(|db| {
            let user = find_or_add(db, account)?;
            let mut changes = Vec::new();
            if let Some(verify) = settings.verify {
                let sql = "UPDATE user SET verify = ?2 WHERE id = ?1 AND verify <> ?2";
                if db.execute(sql, (user, verify.to_string()))? == 1 {
                    changes.push(format!("verify is {verify}"));
                }
            }
            // A new address must be verified anew.
            let addresses = [
                (
                    "email",
                    &settings.email,
                    "UPDATE user SET email = ?2, email_verified = 0 WHERE id = ?1 AND email IS NOT ?2",
                ),
                (
                    "phone",
                    &settings.phone,
                    "UPDATE user SET phone = ?2, phone_verified = 0 WHERE id = ?1 AND phone IS NOT ?2",
                ),
            ];
            for (what, address, sql) in addresses {
                let Some(address) = address else { continue };
                if db.execute(sql, (user, address))? == 1 {
                    changes.push(match address {
                        Some(address) => format!("{what} is {address}, not verified yet"),
                        None => format!("{what} is removed"),
                    });
                }
            }
            for change in &changes {
                let event =
                    Event { kind: EventKind::UserChanged, user: Some(account), detail: Some(change.clone()) };
                events::record(db, &event, origin, now)?;
            }
            Ok(changes)
        })
    }

    /// Marks the address of `account` verified, if it is still `address`. Answers whether it was.
    pub fn verify_address(
        &self,
        account: &Account,
        which: AddressKind,
        address: &str,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (what, sql) = match which {
            AddressKind::Email => {
                ("email", "UPDATE user SET email_verified = 1 WHERE id = ?1 AND email = ?2")
            }
            AddressKind::Phone => {
                ("phone", "UPDATE user SET phone_verified = 1 WHERE id = ?1 AND phone = ?2")
            }
        };
        self.write(|db| {
            let Some(user) = find(db, account)? else { return Ok(false) };
            if db.execute(sql, (user.id, address))? == 0 {
                return Ok(false);
            }
            let detail = Some(format!("{what} is verified"));
            events::record(
                db,
                &Event { kind: EventKind::UserChanged, user: Some(account), detail },
                origin,
                now,
            )?;
            Ok(true)
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
            let Some(user) = find(db, account)?.filter(|user| user.throttle.failures() > 0) else {
                return Ok(false);
            };
            save_throttle(db, user.id, user.throttle.forgive_all())?;
            let detail = Some(format!("after {} wrong codes in a row", user.throttle.failures()));
            events::record(
                db,
                &Event { kind: EventKind::Unlocked, user: Some(account), detail },
                origin,
                now,
            )?;
            Ok(true)
        })
    }

    /// Removes every method of `account` and opens its lock, for somebody who lost them all. If there were any, a
    /// second factor is required from now on. Answers whether there was anything to remove.
    pub fn reset(&self, account: &Account, origin: &Origin, now: Timestamp) -> Result<bool, StoreError> {
        self.write(|db| {
            let Some(user) = find(db, account)? else { return Ok(false) };
            let mut gone = 0;
            for table in ["app", "backup_set", "pending_app"] {
                gone += db.execute(&format!("DELETE FROM {table} WHERE user = ?1"), [user.id])?;
            }
            if gone == 0 && user.throttle.failures() == 0 {
                return Ok(false);
            }
            if gone > 0 {
                // Whoever had a second factor must set one up again, and not get by without.
                db.execute("UPDATE user SET required = 1, verify = 'new-device' WHERE id = ?1", [user.id])?;
            }
            save_throttle(db, user.id, user.throttle.forgive_all())?;
            next_generation(db, user.id)?;
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
            let sql = "DELETE FROM user WHERE name = ?1 AND uid = ?2";
            if db.execute(sql, (&account.name, account.uid))? == 0 {
                return Ok(false);
            }
            // Nobody inherits an exemption with a name and a number that are given out again.
            self.forget_rules();
            db.execute("DELETE FROM exemption WHERE name = ?1 AND uid = ?2", (&account.name, account.uid))?;
            let event = Event { kind: EventKind::UserRemoved, user: Some(account), detail: None };
            events::record(db, &event, origin, now)?;
            Ok(true)
        })
    }
}

/// A row of `user` without what hangs on it.
pub(crate) struct StoredUser {
    pub id: i64,
    pub required: bool,
    pub verify: Verify,
    pub throttle: Throttle,
    generation: u64,
    passed_event: i64,
    email: Option<Contact>,
    phone: Option<Contact>,
}

impl StoredUser {
    pub(crate) const fn generation(&self) -> Generation {
        Generation(Some((self.id, self.generation)))
    }

    /// The user in the first twelve columns, as [`find`] selects them.
    fn of(row: &Row<'_>) -> Result<Self, StoreError> {
        let verify = row.get::<_, String>(2)?.parse();
        Ok(Self {
            id: row.get(0)?,
            required: row.get(1)?,
            verify: verify
                .map_err(|bad| StoreError::Damaged(format!("a user's setting is broken: {bad}")))?,
            throttle: Throttle {
                counted: row.get(3)?,
                forgiven: row.get(4)?,
                locked_until: row.get::<_, Option<i64>>(5)?.map(Timestamp::from_unix),
            },
            generation: row.get(6)?,
            passed_event: row.get(7)?,
            email: contact(row, 8)?,
            phone: contact(row, 10)?,
        })
    }
}

pub(crate) fn find(db: &Transaction<'_>, account: &Account) -> Result<Option<StoredUser>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT id, required, verify, counted, forgiven, locked_until, generation, passed_event,
                email, email_verified, phone, phone_verified
         FROM user WHERE name = ?1 AND uid = ?2",
    )?;
    let mut rows = statement.query((&account.name, account.uid))?;
    rows.next()?.map(StoredUser::of).transpose()
}

pub(crate) fn find_or_add(db: &Transaction<'_>, account: &Account) -> Result<i64, StoreError> {
    if let Some(user) = find(db, account)? {
        return Ok(user.id);
    }
    let mut statement = db.prepare_cached("INSERT INTO user (name, uid) VALUES (?1, ?2)")?;
    Ok(statement.insert((&account.name, account.uid))?)
}

/// The user `account` is now, if its methods are still those of `expected`.
pub(crate) fn unchanged(
    db: &Transaction<'_>,
    account: &Account,
    expected: Generation,
) -> Result<i64, StoreError> {
    let stored = find(db, account)?;
    if stored.as_ref().map_or(Generation(None), StoredUser::generation) != expected {
        return Err(StoreError::ChangedMeanwhile);
    }
    match stored {
        Some(stored) => Ok(stored.id),
        None => find_or_add(db, account),
    }
}

/// Marks that the methods of `user` changed.
pub(crate) fn next_generation(db: &Transaction<'_>, user: i64) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE user SET generation = generation + 1 WHERE id = ?1")?.execute([user])?;
    Ok(())
}

/// Marks that a code was right `now`, which `event` logs.
pub(crate) fn save_pass(
    db: &Transaction<'_>,
    user: i64,
    throttle: Throttle,
    event: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    let until = throttle.locked_until.map(Timestamp::unix);
    db.prepare_cached(
        "UPDATE user SET counted = ?2, forgiven = ?3, locked_until = ?4, passed_at = ?5, passed_event = ?6 WHERE id = ?1",
    )?
    .execute((user, throttle.counted, throttle.forgiven, until, now.unix(), event))?;
    Ok(())
}

pub(crate) fn save_throttle(db: &Transaction<'_>, user: i64, throttle: Throttle) -> Result<(), StoreError> {
    let until = throttle.locked_until.map(Timestamp::unix);
    db.prepare_cached("UPDATE user SET counted = ?2, forgiven = ?3, locked_until = ?4 WHERE id = ?1")?
        .execute((user, throttle.counted, throttle.forgiven, until))?;
    Ok(())
}

fn load(
    db: &Transaction<'_>,
    stored: &StoredUser,
    key: &SealingKey,
    account: &Account,
) -> Result<User, StoreError> {
    Ok(User {
        required: stored.required,
        verify: stored.verify,
        email: stored.email.clone(),
        phone: stored.phone.clone(),
        throttle: stored.throttle,
        apps: methods::apps(db, stored, key, account)?,
        backup: methods::backup_set(db, stored)?,
    })
}

fn contact(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<Contact>> {
    let address: Option<String> = row.get(first)?;
    let verified = row.get(first + 1)?;
    Ok(address.map(|address| Contact { address, verified }))
}

fn missed(
    db: &Transaction<'_>,
    stored: &StoredUser,
    account: &Account,
) -> Result<Option<Missed>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT at, coalesce(remote_host, terminal) FROM event
         WHERE name = ?1 AND id > ?2 AND uid = ?3 AND kind = 'refused' AND service IS NOT 'twofa'
         ORDER BY id DESC",
    )?;
    let mut rows = statement.query((&account.name, stored.passed_event, account.uid))?;
    let Some(last) = rows.next()? else { return Ok(None) };
    let (last_at, last_from) = (Timestamp::from_unix(last.get(0)?), last.get(1)?);
    let mut count = 1;
    while rows.next()?.is_some() {
        count += 1;
    }
    Ok(Some(Missed { count, last_at, last_from }))
}

fn has_namesake(db: &Transaction<'_>, account: &Account) -> Result<bool, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT EXISTS (
             SELECT 1 FROM user WHERE (name = ?1 OR uid = ?2)
             AND (required OR EXISTS (SELECT 1 FROM app WHERE app.user = user.id))
         )",
    )?;
    Ok(statement.query_one((&account.name, account.uid), |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, alice, origin};

    #[test]
    fn an_account_made_anew_has_nothing_of_the_old_one_and_is_known_for_its_namesake() {
        let bench = Bench::new();
        let store = bench.create();
        bench.enrol(&store, &alice(), "phone");
        let bob = Account { name: "bob".into(), uid: 1001 };
        for stranger in [Account { uid: 2000, ..alice() }, Account { name: "alicia".into(), ..alice() }] {
            let situation = store.situation(&stranger).unwrap();
            assert!(situation.user.apps.is_empty() && situation.has_namesake, "{stranger:?}");
        }
        assert!(!store.situation(&bob).unwrap().has_namesake);
        assert!(!store.situation(&alice()).unwrap().has_namesake);
        assert_eq!(store.uids_of("alice").unwrap(), [1000]);
        // An administrator who knows better says so.
        let alicia = Account { name: "alicia".into(), ..alice() };
        store.add_user(&alicia, &origin(), bench.now).unwrap();
        assert!(!store.situation(&alicia).unwrap().has_namesake);
    }

    #[test]
    fn a_reset_leaves_nothing_but_a_requirement() {
        let bench = Bench::new();
        let store = bench.create();
        bench.enrol(&store, &alice(), "phone");
        assert!(store.reset(&alice(), &origin(), bench.now).unwrap());
        assert!(!store.reset(&alice(), &origin(), bench.now).unwrap());
        let user = store.situation(&alice()).unwrap().user;
        assert!(user.required && user.apps.is_empty() && user.backup.is_none());
    }

    #[test]
    fn a_removed_user_is_as_if_never_seen() {
        let bench = Bench::new();
        let store = bench.create();
        bench.enrol(&store, &alice(), "phone");
        assert!(store.remove_user(&alice(), &origin(), bench.now).unwrap());
        assert!(!store.remove_user(&alice(), &origin(), bench.now).unwrap());
        assert!(!store.knows(&alice()).unwrap());
    }

    #[test]
    fn users_are_listed_by_name() {
        let bench = Bench::new();
        let store = bench.create();
        for name in ["carol", "alice", "bob"] {
            bench.enrol(&store, &Account { name: name.into(), uid: 1000 }, "phone");
        }
        let mut names = Vec::new();
        store
            .users(|user| {
                assert_eq!((user.apps, user.summary.has_method, user.passed_at), (1, true, None));
                names.push(user.account.name);
                names.len() < 2
            })
            .unwrap();
        assert_eq!(names, ["alice", "bob"]);
    }

    #[test]
    fn what_a_user_sets_is_kept_and_a_new_address_is_not_verified() {
        let bench = Bench::new();
        let store = bench.create();
        let settings = Settings {
            verify: Some(Verify::Always),
            email: Some(Some("alice@example.org".into())),
            phone: Some(Some("+4930123456".into())),
        };
        let set = |settings: &Settings| store.set_user(&alice(), settings, &origin(), bench.now).unwrap();
        assert_eq!(set(&settings).len(), 3);
        assert_eq!(set(&settings), Vec::<String>::new());
        let user = store.situation(&alice()).unwrap().user;
        let unverified = |address: &str| Some(Contact { address: address.into(), verified: false });
        assert_eq!(user.verify, Verify::Always);
        assert_eq!((user.email, user.phone), (unverified("alice@example.org"), unverified("+4930123456")));
        let verify = |address| {
            store.verify_address(&alice(), AddressKind::Email, address, &origin(), bench.now).unwrap()
        };
        assert!(!verify("mallory@example.org") && verify("alice@example.org"));
        assert!(store.situation(&alice()).unwrap().user.email.unwrap().verified);
        set(&Settings { email: Some(Some("new@example.org".into())), ..Settings::default() });
        assert!(!store.situation(&alice()).unwrap().user.email.unwrap().verified);
        assert_eq!(set(&Settings { phone: Some(None), ..Settings::default() }), ["phone is removed"]);
        assert_eq!(store.situation(&alice()).unwrap().user.phone, None);
    }
}
