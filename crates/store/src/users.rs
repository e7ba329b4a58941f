//! People: what is known of each, and what administrators do to their records.

use std::fmt;
use std::sync::Arc;

use rusqlite::{Row, Transaction};
use twofa_core::lockout::Throttle;
use twofa_core::user::{Contact, Verify};
use twofa_core::{Account, Channel, Method, PerChannel, Timestamp, User};

use crate::database::Store;
use crate::error::StoreError;
use crate::events::{self, Event, EventKind, Origin};
use crate::methods;
use crate::rules::Rules;
use crate::seal::SealingKey;
use crate::unproved;

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

impl Situation {
    /// Whether `stored` has the same methods, requirement and wish, so that the same policy holds and the same decision
    /// would be made, locks and used codes aside.
    pub(crate) fn is_about(&self, stored: &StoredUser) -> bool {
        self.generation == stored.generation()
            && (self.user.required, self.user.verify) == (stored.required, stored.verify)
    }
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
            user: stored
                .map(|stored| load(db, stored, self.key(), account))
                .transpose()?
                .unwrap_or_default(),
            missed: stored
                .map(|stored| missed(db, stored, account))
                .transpose()?
                .flatten(),
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
            let mut statement =
                db.prepare_cached("SELECT uid FROM user WHERE name = ?1 ORDER BY uid")?;
            let uids = statement.query_map([name], |row| row.get(0))?;
            Ok(uids.collect::<Result<_, _>>()?)
        })
    }

    /// Makes a record of `account`, so that it is listed. Answers whether there was none.
    pub fn add_user(
        &self,
        account: &Account,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(|db| {
            if find(db, account)?.is_some() {
                return Ok(false);
            }
            find_or_add(db, account)?;
            let event = Event {
                kind: EventKind::UserAdded,
                user: Some(account),
                detail: None,
            };
            events::record(db, &event, origin, now)?;
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
            let kind = if required {
                EventKind::Required
            } else {
                EventKind::Released
            };
            events::record(
                db,
                &Event {
                    kind,
                    user: Some(account),
                    detail: None,
                },
                origin,
                now,
            )?;
            Ok(true)
        })
    }

    /// Forgets the failures of `account` and opens its lock. Answers whether there was anything to forget.
    pub fn unlock(
        &self,
        account: &Account,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(|db| {
            let Some(user) = find(db, account)? else {
                return Ok(false);
            };
            let unproved = unproved::load(db, user.id)?;
            let failures = user.throttle.failures() + unproved.failures();
            if failures == 0 {
                return Ok(false);
            }
            save_throttle(db, user.id, user.throttle.clear())?;
            unproved::save(db, user.id, unproved.clear())?;
            let detail = Some(format!("after {failures} wrong codes in a row"));
            events::record(
                db,
                &Event {
                    kind: EventKind::Unlocked,
                    user: Some(account),
                    detail,
                },
                origin,
                now,
            )?;
            Ok(true)
        })
    }

    /// Removes every method of `account` and opens its lock, for somebody who lost them all: addresses must be verified
    /// anew. If there were any, a second factor is required from now on. Answers whether there was anything to remove.
    pub fn reset(
        &self,
        account: &Account,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(|db| {
            let Some(user) = find(db, account)? else { return Ok(false) };
            let has_any = has_anything(db, user.id)?;
            if !has_any && user.throttle.failures() == 0 {
                return Ok(false);
            }
            // While the addresses are still the user's, so that it is told there.
            let event = Event { kind: EventKind::Reset, user: Some(account), detail: None };
            events::record(db, &event, origin, now)?;
            if has_any {
                for table in ["app", "backup_set", "pending_app"] {
                    db.execute(&format!("DELETE FROM {table} WHERE user = ?1"), [user.id])?;
                }
                // The addresses stay on file: nobody has to type them again.
                let sql =
                    "UPDATE user SET email_verified = 0, phone_verified = 0, preferred = NULL WHERE id = ?1";
                db.execute(sql, [user.id])?;
                // Whoever had a second factor must set one up again, and not get by without.
                db.execute("UPDATE user SET required = 1, verify = 'new-device' WHERE id = ?1", [user.id])?;
            }
            save_throttle(db, user.id, user.throttle.clear())?;
            unproved::save(db, user.id, unproved::load(db, user.id)?.clear())?;
            next_generation(db, user.id)?;
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
            let Some(user) = find(db, account)? else {
                return Ok(false);
            };
            // While the addresses are still known, so that it is told there.
            let event = Event {
                kind: EventKind::UserRemoved,
                user: Some(account),
                detail: None,
            };
            events::record(db, &event, origin, now)?;
            db.execute("DELETE FROM user WHERE id = ?1", [user.id])?;
            // Nobody inherits an exemption with a name and a number that are given out again.
            self.forget_rules();
            db.execute(
                "DELETE FROM exemption WHERE name = ?1 AND uid = ?2",
                (&account.name, account.uid),
            )?;
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
    pub contacts: PerChannel<Option<Contact>>,
    preferred: Option<Method>,
}

impl StoredUser {
    pub(crate) const fn generation(&self) -> Generation {
        Generation(Some((self.id, self.generation)))
    }

    /// The address that codes are sent to by `channel`, if it is verified: if it is a method.
    pub(crate) fn verified(&self, channel: Channel) -> Option<&str> {
        self.contacts[channel]
            .as_ref()
            .filter(|contact| contact.verified)
            .map(|contact| contact.address.as_str())
    }

    /// The user in the first fifteen columns, as [`find`] selects them.
    pub(crate) fn of(row: &Row<'_>) -> Result<Self, StoreError> {
        let verify = row.get::<_, String>(2)?.parse();
        let preferred = row
            .get::<_, Option<String>>(12)?
            .map(|name| name.parse())
            .transpose();
        let broken = |bad: &dyn fmt::Display| {
            StoreError::Damaged(format!("a user's setting is broken: {bad}"))
        };
        Ok(Self {
            id: row.get(0)?,
            required: row.get(1)?,
            verify: verify.map_err(|bad| broken(&bad))?,
            throttle: Throttle {
                attempts: row.get(3)?,
                cleared_through: row.get(4)?,
                locked_until: row.get::<_, Option<i64>>(5)?.map(Timestamp::from_unix),
            },
            generation: row.get(6)?,
            passed_event: row.get(7)?,
            contacts: contacts(row)?,
            preferred: preferred.map_err(|bad| broken(&bad))?,
        })
    }
}

pub(crate) fn find(
    db: &Transaction<'_>,
    account: &Account,
) -> Result<Option<StoredUser>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT id, required, verify, counted, forgiven, locked_until, generation, passed_event,
                email, email_verified, phone, phone_verified, preferred, email_by_owner, phone_by_owner
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
    if stored
        .as_ref()
        .map_or(Generation(None), StoredUser::generation)
        != expected
    {
        return Err(StoreError::ChangedMeanwhile);
    }
    match stored {
        Some(stored) => Ok(stored.id),
        None => find_or_add(db, account),
    }
}

/// Marks that the methods of `user` changed.
pub(crate) fn next_generation(db: &Transaction<'_>, user: i64) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE user SET generation = generation + 1 WHERE id = ?1")?
        .execute([user])?;
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
    .execute((user, throttle.attempts, throttle.cleared_through, until, now.unix(), event))?;
    Ok(())
}

pub(crate) fn save_throttle(
    db: &Transaction<'_>,
    user: i64,
    throttle: Throttle,
) -> Result<(), StoreError> {
    let until = throttle.locked_until.map(Timestamp::unix);
    db.prepare_cached(
        "UPDATE user SET counted = ?2, forgiven = ?3, locked_until = ?4 WHERE id = ?1",
    )?
    .execute((user, throttle.attempts, throttle.cleared_through, until))?;
    Ok(())
}

fn load(
    db: &Transaction<'_>,
    stored: &StoredUser,
    key: &SealingKey,
    account: &Account,
) -> Result<User, StoreError> {
    Ok(User {
        backup: methods::backup_set(db, stored)?,
        ..load_without_backup_codes(db, stored, key, account)?
    })
}

pub(crate) fn load_without_backup_codes(
    db: &Transaction<'_>,
    stored: &StoredUser,
    key: &SealingKey,
    account: &Account,
) -> Result<User, StoreError> {
    Ok(User {
        preferred: stored.preferred,
        required: stored.required,
        verify: stored.verify,
        contacts: stored.contacts.clone(),
        throttle: stored.throttle,
        apps: methods::apps(db, stored, key, account)?,
        backup: None,
    })
}

fn contacts(row: &Row<'_>) -> rusqlite::Result<PerChannel<Option<Contact>>> {
    let mut contacts = PerChannel::default();
    contacts[Channel::Email] = contact(row, 8, 13)?;
    contacts[Channel::Sms] = contact(row, 10, 14)?;
    Ok(contacts)
}

fn contact(row: &Row<'_>, first: usize, by_owner: usize) -> rusqlite::Result<Option<Contact>> {
    let address: Option<String> = row.get(first)?;
    let (verified, by_owner) = (row.get(first + 1)?, row.get(by_owner)?);
    Ok(address.map(|address| Contact {
        address,
        verified,
        by_owner,
    }))
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
    let Some(last) = rows.next()? else {
        return Ok(None);
    };
    let (last_at, last_from) = (Timestamp::from_unix(last.get(0)?), last.get(1)?);
    let mut count = 1;
    while rows.next()?.is_some() {
        count += 1;
    }
    Ok(Some(Missed {
        count,
        last_at,
        last_from,
    }))
}

/// Whether there is anything that [`Store::reset`] removes.
fn has_anything(db: &Transaction<'_>, user: i64) -> Result<bool, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT email_verified OR phone_verified OR EXISTS (SELECT 1 FROM app WHERE app.user = user.id)
                OR EXISTS (SELECT 1 FROM backup_set WHERE backup_set.user = user.id)
                OR EXISTS (SELECT 1 FROM pending_app WHERE pending_app.user = user.id)
         FROM user WHERE id = ?1",
    )?;
    Ok(statement.query_one([user], |row| row.get(0))?)
}

fn has_namesake(db: &Transaction<'_>, account: &Account) -> Result<bool, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT EXISTS (
             SELECT 1 FROM user WHERE (name = ?1 OR uid = ?2)
             AND (required OR email_verified OR phone_verified
                  OR EXISTS (SELECT 1 FROM app WHERE app.user = user.id))
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
        let bob = Account {
            name: "bob".into(),
            uid: 1001,
        };
        for stranger in [
            Account {
                uid: 2000,
                ..alice()
            },
            Account {
                name: "alicia".into(),
                ..alice()
            },
        ] {
            let situation = store.situation(&stranger).unwrap();
            assert!(
                situation.user.apps.is_empty() && situation.has_namesake,
                "{stranger:?}"
            );
        }
        assert!(!store.situation(&bob).unwrap().has_namesake);
        assert!(!store.situation(&alice()).unwrap().has_namesake);
        assert_eq!(store.uids_of("alice").unwrap(), [1000]);
        // An administrator who knows better says so.
        let alicia = Account {
            name: "alicia".into(),
            ..alice()
        };
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
}
