//! What people are told of their second factor: that something happened to it which they should know if it was not
//! they who did it.
//!
//! [`queue`] is called with every event that is recorded, in its transaction: a change without its notice does not
//! happen. One notice goes to each address that is verified at that moment, by the ways the policy has. They wait here
//! until a broker has sent them, which takes them with [`Store::claim_notices`] and says what came of it.
//!
//! The bookkeeping of what was sent is not synced. What a power cut undoes of it is sent twice.

use std::borrow::Cow;

use rusqlite::{OptionalExtension, Row, Transaction};
use twofa_core::{Account, Channel, Policy, Timestamp};

use crate::addresses::stored_channel;
use crate::database::Store;
use crate::error::StoreError;
use crate::events::{Event, EventKind, Origin};
use crate::policy;
use crate::users::{self, StoredUser};

/// How long whoever claimed a notice has for it, in seconds.
const CLAIMED_FOR: u64 = 120;
/// How long after each failure the next try is made, in seconds; after the last again and again.
const DELAYS: [u64; 5] = [60, 300, 900, 3_600, 10_800];
/// How long a notice is tried, in seconds.
const TRIED_FOR: u64 = 86_400;
/// How often it is tried at most, whatever the clock says.
const MOST_TRIES: u32 = 20;
/// How many notices wait for one user.
const KEPT_OF_A_USER: u32 = 100;

/// Something somebody is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Its number, never given to another.
    pub id: i64,
    /// Whose second factor it is about.
    pub account: Account,
    /// How it goes.
    pub channel: Channel,
    /// Where to.
    pub address: String,
    /// What happened, a whole sentence.
    pub what: String,
    /// From where, if known.
    pub source: Option<String>,
    /// When.
    pub at: Timestamp,
    /// How many tries there were, the one it was claimed for included.
    pub tries: u32,
}

/// What becomes of a notice that could not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeFate {
    /// It is tried again then.
    RetryAt(Timestamp),
    /// It is not tried any more.
    GivenUp,
}

/// What is recorded of somebody who wants never to be asked.
const OPTED_OUT: &str = "verify is never";

impl Store {
    /// At most `most` notices that are due, oldest first. They are the caller's for two minutes; then, if nobody said
    /// what came of them, they are due again.
    pub fn claim_notices(&self, now: Timestamp, most: u32) -> Result<Vec<Notice>, StoreError> {
        self.write_unsynced(|db| {
            // One that waits longer than any delay was put off by a clock that has gone back since.
            let longest = DELAYS.into_iter().max().unwrap_or(CLAIMED_FOR);
            let mut statement = db.prepare_cached(
                "UPDATE notice SET due_at = ?2, tries = tries + 1 WHERE id IN (
                     SELECT id FROM notice WHERE due_at <= ?1 OR due_at > ?3 ORDER BY due_at, id LIMIT ?4
                 ) RETURNING id, name, uid, method, address, what, source, at, tries",
            )?;
            let (until, impossible) = (now.after(CLAIMED_FOR), now.after(longest));
            let mut rows = statement.query((now.unix(), until.unix(), impossible.unix(), most))?;
            let mut notices = Vec::new();
            while let Some(row) = rows.next()? {
                notices.push(notice(row)?);
            }
            notices.sort_by_key(|notice| notice.id);
            Ok(notices)
        })
    }

    /// Forgets a notice that was sent.
    pub fn notice_sent(&self, id: i64) -> Result<(), StoreError> {
        self.write_unsynced(|db| delete(db, id))
    }

    /// Puts off a notice that could not be sent: the longer, the more often that happened. After a day it is given up.
    pub fn notice_failed(&self, id: i64, now: Timestamp) -> Result<NoticeFate, StoreError> {
        self.write_unsynced(|db| {
            let mut statement = db.prepare_cached("SELECT at, tries FROM notice WHERE id = ?1")?;
            let found = statement
                .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let Some((at, tries)) = found else {
                return Ok(NoticeFate::GivenUp);
            };
            let nth = usize::try_from(u32::saturating_sub(tries, 1)).unwrap_or(usize::MAX);
            let delay = DELAYS
                .get(nth)
                .or(DELAYS.last())
                .copied()
                .unwrap_or(CLAIMED_FOR);
            let next = now.after(delay);
            if tries >= MOST_TRIES || next > Timestamp::from_unix(at).after(TRIED_FOR) {
                delete(db, id)?;
                return Ok(NoticeFate::GivenUp);
            }
            db.prepare_cached("UPDATE notice SET due_at = ?2 WHERE id = ?1")?
                .execute((id, next.unix()))?;
            Ok(NoticeFate::RetryAt(next))
        })
    }

    /// When the next notice is due, if any waits. Whoever sleeps until then should look again every few minutes all the
    /// same: other processes queue notices too, and a clock may go back.
    pub fn next_notice_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read(|db| {
            let due: Option<i64> = db
                .prepare_cached("SELECT min(due_at) FROM notice")?
                .query_one([], |row| row.get(0))?;
            Ok(due.map(Timestamp::from_unix))
        })
    }
}

/// Queues what the user whom `event` is about is to be told of it, if anything.
pub(crate) fn queue(
    db: &Transaction<'_>,
    event: &Event<'_>,
    origin: &Origin,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (Some(what), Some(account)) = (sentence(event, origin), event.user) else {
        return Ok(());
    };
    let Some(stored) = users::find(db, account)? else {
        return Ok(());
    };
    let addresses = verified(&stored);
    if addresses.is_empty() {
        return Ok(());
    }
    // A policy that does not read must not keep anybody from being told, nor an administrator from a reset.
    let notices = match policy::load(db) {
        Err(StoreError::BrokenPolicy(_)) => Policy::default().notices,
        rulebook => rulebook?.machine().notices,
    };
    let mut statement = db.prepare_cached(
        "INSERT INTO notice (name, uid, method, address, what, source, at, due_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)",
    )?;
    for (channel, address) in addresses {
        if notices[channel] {
            let (name, uid, method) = (&account.name, account.uid, channel.name());
            statement.execute((
                name,
                uid,
                method,
                address,
                &what,
                source(origin),
                now.unix(),
            ))?;
        }
    }
    let sql = "DELETE FROM notice WHERE name = ?1 AND uid = ?2 AND id <= (
                   SELECT id FROM notice WHERE name = ?1 AND uid = ?2 ORDER BY id DESC LIMIT 1 OFFSET ?3
               )";
    db.prepare_cached(sql)?
        .execute((&account.name, account.uid, KEPT_OF_A_USER))?;
    Ok(())
}

/// What the user is told of `event`. `None`: nothing.
fn sentence(event: &Event<'_>, origin: &Origin) -> Option<Cow<'static, str>> {
    let detail = event.detail.as_deref().unwrap_or_default();
    let fixed = match event.kind {
        EventKind::AppEnrolled => {
            return Some(
                format!("An authenticator app called {} was added.", quoted(detail)).into(),
            );
        }
        EventKind::AppRemoved => {
            return Some(
                format!(
                    "The authenticator app called {} was removed.",
                    quoted(detail)
                )
                .into(),
            );
        }
        EventKind::Locked => return Some(format!("Logins were locked {detail}.").into()),
        EventKind::EmailEnrolled => "A new e-mail address for codes was set.",
        EventKind::EmailRemoved => "The e-mail address for codes was removed.",
        EventKind::SmsEnrolled => "A new phone number for codes was set.",
        EventKind::SmsRemoved => "The phone number for codes was removed.",
        EventKind::BackupCodeUsed if origin.is_command_line() => {
            "A backup code was used to allow a change."
        }
        EventKind::BackupCodeUsed => "A backup code was used to log in.",
        EventKind::BackupCodesReplaced => {
            "New backup codes were made. Older ones do not work any more."
        }
        EventKind::Reset => "An administrator reset your second factor. It must be set up anew.",
        EventKind::UserChanged if detail == OPTED_OUT => {
            "Logins no longer ask for a code, where nothing requires it."
        }
        EventKind::UserRemoved => "Your second factor was removed by an administrator.",
        EventKind::Passed
        | EventKind::Refused
        | EventKind::BackupCodesMade
        | EventKind::BackupCodesRemoved
        | EventKind::Required
        | EventKind::Released
        | EventKind::Unlocked
        | EventKind::PolicyChanged
        | EventKind::Exempted
        | EventKind::ExemptionEnded
        | EventKind::UserAdded
        | EventKind::UserChanged
        | EventKind::CodeSent
        | EventKind::CodeNotSent
        | EventKind::ProviderAdded
        | EventKind::ProviderChanged
        | EventKind::ProviderRemoved
        | EventKind::ProviderOrderChanged
        | EventKind::SmsLimit => return None,
    };
    Some(fixed.into())
}

/// The label that the detail of an app's event begins with, in its quotes. What follows it never has any.
fn quoted(detail: &str) -> &str {
    detail.rfind('\'').map_or(detail, |end| &detail[..=end])
}

/// From where something came, in words.
fn source(origin: &Origin) -> Option<&str> {
    let place = origin.remote_host.as_deref().or(origin.terminal.as_deref());
    place.or_else(|| {
        origin
            .is_command_line()
            .then_some("the command line of this machine")
    })
}

/// The addresses of `user` that are verified.
fn verified(user: &StoredUser) -> Vec<(Channel, &str)> {
    Channel::ALL
        .into_iter()
        .filter_map(|channel| Some((channel, user.verified(channel)?)))
        .collect()
}

fn notice(row: &Row<'_>) -> Result<Notice, StoreError> {
    Ok(Notice {
        id: row.get(0)?,
        account: Account {
            name: row.get(1)?,
            uid: row.get(2)?,
        },
        channel: stored_channel(&row.get::<_, String>(3)?)?,
        address: row.get(4)?,
        what: row.get(5)?,
        source: row.get(6)?,
        at: Timestamp::from_unix(row.get(7)?),
        tries: row.get(8)?,
    })
}

fn delete(db: &Transaction<'_>, id: i64) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM notice WHERE id = ?1")?
        .execute([id])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, alice, origin};
    use crate::{CodeAttempt, CodeProof, Counted, Settings, Tally};
    use std::sync::Barrier;
    use twofa_core::{BackupCode, BackupSet, PerChannel, User};

    const EMAIL: Channel = Channel::Email;
    const PHONE: Channel = Channel::Sms;
    const A: &str = "alice@example.org";
    const NUMBER: &str = "+4930123456";

    /// Alice with both addresses verified and nothing left to tell.
    fn reachable(bench: &Bench) -> Store {
        let store = bench.create();
        bench.verify(&store, &alice(), EMAIL, A);
        bench.verify(&store, &alice(), PHONE, NUMBER);
        bench.told(&store);
        store
    }

    fn both(what: &str) -> Vec<String> {
        vec![format!("{A}: {what}"), format!("{NUMBER}: {what}")]
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
    fn what_happens_to_somebody_is_told_at_their_verified_addresses() {
        let bench = Bench::new();
        let store = reachable(&bench);
        let generation = || Bench::generation(&store, &alice());
        bench.enrol(&store, &alice(), "dad's phone', old");
        assert_eq!(
            bench.told(&store),
            both("An authenticator app called 'dad's phone', old' was added.")
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
            bench.told(&store),
            both("The authenticator app called 'dad's phone', old' was removed.")
        );
        backup_codes(&bench, &store);
        assert!(
            bench.told(&store).is_empty(),
            "the first ones come with what was told already"
        );
        let set = backup_codes(&bench, &store);
        assert_eq!(
            bench.told(&store),
            both("New backup codes were made. Older ones do not work any more.")
        );
        let counted = store
            .count_attempt(&alice(), Tally::Proved, &origin(), bench.now)
            .unwrap();
        let Counted::Attempt(attempt, _) = counted else {
            panic!("{counted:?}")
        };
        let _ = store
            .use_backup_code(attempt, &set.unused[0], bench.now)
            .unwrap();
        assert_eq!(
            bench.told(&store),
            both("A backup code was used to log in.")
        );
        lock(&bench, &store);
        assert_eq!(
            bench.told(&store),
            both("Logins were locked after 10 wrong codes in a row.")
        );
        store.reset(&alice(), &origin(), bench.now).unwrap();
        assert_eq!(
            bench.told(&store),
            both("An administrator reset your second factor. It must be set up anew.")
        );
    }

    #[test]
    fn a_backup_code_for_a_change_was_no_login() {
        let bench = Bench::new();
        let store = reachable(&bench);
        let set = backup_codes(&bench, &store);
        bench.told(&store);
        let command_line = Origin {
            actor: 1000,
            service: Some("twofa".into()),
            ..Origin::default()
        };
        let counted = store
            .count_attempt(&alice(), Tally::Proved, &command_line, bench.now)
            .unwrap();
        let Counted::Attempt(attempt, _) = counted else {
            panic!("{counted:?}")
        };
        let _ = store
            .use_backup_code(attempt, &set.unused[0], bench.now)
            .unwrap();
        let notices = store.claim_notices(bench.now, 10).unwrap();
        assert_eq!(notices[0].what, "A backup code was used to allow a change.");
        assert_eq!(
            notices[0].source.as_deref(),
            Some("the command line of this machine")
        );
    }

    #[test]
    fn an_address_is_told_of_by_the_others_and_by_the_one_it_replaces() {
        let bench = Bench::new();
        let store = bench.create();
        bench.verify(&store, &alice(), EMAIL, A);
        assert!(bench.told(&store).is_empty(), "it got the code just now");
        bench.verify(&store, &alice(), PHONE, NUMBER);
        assert_eq!(
            bench.told(&store),
            [format!("{A}: A new phone number for codes was set.")]
        );
        bench.verify(&store, &alice(), EMAIL, "new@example.org");
        assert_eq!(
            bench.told(&store),
            both("A new e-mail address for codes was set.")
        );
        let generation = Bench::generation(&store, &alice());
        store
            .remove_address(&alice(), generation, PHONE, &origin(), bench.now)
            .unwrap();
        let what = "The phone number for codes was removed.";
        assert_eq!(
            bench.told(&store),
            [
                format!("new@example.org: {what}"),
                format!("{NUMBER}: {what}")
            ]
        );
    }

    #[test]
    fn both_addresses_replaced_in_one_go_are_told_of_at_both_old_ones() {
        let bench = Bench::new();
        let store = reachable(&bench);
        let settings = Settings {
            addresses: PerChannel::default()
                .with(Channel::Email, Some(Some("mallory@example.org".into())))
                .with(Channel::Sms, Some(Some("+4930666666".into()))),
            vouched: true,
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
        let mut told = bench.told(&store);
        told.sort();
        let mut expected = both("A new e-mail address for codes was set.");
        expected.extend(both("A new phone number for codes was set."));
        expected.sort();
        assert_eq!(told, expected);
    }

    #[test]
    fn a_removed_user_is_told_so() {
        let bench = Bench::new();
        let store = reachable(&bench);
        store.remove_user(&alice(), &origin(), bench.now).unwrap();
        assert_eq!(
            bench.told(&store),
            both("Your second factor was removed by an administrator.")
        );
    }

    #[test]
    fn nobody_is_told_at_an_address_that_is_not_verified_or_of_a_login() {
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
        assert!(bench.told(&store).is_empty());
        bench.verify(&store, &alice(), EMAIL, A);
        let (account, origin) = (alice(), origin());
        let known = store.situation(&account).unwrap();
        let attempt = CodeAttempt {
            account: &account,
            tally: Tally::Proved,
            origin: &origin,
            known: &known,
        };
        let app = known.user.apps[0].id;
        let verify = |_: &User| Ok::<_, String>(CodeProof::App { app, count: 7 });
        let _ = store.try_code(attempt, bench.now, verify).unwrap();
        assert!(bench.told(&store).is_empty());
    }

    #[test]
    fn notices_go_by_the_ways_the_policy_has() {
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
    fn a_broken_policy_keeps_nobody_from_being_told() {
        let bench = Bench::new();
        let store = reachable(&bench);
        store
            .write(|db| Ok(db.execute("INSERT INTO setting VALUES ('mode', 'maybe')", [])?))
            .unwrap();
        store.reset(&alice(), &origin(), bench.now).unwrap();
        assert_eq!(bench.told(&store).len(), 2);
    }

    #[test]
    fn what_is_told_is_where_who_and_when() {
        let bench = Bench::new();
        let store = reachable(&bench);
        lock(&bench, &store);
        let notice = store.claim_notices(bench.now, 1).unwrap().remove(0);
        assert_eq!(
            (notice.account, notice.channel, notice.at),
            (alice(), EMAIL, bench.now)
        );
        assert_eq!(
            (notice.source.as_deref(), notice.tries),
            (Some("192.0.2.7"), 1)
        );
    }

    #[test]
    fn of_two_that_claim_one_gets_each() {
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
        let told = bench.told(&store);
        assert_eq!(told.len(), 100);
        assert!(told.last().unwrap().contains("'phone 69' was removed"));
    }
}
