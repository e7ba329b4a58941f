//! Login sessions: which are on record as open, which have exceeded their lifetime, and how they ended. Finding out
//! whether a session has processes, and ending them, takes root's rights, which this process has given up: the caller
//! does that.

use std::collections::HashMap;
use std::path::PathBuf;

pub use crate::requests::session::session_report;
use twofa_core::{Account, Timestamp};
pub use twofa_store::event::SessionEnd;
pub use twofa_store::{HostOrder, HostSession, HostSessionFilter, StoredSession};
use twofa_store::{Location, SessionFilter};

use super::{AdminError, Administration};
use crate::requests::session;

/// The file that the broker of a host writes when a server wants sessions ended, or some were closed. Root's
/// `twofa session sweep` is then due.
pub fn trigger() -> PathBuf {
    Location::default().database.with_file_name("end-sessions")
}

impl Administration {
    /// On a server: the open sessions on hosts of the fleet that `filter` lets through, by host and number.
    pub fn host_sessions(
        &self,
        filter: &HostSessionFilter,
    ) -> Result<Vec<HostSession>, AdminError> {
        Ok(self.store().host_sessions(filter)?)
    }

    /// On a server: orders the hosts concerned to end their sessions that `filter` lets through. Returns the orders.
    pub fn end_host_sessions(
        &self,
        filter: &HostSessionFilter,
    ) -> Result<Vec<HostOrder>, AdminError> {
        let (origin, now) = (self.origin(), self.now());
        Ok(self.store().end_host_sessions(filter, &origin, now)?)
    }

    /// What has become of these orders. Those of hosts that were removed are left out.
    pub fn host_orders(&self, ids: &[i64]) -> Result<Vec<HostOrder>, AdminError> {
        Ok(self.store().host_orders(ids)?)
    }

    /// The sessions on record as open, of the user called `user` or of everybody, in order of number.
    pub fn open_sessions(&self, user: Option<String>) -> Result<Vec<StoredSession>, AdminError> {
        let mut sessions = Vec::new();
        let filter = SessionFilter {
            user,
            ..SessionFilter::default()
        };
        self.store().sessions(&filter, |session| {
            sessions.push(session);
            true
        })?;
        Ok(sessions)
    }

    /// When the lifetime of each of `sessions` ends: the earlier of what was set when it began and what the policy says now.
    pub fn session_ends(&self, sessions: &[StoredSession]) -> Vec<Option<Timestamp>> {
        let mut lifetimes: HashMap<&Account, Option<u64>> = HashMap::new();
        let end = |session: &StoredSession, lifetime: Option<u64>| {
            let by_policy = lifetime.map(|seconds| session.started_at.after(seconds));
            session.until.into_iter().chain(by_policy).min()
        };
        sessions
            .iter()
            .map(|session| {
                let account = &session.account;
                // If the rules of a user cannot be settled now, what was set at the beginning applies.
                let lifetime = *lifetimes.entry(account).or_insert_with(|| {
                    session::lifetime(self.broker.services(), account)
                        .ok()
                        .flatten()
                });
                end(session, lifetime)
            })
            .collect()
    }

    /// Records which ids systemd-logind gave to sessions.
    pub fn set_session_scopes(&self, scopes: &[(i64, String)]) -> Result<(), AdminError> {
        Ok(self.store().set_session_scopes(scopes)?)
    }

    /// Records that these sessions no longer have processes.
    pub fn sessions_are_gone(&self, ids: &[i64]) -> Result<(), AdminError> {
        Ok(self.store().sessions_are_gone(ids, self.now())?)
    }

    /// Records and logs that these sessions were ended.
    pub fn sessions_were_ended(&self, ids: &[i64], why: SessionEnd) -> Result<(), AdminError> {
        let (origin, now) = (self.origin(), self.now());
        Ok(self.store().sessions_were_ended(ids, why, &origin, now)?)
    }

    /// The accounts that are or were called `name`, as far as there are records of them.
    pub fn accounts_called(&self, name: &str) -> Result<Vec<Account>, AdminError> {
        let uids = self.store().uids_of(name)?;
        let account = |uid| Account {
            name: name.to_owned(),
            uid,
        };
        Ok(uids.into_iter().map(account).collect())
    }

    /// Ends the trust in all devices of `account`, or of everybody. Returns how many were trusted.
    pub fn end_trust(&self, account: Option<&Account>) -> Result<u64, AdminError> {
        let (origin, now) = (self.origin(), self.now());
        Ok(self.store().revoke_all_devices(account, &origin, now)?)
    }
}
