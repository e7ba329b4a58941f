//! How much a host of the fleet may ask a server: about how many people, and how often with wrong codes.
//!
//! A host that belongs to an intruder can claim a login of anybody. What it learns, and what it can guess, is limited by counts
//! that no other host shares, and none of them keeps away people who have logged in there with a code before.

use twofa_core::{Account, Timestamp};

use crate::database::Store;
use crate::error::StoreError;
use crate::event::{Event, Origin};
use crate::host_in_force::find_in_force;
use crate::sql::fleet::{self, Host};
use crate::sql::host_limits;
use crate::tx::{Tx, View};

const HOUR: u64 = 3_600;
/// People of a host who are listed at most.
const MOST_LISTED: u32 = 500;

/// Whether a host may ask about a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostAdmission {
    /// It may.
    Admitted,
    /// It is cut off, and the person has never logged in there with a code.
    CutOff,
    /// It has asked about as many other people within the hour as it may.
    TooManyPeople,
}

impl Store {
    /// Whether the host with this `key` may ask about `account`, whom that counts for an hour, whether they exist or not. The
    /// `origin` is that of the login.
    pub fn admit_person(
        &self,
        key: &[u8; 32],
        account: &Account,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<HostAdmission, StoreError> {
        let settled = self.read(|view| {
            let host = find_in_force(view, key, now)?;
            settled_admission(view, &host, key, account, now)
        })?;
        match settled {
            Some(settled) => Ok(settled),
            None => self.change_unsynced(origin, now, |tx| count_person(tx, key, account)),
        }
    }

    /// The accounts of which a code was right on the host with this `key`, of all time; [`MOST_LISTED`] at most.
    pub fn people_of_host(
        &self,
        key: &[u8; 32],
        now: Timestamp,
    ) -> Result<Vec<Account>, StoreError> {
        self.read(|view| {
            let host = find_in_force(view, key, now)?;
            host_limits::passed_on(view.db, &host.id, MOST_LISTED)
        })
    }

    /// Lets the host `name` ask about everybody again, after it was cut off. Says whether it was; `None`: there is no such host.
    pub fn unlock_host(
        &self,
        name: &str,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Option<bool>, StoreError> {
        self.change(origin, now, |tx| {
            let Some(host) = fleet::find(tx.db, name)? else {
                return Ok(None);
            };
            host_limits::unlock(tx.db, &host.id, now)?;
            if host.cut_off_at.is_none() {
                return Ok(Some(false));
            }
            tx.record(None, &Event::HostUnlocked { name: host.name })?;
            Ok(Some(true))
        })
    }
}

/// Whether `host`, which has this `key`, may ask about `account`, as far as nothing must be counted to say so.
pub(crate) fn settled_admission(
    view: &View<'_>,
    host: &Host,
    key: &[u8; 32],
    account: &Account,
    now: Timestamp,
) -> Result<Option<HostAdmission>, StoreError> {
    if let Some(settled) = admission_if_cut_off(view, host, account)? {
        return Ok(Some(settled));
    }
    let asked_at = host_limits::asked_at(view.db, key, account)?;
    let is_counted = asked_at.is_some_and(|at| now.before(HOUR) < at);
    Ok(is_counted.then_some(HostAdmission::Admitted))
}

/// Whether `host` may ask about `account`, if it is cut off.
pub(crate) fn admission_if_cut_off(
    view: &View<'_>,
    host: &Host,
    account: &Account,
) -> Result<Option<HostAdmission>, StoreError> {
    if host.cut_off_at.is_none() {
        return Ok(None);
    }
    let has_passed = host_limits::has_passed(view.db, &host.id, account)?;
    Ok(Some(if has_passed {
        HostAdmission::Admitted
    } else {
        HostAdmission::CutOff
    }))
}

fn count_person(
    tx: &Tx<'_>,
    key: &[u8; 32],
    account: &Account,
) -> Result<HostAdmission, StoreError> {
    let Host { id, name, .. } = find_in_force(tx, key, tx.now)?;
    let most = tx.rules()?.rulebook.machine().hosts.people_hourly;
    // Two that are counted at once would both find room for one.
    tx.db.lock("host-people", &id)?;
    let since = tx.now.before(HOUR);
    host_limits::forget_asked(tx.db, &id, since)?;
    let is_known = host_limits::asked_at(tx.db, key, account)?.is_some();
    if is_known || host_limits::count_asked(tx.db, &id)? < most.into() {
        host_limits::note_asked(tx.db, &id, account, tx.now)?;
        return Ok(HostAdmission::Admitted);
    }
    if host_limits::has_passed(tx.db, &id, account)? {
        return Ok(HostAdmission::Admitted);
    }
    if host_limits::raise_alarm(tx.db, &id, since, tx.now)? {
        let people = most.into();
        tx.record(None, &Event::HostPeopleLimit { name, people })?;
    }
    Ok(HostAdmission::TooManyPeople)
}

/// Cuts off the host for which `tx` is if wrong codes for more people than it may came from it within the hour.
pub(crate) fn cut_off_if_due(tx: &Tx<'_>) -> Result<(), StoreError> {
    let Some(key) = tx.host_key() else {
        return Ok(());
    };
    let host = find_in_force(tx, key, tx.now)?;
    let most = tx.rules()?.rulebook.machine().hosts.wrong_people_hourly;
    let since = tx.now.before(HOUR);
    let since = host.unlocked_at.map_or(since, |at| since.max(at));
    let people = host_limits::count_wrong(tx.db, &host.id, since)?;
    if host.cut_off_at.is_some() || people <= most.into() {
        return Ok(());
    }
    host_limits::cut_off(tx.db, &host.id, tx.now)?;
    let name = host.name;
    tx.record(None, &Event::HostCutOff { name, people })
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempts::{CodeAttempt, CodeProof, Counted, Tally};
    use crate::event::{FleetHost, RefusalReason};
    use crate::testing::{Bench, origin};
    use crate::{HostJoin, HostRights, NewHost, SendKind, SendLimit, SendStart, Settlement};
    use twofa_core::Channel;
    use twofa_core::lockout::Lock;

    /// A store in which each of some hosts has the number of its key.
    struct Fleet {
        bench: Bench,
        store: Store,
    }

    impl Fleet {
        fn new(hosts: u8, settings: &[(&str, &str)]) -> Self {
            let bench = Bench::new();
            let store = bench.create();
            let (own, now) = (origin(), bench.now);
            for number in 1..=hosts {
                let host = NewHost {
                    id: number.to_string(),
                    name: format!("web{number}"),
                    rights: HostRights::default(),
                    token: [number; 32],
                };
                store.add_host(&host, &own, now).unwrap();
                let join = HostJoin {
                    token: [number; 32],
                    key: [number; 32],
                    key_until: now.after(1_000_000_000),
                };
                assert!(store.join_host(join, &own, now).unwrap());
            }
            let settings = settings.iter().copied();
            store.change_policy(settings, &own, now).unwrap();
            Self { bench, store }
        }

        fn admit(&self, host: u8, uid: u32, after: u64) -> HostAdmission {
            let now = self.bench.now.after(after);
            let admitted = self
                .store
                .admit_person(&[host; 32], &person(uid), &on(host), now);
            admitted.unwrap()
        }

        /// A wrong code for the person with this `uid` on `host`, `after` so many seconds: the lock that refuses it, if any.
        fn fail(&self, host: u8, uid: u32, after: u64) -> Option<Lock> {
            let now = self.bench.now.after(after);
            let counted = self
                .store
                .count_attempt(&person(uid), Tally::Proved, &on(host), now);
            match counted.unwrap() {
                Counted::Attempt(..) => None,
                Counted::Locked(lock) => Some(lock),
                Counted::Unknown => panic!(),
            }
        }

        fn pass(&self, host: u8, uid: u32, step: u64) {
            let known = self.store.snapshot(&person(uid)).unwrap();
            let app = known.user.apps[0].id;
            let attempt = CodeAttempt {
                account: &person(uid),
                tally: Tally::Proved,
                origin: &on(host),
                known: &known,
                settlement: Settlement::Now(None),
            };
            let right = self.store.try_code(attempt, self.bench.now, |_| {
                Ok::<_, RefusalReason>(CodeProof::App { app, count: step })
            });
            assert!(matches!(right.unwrap(), crate::CodeOutcome::Right(_)));
        }

        fn enrol(&self, uid: u32) {
            self.bench.enrol(&self.store, &person(uid), "phone");
        }

        fn events(&self, kind: &str) -> usize {
            let log = Bench::log(&self.store);
            log.iter().filter(|event| event.name() == kind).count()
        }
    }

    fn on(host: u8) -> Origin {
        origin().on_host(FleetHost::connected(format!("web{host}"), [host; 32]))
    }

    fn person(uid: u32) -> Account {
        Account {
            name: format!("person{uid}"),
            uid,
        }
    }

    #[test]
    fn a_host_asks_about_so_many_people_an_hour_and_an_alarm_is_raised_once() {
        let fleet = Fleet::new(2, &[("fleet.people-hourly", "3")]);
        fleet.enrol(9);
        fleet.pass(1, 9, 7);
        for uid in 1..=3 {
            assert_eq!(fleet.admit(1, uid, 0), HostAdmission::Admitted);
        }
        for uid in 4..=8 {
            assert_eq!(fleet.admit(1, uid, 10), HostAdmission::TooManyPeople);
        }
        assert_eq!(fleet.events("host-people-limit"), 1);
        // Whom it has asked about, who has logged in there before, and other hosts.
        assert_eq!(fleet.admit(1, 2, 10), HostAdmission::Admitted);
        assert_eq!(fleet.admit(1, 9, 10), HostAdmission::Admitted);
        assert_eq!(fleet.admit(2, 9, 10), HostAdmission::Admitted);
        assert_eq!(fleet.admit(1, 4, 3_600), HostAdmission::Admitted);
        assert_eq!(
            Bench::number(&fleet.store, "SELECT count(*) FROM host_person"),
            2
        );
    }

    #[test]
    fn wrong_codes_for_too_many_people_cut_a_host_off_from_all_who_never_passed_there() {
        let fleet = Fleet::new(2, &[("fleet.wrong-people-hourly", "3")]);
        for uid in 1..=9 {
            fleet.enrol(uid);
        }
        fleet.pass(1, 9, 7);
        // A right code after it takes a wrong one back, and one person counts once.
        fleet.fail(1, 9, 0);
        fleet.pass(1, 9, 8);
        for uid in [1, 1, 1, 2, 3] {
            assert_eq!(fleet.fail(1, uid, 0), None);
        }
        assert_eq!(fleet.admit(1, 5, 0), HostAdmission::Admitted);
        assert_eq!(fleet.events("host-cut-off"), 0);
        fleet.fail(1, 4, 0);
        assert_eq!(fleet.events("host-cut-off"), 1);
        // For good, also for those about whom it asked before.
        for after in [0, 1_000_000] {
            assert_eq!(fleet.admit(1, 5, after), HostAdmission::CutOff);
            assert_eq!(fleet.admit(1, 77, after), HostAdmission::CutOff);
            assert_eq!(fleet.admit(1, 9, after), HostAdmission::Admitted);
            assert_eq!(fleet.admit(2, 5, after), HostAdmission::Admitted);
        }
        let host = &fleet.store.hosts().unwrap()[0];
        assert_eq!(host.cut_off_at, Some(fleet.bench.now));
        let unlock = |name| {
            let now = fleet.bench.now.after(1);
            fleet.store.unlock_host(name, &origin(), now).unwrap()
        };
        assert_eq!(unlock("web1"), Some(true));
        assert_eq!((unlock("web1"), unlock("web9")), (Some(false), None));
        assert_eq!(fleet.admit(1, 5, 1), HostAdmission::Admitted);
        // What came before the unlocking is not held against it again.
        fleet.fail(1, 5, 2);
        assert_eq!(fleet.events("host-cut-off"), 1);
        assert_eq!(fleet.events("host-unlocked"), 1);
    }

    #[test]
    fn wrong_codes_are_forgotten_for_the_cut_off_after_an_hour() {
        let fleet = Fleet::new(1, &[("fleet.wrong-people-hourly", "3")]);
        for uid in 1..=8 {
            fleet.enrol(uid);
            fleet.fail(1, uid, u64::from(uid) * 1_300);
        }
        assert_eq!(fleet.events("host-cut-off"), 0);
    }

    #[test]
    fn ten_wrong_codes_lock_on_the_host_and_twenty_close_it_until_an_administrator_comes() {
        let fleet = Fleet::new(2, &[]);
        fleet.enrol(1);
        for _ in 0..10 {
            assert_eq!(fleet.fail(1, 1, 0), None);
        }
        let until = fleet.bench.now.after(900);
        assert_eq!(fleet.fail(1, 1, 899), Some(Lock::Until(until)));
        assert_eq!(fleet.fail(2, 1, 0), None);
        for _ in 0..10 {
            assert_eq!(fleet.fail(1, 1, 900), None);
        }
        let year = 365 * 86_400;
        assert_eq!(fleet.fail(1, 1, year), Some(Lock::Administrator));
        assert_eq!(fleet.fail(2, 1, year), None);
        let (alice, now) = (person(1), fleet.bench.now);
        assert!(fleet.store.unlock(&alice, &origin(), now).unwrap());
        assert_eq!(fleet.fail(1, 1, year), None);
    }

    #[test]
    fn fifty_of_three_hosts_lock_everywhere_for_a_day_and_a_hundred_of_five_for_good() {
        let fleet = Fleet::new(6, &[]);
        fleet.enrol(1);
        let day = 86_400;
        let mut after = 0;
        let mut fail = |host: u8, times: u32| {
            for _ in 0..times {
                // After any lock of the host alone.
                after += 2 * day;
                assert_eq!(fleet.fail(host, 1, after), None, "{host}");
            }
            after
        };
        // The 21st and further of one host would count for nothing, and are refused.
        fail(1, 20);
        fail(2, 20);
        fail(3, 9);
        let last = fail(3, 1);
        let until = fleet.bench.now.after(last + day);
        for host in [3, 4] {
            assert_eq!(
                fleet.fail(host, 1, last + day - 1),
                Some(Lock::Until(until))
            );
        }
        let own = || {
            let now = fleet.bench.now.after(last);
            let counted = fleet
                .store
                .count_attempt(&person(1), Tally::Proved, &origin(), now);
            matches!(counted.unwrap(), Counted::Locked(_))
        };
        assert!(own());
        fail(3, 10);
        fail(4, 20);
        let last = fail(5, 20);
        assert_eq!(
            fleet.fail(6, 1, last + 365 * day),
            Some(Lock::Administrator)
        );
        assert!(own());
    }

    #[test]
    fn codes_for_logins_on_one_host_are_limited_and_those_of_others_are_not() {
        let fleet = Fleet::new(2, &[("send.host-hourly", "2")]);
        let send = |uid: u32, origin: &Origin| {
            let (account, to) = (person(uid), format!("{uid}@example.org"));
            let now = fleet.bench.now.after(uid.into());
            let begun = fleet
                .store
                .begin_code(Channel::Email, &account, &to, origin, now);
            begun.unwrap()
        };
        assert_eq!(send(1, &on(1)), SendStart::Allowed);
        assert_eq!(send(2, &on(1)), SendStart::Allowed);
        let refused = SendStart::TooMany {
            what: SendLimit::Host,
            next: fleet.bench.now.after(3_601),
        };
        assert_eq!(send(3, &on(1)), refused);
        assert_eq!(send(4, &on(2)), SendStart::Allowed);
        assert_eq!(send(5, &origin()), SendStart::Allowed);
        let notice = fleet.store.begin_send(
            SendKind::Notice,
            &person(6),
            "6@example.org",
            fleet.bench.now,
        );
        assert_eq!(notice.unwrap(), SendStart::Allowed);
    }

    #[test]
    fn the_logins_of_a_host_are_counted() {
        let fleet = Fleet::new(2, &[]);
        fleet.enrol(1);
        for step in 1..=3 {
            fleet.pass(1, 1, step);
        }
        fleet.fail(2, 1, 0);
        let logins = fleet.store.host_logins().unwrap();
        assert_eq!((logins["1"], logins["2"]), (3, 0));
        fleet
            .store
            .note_host_seen("1", "0.1.0", fleet.bench.now)
            .unwrap();
        let host = &fleet.store.hosts().unwrap()[0];
        assert_eq!(host.version.as_deref(), Some("0.1.0"));
    }
}
