//! When an administrator is warned of many text messages: they cost money, and some operators earn by them.

use twofa_core::Timestamp;
use twofa_core::policy::SendLimits;

use crate::database::Store;
use crate::error::StoreError;
use crate::event::SmsAlarm;
use crate::sql::{Db, sends};
use crate::tx::View;

const DAY: u64 = 86_400;

/// How many text messages with codes went out in the last 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SmsCount {
    /// To all numbers, verified or not.
    pub all: u32,
    /// To numbers that were not verified.
    pub unverified: u32,
}

impl SmsAlarm {
    /// The alarms that this count calls for.
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

    /// As it is stored.
    const fn name(self) -> &'static str {
        match self {
            Self::Unverified => "unverified",
            Self::Most => "most",
            Self::All => "all",
        }
    }
}

impl Store {
    /// How many text messages with codes went out in the 24 hours before `now`.
    pub fn sms_count(&self, now: Timestamp) -> Result<SmsCount, StoreError> {
        self.read(|view| count(view.db, now))
    }

    /// The alarms that the present count calls for, each at most once in 24 hours.
    pub fn raise_sms_alarms(&self, now: Timestamp) -> Result<Vec<SmsAlarm>, StoreError> {
        if self.read(|view| due(view, now))?.is_empty() {
            return Ok(Vec::new());
        }
        self.write_unsynced(|view| {
            view.db.lock("alarms", "")?;
            let due = due(view, now)?;
            for alarm in &due {
                sends::save_alarm(view.db, alarm.name(), now)?;
            }
            Ok(due)
        })
    }
}

fn due(view: &View<'_>, now: Timestamp) -> Result<Vec<SmsAlarm>, StoreError> {
    let limits = view.rules()?.rulebook.machine().limits;
    let mut due = Vec::new();
    for alarm in SmsAlarm::due(count(view.db, now)?, limits) {
        if !sends::was_alarm_raised(view.db, alarm.name(), now.before(DAY), now)? {
            due.push(alarm);
        }
    }
    Ok(due)
}

fn count(db: &Db<'_>, now: Timestamp) -> Result<SmsCount, StoreError> {
    let (all, unverified) = sends::count_sms(db, now.before(DAY))?;
    Ok(SmsCount { all, unverified })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, alice, origin};
    use crate::{SendKind, SendStart};
    use twofa_core::{Account, Channel};

    const CODE: SendKind = SendKind::Code(Channel::Sms);

    fn somebody(uid: u32) -> Account {
        Account {
            name: format!("user{uid}"),
            uid,
        }
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
}
