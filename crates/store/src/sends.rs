//! Limits on what is sent: every message costs something, and nobody should be flooded with codes.

use twofa_core::policy::SendLimits;
use twofa_core::{Account, Channel, PerChannel, Timestamp};

use crate::database::Store;
use crate::error::StoreError;
use crate::event::Origin;
use crate::sql::Db;
use crate::sql::sends::{self, SendRecord};
use crate::tx::View;

const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;
/// How many old rows one send removes at most: more than it adds, so that they go, and so few that nobody waits for it.
const PRUNED_AT_ONCE: u32 = 64;

/// Whether a code or notice may be sent.
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

/// What is sent. Notices are counted by themselves against the same limits, so that they do not use up the codes that people
/// log in with. Everything else counts as a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendKind {
    /// A code, by this channel.
    Code(Channel),
    /// A question to a provider on somebody's behalf: whether they texted us. It costs a request, and counts as a code.
    TextIn,
    /// A notice, by any channel.
    Notice,
}

/// The limit that was reached: who or what it counts for, and in which period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendLimit {
    /// To one user in an hour, whichever address it goes to.
    User,
    /// To one address in a day: the user whose it is alone, everybody else together.
    Address,
    /// By this machine in an hour.
    Machine,
    /// For the logins on one host of the fleet, in an hour.
    Host,
    /// To one user's addresses that are not verified, in an hour or a day.
    Unverified,
    /// By this machine in text messages to numbers that are not verified, in a day.
    UnverifiedSms,
    /// By this machine in text messages with codes, in a day.
    Sms,
}

impl Store {
    /// Counts `what` for `account` that is about to be sent to `address`, unless that is more than the machine's policy
    /// allows. It counts from now on, whether it arrives or not; the account needs no record.
    ///
    /// Not synced: it limits costs and nuisance, not logins. A power cut forgets the last few, which then can be sent
    /// once more; every login's own commits keep them before that.
    ///
    /// A clock that has gone back neither lifts a limit nor extends one: a send whose time now lies in the future
    /// counts as sent now, so that it expires after its hour or day.
    pub fn begin_send(
        &self,
        what: SendKind,
        account: &Account,
        address: &str,
        now: Timestamp,
    ) -> Result<SendStart, StoreError> {
        self.write_unsynced(|view| begin(view, what, account, address, None, now))
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
        let place = origin.place();
        let asked = Asked {
            place: &place,
            host: origin.host.as_ref().map(|host| &*host.name),
        };
        let what = SendKind::Code(channel);
        self.write_unsynced(|view| begin(view, what, account, address, Some(asked), now))
    }

    /// From when on another code may be sent to `account` without being asked for, if one went there less than `cooldown`
    /// seconds ago at the request of `origin` and was not typed: a program that answers no prompt must not make us send one
    /// code after another.
    pub fn code_is_awaited(
        &self,
        account: &Account,
        origin: &Origin,
        cooldown: u64,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.read(|view| {
            let at = sends::last_awaited(view.db, account, &origin.place())?;
            // What is later than now was sent before the clock went back.
            let at = at.filter(|at| *at <= now);
            Ok(at.map(|at| at.after(cooldown)).filter(|next| now < *next))
        })
    }

    /// Marks that the last code to `account` did not go out: nobody waits for it.
    pub fn code_is_not_coming(&self, account: &Account) -> Result<(), StoreError> {
        self.write_unsynced(|view| sends::clear_places(view.db, account))
    }
}

/// Where a code is asked for.
#[derive(Debug, Clone, Copy)]
struct Asked<'a> {
    place: &'a str,
    /// The host of the fleet; `None`: this machine.
    host: Option<&'a str>,
}

fn begin(
    view: &View<'_>,
    what: SendKind,
    account: &Account,
    address: &str,
    asked: Option<Asked<'_>>,
    now: Timestamp,
) -> Result<SendStart, StoreError> {
    let limits = view.rules()?.rulebook.machine().limits;
    // Two that are counted at once would both find room for one.
    view.db.lock("sends", "")?;
    sends::pull_back(view.db, now)?;
    sends::delete_old(view.db, now.before(DAY), PRUNED_AT_ONCE)?;
    let host = asked.and_then(|asked| asked.host);
    let send = Send::new(view, what, account, address, host)?;
    let next = send.next_possible(view.db, limits, now)?;
    let last = next.into_iter().max_by_key(|(_, next)| *next);
    if let Some((what, next)) = last {
        return Ok(SendStart::TooMany { what, next });
    }
    let place = asked.map(|asked| asked.place);
    sends::insert(view.db, &send.record, place, now)?;
    Ok(SendStart::Allowed)
}

/// One that is about to be counted.
struct Send<'a> {
    record: SendRecord<'a>,
    /// The address is one of the account's: verified, or put on file for it.
    is_own: bool,
}

impl<'a> Send<'a> {
    fn new(
        view: &View<'_>,
        what: SendKind,
        account: &'a Account,
        address: &str,
        host: Option<&'a str>,
    ) -> Result<Self, StoreError> {
        let address = address.trim().to_lowercase();
        let user = view.find(account)?;
        let own = user
            .as_ref()
            .map(|user| &user.contacts)
            .into_iter()
            .flat_map(PerChannel::iter)
            .filter_map(|(_, contact)| contact.as_ref())
            .find(|own| own.address.to_lowercase() == address);
        let is_notice = what == SendKind::Notice;
        let record = SendRecord {
            account,
            address,
            is_notice,
            is_sms: what == SendKind::Code(Channel::Sms),
            is_verified: is_notice || own.is_some_and(|own| own.verified),
            host,
        };
        Ok(Self {
            is_own: own.is_some(),
            record,
        })
    }

    /// For each limit that is reached, when the next send is possible: when the one that is as many before it as the
    /// limit allows is older than the limit's hour or day.
    fn next_possible(
        &self,
        db: &Db<'_>,
        limits: SendLimits,
        now: Timestamp,
    ) -> Result<Vec<(SendLimit, Timestamp)>, StoreError> {
        let Self { record, is_own } = self;
        let (hour, day) = (now.before(HOUR), now.before(DAY));
        let mut reached = Vec::new();
        let mut check = |limit, window, nth: Option<Timestamp>| {
            reached.extend(nth.map(|at: Timestamp| (limit, at.after(window))));
        };
        let user = sends::nth_of_user(db, record, hour, limits.user_hourly)?;
        check(SendLimit::User, HOUR, user);
        let machine = sends::nth_of_machine(db, record, hour, limits.machine_hourly)?;
        check(SendLimit::Machine, HOUR, machine);
        let of_host = sends::nth_of_host(db, record, hour, limits.host_hourly)?;
        check(SendLimit::Host, HOUR, of_host);
        // Others who try to enrol somebody's address must not keep its owner from logging in.
        let address = if *is_own {
            sends::nth_to_own_address(db, record, day, limits.address_daily)?
        } else {
            sends::nth_to_address(db, record, day, limits.address_daily)?
        };
        check(SendLimit::Address, DAY, address);
        if record.is_sms {
            let sms = sends::nth_sms(db, day, limits.sms_daily)?;
            check(SendLimit::Sms, DAY, sms);
        }
        if record.is_verified {
            return Ok(reached);
        }
        let (account, most) = (record.account, limits.unverified_hourly);
        let hourly = sends::nth_unverified_of_user(db, account, hour, most)?;
        check(SendLimit::Unverified, HOUR, hourly);
        let most = limits.unverified_daily;
        let daily = sends::nth_unverified_of_user(db, account, day, most)?;
        check(SendLimit::Unverified, DAY, daily);
        if record.is_sms {
            let most = limits.sms_daily_unverified();
            let sms = sends::nth_unverified_sms(db, day, most)?;
            check(SendLimit::UnverifiedSms, DAY, sms);
        }
        Ok(reached)
    }
}

#[cfg(test)]
mod tests;
