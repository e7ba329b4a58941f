//! How often somebody may change a record whom no code has proved to be its owner.

use twofa_core::{Account, Timestamp};

use crate::database::Store;
use crate::error::StoreError;

const HOUR: u64 = 3_600;
/// So many changes of one account in an hour: more than people need to set up their methods, and so few that a
/// program cannot keep the disk busy with them.
const MOST_IN_AN_HOUR: u32 = 10;

impl Store {
    /// Counts a change to the record of `account` that is about to be made and that no code has proved, unless there
    /// were too many within an hour. Answers when the next is possible if there were.
    ///
    /// Not synced: it spares the disk. The change's own commit keeps it.
    ///
    /// A clock that has gone back neither opens the limit nor keeps it shut: what was changed in what is the future now
    /// counts as changed now.
    pub fn begin_unproved_change(
        &self,
        account: &Account,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.write_unsynced(|db| {
            let sql = "UPDATE unproved_change SET at = ?1 WHERE at > ?1";
            db.prepare_cached(sql)?.execute([now.unix()])?;
            let sql = "DELETE FROM unproved_change WHERE at <= ?1";
            db.prepare_cached(sql)?.execute([now.before(HOUR).unix()])?;
            let sql = "SELECT count(*), min(at) FROM unproved_change WHERE name = ?1 AND uid = ?2";
            let (count, oldest): (u32, Option<i64>) = db
                .prepare_cached(sql)?
                .query_one((&account.name, account.uid), |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?;
            if let Some(oldest) = oldest.filter(|_| count >= MOST_IN_AN_HOUR) {
                return Ok(Some(Timestamp::from_unix(oldest).after(HOUR)));
            }
            let sql = "INSERT INTO unproved_change (at, name, uid) VALUES (?1, ?2, ?3)";
            db.prepare_cached(sql)?
                .execute((now.unix(), &account.name, account.uid))?;
            Ok(None)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, alice, bob};

    #[test]
    fn ten_changes_in_an_hour_that_rolls_and_others_are_not_held_up() {
        let bench = Bench::new();
        let store = bench.create();
        let (alice, bob) = (alice(), bob());
        let change = |account, after| {
            store
                .begin_unproved_change(account, bench.now.after(after))
                .unwrap()
        };
        for n in 0..10 {
            assert_eq!(change(&alice, n * 60), None);
        }
        for _ in 0..3 {
            assert_eq!(change(&alice, 600), Some(bench.now.after(3_600)));
        }
        assert_eq!(change(&alice, 3_599), Some(bench.now.after(3_600)));
        assert_eq!(change(&bob, 3_599), None);
        assert_eq!(change(&alice, 3_600), None);
        assert_eq!(change(&alice, 3_600), Some(bench.now.after(3_660)));
    }

    #[test]
    fn another_broker_counts_on() {
        let bench = Bench::new();
        let store = bench.create();
        for _ in 0..10 {
            assert_eq!(
                store.begin_unproved_change(&alice(), bench.now).unwrap(),
                None
            );
        }
        drop(store);
        let store = Store::open(bench.location.clone()).unwrap();
        assert!(
            store
                .begin_unproved_change(&alice(), bench.now)
                .unwrap()
                .is_some()
        );
    }

    #[test]
    fn a_clock_that_went_back_keeps_the_limit_shut_for_no_more_than_an_hour() {
        let bench = Bench::new();
        let store = bench.create();
        for _ in 0..10 {
            store
                .begin_unproved_change(&alice(), bench.now.after(1_000_000))
                .unwrap();
        }
        let next = store.begin_unproved_change(&alice(), bench.now).unwrap();
        assert_eq!(next, Some(bench.now.after(3_600)));
        assert_eq!(
            store
                .begin_unproved_change(&alice(), bench.now.after(3_600))
                .unwrap(),
            None
        );
    }
}
