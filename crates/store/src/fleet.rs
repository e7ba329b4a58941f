//! The hosts of a fleet, on a server; and on a host, that it is one.

use std::collections::HashMap;

use twofa_core::lockout::{MAX_FAILURES, MAX_LOCK};
use twofa_core::{FleetPolicy, Lock, Throttle, Timestamp};

use crate::database::Store;
use crate::error::StoreError;
use crate::event::{Event, Origin};
use crate::host_in_force::find_in_force;
use crate::policy::{drop_defaults, record_changes};
use crate::sql::Ahead;
use crate::sql::devices;
use crate::sql::fleet::{self, Failures, Host, HostRights, JoinedFleet};
use crate::sql::fleet_policy::delete_known;
use crate::sql::join_keys;
use crate::sql::own_rescue;
use crate::sql::reported_sessions;
use crate::sql::row_hashes::HOST;
use crate::tx::Tx;
use crate::{fleet_policy, rules};

/// How long a host may take to join, in seconds: 15 minutes.
pub(crate) const TOKEN_LIFETIME: u64 = 15 * 60;
/// So many wrong codes on all hosts lock a user out of all of them, and of this server, for a day after the last of them; and
/// [`MAX_FAILURES`] until an administrator comes.
const MOST_FAILURES: u64 = 50;
/// So many of them one host accounts for at most, so that it takes three hosts to do the one and five to do the other. So many
/// close that host to the user until an administrator comes.
const MOST_OF_A_HOST: u32 = 20;
/// The longest name of a host, in bytes.
const LONGEST_NAME: usize = 64;

/// A host that is to join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewHost {
    /// Its random id.
    pub id: String,
    /// The name that an administrator gives it.
    pub name: String,
    /// What it may do.
    pub rights: HostRights,
    /// SHA-256 of the secret with which it joins.
    pub token: [u8; 32],
}

/// The key with which a host joins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostJoin {
    /// SHA-256 of the secret.
    pub token: [u8; 32],
    /// SHA-256 of the public key of its certificate.
    pub key: [u8; 32],
    /// When the certificate ends.
    pub key_until: Timestamp,
}

/// A host that may join now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnjoinedHost {
    /// Its random id.
    pub id: String,
    /// Its name.
    pub name: String,
}

impl Store {
    /// Adds a host, which may join within 15 minutes. One of this name that has not joined is replaced.
    pub fn add_host(
        &self,
        host: &NewHost,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Host, StoreError> {
        let NewHost {
            id,
            name,
            rights,
            token,
        } = host;
        check_name(name)?;
        let host = Host {
            id: id.clone(),
            name: name.clone(),
            rights: rights.clone(),
            token_until: Some(now.after(TOKEN_LIFETIME)),
            ..unjoined(now)
        };
        self.change(origin, now, |tx| {
            match fleet::find(tx.db, name)? {
                Some(found) if found.joined_at.is_some() => {
                    return Err(StoreError::HostExists(name.clone()));
                }
                Some(found) => fleet::delete(tx.db, &found.id)?,
                None => {}
            }
            fleet::insert(tx.db, &host, token)?;
            tx.hash_row(&HOST, id)?;
            let event = Event::HostAdded {
                name: name.clone(),
                services: rights.services.join(","),
                people: rights.people.clone(),
                may_enrol: rights.may_enrol,
            };
            tx.record(None, &event)?;
            Ok(host.clone())
        })
    }

    /// Lets the host `name`, which has joined before, join again within 15 minutes, with the rights that it has. What it has
    /// now stays good until it does. `None`: there is no such host.
    pub fn readmit_host(
        &self,
        name: &str,
        token: &[u8; 32],
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Option<Host>, StoreError> {
        self.change(origin, now, |tx| {
            let Some(found) = fleet::find(tx.db, name)? else {
                return Ok(None);
            };
            tx.lock_row(&HOST, &found.id)?;
            fleet::set_token(tx.db, &found.id, token, now.after(TOKEN_LIFETIME))?;
            tx.hash_row(&HOST, &found.id)?;
            // What has its key from now on may be another machine.
            devices::delete_of_host(tx.db, &found.id)?;
            let name = found.name;
            tx.record(None, &Event::HostReadmitted { name })?;
            fleet::find_by_id(tx.db, &found.id)
        })
    }

    /// The host that may join with `token` at `now`.
    pub fn host_of_token(
        &self,
        token: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<UnjoinedHost>, StoreError> {
        let found = self.read(|view| fleet::find_by_token(view.db, token))?;
        let found = found.filter(|host| host.token_until.is_some_and(|until| now < until));
        Ok(found.map(|Host { id, name, .. }| UnjoinedHost { id, name }))
    }

    /// Lets the host of the token join with this key. A token works once: a second use returns `false`.
    pub fn join_host(
        &self,
        join: HostJoin,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.change(origin, now, |tx| {
            let found = fleet::find_by_token(tx.db, &join.token)?;
            if let Some(found) = &found {
                tx.lock_row(&HOST, &found.id)?;
            }
            let has_joined = fleet::join(tx.db, &join.token, &join.key, join.key_until, now)?;
            let Some(Host { id, name, .. }) = found.filter(|_| has_joined) else {
                return Ok(false);
            };
            let from = address_of(origin);
            join_keys::set_joined(tx.db, &id, &join.token, from, &join.key)?;
            tx.hash_row(&HOST, &id)?;
            let join_key = None;
            tx.record(None, &Event::HostJoined { name, join_key })?;
            Ok(true)
        })
    }

    /// Every host, by name.
    pub fn hosts(&self) -> Result<Vec<Host>, StoreError> {
        self.read(|view| fleet::all(view.db))
    }

    /// The host whose certificate has this key, if that is in force at `now`.
    pub fn host_by_key(&self, key: &[u8; 32], now: Timestamp) -> Result<Host, StoreError> {
        self.read(|view| find_in_force(view, key, now))
    }

    /// Removes the host `name`: from this moment it is refused. Says whether there was one.
    pub fn remove_host(
        &self,
        name: &str,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.change(origin, now, |tx| {
            let Some(Host { id, name, .. }) = fleet::find(tx.db, name)? else {
                return Ok(false);
            };
            fleet::delete(tx.db, &id)?;
            tx.record(None, &Event::HostRemoved { name })?;
            Ok(true)
        })
    }

    /// How many logins with a code there were on each host, by its id.
    pub fn host_logins(&self) -> Result<HashMap<String, u64>, StoreError> {
        let logins = self.read(|view| fleet::logins(view.db))?;
        Ok(logins.into_iter().collect())
    }

    /// Notes that somebody logs in on the host `id`, whose twofa has this `version`.
    pub fn note_host_seen(
        &self,
        id: &str,
        version: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write_unsynced(|view| fleet::set_seen(view.db, id, version, now))
    }

    /// Records that this machine, which was in no fleet, has joined one, and puts its `policy` in force.
    pub fn join_fleet(
        &self,
        joined: &JoinedFleet,
        policy: &FleetPolicy,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.change(origin, now, |tx| record_joined(tx, joined, policy))
    }

    /// Records that this machine is in no fleet. Returns the one that it was in.
    pub fn leave_fleet(
        &self,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Option<JoinedFleet>, StoreError> {
        self.change(origin, now, |tx| {
            tx.rules.forget(tx.db)?;
            let Some(joined) = fleet::joined(tx.db)? else {
                return Ok(None);
            };
            let before = rules::rulebook(tx);
            fleet::delete_joined(tx.db)?;
            reported_sessions::forget(tx.db)?;
            own_rescue::forget(tx.db)?;
            delete_known(tx.db)?;
            let name = joined.name.clone();
            tx.record(None, &Event::FleetLeft { name })?;
            if let (Ok(before), Ok(own)) = (before, rules::rulebook(tx)) {
                record_changes(tx, &before, &own)?;
            }
            Ok(Some(joined))
        })
    }
}

/// Records that this machine has joined a fleet, and puts its `policy` in force.
pub(crate) fn record_joined(
    tx: &Tx<'_>,
    joined: &JoinedFleet,
    policy: &FleetPolicy,
) -> Result<(), StoreError> {
    tx.rules.forget(tx.db)?;
    if let Some(JoinedFleet { name, .. }) = fleet::joined(tx.db)? {
        return Err(StoreError::Joined(name));
    }
    fleet::set_joined(tx.db, joined)?;
    let name = joined.name.clone();
    tx.record(None, &Event::FleetJoined { name })?;
    drop_defaults(tx)?;
    fleet_policy::adopt(tx, policy).map(drop)
}

/// What [`lock`] asks.
pub(crate) fn lock_ahead(user: i64) -> Ahead {
    fleet::failures_ahead(user, MOST_OF_A_HOST)
}

/// The lock that wrong codes on hosts cause everywhere for the user number `user`, or on the host for which `tx` is, where the
/// attempts are these.
pub(crate) fn lock(
    tx: &Tx<'_>,
    user: i64,
    on_host: Option<Throttle>,
) -> Result<Option<Lock>, StoreError> {
    if on_host.is_some_and(|on_host| on_host.failures() >= MOST_OF_A_HOST.into()) {
        return Ok(Some(Lock::Administrator));
    }
    let Failures { count, last_at } = fleet::failures(tx.db, user, MOST_OF_A_HOST)?;
    if count < MOST_FAILURES {
        return Ok(None);
    }
    let until = last_at.map(|at| at.after(MAX_LOCK.seconds()));
    Ok(match until {
        Some(until) if count < MAX_FAILURES.into() => {
            (tx.now < until).then_some(Lock::Until(until))
        }
        _ => Some(Lock::Administrator),
    })
}

/// The wrong codes for the user number `user` that count everywhere.
pub(crate) fn failures(tx: &Tx<'_>, user: i64) -> Result<u64, StoreError> {
    Ok(fleet::failures(tx.db, user, MOST_OF_A_HOST)?.count)
}

/// A host without id and name that was added at `now`.
pub(crate) const fn unjoined(now: Timestamp) -> Host {
    Host {
        id: String::new(),
        name: String::new(),
        rights: HostRights {
            services: Vec::new(),
            people: None,
            may_enrol: false,
        },
        added_at: now,
        joined_at: None,
        token_until: None,
        key_until: None,
        seen_at: None,
        renewals: 0,
        copied_at: None,
        version: None,
        cut_off_at: None,
        unlocked_at: None,
        join_key: None,
        lives: None,
        joined_from: None,
        joined_key: None,
    }
}

/// The address that a request comes from.
pub(crate) fn address_of(origin: &Origin) -> Option<&str> {
    origin.as_login()?.remote_host.as_deref()
}

pub(crate) fn check_name(name: &str) -> Result<(), StoreError> {
    let is_good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    if (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(is_good) {
        Ok(())
    } else {
        Err(StoreError::BadHostName(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempts::{CodeAttempt, CodeOutcome, CodeProof, Counted, Tally};
    use crate::event::FleetHost;
    use crate::testing::{Bench, alice, joined_fleet, origin};
    use std::sync::Arc;
    use std::thread;

    const TOKEN: [u8; 32] = [1; 32];
    const KEY: [u8; 32] = [2; 32];

    fn web1() -> NewHost {
        NewHost {
            id: "00".into(),
            name: "web1".into(),
            rights: HostRights {
                services: vec!["sshd".into(), "sudo".into()],
                people: None,
                may_enrol: false,
            },
            token: TOKEN,
        }
    }

    fn join(bench: &Bench, key: [u8; 32]) -> HostJoin {
        HostJoin {
            token: TOKEN,
            key,
            key_until: bench.now.after(1000),
        }
    }

    #[test]
    fn a_host_joins_with_its_token_and_is_found_by_its_key_until_that_ends_or_it_is_removed() {
        let bench = Bench::new();
        let store = bench.create();
        let (origin, now) = (origin(), bench.now);
        store.add_host(&web1(), &origin, now).unwrap();
        let unjoined = store.host_of_token(&TOKEN, now).unwrap().unwrap();
        assert_eq!(unjoined.name, "web1");
        assert!(matches!(
            store.host_by_key(&KEY, now),
            Err(StoreError::HostRefused)
        ));
        assert!(store.join_host(join(&bench, KEY), &origin, now).unwrap());
        let host = store.host_by_key(&KEY, now.after(999)).unwrap();
        assert_eq!((host.name, host.rights), ("web1".into(), web1().rights));
        assert!(matches!(
            store.host_by_key(&KEY, now.after(1000)),
            Err(StoreError::HostRefused)
        ));
        let again = store.add_host(&web1(), &origin, now);
        assert!(matches!(again, Err(StoreError::HostExists(_))));
        assert!(store.remove_host("web1", &origin, now).unwrap());
        assert!(!store.remove_host("web1", &origin, now).unwrap());
        assert!(matches!(
            store.host_by_key(&KEY, now),
            Err(StoreError::HostRefused)
        ));
    }

    #[test]
    fn a_token_is_refused_after_fifteen_minutes_and_when_another_one_was_made() {
        let bench = Bench::new();
        let store = bench.create();
        let (origin, now) = (origin(), bench.now);
        store.add_host(&web1(), &origin, now).unwrap();
        let late = now.after(TOKEN_LIFETIME);
        assert_eq!(store.host_of_token(&TOKEN, late).unwrap(), None);
        assert!(!store.join_host(join(&bench, KEY), &origin, late).unwrap());
        let again = NewHost {
            id: "01".into(),
            token: [9; 32],
            ..web1()
        };
        store.add_host(&again, &origin, now).unwrap();
        assert_eq!(store.host_of_token(&TOKEN, now).unwrap(), None);
        assert!(!store.join_host(join(&bench, KEY), &origin, now).unwrap());
    }

    #[test]
    fn of_eight_hosts_with_one_token_one_joins() {
        let bench = Bench::new();
        let store = Arc::new(bench.create());
        store.add_host(&web1(), &origin(), bench.now).unwrap();
        let joining: Vec<_> = (0..8)
            .map(|i| {
                let (store, join, now) = (store.clone(), join(&bench, [i; 32]), bench.now);
                thread::spawn(move || store.join_host(join, &origin(), now).unwrap())
            })
            .collect();
        let joined = joining.into_iter().map(|thread| thread.join().unwrap());
        assert_eq!(joined.filter(|has_joined| *has_joined).count(), 1);
    }

    #[test]
    fn nothing_is_changed_for_a_host_that_was_removed_has_ended_or_goes_by_another_name() {
        let bench = Bench::new();
        let store = bench.create();
        let (own, now) = (origin(), bench.now);
        store.add_host(&web1(), &own, now).unwrap();
        store.join_host(join(&bench, KEY), &own, now).unwrap();
        let on = |name: &str, key| origin().on_host(FleetHost::connected(name.into(), key));
        let require = |origin: &Origin, at| store.set_required(&alice(), true, origin, at);
        require(&on("web1", KEY), now).unwrap();
        for (name, key, at) in [
            ("web2", KEY, now),
            ("web1", [3; 32], now),
            ("web1", KEY, now.after(1000)),
        ] {
            let refused = store.set_required(&alice(), false, &on(name, key), at);
            assert!(matches!(refused, Err(StoreError::HostRefused)), "{name}");
        }
        store.remove_host("web1", &own, now).unwrap();
        assert!(matches!(
            require(&on("web1", KEY), now),
            Err(StoreError::HostRefused)
        ));
        assert!(store.snapshot(&alice()).unwrap().user.required);
    }

    #[test]
    fn the_log_keeps_the_name_of_the_host_and_proves_it() {
        let bench = Bench::new();
        let store = bench.create();
        let (own, now) = (origin(), bench.now);
        store.add_host(&web1(), &own, now).unwrap();
        store.join_host(join(&bench, KEY), &own, now).unwrap();
        let there = origin().on_host(FleetHost::connected("web1".into(), KEY));
        store.set_required(&alice(), true, &there, now).unwrap();
        let mut hosts = Vec::new();
        let each = |logged: crate::LoggedEvent| {
            hosts.push(logged.origin.host.map(|host| host.name));
            true
        };
        store.events(&crate::EventFilter::default(), each).unwrap();
        assert_eq!(hosts, [None, None, Some("web1".to_owned())]);
        Bench::execute(&store, "UPDATE event SET host = 'web2' WHERE host = 'web1'");
        let log = crate::journal::SystemLog::default();
        assert_eq!(store.verify_log(&log, None).unwrap().findings.len(), 1);
    }

    #[test]
    fn a_right_code_on_one_host_takes_back_no_failures_on_another() {
        let bench = Bench::new();
        let store = bench.create();
        let (own, alice, now) = (origin(), alice(), bench.now);
        bench.enrol(&store, &alice, "phone");
        store.add_host(&web1(), &own, now).unwrap();
        store.join_host(join(&bench, KEY), &own, now).unwrap();
        let there = origin().on_host(FleetHost::connected("web1".into(), KEY));
        for _ in 0..9 {
            let counted = store.count_attempt(&alice, Tally::Proved, &there, now);
            assert!(matches!(counted.unwrap(), Counted::Attempt(..)));
        }
        let known = store.snapshot(&alice).unwrap();
        let attempt = CodeAttempt {
            account: &alice,
            tally: Tally::Proved,
            origin: &own,
            known: &known,
            settlement: crate::Settlement::Now(None),
        };
        let app = known.user.apps[0].id;
        let right = store.try_code(attempt, now, |_| {
            Ok::<_, crate::event::RefusalReason>(CodeProof::App { app, count: 7 })
        });
        assert!(matches!(right.unwrap(), CodeOutcome::Right(_)));
        let tenth = store.count_attempt(&alice, Tally::Proved, &there, now);
        assert!(matches!(tenth.unwrap(), Counted::Attempt(..)));
        let eleventh = store.count_attempt(&alice, Tally::Proved, &there, now);
        assert!(matches!(eleventh.unwrap(), Counted::Locked(Lock::Until(_))));
    }

    #[test]
    fn a_machine_joins_one_fleet_and_its_rules_say_so() {
        let bench = Bench::new();
        let store = bench.create();
        let (joined, policy) = joined_fleet(bench.now);
        let join = |joined| store.join_fleet(joined, &policy, &origin(), bench.now);
        assert_eq!(store.rules_in_force().unwrap().fleet, None);
        join(&joined).unwrap();
        assert_eq!(store.rules_in_force().unwrap().fleet, Some(joined.clone()));
        let again = join(&joined);
        assert!(matches!(again, Err(StoreError::Joined(_))));
        let left = store.leave_fleet(&origin(), bench.now).unwrap();
        assert_eq!(left, Some(joined));
        assert_eq!(store.rules_in_force().unwrap().fleet, None);
        assert_eq!(store.leave_fleet(&origin(), bench.now).unwrap(), None);
    }

    #[test]
    fn a_host_s_name_can_stand_in_a_log_and_on_a_command_line() {
        for name in ["", "Web1", "a b", "a/b", "ä", &"x".repeat(65)] {
            assert!(check_name(name).is_err(), "{name}");
        }
        assert!(check_name("web-1.example.com").is_ok());
    }
}
