//! How much is sent: every code costs something, and whoever gets too many is being pestered.

use rusqlite::{OptionalExtension, Params, Transaction};
use twofa_core::{Account, Timestamp};

use crate::addresses::AddressKind;
use crate::database::Store;
use crate::error::StoreError;
use crate::users;

const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;
/// How many old rows one send removes at most: more than it adds, so that they go, and so few that nobody waits for it.
const PRUNED_AT_ONCE: u32 = 64;

/// Whether a code may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendStart {
    /// It may, and is counted.
    Allowed,
    /// Too many were sent; this one is not counted.
    TooMany {
        /// To whom or by whom; of several, the one that holds longest.
        what: SendLimit,
        /// When the next one is possible.
        next: Timestamp,
    },
}

/// What is sent. Each has limits of its own, so that notices do not use up the codes that people log in with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendKind {
    /// A code, or a question to a provider on somebody's behalf.
    Code,
    /// A notice.
    Notice,
}

/// Of what there is a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendLimit {
    /// To one user in an hour, whichever address it goes to.
    User,
    /// To one address in a day: whoever has it on record alone, everybody else together.
    Address,
    /// By this machine in an hour.
    Machine,
}

impl Store {
    /// Counts `what` for `account` that is about to be sent to `address`, unless that is more than the machine's policy
    /// allows. It counts from now on, whether it arrives or not; the account needs no record.
    ///
    /// Not synced: it guards money and patience, not the door. A power cut forgets the last few, which then can be sent
    /// once more; every login's own commits keep them before that.
    ///
    /// A clock that has gone back neither opens a limit nor keeps one shut: what was sent in what is the future now
    /// counts as sent now, so that it is over when its hour or day is.
    pub fn begin_send(
        &self,
        what: SendKind,
        account: &Account,
        address: &str,
        now: Timestamp,
    ) -> Result<SendStart, StoreError> {
        let is_notice = what == SendKind::Notice;
        // Another spelling of an address is no other mailbox.
        let address = address.trim().to_lowercase();
        self.write_unsynced(|db| {
            let limits = self.rules(db)?.rulebook.machine().limits;
            pull_back_the_future(db, now)?;
            prune(db, now)?;
            // The send that is as many before this one as the limit allows: until it is older than the limit's time, it
            // is one too many.
            let of_user = nth_newest(
                db,
                "SELECT at FROM send WHERE name = ?1 AND uid = ?2 AND is_notice = ?4
                 ORDER BY id DESC LIMIT 1 OFFSET ?3 - 1",
                (&account.name, account.uid, limits.user_hourly, is_notice),
            )?;
            let to_address = if is_of(db, account, &address)? {
                // Others who try to enrol somebody's address must not keep its owner from logging in.
                nth_newest(
                    db,
                    "SELECT at FROM send WHERE address = ?1 AND name = ?2 AND uid = ?3 AND is_notice = ?5
                     ORDER BY id DESC LIMIT 1 OFFSET ?4 - 1",
                    (&address, &account.name, account.uid, limits.address_daily, is_notice),
                )?
            } else {
                nth_newest(
                    db,
                    "SELECT at FROM send WHERE address = ?1 AND is_notice = ?3
                     ORDER BY id DESC LIMIT 1 OFFSET ?2 - 1",
                    (&address, limits.address_daily, is_notice),
                )?
            };
            // Numbers have no gaps, so that nothing has to be counted.
            let of_machine = nth_newest(
                db,
                "SELECT at FROM send WHERE id = (SELECT max(id) FROM send) - ?1 + 1",
                [limits.machine_hourly],
            )?;
            let next = [
                (SendLimit::User, of_user, HOUR),
                (SendLimit::Address, to_address, DAY),
                (SendLimit::Machine, of_machine, HOUR),
            ]
            .into_iter()
            .filter_map(|(what, sent_at, window)| Some((what, sent_at?.after(window))))
            .filter(|(_, next)| *next > now)
            .max_by_key(|(_, next)| *next);
            if let Some((what, next)) = next {
                return Ok(SendStart::TooMany { what, next });
            }
            db.prepare_cached(
                "INSERT INTO send (at, name, uid, address, is_notice) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute((now.unix(), &account.name, account.uid, &address, is_notice))?;
            Ok(SendStart::Allowed)
        })
    }
}

/// Whether `address`, in lower case, is one of `account`: verified, or put on file for it.
fn is_of(db: &Transaction<'_>, account: &Account, address: &str) -> Result<bool, StoreError> {
    let Some(stored) = users::find(db, account)? else { return Ok(false) };
    let own = [AddressKind::Email, AddressKind::Phone].map(|which| stored.contact(which));
    Ok(own.into_iter().flatten().any(|own| own.address.to_lowercase() == address))
}

fn nth_newest(
    db: &Transaction<'_>,
    sql: &str,
    parameters: impl Params,
) -> Result<Option<Timestamp>, StoreError> {
    let sent_at = db.prepare_cached(sql)?.query_row(parameters, |row| row.get(0)).optional()?;
    Ok(sent_at.map(Timestamp::from_unix))
}

/// Sees to it that no send is later than `now`. Newest first, and no further than they are.
fn pull_back_the_future(db: &Transaction<'_>, now: Timestamp) -> Result<(), StoreError> {
    let newest: Option<i64> = db
        .prepare_cached("SELECT at FROM send ORDER BY id DESC LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    if newest.is_some_and(|newest| newest > now.unix()) {
        let sql = "UPDATE send SET at = ?1
                   WHERE id > coalesce((SELECT id FROM send WHERE at <= ?1 ORDER BY id DESC LIMIT 1), 0)";
        db.prepare_cached(sql)?.execute([now.unix()])?;
    }
    Ok(())
}

/// Removes the oldest sends that no limit asks for any more.
fn prune(db: &Transaction<'_>, now: Timestamp) -> Result<(), StoreError> {
    let sql = "DELETE FROM send WHERE id < (SELECT min(id) FROM send) + ?1 AND at <= ?2";
    db.prepare_cached(sql)?.execute((PRUNED_AT_ONCE, now.before(DAY).unix()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, alice, bob, origin};
    use std::sync::Barrier;

    const A: &str = "alice@example.org";

    fn limited(bench: &Bench, limits: [(&str, &str); 3]) -> Store {
        let store = bench.create();
        store.change_policy(limits, &origin(), bench.now).unwrap();
        store
    }

    fn limits<'a>(user: &'a str, address: &'a str, machine: &'a str) -> [(&'a str, &'a str); 3] {
        [("send.user-hourly", user), ("send.address-daily", address), ("send.machine-hourly", machine)]
    }

    fn too_many(what: SendLimit, next: Timestamp) -> SendStart {
        SendStart::TooMany { what, next }
    }

    fn waiting(store: &Store) -> i64 {
        store.read(|db| Ok(db.query_one("SELECT count(*) FROM send", [], |row| row.get(0))?)).unwrap()
    }

    #[test]
    fn a_user_gets_so_many_in_an_hour_that_rolls() {
        let bench = Bench::new();
        let store = limited(&bench, limits("2", "100", "100"));
        let send = |after, address| {
            store.begin_send(SendKind::Code, &alice(), address, bench.now.after(after)).unwrap()
        };
        assert_eq!(send(0, A), SendStart::Allowed);
        assert_eq!(send(600, "+4930123456"), SendStart::Allowed);
        assert_eq!(send(601, A), too_many(SendLimit::User, bench.now.after(3_600)));
        assert_eq!(send(3_599, A), too_many(SendLimit::User, bench.now.after(3_600)));
        assert_eq!(send(3_600, A), SendStart::Allowed);
        assert_eq!(send(3_600, A), too_many(SendLimit::User, bench.now.after(4_200)));
        // Another user is not held up, nor another with the same name.
        for other in [bob(), Account { uid: 2000, ..alice() }] {
            assert_eq!(
                store.begin_send(SendKind::Code, &other, A, bench.now.after(3_600)).unwrap(),
                SendStart::Allowed
            );
        }
    }

    #[test]
    fn whoever_asks_for_codes_to_another_ones_address_takes_none_of_the_owners() {
        let bench = Bench::new();
        let store = limited(&bench, limits("100", "2", "100"));
        bench.verify(&store, &alice(), AddressKind::Email, A);
        let send = |account: &Account| store.begin_send(SendKind::Code, account, A, bench.now).unwrap();
        assert_eq!([send(&bob()), send(&bob())], [SendStart::Allowed; 2]);
        assert_eq!(send(&bob()), too_many(SendLimit::Address, bench.now.after(86_400)));
        assert_eq!([send(&alice()), send(&alice())], [SendStart::Allowed; 2]);
        assert_eq!(send(&alice()), too_many(SendLimit::Address, bench.now.after(86_400)));
    }

    #[test]
    fn an_address_gets_so_many_in_a_day_whoever_asks_and_however_it_is_spelled() {
        let bench = Bench::new();
        let store = limited(&bench, limits("100", "2", "100"));
        let send = |account: &Account, address, after| {
            store.begin_send(SendKind::Code, account, address, bench.now.after(after)).unwrap()
        };
        assert_eq!(send(&alice(), A, 0), SendStart::Allowed);
        assert_eq!(send(&bob(), "Alice@EXAMPLE.org", 10), SendStart::Allowed);
        for account in [alice(), bob()] {
            assert_eq!(send(&account, A, 86_399), too_many(SendLimit::Address, bench.now.after(86_400)));
            assert_eq!(send(&account, "other@example.org", 20), SendStart::Allowed);
        }
    }

    #[test]
    fn the_machine_sends_so_many_in_an_hour() {
        let bench = Bench::new();
        let store = limited(&bench, limits("100", "100", "3"));
        for i in 0..3 {
            let account = Account { name: format!("user{i}"), uid: 1000 + i };
            let start = store.begin_send(
                SendKind::Code,
                &account,
                &format!("{i}@example.org"),
                bench.now.after(u64::from(i)),
            );
            assert_eq!(start.unwrap(), SendStart::Allowed);
        }
        let next = |after| store.begin_send(SendKind::Code, &bob(), A, bench.now.after(after)).unwrap();
        assert_eq!(next(3), too_many(SendLimit::Machine, bench.now.after(3_600)));
        assert_eq!(next(3_600), SendStart::Allowed);
        assert_eq!(next(3_600), too_many(SendLimit::Machine, bench.now.after(3_601)));
    }

    #[test]
    fn of_several_limits_the_one_that_holds_longest_is_told() {
        let bench = Bench::new();
        let store = limited(&bench, limits("1", "1", "1"));
        let send = |address| store.begin_send(SendKind::Code, &alice(), address, bench.now).unwrap();
        assert_eq!(send(A), SendStart::Allowed);
        assert_eq!(send(A), too_many(SendLimit::Address, bench.now.after(86_400)));
        assert!(
            matches!(send("other@example.org"), SendStart::TooMany { next, .. } if next == bench.now.after(3_600))
        );
    }

    #[test]
    fn what_is_refused_does_not_count() {
        let bench = Bench::new();
        let store = limited(&bench, limits("1", "100", "100"));
        for after in [0, 1, 3_599] {
            store.begin_send(SendKind::Code, &alice(), A, bench.now.after(after)).unwrap();
        }
        assert_eq!(waiting(&store), 1);
        assert_eq!(
            store.begin_send(SendKind::Code, &alice(), A, bench.now.after(3_600)).unwrap(),
            SendStart::Allowed
        );
    }

    #[test]
    fn of_64_at_once_as_many_are_sent_as_the_limit_allows() {
        for limit in
            [limits("10", "1000", "1000"), limits("1000", "10", "1000"), limits("1000", "1000", "10")]
        {
            let bench = Bench::new();
            let stores = [limited(&bench, limit), Store::open(bench.location.clone()).unwrap()];
            let start = Barrier::new(64);
            let racer = |i: usize| {
                start.wait();
                stores[i % 2].begin_send(SendKind::Code, &alice(), A, bench.now).unwrap()
                    == SendStart::Allowed
            };
            let allowed = std::thread::scope(|scope| {
                let racer = &racer;
                let racers: Vec<_> = (0..64).map(|i| scope.spawn(move || racer(i))).collect();
                racers.into_iter().map(|racer| racer.join().unwrap()).filter(|allowed| *allowed).count()
            });
            assert_eq!(allowed, 10, "{limit:?}");
        }
    }

    #[test]
    fn a_clock_that_went_back_opens_no_limit_and_keeps_none_shut() {
        let bench = Bench::new();
        let store = limited(&bench, limits("2", "100", "100"));
        let send = |now| store.begin_send(SendKind::Code, &alice(), A, now).unwrap();
        // Once while the clock was right, once while it was ten years ahead.
        send(bench.now);
        let ahead = bench.now.after(10 * 365 * 86_400);
        assert_eq!(send(ahead), SendStart::Allowed);
        assert_eq!(send(ahead), SendStart::Allowed);
        let back = bench.now.after(60);
        assert_eq!(send(back), too_many(SendLimit::User, back.after(3_600)));
        assert_eq!(send(back.after(3_600)), SendStart::Allowed);
        // And a second or two.
        send(back.after(3_600));
        assert_eq!(send(back.after(3_598)), too_many(SendLimit::User, back.after(3_598 + 3_600)));
    }

    #[test]
    fn sends_that_no_limit_asks_for_are_removed_a_few_at_a_time() {
        let bench = Bench::new();
        let store = limited(&bench, limits("1000", "1000", "1000"));
        for i in 0..200 {
            store.begin_send(SendKind::Code, &alice(), A, bench.now.after(i)).unwrap();
        }
        let later = bench.now.after(86_400 + 99);
        store.begin_send(SendKind::Code, &alice(), A, later).unwrap();
        assert_eq!(waiting(&store), 200 - 64 + 1);
        for _ in 0..3 {
            store.begin_send(SendKind::Code, &alice(), A, later).unwrap();
        }
        assert_eq!(waiting(&store), 100 + 4, "the last hundred are younger than a day");
    }

    #[test]
    fn no_limit_looks_through_all_sends() {
        let bench = Bench::new();
        let store = bench.create();
        let plans = [
            "SELECT at FROM send WHERE name = 'a' AND uid = 1 AND is_notice = 0 ORDER BY id DESC LIMIT 1 OFFSET 9",
            "SELECT at FROM send WHERE address = 'a' AND is_notice = 0 ORDER BY id DESC LIMIT 1 OFFSET 9",
            "SELECT at FROM send WHERE id = (SELECT max(id) FROM send) - 9",
        ];
        for sql in plans {
            let plan: String = store
                .read(|db| {
                    let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
                    let steps = statement.query_map([], |row| row.get::<_, String>(3))?;
                    Ok(steps.collect::<Result<Vec<_>, _>>()?.join("; "))
                })
                .unwrap();
            assert!(plan.contains("SEARCH send USING") && !plan.contains("TEMP B-TREE"), "{sql}: {plan}");
        }
    }

    #[test]
    fn notices_take_nothing_from_codes() {
        let bench = Bench::new();
        let store = limited(&bench, limits("1", "1", "100"));
        let send = |what| store.begin_send(what, &alice(), A, bench.now).unwrap();
        assert_eq!(send(SendKind::Notice), SendStart::Allowed);
        assert_eq!(send(SendKind::Notice), too_many(SendLimit::Address, bench.now.after(86_400)));
        assert_eq!(send(SendKind::Code), SendStart::Allowed);
    }

    #[test]
    fn a_limit_does_not_need_a_record() {
        let bench = Bench::new();
        let store = bench.create();
        assert_eq!(store.begin_send(SendKind::Code, &alice(), A, bench.now).unwrap(), SendStart::Allowed);
        assert!(!store.knows(&alice()).unwrap());
    }
}
