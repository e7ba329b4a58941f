//! Devices that a code made trusted.
//!
//! A grant belongs to a user, a kind and a device. It ends with time ([`Grant::is_believed`]) and with a change of the user's
//! methods or password. The duration comes from the policy, which the caller knows.
//!
//! To end the trust in millions of devices at once, or to shorten it, rewrites none of their rows: a row of `trust_lowering`
//! says so. The daemon deletes grants that are over little by little ([`Store::prune_devices`]).

use std::sync::atomic::Ordering;

use twofa_core::{Account, Device, DeviceKind, Duration, Grant, Timestamp};

use crate::database::Store;
use crate::error::StoreError;
use crate::event::{DeviceFields, Event, Origin};
use crate::model::device::{
    HashedDevice, PasswordHash, PruningState, TrustedDevice, password_hash,
};
use crate::sql::devices::{self, NewGrant};
use crate::sql::users::UserRecord;
use crate::sql::{sessions, tickets};
use crate::tx::{Tx, View};

/// How many devices one user can have, on one host of a fleet; the least recently used goes first. A provider that assigns a new address each day
/// would fill the disk otherwise.
const MOST_OF_A_USER: u32 = 20;
/// Users are told of new addresses once in this many seconds.
const ADDRESS_NOTICE_INTERVAL: u64 = 24 * 60 * 60;

/// How long a grant that ended by time is kept, in seconds: 90 days. Until then its device is known, and a user who trusts it
/// again gets no notice.
const KEPT_FOR: u64 = 90 * 86_400;
/// How many grants are looked at in one transaction: a few milliseconds if all of them are deleted.
const LOOKED_AT_ONCE: u32 = 500;
/// How many transactions [`Store::prune_devices`] has at a time.
const STEPS: u32 = 20;

impl Store {
    /// The grant of `device` to `account`, unless its methods or its password are no longer those of the grant. `password`:
    /// what the module reads of it, if it can.
    pub fn device_grant(
        &self,
        account: &Account,
        device: &Device,
        password: Option<&str>,
    ) -> Result<Option<Grant>, StoreError> {
        self.read(|view| {
            let Some(user) = view.find(account)? else {
                return Ok(None);
            };
            let device = HashedDevice::new(view.key, device);
            let password =
                password.map(|fingerprint| password_hash(view.key, account, fingerprint));
            let found = view.valid_grant(&user, &device, password.as_ref())?;
            Ok(found.map(|found| found.1))
        })
    }

    /// Whether a program of `service` was ever seen to come to the account phase. Only there is a device trusted: what never
    /// comes there cannot know whether the password was right.
    pub fn is_confirming(&self, service: &str) -> Result<bool, StoreError> {
        self.read(|view| devices::is_confirming(view.db, service))
    }

    /// Passes the devices of `account`, or of everybody, whose grants last at `now` to `each`, by user and number, until it
    /// returns `false`. Which of them the policy still trusts is the caller's to find out.
    pub fn devices(
        &self,
        account: Option<&Account>,
        now: Timestamp,
        each: impl FnMut(TrustedDevice) -> bool,
    ) -> Result<(), StoreError> {
        self.read(|view| devices::each(view.db, account, now, each))
    }

    /// The addresses that several users have trusted, with the number of those users, the most shared first.
    pub fn shared_addresses(&self, now: Timestamp) -> Result<Vec<(String, u32)>, StoreError> {
        self.read(|view| devices::shared_addresses(view.db, now))
    }

    /// Ends the trust in the device `id` of `account`. Returns whether there was such a device.
    pub fn revoke_device(
        &self,
        account: &Account,
        id: i64,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.change(origin, now, |tx| {
            let Some(user) = tx.find(account)? else {
                return Ok(false);
            };
            let Some((of_kind, label)) = devices::delete(tx.db, user.id, id)? else {
                return Ok(false);
            };
            tickets::forget_grants(tx.db, Some(account))?;
            let device = DeviceFields { of_kind, label };
            tx.record(Some(account), &Event::DeviceRevoked { device })?;
            Ok(true)
        })
    }

    /// Ends the trust in all devices of `account`, whose password changes, also in those that an unconfirmed login was about to
    /// make trusted. Returns how many there were.
    pub fn end_trust_with_password(
        &self,
        account: &Account,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        self.change(origin, now, |tx| {
            tickets::delete_unconfirmed(tx.db, account)?;
            sessions::forget_codes(tx.db, Some(account))?;
            let Some(user) = tx.find(account)? else {
                return Ok(0);
            };
            let count = devices::delete_all(tx.db, user.id)?;
            let count = u64::try_from(count).unwrap_or(u64::MAX);
            if count > 0 {
                tx.record(Some(account), &Event::PasswordChanged { count })?;
            }
            Ok(count)
        })
    }

    /// Ends the trust in all devices of `account`, or of everybody, also in those that an unconfirmed login was about to make
    /// trusted, and in open sessions. Returns how many devices were trusted.
    pub fn revoke_all_devices(
        &self,
        account: Option<&Account>,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        // Everybody's are counted apart: that takes seconds where there are millions, which no login waits for.
        let everybodys = match account {
            None => self.read(|view| devices::count_everybodys(view.db, now))?,
            Some(_) => 0,
        };
        self.change(origin, now, |tx| {
            tickets::forget_grants(tx.db, account)?;
            sessions::forget_codes(tx.db, account)?;
            let count = match account {
                None => {
                    for kind in DeviceKind::all() {
                        devices::shorten(tx.db, kind, None, Duration::from_seconds(0))?;
                    }
                    everybodys
                }
                Some(account) => {
                    let mut count = 0;
                    devices::each(tx.db, Some(account), now, |_| {
                        count += 1;
                        true
                    })?;
                    if let Some(user) = tx.find(account)? {
                        devices::delete_all(tx.db, user.id)?;
                    }
                    count
                }
            };
            if count > 0 {
                tx.record(account, &Event::DevicesRevoked { count })?;
            }
            Ok(count)
        })
    }

    /// The users who trusted a device at any time that is still on record.
    pub fn device_owners(&self) -> Result<Vec<Account>, StoreError> {
        self.read(|view| devices::owners(view.db))
    }

    /// Deletes grants that ended long ago or were ended for everybody: looks at ten thousand, and the next time at those
    /// behind them. Returns how many were deleted.
    pub fn prune_devices(&self, now: Timestamp) -> Result<u64, StoreError> {
        let before = now.before(KEPT_FOR);
        let PruningState(through) = self.pruning();
        let mut deleted = 0;
        for _ in 0..STEPS {
            let after = through.load(Ordering::Relaxed);
            let stretch =
                self.read(|view| devices::stretch(view.db, after, before, LOOKED_AT_ONCE))?;
            let Some(stretch) = stretch else {
                through.store(0, Ordering::Relaxed);
                break;
            };
            if stretch.has_ended {
                deleted += self.write_unsynced(|view| {
                    devices::delete_ended(view.db, after, stretch.last, before)
                })?;
            }
            through.store(stretch.last, Ordering::Relaxed);
        }
        Ok(deleted)
    }
}

impl View<'_> {
    /// The grant of `device` to `user` and its number, if it holds apart from the time.
    pub(crate) fn valid_grant(
        &self,
        user: &UserRecord,
        device: &HashedDevice,
        password: Option<&PasswordHash>,
    ) -> Result<Option<(i64, Grant)>, StoreError> {
        let found = devices::find(self.db, user.id, device.kind, &device.hash)?;
        // A password that could be read at the grant and cannot be read now counts as changed.
        let found = found.filter(|found| {
            found.generation == user.generation && found.password.as_ref() == password
        });
        Ok(found.map(|found| (found.id, found.grant)))
    }
}

impl Tx<'_> {
    /// Trusts `device` of `user` by `grant`, whose duration is that of the policy of `class` at `lowering`.
    pub(crate) fn trust_device(
        &self,
        account: &Account,
        user: &UserRecord,
        device: &HashedDevice,
        password: Option<PasswordHash>,
        grant: Grant,
        (class, lowering): (Option<&str>, i64),
    ) -> Result<(), StoreError> {
        // One whose trust ended by time alone is known: with a short duration it is trusted many times a day.
        let before = self.valid_grant(user, device, password.as_ref())?;
        let is_told = before.is_none() && self.is_worth_a_notice(user, device)?;
        devices::save(
            self.db,
            &NewGrant {
                user: user.id,
                kind: device.kind,
                hash: &device.hash,
                label: &device.label,
                service: self.origin.service(),
                generation: user.generation,
                password,
                grant,
                lowering,
                class,
                host: device.host.as_deref(),
            },
        )?;
        devices::delete_beyond(self.db, user.id, device, MOST_OF_A_USER - 1)?;
        let (device, until) = (device.fields(), grant.until.unix());
        let event = match before {
            None => Event::DeviceTrusted { device, until },
            Some(_) => Event::TrustRenewed { device, until },
        };
        let recorded = if is_told {
            self.record(Some(account), &event)
        } else {
            self.record_quietly(Some(account), &event)
        };
        recorded.map(drop)
    }

    /// Whether `user` is notified of a new `device`: not of every terminal of su and sudo, nor of every new address from a
    /// provider.
    fn is_worth_a_notice(
        &self,
        user: &UserRecord,
        device: &HashedDevice,
    ) -> Result<bool, StoreError> {
        let since = self.now.before(ADDRESS_NOTICE_INTERVAL);
        Ok(match device.kind {
            DeviceKind::Key | DeviceKind::Host | DeviceKind::Seat => true,
            DeviceKind::Address => {
                !devices::has_other_address_since(self.db, user.id, &device.hash, since)?
            }
            DeviceKind::Session | DeviceKind::Terminal => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, alice, origin};
    use crate::tickets::tests::{address, devices, enrolled, grant, kinds, trust};

    const ROWS: &str = "SELECT count(*) FROM device";

    #[test]
    fn the_trust_of_everybody_ends_without_a_write_to_each_grant() {
        let bench = Bench::new();
        let store = enrolled(&bench);
        let (first, second) = (address("192.0.2.7"), address("192.0.2.8"));
        trust(&store, &bench, 100, &first);
        trust(&store, &bench, 101, &second);
        let revoke = || store.revoke_all_devices(None, &origin(), bench.now);
        assert_eq!(revoke().unwrap(), 2);
        assert_eq!(devices(&store, bench.now), []);
        assert_eq!(Bench::number(&store, ROWS), 2);
        assert_eq!(grant(&store, &first), None);
        let earlier = devices(&store, bench.now.before(1));
        assert_eq!(earlier, [], "however far back the clock goes");

        trust(&store, &bench, 102, &first);
        let events = |kind: &str| kinds(&store).iter().filter(|it| *it == kind).count();
        assert_eq!(
            events("device-trusted"),
            3,
            "it was as unknown as a new one"
        );
        assert_eq!(devices(&store, bench.now).len(), 1);
        assert_eq!((revoke().unwrap(), revoke().unwrap()), (1, 0));
        assert_eq!(
            events("devices-revoked"),
            2,
            "the last time there were none"
        );
    }

    #[test]
    fn grants_that_are_over_are_deleted_little_by_little_and_no_others() {
        let bench = Bench::on_file();
        let store = enrolled(&bench);
        let prune = |now| store.prune_devices(now).unwrap();
        trust(&store, &bench, 100, &address("192.0.2.7"));
        store
            .revoke_all_devices(None, &origin(), bench.now)
            .unwrap();
        trust(&store, &bench, 101, &address("192.0.2.8"));
        assert_eq!((prune(bench.now), Bench::number(&store, ROWS)), (1, 1));

        let until = devices(&store, bench.now)[0].grant.until;
        assert_eq!(prune(until.after(KEPT_FOR)), 0);
        assert_eq!(prune(until.after(KEPT_FOR + 1)), 1);

        let many = u64::from(LOOKED_AT_ONCE * STEPS) + 1;
        Bench::execute(
            &store,
            &format!(
                "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {many})
                 INSERT INTO device (user, kind, hash, label, generation, granted_at, until, used_at)
                 SELECT user.id, 'key', randomblob(32), 'key', generation, 1, 2, 1 FROM number, user"
            ),
        );
        assert_eq!((prune(bench.now), prune(bench.now)), (many - 1, 1));
    }

    #[test]
    fn what_everybody_trusts_is_listed_without_reading_grants_in_the_order_of_their_hashes() {
        let bench = Bench::on_file();
        let plan = Bench::plan(&enrolled(&bench), devices::OF_EVERYBODY);
        let shared = "SCAN device USING COVERING INDEX device_of_hash";
        assert!(plan.contains(shared), "{plan}");
        let of_each = "SEARCH device USING INDEX sqlite_autoindex_device_1 (user=?)";
        assert!(plan.contains(of_each), "{plan}");
    }

    #[test]
    fn only_users_with_grants_own_devices() {
        let bench = Bench::new();
        let store = enrolled(&bench);
        assert_eq!(store.device_owners().unwrap(), []);
        trust(&store, &bench, 100, &address("192.0.2.7"));
        assert_eq!(store.device_owners().unwrap(), [alice()]);
    }
}
