use super::*;
use crate::own_rescue::RescueStart;
use crate::sql::fleet::HostRights;
use crate::testing::{Bench, alice, bob, joined_fleet, origin};
use crate::{HostJoin, NewHost};
use std::sync::atomic::{AtomicI64, Ordering};

const KEY: [u8; 32] = [2; 32];
const DAY: u64 = 86_400;

/// A server with the host `web1`, and that host.
struct Fleet {
    server: (Bench, Store),
    host: (Bench, Store),
    number: AtomicI64,
}

impl Fleet {
    fn new() -> Self {
        let (server, host) = (Bench::new(), Bench::new());
        let (at_server, at_host) = (server.create(), host.create());
        let new = NewHost {
            id: "h".into(),
            name: "web1".into(),
            rights: HostRights::default(),
            token: [1; 32],
        };
        at_server.add_host(&new, &origin(), server.now).unwrap();
        let join = HostJoin {
            token: [1; 32],
            key: KEY,
            key_until: server.now.after(400 * DAY),
        };
        let joined = at_server.join_host(join, &origin(), server.now);
        assert!(joined.unwrap());
        let (joined, policy) = joined_fleet(host.now);
        let joined = at_host.join_fleet(&joined, &policy, &origin(), host.now);
        joined.unwrap();
        Self {
            server: (server, at_server),
            host: (host, at_host),
            number: AtomicI64::new(1),
        }
    }

    fn now(&self) -> Timestamp {
        self.server.0.now
    }

    fn drawn(&self) -> NewRescueSet {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let seed = u8::try_from(number).unwrap();
        let codes = twofa_core::rescue::codes(&[0, 1, 2, 3, 4].map(|it| [seed * 5 + it; 10]));
        let set = RescueSet::hash(number, &codes, "h", [seed; 16]).unwrap();
        NewRescueSet { codes, set }
    }

    /// The host asks once, and takes the answer unless it is `lost`.
    fn ask(&self, after: u64, is_lost: bool) {
        let (server, host) = (&self.server.1, &self.host.1);
        let now = self.now().after(after);
        let told = host.own_rescue().unwrap();
        let news = server.take_rescue_report(&KEY, &told.report, DAY, &[alice()], &origin(), now);
        let mut news = news.unwrap();
        assert_eq!(news.host, "h");
        if news.is_due {
            let next = server.add_rescue_set(&KEY, &self.drawn(), &origin(), now);
            news.next = Some(next.unwrap());
        }
        if !is_lost {
            let next = news.next.as_ref();
            host.take_rescue_news(&told, news.confirmed, next).unwrap();
        }
    }

    /// The host asks until there is nothing new.
    fn contact(&self, after: u64) {
        for _ in 0..3 {
            self.ask(after, false);
        }
    }

    fn show(&self, after: u64) -> Option<BackupCode> {
        let (store, now) = (&self.server.1, self.now().after(after));
        let shown = store.show_rescue_code("web1", "disk full", &[alice()], &origin(), now);
        match shown.unwrap() {
            ShownRescueCode::Code(code) => Some(code),
            ShownRescueCode::AllShown => None,
            other => panic!("{other:?}"),
        }
    }

    fn try_code(&self, account: &Account, code: &BackupCode) -> Option<bool> {
        let (bench, store) = &self.host;
        match store.begin_rescue(account, &origin(), bench.now).unwrap() {
            RescueStart::Refused => None,
            RescueStart::Attempt(attempt) => Some(match attempt.find(code).unwrap() {
                None => false,
                Some(found) => store
                    .use_rescue_code(account, found, &origin(), bench.now)
                    .unwrap(),
            }),
        }
    }
}

fn root() -> Account {
    Account {
        name: "root".into(),
        uid: 0,
    }
}

fn wrong() -> BackupCode {
    BackupCode::from_random([255; 10])
}

#[test]
fn a_code_that_a_server_shows_works_once_on_the_host_without_contact() {
    let fleet = Fleet::new();
    let none = fleet
        .server
        .1
        .show_rescue_code("web1", "x", &[], &origin(), fleet.now());
    assert!(matches!(none.unwrap(), ShownRescueCode::NoCodes));
    fleet.contact(0);
    let code = fleet.show(0).unwrap();
    assert!(fleet.host.1.may_try_rescue_code(&root()).unwrap());
    assert_eq!(fleet.try_code(&root(), &code), Some(true));
    assert_eq!(fleet.try_code(&root(), &code), Some(false));
    assert_eq!(fleet.try_code(&alice(), &code), Some(false));
    let passed = Event::Passed {
        by: crate::event::Proof::RescueCode,
    };
    assert_eq!(
        Bench::log(&fleet.host.1)
            .iter()
            .filter(|it| **it == passed)
            .count(),
        1
    );
}

#[test]
fn all_codes_are_replaced_at_the_contact_after_a_use_which_the_log_of_the_server_has() {
    let fleet = Fleet::new();
    fleet.server.0.verify(
        &fleet.server.1,
        &alice(),
        twofa_core::Channel::Email,
        "a@example.org",
    );
    fleet.server.0.take_notices(&fleet.server.1);
    fleet.contact(0);
    let codes: Vec<_> = (0..5).map_while(|_| fleet.show(0)).collect();
    assert_eq!(codes.len(), 5);
    assert!(fleet.show(0).is_none(), "each is shown once");
    assert_eq!(fleet.try_code(&root(), &codes[1]), Some(true));
    assert!(fleet.host.1.own_rescue().unwrap().is_urgent());
    fleet.contact(60);
    assert!(!fleet.host.1.own_rescue().unwrap().is_urgent());
    for old in &codes[2..] {
        assert_eq!(fleet.try_code(&bob(), old), Some(false));
    }
    let new = fleet.show(60).unwrap();
    assert!(!codes.contains(&new));
    assert_eq!(fleet.try_code(&root(), &new), Some(true));
    let used = Event::RescueUsed {
        name: "web1".into(),
        of_user: "root".into(),
        of_service: "sshd".into(),
        since: fleet.host.0.now.unix(),
    };
    let shown = Event::RescueShown {
        name: "web1".into(),
        reason: "disk full".into(),
    };
    let log = Bench::log(&fleet.server.1);
    assert_eq!(log.iter().filter(|it| **it == used).count(), 1);
    assert_eq!(log.iter().filter(|it| **it == shown).count(), 6);
    // The administrator is told of each.
    let told = fleet.server.0.take_notices(&fleet.server.1);
    assert_eq!(told.len(), 7, "{told:?}");
}

#[test]
fn a_code_that_was_shown_ends_at_the_contact_after_its_lifetime() {
    let fleet = Fleet::new();
    fleet.contact(0);
    let code = fleet.show(0).unwrap();
    fleet.contact(DAY - 1);
    assert_eq!(fleet.try_code(&alice(), &wrong()), Some(false));
    fleet.contact(DAY);
    assert_eq!(fleet.try_code(&root(), &code), Some(false));
    let fresh = fleet.show(DAY).unwrap();
    assert_ne!(code, fresh);
}

#[test]
fn whatever_answer_is_lost_the_code_that_a_server_shows_is_one_that_the_host_takes() {
    for lost in 0..4 {
        let fleet = Fleet::new();
        fleet.contact(0);
        let first = fleet.show(0).unwrap();
        assert_eq!(fleet.try_code(&root(), &first), Some(true));
        for round in 0..4 {
            fleet.ask(60, round == lost);
            let code = fleet.show(60).unwrap();
            assert_eq!(fleet.try_code(&root(), &code), Some(true), "{lost} {round}");
        }
    }
}

#[test]
fn five_wrong_codes_lock_one_account_also_across_restarts_and_new_codes_open_it() {
    let fleet = Fleet::new();
    fleet.contact(0);
    let code = fleet.show(0).unwrap();
    for _ in 0..5 {
        assert_eq!(fleet.try_code(&alice(), &wrong()), Some(false));
    }
    assert_eq!(fleet.try_code(&alice(), &code), None);
    assert!(!fleet.host.1.may_try_rescue_code(&alice()).unwrap());
    let Fleet {
        server,
        host: (bench, store),
        number,
    } = fleet;
    drop(store);
    let store = Store::open(bench.location.clone()).unwrap();
    let fleet = Fleet {
        server,
        host: (bench, store),
        number,
    };
    assert_eq!(fleet.try_code(&alice(), &code), None);
    // Another account's wrong codes keep nobody out, and a right one is not counted.
    assert_eq!(fleet.try_code(&root(), &code), Some(true));
    // A lock alone gives new codes once an hour.
    fleet.contact(0);
    assert!(fleet.host.1.may_try_rescue_code(&alice()).unwrap());
}

#[test]
fn a_lock_gives_a_host_new_codes_once_an_hour() {
    let fleet = Fleet::new();
    fleet.contact(0);
    for _ in 0..5 {
        fleet.try_code(&alice(), &wrong());
    }
    fleet.contact(AFTER_LOCK - 1);
    assert!(!fleet.host.1.may_try_rescue_code(&alice()).unwrap());
    fleet.contact(AFTER_LOCK);
    assert!(fleet.host.1.may_try_rescue_code(&alice()).unwrap());
}

#[test]
fn a_host_that_was_set_back_or_has_lost_its_codes_gets_others() {
    let fleet = Fleet::new();
    fleet.contact(0);
    let old = fleet.host.1.own_rescue().unwrap().report.held;
    Bench::execute(&fleet.host.1, "UPDATE own_rescue_set SET number = 7");
    fleet.contact(60);
    let new = fleet.host.1.own_rescue().unwrap().report.held;
    assert!(new.is_some() && new != old && new != Some(7));
    let code = fleet.show(60).unwrap();
    assert_eq!(fleet.try_code(&root(), &code), Some(true));
    Bench::execute(&fleet.host.1, "DELETE FROM own_rescue_set");
    assert_eq!(fleet.try_code(&root(), &code), None);
    fleet.contact(60);
    let code = fleet.show(60).unwrap();
    assert_eq!(fleet.try_code(&root(), &code), Some(true));
}

#[test]
fn only_a_host_in_force_is_given_codes_and_they_go_with_it() {
    let fleet = Fleet::new();
    fleet.contact(0);
    let (bench, store) = &fleet.server;
    assert!(store.remove_host("web1", &origin(), bench.now).unwrap());
    let report = RescueReport::default();
    let refused = store.take_rescue_report(&KEY, &report, DAY, &[], &origin(), bench.now);
    assert!(matches!(refused, Err(StoreError::HostRefused)));
    let refused = store.add_rescue_set(&KEY, &fleet.drawn(), &origin(), bench.now);
    assert!(matches!(refused, Err(StoreError::HostRefused)));
    assert_eq!(Bench::number(store, "SELECT count(*) FROM rescue_set"), 0);
}

#[test]
fn a_host_that_leaves_its_fleet_takes_no_code_any_longer() {
    let fleet = Fleet::new();
    fleet.contact(0);
    let code = fleet.show(0).unwrap();
    let (bench, store) = &fleet.host;
    store.leave_fleet(&origin(), bench.now).unwrap().unwrap();
    assert_eq!(fleet.try_code(&root(), &code), None);
    assert!(!store.may_try_rescue_code(&root()).unwrap());
}

#[test]
fn of_logins_with_one_code_at_once_one_passes() {
    let fleet = Fleet::new();
    fleet.contact(0);
    let code = fleet.show(0).unwrap();
    let fleet = &fleet;
    let passed = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| fleet.try_code(&root(), &code)))
            .collect();
        let ended = tries.into_iter().map(|it| it.join().unwrap());
        ended.filter(|it| *it == Some(true)).count()
    });
    assert_eq!(passed, 1);
}

#[test]
fn the_codes_are_sealed_again_with_a_new_key_and_are_nowhere_in_plain() {
    let fleet = Fleet::new();
    fleet.contact(0);
    let (bench, store) = &fleet.server;
    let owner = bench.owner;
    Store::add_sealing_key(&bench.location, owner).unwrap();
    assert!(store.seal_again(&origin(), bench.now).unwrap() > 0);
    assert_eq!(store.rekeying().unwrap().left(), 0);
    Store::drop_sealing_keys(&bench.location, owner).unwrap();
    let code = fleet.show(0).unwrap();
    assert_eq!(fleet.try_code(&root(), &code), Some(true));
    let sealed = store.read(|view| rescue::of_host(view.db, "h")).unwrap();
    for record in sealed {
        let found = record
            .codes
            .windows(16)
            .any(|it| it == code.bare().as_bytes());
        assert!(!found);
    }
}
