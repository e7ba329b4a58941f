//! A limit on changes to a record by a person whom no code has proved to be its owner.

use twofa_core::{Account, Timestamp};

use crate::database::Store;
use crate::error::StoreError;
use crate::sql::unproved;

const HOUR: u64 = 3_600;
/// So many changes of one account in an hour: more than people need to set up their methods, and so few that a
/// program cannot keep the disk busy with them.
const MOST_IN_AN_HOUR: u32 = 10;

impl Store {
    /// Counts a change to the record of `account` that is about to be made and that no code has proved, unless there
    /// were too many within an hour. Returns when the next is possible if there were.
    ///
    /// Not synced, to save disk writes: the sync of the change itself includes it.
    ///
    /// A clock that has gone back neither lifts the limit nor extends it: a change whose time now lies in the future
    /// counts as made now.
    pub fn begin_unproved_change(
        &self,
        account: &Account,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.write_unsynced(|view| {
            view.db.lock("unproved changes", &account.name)?;
            unproved::pull_changes_back(view.db, now)?;
            unproved::delete_changes(view.db, now.before(HOUR))?;
            let (count, oldest) = unproved::count_changes(view.db, account)?;
            if let Some(oldest) = oldest.filter(|_| count >= MOST_IN_AN_HOUR) {
                return Ok(Some(oldest.after(HOUR)));
            }
            unproved::insert_change(view.db, account, now)?;
            Ok(None)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, alice, bob};

    #[test]
    fn ten_changes_are_allowed_in_a_rolling_hour_and_other_users_are_not_affected() {
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
