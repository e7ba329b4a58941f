//! Notices to users: that something happened to their second factor which they should know of if they did not cause
//! it.
//!
//! [`queue`] is called with every event that makes a notice ([`Event::is_noticed`]), in its transaction. One notice goes to
//! each address that is verified at that moment, by the channels the policy has. They wait here until a broker has sent
//! them, which takes them with [`Store::claim_notices`] and reports the outcome.
//!
//! The bookkeeping of what was sent is not synced. Notices whose outcome a power cut undoes are sent twice.
//!
//! [`Event::is_noticed`]: crate::Event::is_noticed

use std::sync::atomic::Ordering;

use twofa_core::{Account, Channel, Policy, Timestamp};

use crate::database::Store;
use crate::error::StoreError;
use crate::event::{NoticeSource, StoredEvent};
use crate::rules;
use crate::sql::notices::{self, Notice};
use crate::tx::Tx;

/// How long the broker that claimed a notice has for it, in seconds.
const CLAIMED_FOR: u64 = 120;
/// How long after each failure the next try is made, in seconds; after the last again and again.
const DELAYS: [u64; 5] = [60, 300, 900, 3_600, 10_800];
/// How long a notice is tried, in seconds.
const TRIED_FOR: u64 = 86_400;
/// How often it is tried at most, whatever the clock says.
const MOST_TRIES: u32 = 20;
/// How many notices wait for one user.
const KEPT_OF_A_USER: u32 = 100;

/// What happens to a notice that could not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeFate {
    /// It is sent again at this time.
    RetryAt(Timestamp),
    /// It is not sent again.
    GivenUp,
}

impl Store {
    /// At most `most` notices that are due, oldest first. No other caller gets them for two
    /// minutes. Those whose outcome has not been reported by then are due again.
    pub fn claim_notices(&self, now: Timestamp, most: u32) -> Result<Vec<Notice>, StoreError> {
        self.write_unsynced(|view| {
            // One that waits longer than any delay was put off by a clock that has gone back since.
            let longest = DELAYS.into_iter().max().unwrap_or(CLAIMED_FOR);
            notices::claim(
                view.db,
                now,
                now.after(longest),
                now.after(CLAIMED_FOR),
                most,
            )
        })
    }

    /// Forgets a notice that was sent.
    pub fn notice_sent(&self, id: i64) -> Result<(), StoreError> {
        self.write_unsynced(|view| notices::delete(view.db, id))
    }

    /// Puts off a notice that could not be sent: the longer, the more often that happened. After a day it is given up.
    pub fn notice_failed(&self, id: i64, now: Timestamp) -> Result<NoticeFate, StoreError> {
        self.write_unsynced(|view| {
            let Some((at, tries)) = notices::find(view.db, id)? else {
                return Ok(NoticeFate::GivenUp);
            };
            let nth = usize::try_from(tries.saturating_sub(1)).unwrap_or(usize::MAX);
            let delay = DELAYS
                .get(nth)
                .or(DELAYS.last())
                .copied()
                .unwrap_or(CLAIMED_FOR);
            let next = now.after(delay);
            if tries >= MOST_TRIES || next > at.after(TRIED_FOR) {
                notices::delete(view.db, id)?;
                return Ok(NoticeFate::GivenUp);
            }
            notices::put_off(view.db, id, next)?;
            Ok(NoticeFate::RetryAt(next))
        })
    }

    /// When the next notice is due, if any waits. A program that sleeps until then should still look again every few
    /// minutes: other processes queue notices too, and a clock may go back.
    pub fn next_notice_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read(|view| notices::next_due(view.db))
    }
}

/// Queues notices of `event`, which is about `account`.
pub(crate) fn queue(tx: &Tx<'_>, account: &Account, event: &StoredEvent) -> Result<(), StoreError> {
    let Some(user) = tx.find(account)? else {
        return Ok(());
    };
    let verified = |channel| Some((channel, user.verified(channel)?));
    let addresses: Vec<_> = Channel::ALL.into_iter().filter_map(verified).collect();
    if addresses.is_empty() {
        return Ok(());
    }
    // A policy that does not read must not keep anybody from being told, nor an administrator from a reset.
    let allowed = match rules::rulebook_as_stored(tx.db) {
        Err(StoreError::BrokenPolicy(_)) => Policy::default().notices,
        rulebook => rulebook?.machine().notices,
    };
    let source = NoticeSource::from(tx.origin);
    for (channel, address) in addresses {
        if allowed[channel] {
            notices::insert(tx.db, account, channel, address, event, &source, tx.now)?;
            tx.may_have_notices.store(true, Ordering::Relaxed);
        }
    }
    notices::delete_old(tx.db, account, KEPT_OF_A_USER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{AppFields, Attestation, Event, Origin, RefusalReason};
    use crate::testing::{Bench, alice, origin};
    use crate::{CodeAttempt, CodeProof, Counted, Settings, Settlement, Tally};
    use std::sync::Barrier;
    use twofa_core::{BackupCode, BackupSet, Parameters, PerChannel, User};

    const EMAIL: Channel = Channel::Email;
    const PHONE: Channel = Channel::Sms;
    const A: &str = "alice@example.org";
    const NUMBER: &str = "+4930123456";

    /// Alice with both addresses verified and nothing left to tell.
    fn reachable(bench: &Bench) -> Store {
        let store = bench.create();
        bench.verify(&store, &alice(), EMAIL, A);
        bench.verify(&store, &alice(), PHONE, NUMBER);
        bench.take_notices(&store);
        store
    }

    #[test]
    fn the_sender_of_notices_learns_of_new_ones_from_this_process_or_another() {
        let bench = Bench::on_file();
        let store = reachable(&bench);
        let other = Store::open(bench.location.clone()).unwrap();
        assert!(store.may_have_notices());
        store.snapshot(&alice()).unwrap();
        assert!(!store.may_have_notices());
        store.reset(&alice(), &origin(), bench.now).unwrap();
        assert!(store.may_have_notices());
        assert!(!store.may_have_notices());
        bench.verify(&other, &alice(), EMAIL, A);
        store.snapshot(&alice()).unwrap();
        assert!(store.may_have_notices());
    }

    fn to_both_addresses(event: &Event) -> Vec<(String, Event)> {
        vec![(A.into(), event.clone()), (NUMBER.into(), event.clone())]
    }

    fn enrolled(channel: Channel, address: &str, replaced: Option<&str>) -> Event {
        Event::AddressEnrolled {
            channel,
            address: address.into(),
            attestation: Attestation::Confirmed,
            replaced: replaced.map(Into::into),
        }
    }

    fn lock(bench: &Bench, store: &Store) {
        while let Counted::Attempt(..) = store
            .count_attempt(&alice(), Tally::Proved, &origin(), bench.now)
            .unwrap()
        {}
    }

    fn backup_codes(bench: &Bench, store: &Store) -> BackupSet {
        let set = BackupSet::hash(&[BackupCode::from_random([1; 10])], [3; 16]).unwrap();
        let generation = Bench::generation(store, &alice());
        store
            .replace_backup_codes(&alice(), generation, &set, &origin(), bench.now)
            .unwrap();
        set
    }

    #[test]
    fn notices_go_to_the_verified_addresses_of_a_user() {
        let bench = Bench::new();
        let store = reachable(&bench);
        let generation = || Bench::generation(&store, &alice());
        bench.enrol(&store, &alice(), "dad's phone', old");
        assert_eq!(
            bench.take_notices(&store),
            to_both_addresses(&Event::AppEnrolled(AppFields::new(
                "dad's phone', old",
                Parameters::default()
            )))
        );
        store
            .remove_app(
                &alice(),
                generation(),
                "dad's phone', old",
                &origin(),
                bench.now,
            )
            .unwrap();
        assert_eq!(
            bench.take_notices(&store),
            to_both_addresses(&Event::AppRemoved {
                label: "dad's phone', old".into()
            })
        );
        backup_codes(&bench, &store);
        assert!(
            bench.take_notices(&store).is_empty(),
            "the first ones come with what was told already"
        );
        let set = backup_codes(&bench, &store);
        assert_eq!(
            bench.take_notices(&store),
            to_both_addresses(&Event::BackupCodesReplaced)
        );
        let counted = store
            .count_attempt(&alice(), Tally::Proved, &origin(), bench.now)
            .unwrap();
        let Counted::Attempt(attempt, _) = counted else {
            panic!("{counted:?}")
        };
        let _ = store
            .use_backup_code(attempt, &set.unused[0], Settlement::Now(None), bench.now)
            .unwrap();
        assert_eq!(
            bench.take_notices(&store),
            to_both_addresses(&Event::BackupCodeUsed)
        );
        lock(&bench, &store);
        assert_eq!(
            bench.take_notices(&store),
            to_both_addresses(&Event::Locked { failures: 10 })
        );
        store.reset(&alice(), &origin(), bench.now).unwrap();
        assert_eq!(bench.take_notices(&store), to_both_addresses(&Event::Reset));
    }

    #[test]
    fn a_backup_code_for_a_change_is_not_a_login() {
        let bench = Bench::new();
        let store = reachable(&bench);
        let set = backup_codes(&bench, &store);
        bench.take_notices(&store);
        let command_line = Origin::command_line(1000);
        let counted = store
            .count_attempt(&alice(), Tally::Proved, &command_line, bench.now)
            .unwrap();
        let Counted::Attempt(attempt, _) = counted else {
            panic!("{counted:?}")
        };
        let _ = store
            .use_backup_code(attempt, &set.unused[0], Settlement::Now(None), bench.now)
            .unwrap();
        let notices = store.claim_notices(bench.now, 10).unwrap();
        assert_eq!(notices[0].source, NoticeSource::CommandLine);
    }

    #[test]
    fn a_new_address_is_reported_to_the_others_and_to_the_one_it_replaces() {
        let bench = Bench::new();
        let store = bench.create();
        bench.verify(&store, &alice(), EMAIL, A);
        assert!(
            bench.take_notices(&store).is_empty(),
            "it got the code just now"
        );
        bench.verify(&store, &alice(), PHONE, NUMBER);
        assert_eq!(
            bench.take_notices(&store),
            [(A.to_owned(), enrolled(PHONE, NUMBER, None))]
        );
        bench.verify(&store, &alice(), EMAIL, "new@example.org");
        assert_eq!(
            bench.take_notices(&store),
            to_both_addresses(&enrolled(EMAIL, "new@example.org", Some(A)))
        );
        let generation = Bench::generation(&store, &alice());
        store
            .remove_address(&alice(), generation, PHONE, &origin(), bench.now)
            .unwrap();
        let removed = Event::AddressRemoved {
            channel: PHONE,
            address: NUMBER.into(),
            instead: None,
        };
        assert_eq!(
            bench.take_notices(&store),
            [
                ("new@example.org".to_owned(), removed.clone()),
                (NUMBER.to_owned(), removed)
            ]
        );
    }

    #[test]
    fn two_addresses_replaced_at_once_are_reported_to_both_old_ones() {
        let bench = Bench::new();
        let store = reachable(&bench);
        let settings = Settings {
            addresses: PerChannel::default()
                .with(Channel::Email, Some(Some("mallory@example.org".into())))
                .with(Channel::Sms, Some(Some("+4930666666".into()))),
            attested: true,
            ..Settings::default()
        };
        store
            .set_user(
                &alice(),
                Bench::generation(&store, &alice()),
                &settings,
                &origin(),
                bench.now,
            )
            .unwrap();
        let told = bench.take_notices(&store);
        assert_eq!(told.len(), 4);
        for address in [A, NUMBER] {
            let told = told.iter().filter(|(told, _)| told == address);
            assert_eq!(told.count(), 2, "{address}");
        }
    }

    #[test]
    fn a_removed_user_is_notified() {
        let bench = Bench::new();
        let store = reachable(&bench);
        store.remove_user(&alice(), &origin(), bench.now).unwrap();
        assert_eq!(
            bench.take_notices(&store),
            to_both_addresses(&Event::UserRemoved)
        );
    }

    #[test]
    fn no_notice_goes_to_an_address_that_is_not_verified_and_none_is_about_a_login() {
        let bench = Bench::new();
        let store = bench.create();
        let unverified = Settings {
            addresses: PerChannel::default().with(Channel::Email, Some(Some(A.into()))),
            ..Settings::default()
        };
        store
            .set_user(
                &alice(),
                Bench::generation(&store, &alice()),
                &unverified,
                &origin(),
                bench.now,
            )
            .unwrap();
        bench.enrol(&store, &alice(), "phone");
        assert!(bench.take_notices(&store).is_empty());
        bench.verify(&store, &alice(), EMAIL, A);
        let (account, origin) = (alice(), origin());
        let known = store.snapshot(&account).unwrap();
        let attempt = CodeAttempt {
            account: &account,
            tally: Tally::Proved,
            origin: &origin,
            known: &known,
            settlement: Settlement::Now(None),
        };
        let app = known.user.apps[0].id;
        let verify = |_: &User| Ok::<_, RefusalReason>(CodeProof::App { app, count: 7 });
        let _ = store.try_code(attempt, bench.now, verify).unwrap();
        assert!(bench.take_notices(&store).is_empty());
    }

    #[test]
    fn notices_use_the_channels_that_the_policy_allows() {
        for (ways, told) in [
            ("email", vec![A]),
            ("sms", vec![NUMBER]),
            ("none", vec![]),
            ("email,sms", vec![A, NUMBER]),
        ] {
            let bench = Bench::new();
            let store = reachable(&bench);
            store
                .change_policy([("notices", ways)], &origin(), bench.now)
                .unwrap();
            bench.enrol(&store, &alice(), "phone");
            let notices = store.claim_notices(bench.now, 10).unwrap();
            assert_eq!(
                notices
                    .iter()
                    .map(|notice| notice.address.as_str())
                    .collect::<Vec<_>>(),
                told,
                "{ways}"
            );
        }
    }

    #[test]
    fn a_broken_policy_does_not_stop_notices() {
        let bench = Bench::new();
        let store = reachable(&bench);
        Bench::execute(
            &store,
            "INSERT INTO setting SELECT 'mode', 'maybe', seal FROM policy_version",
        );
        Bench::hash_rows(&store);
        store.reset(&alice(), &origin(), bench.now).unwrap();
        assert_eq!(bench.take_notices(&store).len(), 2);
    }

    #[test]
    fn a_notice_says_where_who_and_when() {
        let bench = Bench::new();
        let store = reachable(&bench);
        lock(&bench, &store);
        let notice = store.claim_notices(bench.now, 1).unwrap().remove(0);
        assert_eq!(
            (notice.account, notice.channel, notice.at),
            (alice(), EMAIL, bench.now)
        );
        assert_eq!(
            (notice.source, notice.tries),
            (NoticeSource::Login(Some("192.0.2.7".into())), 1)
        );
    }

    #[test]
    fn each_notice_is_claimed_only_once() {
        let bench = Bench::new();
        let stores = [
            reachable(&bench),
            Store::open(bench.location.clone()).unwrap(),
        ];
        for i in 0..10 {
            bench.enrol(&stores[0], &alice(), &format!("phone {i}"));
        }
        let start = Barrier::new(2);
        let claim = |store: &Store| {
            start.wait();
            (0..10)
                .flat_map(|_| store.claim_notices(bench.now, 3).unwrap())
                .map(|notice| notice.id)
                .collect()
        };
        let mut claimed: Vec<i64> = std::thread::scope(|scope| {
            let claim = &claim;
            let claimers = [&stores[0], &stores[1]]
                .map(|store| scope.spawn(move || -> Vec<i64> { claim(store) }));
            claimers
                .into_iter()
                .flat_map(|claimer| claimer.join().unwrap())
                .collect()
        });
        claimed.sort_unstable();
        claimed.dedup();
        assert_eq!(claimed.len(), 20);
        assert!(
            stores[0]
                .claim_notices(bench.now.after(119), 50)
                .unwrap()
                .is_empty()
        );
        assert_eq!(
            stores[1]
                .claim_notices(bench.now.after(120), 50)
                .unwrap()
                .len(),
            20,
            "who had them is gone"
        );
    }

    #[test]
    fn a_notice_that_cannot_be_sent_is_tried_ever_later_and_given_up_after_a_day() {
        let bench = Bench::new();
        let store = bench.create();
        bench.verify(&store, &alice(), EMAIL, A);
        lock(&bench, &store);
        let mut now = bench.now;
        let mut waits = Vec::new();
        loop {
            assert_eq!(store.next_notice_due().unwrap(), Some(now));
            let [notice] = store.claim_notices(now, 10).unwrap().try_into().unwrap();
            match store.notice_failed(notice.id, now).unwrap() {
                NoticeFate::RetryAt(next) => {
                    assert!(store.claim_notices(next.before(1), 10).unwrap().is_empty());
                    waits.push((next.unix() - now.unix()) / 60);
                    now = next;
                }
                NoticeFate::GivenUp => break,
            }
        }
        assert_eq!(waits, [1, 5, 15, 60, 180, 180, 180, 180, 180, 180, 180]);
        assert_eq!(store.next_notice_due().unwrap(), None);
        assert_eq!(store.notice_failed(1, now).unwrap(), NoticeFate::GivenUp);
    }

    #[test]
    fn a_notice_that_was_sent_is_gone() {
        let bench = Bench::new();
        let store = reachable(&bench);
        lock(&bench, &store);
        let notices = store.claim_notices(bench.now, 10).unwrap();
        store.notice_sent(notices[0].id).unwrap();
        assert_eq!(
            store.claim_notices(bench.now.after(120), 10).unwrap().len(),
            1
        );
    }

    #[test]
    fn a_clock_that_went_back_puts_no_notice_off_for_years() {
        let mut bench = Bench::new();
        let store = bench.create();
        bench.verify(&store, &alice(), EMAIL, A);
        let now = bench.now;
        bench.now = now.after(10 * 365 * 86_400);
        lock(&bench, &store);
        assert_eq!(store.claim_notices(now, 10).unwrap().len(), 1);
        assert!(
            store.claim_notices(now, 10).unwrap().is_empty(),
            "it is claimed"
        );
    }

    #[test]
    fn no_more_than_a_hundred_wait_for_one_user_and_the_newest_are_kept() {
        let bench = Bench::new();
        let store = bench.create();
        bench.verify(&store, &alice(), EMAIL, A);
        for i in 0..70 {
            bench.enrol(&store, &alice(), &format!("phone {i}"));
            let generation = Bench::generation(&store, &alice());
            store
                .remove_app(
                    &alice(),
                    generation,
                    &format!("phone {i}"),
                    &origin(),
                    bench.now,
                )
                .unwrap();
        }
        let told = bench.take_notices(&store);
        assert_eq!(told.len(), 100);
        let last = Event::AppRemoved {
            label: "phone 69".into(),
        };
        assert_eq!(told.last(), Some(&(A.to_owned(), last)));
    }
}
