//! Keys with which many hosts join, for groups of machines that come and go. Such a host is removed once it has been silent for as
//! long as its key says.

use twofa_core::Timestamp;
use twofa_core::name_pattern::NamePattern;

use crate::database::Store;
use crate::error::StoreError;
use crate::event::{Event, Origin};
use crate::fleet::{self, check_name};
use crate::sql;
use crate::sql::fleet::{Host, HostRights};
use crate::sql::join_keys::{self, JoinKey, UsedToken};
use crate::sql::row_hashes;
use crate::tx::Tx;

/// So many seconds are an hour.
const HOUR: u64 = 3600;

/// A key that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJoinKey {
    /// Its name.
    pub name: String,
    /// What its hosts are called.
    pub names: NamePattern,
    /// What they may do.
    pub rights: HostRights,
    /// How many hosts may join with it.
    pub uses: u64,
    /// How many may within an hour.
    pub hourly: u64,
    /// After so many seconds of silence a host of it is removed; `None`: it never is.
    pub host_lives: Option<u64>,
    /// When it ends.
    pub until: Timestamp,
    /// SHA-256 of its secret.
    pub digest: [u8; 32],
}

/// A host that joins with such a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyJoin<'a> {
    /// SHA-256 of the secret that it has shown.
    pub digest: [u8; 32],
    /// Its random id.
    pub id: &'a str,
    /// The name that it wants.
    pub name: &'a str,
    /// SHA-256 of the public key of its certificate.
    pub key: [u8; 32],
    /// When the certificate ends.
    pub key_until: Timestamp,
}

/// What became of that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyJoinOutcome {
    /// It has joined.
    Joined,
    /// There is no such key.
    Unknown,
    /// The key has ended.
    Ended(Timestamp),
    /// As many hosts have joined with it as may.
    UsedUp(u64),
    /// As many hosts have joined with it within an hour as may.
    TooMany(u64),
    /// The host's name does not match this pattern, or no host can be called that.
    OtherName(String),
    /// There is a host of this name already.
    NameTaken,
}

/// What the secret of a token is that lets no host join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeadToken {
    /// A host has joined with it.
    Used(UsedToken),
    /// It was not used until this time.
    Expired(Timestamp),
    /// It was never made, or another one was made after it, or its host was removed.
    Unknown,
}

impl Store {
    /// Makes a key.
    pub fn add_join_key(
        &self,
        new: &NewJoinKey,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<JoinKey, StoreError> {
        check_name(&new.name)?;
        let key = JoinKey {
            name: new.name.clone(),
            names: new.names.to_string(),
            rights: new.rights.clone(),
            uses: new.uses,
            hourly: new.hourly,
            host_lives: new.host_lives,
            added_at: now,
            until: new.until,
            used: 0,
            used_at: None,
        };
        self.change(origin, now, |tx| {
            if join_keys::find(tx.db, &key.name)?.is_some() {
                return Err(StoreError::JoinKeyExists(key.name.clone()));
            }
            join_keys::insert(tx.db, &key, &new.digest)?;
            tx.hash_row(&row_hashes::JOIN_KEY, &key.name)?;
            let event = Event::JoinKeyAdded {
                name: key.name.clone(),
                names: key.names.clone(),
                services: key.rights.services.join(","),
                people: key.rights.people.clone(),
                may_enrol: key.rights.may_enrol,
                uses: key.uses,
                until: key.until.unix(),
            };
            tx.record(None, &event)?;
            Ok(key.clone())
        })
    }

    /// Every key, by name.
    pub fn join_keys(&self) -> Result<Vec<JoinKey>, StoreError> {
        self.read(|view| join_keys::all(view.db))
    }

    /// Removes the key `name`: no host joins with it from this moment on. Says whether there was one.
    pub fn remove_join_key(
        &self,
        name: &str,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.change(origin, now, |tx| {
            let Some(JoinKey { name, .. }) = join_keys::find(tx.db, name)? else {
                return Ok(false);
            };
            join_keys::delete(tx.db, &name)?;
            tx.record(None, &Event::JoinKeyRemoved { name })?;
            Ok(true)
        })
    }

    /// Whether there is a key with this SHA-256, in force or not.
    pub fn is_join_key(&self, digest: &[u8; 32]) -> Result<bool, StoreError> {
        let found = self.read(|view| join_keys::find_by_digest(view.db, digest))?;
        Ok(found.is_some())
    }

    /// Lets a host join with a key. Of any number of hosts that join with one that has one use left, one does.
    pub fn join_with_key(
        &self,
        join: &KeyJoin<'_>,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<KeyJoinOutcome, StoreError> {
        let joined = self.change(origin, now, |tx| admit(tx, join, origin));
        match joined {
            // The use was taken back with the transaction.
            Err(StoreError::HostExists(_)) => Ok(KeyJoinOutcome::NameTaken),
            outcome => outcome,
        }
    }

    /// What the secret with this SHA-256 is, with which no host can join at `now`.
    pub fn dead_token(&self, token: &[u8; 32], now: Timestamp) -> Result<DeadToken, StoreError> {
        self.read(|view| {
            if let Some(used) = join_keys::find_used_token(view.db, token)? {
                return Ok(DeadToken::Used(used));
            }
            let found = sql::fleet::find_by_token(view.db, token)?;
            let until = found.and_then(|host| host.token_until);
            Ok(match until.filter(|until| *until <= now) {
                Some(until) => DeadToken::Expired(until),
                None => DeadToken::Unknown,
            })
        })
    }

    /// Notes that the host `id` asked about itself.
    pub fn note_host_heard(&self, id: &str, now: Timestamp) -> Result<(), StoreError> {
        self.write_unsynced(|view| join_keys::set_heard(view.db, id, now))
    }

    /// Removes the hosts that have been silent for longer than the key says with which they joined. Returns their names.
    pub fn remove_silent_hosts(
        &self,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Vec<String>, StoreError> {
        if self
            .read(|view| join_keys::silent(view.db, now))?
            .is_empty()
        {
            return Ok(Vec::new());
        }
        self.change(origin, now, |tx| {
            let mut removed = Vec::new();
            for (id, name) in join_keys::silent(tx.db, now)? {
                if join_keys::delete_silent(tx.db, &id, now)? {
                    tx.record(None, &Event::HostSilent { name: name.clone() })?;
                    removed.push(name);
                }
            }
            Ok(removed)
        })
    }
}

fn admit(tx: &Tx<'_>, join: &KeyJoin<'_>, origin: &Origin) -> Result<KeyJoinOutcome, StoreError> {
    let Some((key, hash)) = join_keys::find_by_digest(tx.db, &join.digest)? else {
        return Ok(KeyJoinOutcome::Unknown);
    };
    tx.check_row(&row_hashes::JOIN_KEY, &key.name, &hash)?;
    let pattern: NamePattern = key
        .names
        .parse()
        .map_err(|error| StoreError::Damaged(format!("join key '{}': {error}", key.name)))?;
    if check_name(join.name).is_err() || !pattern.matches(join.name) {
        return Ok(KeyJoinOutcome::OtherName(key.names));
    }
    // From here on, nobody else joins with this key until the transaction ends.
    if !join_keys::use_up(tx.db, &join.digest, tx.now, tx.now.before(HOUR))? {
        return Ok(match join_keys::find_by_digest(tx.db, &join.digest)? {
            None => KeyJoinOutcome::Unknown,
            Some((key, _)) if key.until <= tx.now => KeyJoinOutcome::Ended(key.until),
            Some((key, _)) if key.used >= key.uses => KeyJoinOutcome::UsedUp(key.uses),
            Some((key, _)) => KeyJoinOutcome::TooMany(key.hourly),
        });
    }
    if sql::fleet::find(tx.db, join.name)?.is_some() {
        return Err(StoreError::HostExists(join.name.to_owned()));
    }
    let host = Host {
        id: join.id.to_owned(),
        name: join.name.to_owned(),
        rights: key.rights,
        token_until: Some(tx.now.after(HOUR)),
        ..fleet::unjoined(tx.now)
    };
    // The row is made as one that may join, and joins: the statements are those of a token.
    sql::fleet::insert(tx.db, &host, &join.key)?;
    sql::fleet::join(tx.db, &join.key, &join.key, join.key_until, tx.now)?;
    join_keys::set_origin(tx.db, join.id, &key.name, key.host_lives)?;
    let from = fleet::address_of(origin);
    join_keys::set_joined(tx.db, join.id, &join.key, from, &join.key)?;
    tx.hash_row(&row_hashes::HOST, join.id)?;
    tx.record(
        None,
        &Event::HostJoined {
            name: host.name,
            join_key: Some(key.name),
        },
    )?;
    Ok(KeyJoinOutcome::Joined)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, origin};
    use std::sync::Arc;
    use std::thread;

    const DIGEST: [u8; 32] = [1; 32];
    const DAY: u64 = 86_400;

    fn web(bench: &Bench) -> NewJoinKey {
        NewJoinKey {
            name: "web".into(),
            names: "web-*".parse().unwrap(),
            rights: HostRights {
                services: vec!["sshd".into()],
                people: Some("staff".into()),
                may_enrol: false,
            },
            uses: 3,
            hourly: 2,
            host_lives: Some(DAY),
            until: bench.now.after(30 * DAY),
            digest: DIGEST,
        }
    }

    /// A store with such a key.
    fn store_with(bench: &Bench, key: &NewJoinKey) -> Store {
        let store = bench.create();
        store.add_join_key(key, &origin(), bench.now).unwrap();
        store
    }

    fn join(store: &Store, name: &str, number: u8, now: Timestamp) -> KeyJoinOutcome {
        let join = KeyJoin {
            digest: DIGEST,
            id: &format!("{number:032x}"),
            name,
            key: [number; 32],
            key_until: now.after(90 * DAY),
        };
        store.join_with_key(&join, &origin(), now).unwrap()
    }

    #[test]
    fn hosts_join_with_a_key_as_often_as_it_says_under_names_that_it_allows() {
        let bench = Bench::new();
        let store = store_with(&bench, &web(&bench));
        let (now, later) = (bench.now, bench.now.after(HOUR));
        assert_eq!(join(&store, "web-1", 1, now), KeyJoinOutcome::Joined);
        let host = store.host_by_key(&[1; 32], now).unwrap();
        assert_eq!(
            (host.name.as_str(), &host.rights),
            ("web-1", &web(&bench).rights)
        );
        assert_eq!(host.join_key.as_deref(), Some("web"));
        assert_eq!(host.joined_from.as_deref(), Some("192.0.2.7"));
        for name in ["db-1", "web-1 ", "Web-1", ""] {
            let other = KeyJoinOutcome::OtherName("web-*".into());
            assert_eq!(join(&store, name, 9, now), other, "{name}");
        }
        // What was refused has not counted.
        assert_eq!(join(&store, "web-1", 2, now), KeyJoinOutcome::NameTaken);
        assert_eq!(join(&store, "web-2", 2, now), KeyJoinOutcome::Joined);
        assert_eq!(join(&store, "web-3", 3, now), KeyJoinOutcome::TooMany(2));
        assert_eq!(join(&store, "web-3", 3, later), KeyJoinOutcome::Joined);
        assert_eq!(join(&store, "web-4", 4, later), KeyJoinOutcome::UsedUp(3));
        let key = &store.join_keys().unwrap()[0];
        assert_eq!((key.used, key.used_at), (3, Some(later)));
    }

    #[test]
    fn a_key_that_was_removed_or_has_ended_lets_no_host_join_and_its_hosts_stay() {
        let bench = Bench::new();
        let store = store_with(&bench, &web(&bench));
        let end = web(&bench).until;
        assert_eq!(join(&store, "web-1", 1, bench.now), KeyJoinOutcome::Joined);
        assert_eq!(join(&store, "web-2", 2, end), KeyJoinOutcome::Ended(end));
        let again = store.add_join_key(&web(&bench), &origin(), bench.now);
        assert!(matches!(again, Err(StoreError::JoinKeyExists(_))));
        let remove = || store.remove_join_key("web", &origin(), bench.now).unwrap();
        assert!(remove() && !remove());
        assert!(!store.is_join_key(&DIGEST).unwrap());
        assert_eq!(join(&store, "web-2", 2, bench.now), KeyJoinOutcome::Unknown);
        assert!(store.host_by_key(&[1; 32], bench.now).is_ok());
    }

    #[test]
    fn of_eight_hosts_with_a_key_that_has_one_use_left_one_joins() {
        let bench = Bench::new();
        let key = NewJoinKey {
            uses: 1,
            hourly: 100,
            ..web(&bench)
        };
        let store = Arc::new(store_with(&bench, &key));
        let joining: Vec<_> = (0..8)
            .map(|i| {
                let (store, now) = (store.clone(), bench.now);
                thread::spawn(move || join(&store, &format!("web-{i}"), i, now))
            })
            .collect();
        let joined = joining.into_iter().map(|thread| thread.join().unwrap());
        let joined = joined.filter(|outcome| *outcome == KeyJoinOutcome::Joined);
        assert_eq!(joined.count(), 1);
        assert_eq!(store.hosts().unwrap().len(), 1);
        assert_eq!(store.join_keys().unwrap()[0].used, 1);
    }

    #[test]
    fn a_host_of_a_key_is_removed_once_it_has_been_silent_for_as_long_as_the_key_says() {
        let bench = Bench::new();
        let store = store_with(&bench, &web(&bench));
        let (origin, now) = (origin(), bench.now);
        let removed = |at| store.remove_silent_hosts(&origin, at).unwrap();
        join(&store, "web-1", 1, now);
        join(&store, "web-2", 2, now);
        assert!(removed(now.after(DAY - 1)).is_empty());
        let id = store.host_by_key(&[1; 32], now).unwrap().id;
        store.note_host_heard(&id, now.after(DAY - 1)).unwrap();
        assert_eq!(removed(now.after(DAY)), ["web-2"]);
        let refused = store.host_by_key(&[2; 32], now.after(DAY));
        assert!(matches!(refused, Err(StoreError::HostRefused)));
        let silent = Event::HostSilent {
            name: "web-2".into(),
        };
        assert_eq!(Bench::log(&store).last(), Some(&silent));
        // A login is a sign of life as well.
        store
            .note_host_seen(&id, "0.1.0", now.after(2 * DAY))
            .unwrap();
        assert!(removed(now.after(3 * DAY - 1)).is_empty());
        assert_eq!(removed(now.after(3 * DAY)), ["web-1"]);
    }

    #[test]
    fn a_host_with_a_token_of_its_own_is_never_removed_for_being_silent() {
        let bench = Bench::new();
        let store = bench.create();
        let new = crate::NewHost {
            id: "00".into(),
            name: "web-1".into(),
            rights: HostRights::default(),
            token: DIGEST,
        };
        store.add_host(&new, &origin(), bench.now).unwrap();
        let long_after = bench.now.after(9999 * DAY);
        assert!(
            store
                .remove_silent_hosts(&origin(), long_after)
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn a_dead_token_says_by_whom_it_was_used_or_since_when_it_is_dead() {
        let bench = Bench::new();
        let store = bench.create();
        let (origin, now) = (origin(), bench.now);
        let dead = |token, at| store.dead_token(token, at).unwrap();
        assert_eq!(dead(&DIGEST, now), DeadToken::Unknown);
        let new = crate::NewHost {
            id: "00".into(),
            name: "web1".into(),
            rights: HostRights::default(),
            token: DIGEST,
        };
        let until = store
            .add_host(&new, &origin, now)
            .unwrap()
            .token_until
            .unwrap();
        assert_eq!(dead(&DIGEST, until), DeadToken::Expired(until));
        let join = crate::HostJoin {
            token: DIGEST,
            key: [2; 32],
            key_until: now.after(1000),
        };
        assert!(store.join_host(join, &origin, now.after(5)).unwrap());
        let used = DeadToken::Used(UsedToken {
            host: "web1".into(),
            at: now.after(5),
            from: Some("192.0.2.7".into()),
            key: [2; 32],
        });
        assert_eq!(dead(&DIGEST, now.after(6)), used);
        // It says so until its host joins again.
        store.readmit_host("web1", &[3; 32], &origin, now).unwrap();
        assert_eq!(dead(&DIGEST, now.after(6)), used);
        store.remove_host("web1", &origin, now).unwrap();
        assert_eq!(dead(&DIGEST, now), DeadToken::Unknown);
    }
}
