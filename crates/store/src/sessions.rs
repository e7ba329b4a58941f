//! Login sessions: who is logged in, since when, from where, and what they proved.
//!
//! The module's session hook reports when a session begins and, unless its program is killed, when it ends. Only root can see
//! whether a session still has processes; root's sweep looks from time to time and records it here. A row is written without
//! waiting for the disk: no login waits for it, and a power cut ends the session as well.

use twofa_core::device::ssh_key::{ProvedKey, ProvedKeys};
use twofa_core::{Account, Timestamp};

use crate::database::Store;
use crate::error::StoreError;
use crate::event::{Event, Origin, SessionEnd, SessionFields};
use crate::model::session::{LockerPlace, NewSession, SessionFilter, StoredSession};
use crate::model::ticket::{self, LIFETIME, ProcessId, TicketLogin};
use crate::sql::{sessions, tickets};
use crate::tx::Tx;

/// How many sessions of a user are kept that their program closed or that ended. Programs that log in for every file they
/// copy make thousands a day.
const CLOSED_KEPT_OF_A_USER: u32 = 200;
/// How many sessions of a user are kept at all, where nobody looks whether they still have processes.
const KEPT_OF_A_USER: u32 = 2_000;
/// How long sessions that ended are kept, in seconds.
const KEPT_FOR: u64 = 90 * 24 * 60 * 60;
/// After about this many sessions old ones are removed.
const PRUNED_EVERY: i64 = 16;
/// How many of the oldest sessions are then looked at. It is not the whole table, which has millions of rows where many
/// people log in; and it is more than can be open for [`KEPT_FOR`], which are not removed.
const LOOKED_AT: u32 = 1_000;

impl Store {
    /// Records that a session begins, with what the ticket of its process says. Returns its number; `None`: nobody logs in
    /// with it.
    pub fn open_session(
        &self,
        new: &NewSession<'_>,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Option<i64>, StoreError> {
        let machine = self.machine();
        self.change_unsynced(origin, now, |tx| {
            // Sessions of before a reboot have ended, whether somebody looks or not.
            sessions::end_of_other_boots(tx.db, machine, new.boot, now)?;
            let ticket = tx.redeem(new.boot, new.process)?;
            let login = ticket
                .filter(|(account, _)| account == new.account)
                .map(|(_, login)| login);
            if login.is_none() && !new.is_login {
                return Ok(None);
            }
            let info = login
                .as_ref()
                .and_then(|login| login.ssh_auth_info.as_deref());
            let keys: Vec<_> = ProvedKeys::read(info.unwrap_or_default())
                .user
                .iter()
                .map(ProvedKey::to_public_key)
                .collect();
            let id = sessions::insert(tx.db, machine, new, login.as_ref(), &keys, tx.origin, now)?;
            if id % PRUNED_EVERY == 0 {
                sessions::delete_closed_beyond(tx.db, new.account, CLOSED_KEPT_OF_A_USER)?;
                sessions::delete_beyond(tx.db, new.account, KEPT_OF_A_USER)?;
                sessions::delete_ended_before(tx.db, now.before(KEPT_FOR), LOOKED_AT)?;
            }
            Ok(Some(id))
        })
    }

    /// Sets when the session `id` is over its lifetime.
    pub fn set_session_until(&self, id: i64, until: Timestamp) -> Result<(), StoreError> {
        self.write_unsynced(|view| sessions::set_until(view.db, id, until))
    }

    /// Records that the program of a session has closed it.
    pub fn close_session(
        &self,
        boot: &str,
        process: ProcessId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write_unsynced(|view| {
            sessions::set_closed(view.db, self.machine(), boot, process, now)
        })
    }

    /// Whether `account` has an open session on this machine in which a screen locker in `place` can be, and whose login rests on a code that
    /// was right between `since` and `now`.
    pub fn has_verified_session(
        &self,
        account: &Account,
        place: LockerPlace<'_>,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.read(|view| {
            let sessions = sessions::verified(view.db, self.machine(), account, since, now)?;
            Ok(sessions.iter().any(|session| place.is_in(session)))
        })
    }

    /// The session `id`.
    pub fn session(&self, id: i64) -> Result<Option<StoredSession>, StoreError> {
        self.read(|view| sessions::find(view.db, id))
    }

    /// Passes the sessions of this machine that `filter` lets through to `each`, by number, until it returns `false`.
    pub fn sessions(
        &self,
        filter: &SessionFilter,
        each: impl FnMut(StoredSession) -> bool,
    ) -> Result<(), StoreError> {
        self.read(|view| sessions::each(view.db, self.machine(), filter, each))
    }

    /// Records which id systemd-logind gave to sessions.
    pub fn set_session_scopes(&self, scopes: &[(i64, String)]) -> Result<(), StoreError> {
        self.write_unsynced(|view| {
            scopes
                .iter()
                .try_for_each(|(id, scope)| sessions::set_scope(view.db, *id, scope))
        })
    }

    /// Records that these sessions have no processes any longer.
    pub fn sessions_are_gone(&self, ids: &[i64], now: Timestamp) -> Result<(), StoreError> {
        self.write_unsynced(|view| {
            ids.iter()
                .try_for_each(|id| sessions::set_ended(view.db, *id, now))
        })
    }

    /// Records that somebody ended these sessions, and logs it.
    pub fn sessions_were_ended(
        &self,
        ids: &[i64],
        why: SessionEnd,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.change(origin, now, |tx| {
            for id in ids {
                let Some(session) = sessions::find(tx.db, *id)? else {
                    continue;
                };
                sessions::set_ended(tx.db, *id, now)?;
                let account = session.account.clone();
                let session = SessionFields::from(session);
                tx.record(Some(&account), &Event::SessionEnded { session, why })?;
            }
            Ok(())
        })
    }
}

impl Tx<'_> {
    /// What is known of the login whose session `process` opens, and whose login it was. It is known once.
    pub(crate) fn redeem(
        &self,
        boot: &str,
        process: ProcessId,
    ) -> Result<Option<(Account, TicketLogin)>, StoreError> {
        let since = self.now.before(LIFETIME);
        let Some(found) = tickets::find_of_session(self.db, boot, process, since)? else {
            return Ok(None);
        };
        tickets::delete(self.db, found.id)?;
        Ok(Some((found.account, ticket::read(&found.login)?)))
    }
}

#[cfg(test)]
mod tests;
