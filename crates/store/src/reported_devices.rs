//! Devices that hosts of the fleet report, on a server.
//!
//! A host reports what it has seen of a login. That is worth as much as the host: so the hash of a device holds the id of the host,
//! and the same device on another host is another one. A key that sshd has verified may be trusted in the whole fleet, where the
//! policy says so. The trust ends with the host.

use twofa_core::{Account, Duration, Grant, Timestamp};

use crate::attempts::{Tally, attempts_before};
use crate::database::Store;
use crate::error::StoreError;
use crate::event::{Event, Missed, Origin, Proof};
use crate::host_in_force::find_in_force;
use crate::model::device::{HashedDevice, PasswordHash, ReportedDevice, reported_password_hash};
use crate::model::ticket::NewTrust;
use crate::snapshot::UserSnapshot;
use crate::sql::users::UserRecord;
use crate::sql::{devices, events, users};
use crate::tx::{Tx, View};

/// What became of a login by a device that a host reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportedPass {
    /// The login is recorded. What was refused before it.
    Passed(Option<Missed>),
    /// The device is no longer trusted, or the account is locked.
    TrustEnded,
}

impl Store {
    /// What a host reports of the password of `account`, of which it knows this `fingerprint`: nobody else can make anything of
    /// it.
    pub fn password_mark(&self, account: &Account, fingerprint: &str) -> [u8; 32] {
        let parts = [account.name.as_bytes(), fingerprint.as_bytes()];
        self.key().keyed_hash("password mark", &parts)
    }

    /// The grant of a device to `account` that the host whose certificate has `key` reports, as of [`Store::device_grant`].
    pub fn reported_grant(
        &self,
        key: &[u8; 32],
        account: &Account,
        reported: ReportedDevice<'_>,
        now: Timestamp,
    ) -> Result<Option<Grant>, StoreError> {
        self.read(|view| {
            let host = find_in_force(view, key, now)?;
            let Some(user) = view.find(account)? else {
                return Ok(None);
            };
            let (device, password) = view.hashed(&host.id, account, reported);
            let found = view.valid_grant(&user, &device, password.as_ref())?;
            Ok(found.map(|(_, grant)| grant))
        })
    }

    /// Records a login of `account`, of whom this is `known`, by a device that the host reports for which `origin` is, and that is
    /// trusted for `duration`.
    pub fn pass_by_reported(
        &self,
        account: &Account,
        known: &UserSnapshot,
        (reported, duration): (ReportedDevice<'_>, Duration),
        origin: &Origin,
        now: Timestamp,
    ) -> Result<ReportedPass, StoreError> {
        // Nothing is used up, but a login is in the log before anybody gets in.
        self.change(origin, now, |tx| {
            let found = tx.find(account)?.filter(|user| known.is_about(user));
            let Some(user) = found else {
                return Ok(ReportedPass::TrustEnded);
            };
            if attempts_before(tx, &user, Tally::Proved)?.is_err() {
                return Ok(ReportedPass::TrustEnded);
            }
            let (device, password) = tx.hashed_here(account, reported)?;
            let found = tx.valid_grant(&user, &device, password.as_ref())?;
            let Some((id, _)) = found.filter(|(_, grant)| grant.is_believed(duration, now)) else {
                return Ok(ReportedPass::TrustEnded);
            };
            devices::set_used(tx.db, id, now)?;
            let missed = events::refused_since(tx.db, account, user.passed_event)?;
            let by = Proof::TrustedDevice(device.fields());
            let event = tx.record(Some(account), &Event::Passed { by })?;
            users::set_passed(tx.db, user.id, event, now)?;
            Ok(ReportedPass::Passed(missed))
        })
    }
}

impl View<'_> {
    fn hashed(
        &self,
        host: &str,
        account: &Account,
        reported: ReportedDevice<'_>,
    ) -> (HashedDevice, Option<PasswordHash>) {
        let hash = |password: &[u8; 32]| reported_password_hash(self.key, account, password);
        let password = reported.password.map(hash);
        (HashedDevice::reported(self.key, host, reported), password)
    }
}

impl Tx<'_> {
    /// The device as the host reports it for which this is done.
    fn hashed_here(
        &self,
        account: &Account,
        reported: ReportedDevice<'_>,
    ) -> Result<(HashedDevice, Option<PasswordHash>), StoreError> {
        let key = self.host_key().ok_or(StoreError::HostRefused)?;
        let host = find_in_force(self, key, self.now)?;
        Ok(self.hashed(&host.id, account, reported))
    }

    /// Trusts a device that the host reports for which this is done.
    pub(crate) fn trust_reported(
        &self,
        account: &Account,
        user: &UserRecord,
        trust: NewTrust<'_>,
    ) -> Result<(), StoreError> {
        let Some(grant) = Grant::new(trust.duration, self.now) else {
            return Ok(());
        };
        let (device, password) = self.hashed_here(account, trust.reported)?;
        let lowering = devices::last_lowering(self.db)?;
        let basis = (Some(trust.class), lowering);
        self.trust_device(account, user, &device, password, grant, basis)
    }
}

#[cfg(test)]
mod tests;
