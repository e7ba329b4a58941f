//! How much is sent: every code costs something, and whoever gets too many is being pestered.

use rusqlite::{OptionalExtension, Params, Row, Transaction};
use twofa_core::policy::SendLimits;
use twofa_core::{Account, Channel, PerChannel, Timestamp};

use crate::database::Store;
use crate::error::StoreError;
use crate::events::Origin;
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
    /// A code, to an address of this kind.
    Code(Channel),
    /// A question to a provider on somebody's behalf: whether they texted us.
    TextIn,
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
    /// To one user's addresses that are not verified, in an hour or a day.
    Unverified,
    /// By this machine in text messages to numbers that are not verified, in a day.
    UnverifiedSms,
    /// By this machine in text messages with codes, in a day.
    Sms,
}

/// How many text messages with codes went out in the last 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SmsCount {
    /// In all.
    pub all: u32,
    /// To numbers that were not verified.
    pub unverified: u32,
}

/// That an administrator should hear of it: text messages cost money, and there are people who earn it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmsAlarm {
    /// As many went to numbers that are not verified as may.
    Unverified,
    /// Four fifths of all that may be sent.
    Most,
    /// All that may be sent.
    All,
}

impl SmsAlarm {
    /// The alarms that there is cause for at this count.
    pub fn due(count: SmsCount, limits: SendLimits) -> impl Iterator<Item = Self> {
        let SendLimits { sms_daily, .. } = limits;
        let most = u64::from(count.all) * 5 >= u64::from(sms_daily) * 4;
        [
            (
                Self::Unverified,
                count.unverified >= limits.sms_daily_unverified(),
            ),
            (Self::Most, most && count.all < sms_daily),
            (Self::All, count.all >= sms_daily),
        ]
        .into_iter()
        .filter_map(|(alarm, is_due)| is_due.then_some(alarm))
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Unverified => "unverified",
            Self::Most => "most",
            Self::All => "all",
        }
    }
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
        self.begin_send_to(what, account, address, None, now)
    }

    /// The same for a code that is asked for from `origin`, where it is remembered until it is typed.
    pub fn begin_code(
        &self,
        channel: Channel,
        account: &Account,
        address: &str,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<SendStart, StoreError> {
        self.begin_send_to(
            SendKind::Code(channel),
            account,
            address,
            Some(origin.place()),
            now,
        )
    }

    /// From when on another code may be sent to `account` without being asked for, if one went there less than `cooldown`
    /// seconds ago at the wish of `origin` and was not typed: a program that answers no prompt must not make us send one
    /// code after the other.
    pub fn code_is_awaited(
        &self,
        account: &Account,
        origin: &Origin,
        cooldown: u64,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.read(|db| {
            let sql = "SELECT max(at) FROM send WHERE name = ?1 AND uid = ?2 AND place = ?3";
            let at: Option<i64> = db
                .prepare_cached(sql)?
                .query_one((&account.name, account.uid, origin.place()), |row| {
                    row.get(0)
                })?;
            // What is later than now was sent before the clock went back.
            let at = at.map(Timestamp::from_unix).filter(|at| *at <= now);
            Ok(at.map(|at| at.after(cooldown)).filter(|next| now < *next))
        })
    }

    /// Marks that the last code to `account` did not go out: nobody waits for it.
    pub fn code_is_not_coming(&self, account: &Account) -> Result<(), StoreError> {
        self.write_unsynced(|db| was_typed(db, account))
    }

    fn begin_send_to(
        &self,
        what: SendKind,
        account: &Account,
        address: &str,
        place: Option<String>,
        now: Timestamp,
    ) -> Result<SendStart, StoreError> {
        self.write_unsynced(|db| {
            let limits = self.rules(db)?.rulebook.machine().limits;
            pull_back_the_future(db, now)?;
            prune(db, now)?;
            let send = Send::of(db, what, account, address)?;
            let next = send
                .newest_too_many(db, limits)?
                .into_iter()
                .filter_map(|(limit, sent_at, window)| Some((limit, sent_at?.after(window))))
                .filter(|(_, next)| *next > now)
                .max_by_key(|(_, next)| *next);
            match next {
                Some((what, next)) => Ok(SendStart::TooMany { what, next }),
                None => send.count(db, place, now).map(|()| SendStart::Allowed),
            }
        })
    }

    /// How many text messages with codes went out in the 24 hours before `now`.
    pub fn sms_count(&self, now: Timestamp) -> Result<SmsCount, StoreError> {
        self.read(|db| sms_count(db, now))
    }

    /// The alarms that there is cause for, each once in 24 hours.
    pub fn raise_sms_alarms(&self, now: Timestamp) -> Result<Vec<SmsAlarm>, StoreError> {
        let is_due = |db: &Transaction<'_>| {
            let limits = self.rules(db)?.rulebook.machine().limits;
            let mut due = Vec::new();
            for alarm in SmsAlarm::due(sms_count(db, now)?, limits) {
                let sql = "SELECT 1 FROM sms_alarm WHERE what = ?1 AND at > ?2 AND at <= ?3";
                let since = (alarm.name(), now.before(DAY).unix(), now.unix());
                if !db.prepare_cached(sql)?.exists(since)? {
                    due.push(alarm);
                }
            }
            Ok(due)
        };
        if self.read(is_due)?.is_empty() {
            return Ok(Vec::new());
        }
        self.write_unsynced(|db| {
            let due = is_due(db)?;
            for alarm in &due {
                let sql = "INSERT INTO sms_alarm (what, at) VALUES (?1, ?2)
                           ON CONFLICT (what) DO UPDATE SET at = excluded.at";
                db.prepare_cached(sql)?
                    .execute((alarm.name(), now.unix()))?;
            }
            Ok(due)
        })
    }
}

/// One that is about to be counted.
struct Send<'a> {
    what: SendKind,
    account: &'a Account,
    /// In lower case: another spelling of an address is no other mailbox.
    address: String,
    /// The address is one of the account's: verified, or put on file for it.
    is_own: bool,
    is_verified: bool,
}

impl<'a> Send<'a> {
    fn of(
        db: &Transaction<'_>,
        what: SendKind,
        account: &'a Account,
        address: &str,
    ) -> Result<Self, StoreError> {
        let address = address.trim().to_lowercase();
        let stored = users::find(db, account)?;
        let contacts = stored.as_ref().map(|stored| &stored.contacts);
        let own = contacts
            .into_iter()
            .flat_map(PerChannel::iter)
            .filter_map(|(_, contact)| contact.as_ref())
            .find(|own| own.address.to_lowercase() == address);
        let (is_own, is_verified) = (own.is_some(), own.is_some_and(|own| own.verified));
        Ok(Self {
            what,
            account,
            address,
            is_own,
            is_verified,
        })
    }

    fn is_notice(&self) -> bool {
        self.what == SendKind::Notice
    }

    fn is_sms(&self) -> bool {
        self.what == SendKind::Code(Channel::Sms)
    }

    /// For each limit the send that is as many before this one as the limit allows, and how long it counts, in seconds:
    /// until it is older than that, this is one too many.
    fn newest_too_many(
        &self,
        db: &Transaction<'_>,
        limits: SendLimits,
    ) -> Result<Vec<(SendLimit, Option<Timestamp>, u64)>, StoreError> {
        let Self {
            account: Account { name, uid },
            address,
            is_verified,
            ..
        } = self;
        let is_notice = self.is_notice();
        let mut found = vec![
            (
                SendLimit::User,
                nth_newest(db, OF_USER, (name, uid, is_notice, limits.user_hourly))?,
                HOUR,
            ),
            (
                SendLimit::Machine,
                nth_newest(db, OF_MACHINE, (is_notice, limits.machine_hourly))?,
                HOUR,
            ),
        ];
        // Others who try to enrol somebody's address must not keep its owner from logging in.
        let to_address = if self.is_own {
            nth_newest(
                db,
                TO_OWN_ADDRESS,
                (address, name, uid, is_notice, limits.address_daily),
            )?
        } else {
            nth_newest(db, TO_ADDRESS, (address, is_notice, limits.address_daily))?
        };
        found.push((SendLimit::Address, to_address, DAY));
        if self.is_sms() {
            found.push((
                SendLimit::Sms,
                nth_newest(db, OF_SMS, [limits.sms_daily])?,
                DAY,
            ));
        }
        if is_notice || *is_verified {
            return Ok(found);
        }
        for (most, window) in [
            (limits.unverified_hourly, HOUR),
            (limits.unverified_daily, DAY),
        ] {
            found.push((
                SendLimit::Unverified,
                nth_newest(db, UNVERIFIED_OF_USER, (name, uid, most))?,
                window,
            ));
        }
        if self.is_sms() {
            let of_all = nth_newest(db, UNVERIFIED_SMS, [limits.sms_daily_unverified()])?;
            found.push((SendLimit::UnverifiedSms, of_all, DAY));
        }
        Ok(found)
    }

    fn count(
        &self,
        db: &Transaction<'_>,
        place: Option<String>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Self {
            account: Account { name, uid },
            address,
            is_verified,
            ..
        } = self;
        let sql = "INSERT INTO send (at, name, uid, address, is_notice, is_sms, is_verified, place)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        db.prepare_cached(sql)?.execute((
            now.unix(),
            name,
            uid,
            address,
            self.is_notice(),
            self.is_sms(),
            self.is_notice() || *is_verified,
            place,
        ))?;
        Ok(())
    }
}

/// Marks that no code to `account` is waited for: it was typed, or never went out. The next login may have one at once.
pub(crate) fn was_typed(db: &Transaction<'_>, account: &Account) -> Result<(), StoreError> {
    let sql = "UPDATE send SET place = NULL WHERE name = ?1 AND uid = ?2 AND place IS NOT NULL";
    db.prepare_cached(sql)?
        .execute((&account.name, account.uid))?;
    Ok(())
}

// Each gives the send that is the last parameter's number back. The conditions are those of the indexes, word by word.
const OF_USER: &str = "SELECT at FROM send WHERE name = ?1 AND uid = ?2 AND is_notice = ?3
                       ORDER BY id DESC LIMIT 1 OFFSET ?4 - 1";
const OF_MACHINE: &str =
    "SELECT at FROM send WHERE is_notice = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2 - 1";
const TO_ADDRESS: &str = "SELECT at FROM send WHERE address = ?1 AND is_notice = ?2
                          ORDER BY id DESC LIMIT 1 OFFSET ?3 - 1";
const TO_OWN_ADDRESS: &str =
    "SELECT at FROM send WHERE address = ?1 AND name = ?2 AND uid = ?3 AND is_notice = ?4
                              ORDER BY id DESC LIMIT 1 OFFSET ?5 - 1";
const UNVERIFIED_OF_USER: &str =
    "SELECT at FROM send WHERE name = ?1 AND uid = ?2 AND is_verified = 0
                                  ORDER BY id DESC LIMIT 1 OFFSET ?3 - 1";
const OF_SMS: &str = "SELECT at FROM send WHERE is_sms = 1 ORDER BY id DESC LIMIT 1 OFFSET ?1 - 1";
const UNVERIFIED_SMS: &str = "SELECT at FROM send WHERE is_sms = 1 AND is_verified = 0
                              ORDER BY id DESC LIMIT 1 OFFSET ?1 - 1";

fn sms_count(db: &Transaction<'_>, now: Timestamp) -> Result<SmsCount, StoreError> {
    let sql = "SELECT count(*), count(*) FILTER (WHERE is_verified = 0) FROM send WHERE is_sms = 1 AND at > ?1";
    let count = |row: &Row<'_>| {
        Ok(SmsCount {
            all: row.get(0)?,
            unverified: row.get(1)?,
        })
    };
    Ok(db
        .prepare_cached(sql)?
        .query_one([now.before(DAY).unix()], count)?)
}

fn nth_newest(
    db: &Transaction<'_>,
    sql: &str,
    parameters: impl Params,
) -> Result<Option<Timestamp>, StoreError> {
    let sent_at = db
        .prepare_cached(sql)?
        .query_row(parameters, |row| row.get(0))
        .optional()?;
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
    db.prepare_cached(sql)?
        .execute((PRUNED_AT_ONCE, now.before(DAY).unix()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, alice, bob, origin};
    use crate::{Counted, Tally};
    use std::sync::Barrier;

    const A: &str = "alice@example.org";

    fn limited(bench: &Bench, limits: [(&str, &str); 3]) -> Store {
        let store = bench.create();
        // What is not verified has limits that would be met first.
        let others = [
            "send.unverified-hourly",
            "send.unverified-daily",
            "send.sms-daily",
        ]
        .map(|key| (key, "1000000"));
        store
            .change_policy(limits.into_iter().chain(others), &origin(), bench.now)
            .unwrap();
        store
    }

    fn limits<'a>(user: &'a str, address: &'a str, machine: &'a str) -> [(&'a str, &'a str); 3] {
        [
            ("send.user-hourly", user),
            ("send.address-daily", address),
            ("send.machine-hourly", machine),
        ]
    }

    fn too_many(what: SendLimit, next: Timestamp) -> SendStart {
        SendStart::TooMany { what, next }
    }

    fn waiting(store: &Store) -> i64 {
        store
            .read(|db| Ok(db.query_one("SELECT count(*) FROM send", [], |row| row.get(0))?))
            .unwrap()
    }

    #[test]
    fn a_code_that_was_not_typed_is_awaited_for_a_while_where_it_was_asked_for() {
        let bench = Bench::new();
        let store = bench.create();
        bench.verify(&store, &alice(), Channel::Email, A);
        let awaited = |origin: &Origin, after| {
            store
                .code_is_awaited(&alice(), origin, 30, bench.now.after(after))
                .unwrap()
        };
        assert_eq!(awaited(&origin(), 0), None);
        store
            .begin_code(Channel::Email, &alice(), A, &origin(), bench.now)
            .unwrap();
        assert_eq!(awaited(&origin(), 29), Some(bench.now.after(30)));
        assert_eq!(awaited(&origin(), 30), None);
        let elsewhere = Origin {
            remote_host: Some("203.0.113.9".into()),
            ..origin()
        };
        assert_eq!(awaited(&elsewhere, 1), None);
        let counted = store
            .count_attempt(&alice(), Tally::Proved, &origin(), bench.now)
            .unwrap();
        let Counted::Attempt(attempt, _) = counted else {
            panic!("{counted:?}")
        };
        store
            .use_sent_code(attempt, Channel::Email, A, bench.now)
            .unwrap();
        assert_eq!(awaited(&origin(), 1), None, "it was typed");
        store
            .begin_code(Channel::Email, &alice(), A, &origin(), bench.now)
            .unwrap();
        bench.verify(&store, &alice(), Channel::Email, A);
        assert_eq!(awaited(&origin(), 1), None, "it was typed to enrol");
    }

    #[test]
    fn a_user_gets_so_many_in_an_hour_that_rolls() {
        let bench = Bench::new();
        let store = limited(&bench, limits("2", "100", "100"));
        let send = |after, address| {
            store
                .begin_send(
                    SendKind::Code(Channel::Email),
                    &alice(),
                    address,
                    bench.now.after(after),
                )
                .unwrap()
        };
        assert_eq!(send(0, A), SendStart::Allowed);
        assert_eq!(send(600, "+4930123456"), SendStart::Allowed);
        assert_eq!(
            send(601, A),
            too_many(SendLimit::User, bench.now.after(3_600))
        );
        assert_eq!(
            send(3_599, A),
            too_many(SendLimit::User, bench.now.after(3_600))
        );
        assert_eq!(send(3_600, A), SendStart::Allowed);
        assert_eq!(
            send(3_600, A),
            too_many(SendLimit::User, bench.now.after(4_200))
        );
        // Another user is not held up, nor another with the same name.
        for other in [
            bob(),
            Account {
                uid: 2000,
                ..alice()
            },
        ] {
            assert_eq!(
                store
                    .begin_send(
                        SendKind::Code(Channel::Email),
                        &other,
                        A,
                        bench.now.after(3_600)
                    )
                    .unwrap(),
                SendStart::Allowed
            );
        }
    }

    #[test]
    fn whoever_asks_for_codes_to_another_ones_address_takes_none_of_the_owners() {
        let bench = Bench::new();
        let store = limited(&bench, limits("100", "2", "100"));
        bench.verify(&store, &alice(), Channel::Email, A);
        let send = |account: &Account| {
            store
                .begin_send(SendKind::Code(Channel::Email), account, A, bench.now)
                .unwrap()
        };
        assert_eq!([send(&bob()), send(&bob())], [SendStart::Allowed; 2]);
        assert_eq!(
            send(&bob()),
            too_many(SendLimit::Address, bench.now.after(86_400))
        );
        assert_eq!([send(&alice()), send(&alice())], [SendStart::Allowed; 2]);
        assert_eq!(
            send(&alice()),
            too_many(SendLimit::Address, bench.now.after(86_400))
        );
    }

    #[test]
    fn an_address_gets_so_many_in_a_day_whoever_asks_and_however_it_is_spelled() {
        let bench = Bench::new();
        let store = limited(&bench, limits("100", "2", "100"));
        let send = |account: &Account, address, after| {
            store
                .begin_send(
                    SendKind::Code(Channel::Email),
                    account,
                    address,
                    bench.now.after(after),
                )
                .unwrap()
        };
        assert_eq!(send(&alice(), A, 0), SendStart::Allowed);
        assert_eq!(send(&bob(), "Alice@EXAMPLE.org", 10), SendStart::Allowed);
        for account in [alice(), bob()] {
            assert_eq!(
                send(&account, A, 86_399),
                too_many(SendLimit::Address, bench.now.after(86_400))
            );
            assert_eq!(send(&account, "other@example.org", 20), SendStart::Allowed);
        }
    }

    #[test]
    fn the_machine_sends_so_many_in_an_hour() {
        let bench = Bench::new();
        let store = limited(&bench, limits("100", "100", "3"));
        for i in 0..3 {
            let account = Account {
                name: format!("user{i}"),
                uid: 1000 + i,
            };
            let start = store.begin_send(
                SendKind::Code(Channel::Email),
                &account,
                &format!("{i}@example.org"),
                bench.now.after(u64::from(i)),
            );
            assert_eq!(start.unwrap(), SendStart::Allowed);
        }
        let next = |after| {
            store
                .begin_send(
                    SendKind::Code(Channel::Email),
                    &bob(),
                    A,
                    bench.now.after(after),
                )
                .unwrap()
        };
        assert_eq!(
            next(3),
            too_many(SendLimit::Machine, bench.now.after(3_600))
        );
        assert_eq!(next(3_600), SendStart::Allowed);
        assert_eq!(
            next(3_600),
            too_many(SendLimit::Machine, bench.now.after(3_601))
        );
    }

    #[test]
    fn of_several_limits_the_one_that_holds_longest_is_told() {
        let bench = Bench::new();
        let store = limited(&bench, limits("1", "1", "1"));
        let send = |address| {
            store
                .begin_send(SendKind::Code(Channel::Email), &alice(), address, bench.now)
                .unwrap()
        };
        assert_eq!(send(A), SendStart::Allowed);
        assert_eq!(
            send(A),
            too_many(SendLimit::Address, bench.now.after(86_400))
        );
        assert!(
            matches!(send("other@example.org"), SendStart::TooMany { next, .. } if next == bench.now.after(3_600))
        );
    }

    #[test]
    fn what_is_refused_does_not_count() {
        let bench = Bench::new();
        let store = limited(&bench, limits("1", "100", "100"));
        for after in [0, 1, 3_599] {
            store
                .begin_send(
                    SendKind::Code(Channel::Email),
                    &alice(),
                    A,
                    bench.now.after(after),
                )
                .unwrap();
        }
        assert_eq!(waiting(&store), 1);
        assert_eq!(
            store
                .begin_send(
                    SendKind::Code(Channel::Email),
                    &alice(),
                    A,
                    bench.now.after(3_600)
                )
                .unwrap(),
            SendStart::Allowed
        );
    }

    #[test]
    fn of_64_at_once_as_many_are_sent_as_the_limit_allows() {
        for limit in [
            limits("10", "1000", "1000"),
            limits("1000", "10", "1000"),
            limits("1000", "1000", "10"),
        ] {
            let bench = Bench::new();
            let stores = [
                limited(&bench, limit),
                Store::open(bench.location.clone()).unwrap(),
            ];
            let start = Barrier::new(64);
            let racer = |i: usize| {
                start.wait();
                stores[i % 2]
                    .begin_send(SendKind::Code(Channel::Email), &alice(), A, bench.now)
                    .unwrap()
                    == SendStart::Allowed
            };
            let allowed = std::thread::scope(|scope| {
                let racer = &racer;
                let racers: Vec<_> = (0..64).map(|i| scope.spawn(move || racer(i))).collect();
                racers
                    .into_iter()
                    .map(|racer| racer.join().unwrap())
                    .filter(|allowed| *allowed)
                    .count()
            });
            assert_eq!(allowed, 10, "{limit:?}");
        }
    }

    #[test]
    fn a_clock_that_went_back_opens_no_limit_and_keeps_none_shut() {
        let bench = Bench::new();
        let store = limited(&bench, limits("2", "100", "100"));
        let send = |now| {
            store
                .begin_send(SendKind::Code(Channel::Email), &alice(), A, now)
                .unwrap()
        };
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
        assert_eq!(
            send(back.after(3_598)),
            too_many(SendLimit::User, back.after(3_598 + 3_600))
        );
    }

    #[test]
    fn sends_that_no_limit_asks_for_are_removed_a_few_at_a_time() {
        let bench = Bench::new();
        let store = limited(&bench, limits("1000", "1000", "1000"));
        for i in 0..200 {
            store
                .begin_send(
                    SendKind::Code(Channel::Email),
                    &alice(),
                    A,
                    bench.now.after(i),
                )
                .unwrap();
        }
        let later = bench.now.after(86_400 + 99);
        store
            .begin_send(SendKind::Code(Channel::Email), &alice(), A, later)
            .unwrap();
        assert_eq!(waiting(&store), 200 - 64 + 1);
        for _ in 0..3 {
            store
                .begin_send(SendKind::Code(Channel::Email), &alice(), A, later)
                .unwrap();
        }
        assert_eq!(
            waiting(&store),
            100 + 4,
            "the last hundred are younger than a day"
        );
    }

    #[test]
    fn no_limit_looks_through_all_sends() {
        let bench = Bench::new();
        let store = bench.create();
        let plans = [
            OF_USER,
            OF_MACHINE,
            TO_ADDRESS,
            TO_OWN_ADDRESS,
            UNVERIFIED_OF_USER,
            OF_SMS,
            UNVERIFIED_SMS,
        ];
        for sql in plans {
            let plan: String = store
                .read(|db| {
                    let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
                    let steps = statement.raw_query().mapped(|row| row.get::<_, String>(3));
                    Ok(steps.collect::<Result<Vec<_>, _>>()?.join("; "))
                })
                .unwrap();
            assert!(
                plan.contains("SEARCH send USING") && !plan.contains("TEMP B-TREE"),
                "{sql}: {plan}"
            );
        }
    }

    #[test]
    fn notices_take_nothing_from_codes() {
        let bench = Bench::new();
        let store = limited(&bench, limits("1", "1", "100"));
        let send = |what| store.begin_send(what, &alice(), A, bench.now).unwrap();
        assert_eq!(send(SendKind::Notice), SendStart::Allowed);
        assert_eq!(
            send(SendKind::Notice),
            too_many(SendLimit::Address, bench.now.after(86_400))
        );
        assert_eq!(send(SendKind::Code(Channel::Email)), SendStart::Allowed);
    }

    #[test]
    fn a_limit_does_not_need_a_record() {
        let bench = Bench::new();
        let store = bench.create();
        assert_eq!(
            store
                .begin_send(SendKind::Code(Channel::Email), &alice(), A, bench.now)
                .unwrap(),
            SendStart::Allowed
        );
        assert!(!store.knows(&alice()).unwrap());
    }

    const CODE: SendKind = SendKind::Code(Channel::Sms);

    fn somebody(uid: u32) -> Account {
        Account {
            name: format!("user{uid}"),
            uid,
        }
    }

    #[test]
    fn until_an_address_is_verified_few_codes_go_to_it_and_none_of_them_counts_afterwards() {
        let bench = Bench::new();
        let store = bench.create();
        let send = |kind, address: &str, after| {
            store
                .begin_send(kind, &alice(), address, bench.now.after(after))
                .unwrap()
        };
        // By whatever way, and to however many addresses.
        let mail = SendKind::Code(Channel::Email);
        assert_eq!(
            [
                send(mail, A, 0),
                send(CODE, "+4915112345678", 1),
                send(SendKind::TextIn, "text-in", 2)
            ],
            [SendStart::Allowed; 3]
        );
        for (kind, address) in [
            (mail, A),
            (CODE, "+4915187654321"),
            (SendKind::TextIn, "text-in"),
        ] {
            let hour = bench.now.after(3_600);
            assert_eq!(
                send(kind, address, 3),
                too_many(SendLimit::Unverified, hour)
            );
        }
        assert_eq!(
            [send(mail, A, 3_600), send(mail, A, 3_601)],
            [SendStart::Allowed; 2]
        );
        assert_eq!(
            send(mail, A, 9_000),
            too_many(SendLimit::Unverified, bench.now.after(86_400))
        );
        // Neither another user nor a notice is held up, nor a code to an address that is verified.
        assert_eq!(
            store
                .begin_send(mail, &bob(), A, bench.now.after(9_000))
                .unwrap(),
            SendStart::Allowed
        );
        assert_eq!(
            send(SendKind::Notice, "+4915112345678", 9_000),
            SendStart::Allowed
        );
        bench.verify(&store, &alice(), Channel::Email, A);
        for _ in 0..10 {
            assert_eq!(send(mail, A, 9_000), SendStart::Allowed);
        }
    }

    #[test]
    fn text_messages_to_numbers_that_are_not_verified_leave_the_most_to_those_that_are() {
        let bench = Bench::new();
        let store = bench.create();
        store
            .change_policy([("send.sms-daily", "10")], &origin(), bench.now)
            .unwrap();
        bench.verify(&store, &alice(), Channel::Sms, "+4915112345678");
        let send = |account: &Account, after| {
            store
                .begin_send(CODE, account, "+4915112345678", bench.now.after(after))
                .unwrap()
        };
        assert_eq!(
            [send(&somebody(1), 0), send(&somebody(2), 0)],
            [SendStart::Allowed; 2]
        );
        let tomorrow = bench.now.after(86_400);
        assert_eq!(
            send(&somebody(3), 1),
            too_many(SendLimit::UnverifiedSms, tomorrow)
        );
        for _ in 0..8 {
            assert_eq!(send(&alice(), 1), SendStart::Allowed);
        }
        assert_eq!(send(&alice(), 2), too_many(SendLimit::Sms, tomorrow));
        // Mail costs nothing, and notices have limits of their own.
        let mail = store.begin_send(
            SendKind::Code(Channel::Email),
            &alice(),
            A,
            bench.now.after(2),
        );
        assert_eq!(mail.unwrap(), SendStart::Allowed);
        let notice = store.begin_send(
            SendKind::Notice,
            &alice(),
            "+4915112345678",
            bench.now.after(2),
        );
        assert_eq!(notice.unwrap(), SendStart::Allowed);
        let count = SmsCount {
            all: 10,
            unverified: 2,
        };
        assert_eq!(store.sms_count(bench.now.after(2)).unwrap(), count);
        assert_eq!(
            store.sms_count(tomorrow).unwrap(),
            SmsCount {
                all: 8,
                unverified: 0
            }
        );
        assert_eq!(send(&alice(), 86_400), SendStart::Allowed);
    }

    #[test]
    fn an_alarm_is_raised_once_a_day_by_all_processes_together() {
        let bench = Bench::new();
        let stores = [bench.create(), Store::open(bench.location.clone()).unwrap()];
        stores[0]
            .change_policy([("send.sms-daily", "10")], &origin(), bench.now)
            .unwrap();
        bench.verify(&stores[0], &alice(), Channel::Sms, "+4915112345678");
        let send = |account: &Account, after| {
            let now = bench.now.after(after);
            let start = stores[0]
                .begin_send(CODE, account, "+4915112345678", now)
                .unwrap();
            assert_eq!(start, SendStart::Allowed);
            let raised: Vec<_> = stores
                .iter()
                .flat_map(|store| store.raise_sms_alarms(now).unwrap())
                .collect();
            raised
        };
        assert_eq!(send(&somebody(1), 0), []);
        assert_eq!(send(&somebody(2), 0), [SmsAlarm::Unverified]);
        for _ in 2..7 {
            assert_eq!(send(&alice(), 0), []);
        }
        assert_eq!(send(&alice(), 0), [SmsAlarm::Most]);
        assert_eq!(send(&alice(), 3_600), []);
        assert_eq!(send(&alice(), 3_600), [SmsAlarm::All]);
        for _ in 2..7 {
            assert_eq!(send(&alice(), 86_400), []);
        }
        assert_eq!(
            send(&alice(), 86_400),
            [SmsAlarm::Most],
            "on the next day again"
        );
        assert_eq!(
            [send(&alice(), 86_400), send(&alice(), 86_400)],
            [[], []],
            "the last was within a day"
        );
        // A clock that went back is no reason to keep silent until it is as late again.
        assert_eq!(
            stores[0].raise_sms_alarms(bench.now).unwrap(),
            [SmsAlarm::All]
        );
    }

    #[test]
    fn notices_and_codes_take_nothing_of_the_machines_limit_from_each_other() {
        let bench = Bench::new();
        let store = limited(&bench, limits("100", "100", "1"));
        for what in [SendKind::Notice, SendKind::Code(Channel::Email)] {
            assert_eq!(
                store.begin_send(what, &alice(), A, bench.now).unwrap(),
                SendStart::Allowed
            );
            let start = store.begin_send(what, &alice(), A, bench.now).unwrap();
            assert_eq!(start, too_many(SendLimit::Machine, bench.now.after(3_600)));
        }
    }
}
