//! What a login leaves for its later phases.
//!
//! A module that is asked in `auth` cannot know whether the first factor will be right. What follows from a code there, the
//! pass in the log, what the user missed, and the trust in a device, is therefore left as a ticket and happens in the account
//! phase of the same login, which a program reaches only after the first factor. The session hook picks the ticket up: it runs
//! in another process in sshd, and believes no environment.

use twofa_core::{Account, Device, Duration, Grant, Timestamp};

use crate::database::Store;
use crate::error::StoreError;
use crate::event::{Event, Origin, Proof};
use crate::model::device::{HashedDevice, password_hash};
use crate::model::ticket::{
    AccountPhase, Confirmation, FleetLogin, LIFETIME, LoginProcess, Pass, ProcessId, TicketGrant,
    TicketLogin, TicketNumber, read, write,
};
use crate::sql::users::UserRecord;
use crate::sql::{devices, events, tickets, users};
use crate::tx::Tx;

impl Store {
    /// Leaves a ticket for a login from a device that is trusted already.
    pub fn leave_trusted(
        &self,
        account: &Account,
        pass: Pass<'_>,
        device: &Device,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.change_unsynced(origin, now, |tx| {
            let by = Proof::TrustedDevice(HashedDevice::new(tx.key, device).fields());
            let pass = Pass {
                device: Some(device),
                trust_for: None,
                ..pass
            };
            tx.leave_ticket(account, pass, by, false)
        })
    }

    /// Records the login of `account` that left the ticket, and makes the grant that belongs to it. A key that
    /// is known now is trusted instead of what `auth` knew: sshd before 9.8 says only in the account phase which key a login
    /// by `publickey,password` has shown.
    pub fn confirm(
        &self,
        account: &Account,
        phase: AccountPhase<'_>,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Confirmation, StoreError> {
        // That the code is used must be on disk before anybody gets in, and it is already.
        self.change_unsynced(origin, now, |tx| {
            let since = now.before(LIFETIME);
            let AccountPhase {
                ticket,
                process,
                key,
                ssh_auth_info,
            } = phase;
            let found = tickets::find(tx.db, ticket, since)?
                .filter(|found| found.account == *account && !found.is_confirmed);
            let (Some(found), Some(user)) = (found, tx.find(account)?) else {
                return Ok(Confirmation::NoTicket);
            };
            let mut login: TicketLogin = read(&found.login)?;
            if let Some((key, duration)) = key {
                login.trust_instead(HashedDevice::new(tx.key, key), duration);
            }
            let Some(trusted_until) = tx.settle(account, &user, &login)? else {
                return Ok(Confirmation::TrustEnded);
            };
            if login.ssh_auth_info.is_none() {
                login.ssh_auth_info = ssh_auth_info.map(ToOwned::to_owned);
            }
            tickets::confirm(tx.db, found.id, process, &write(&login)?)?;
            if let Some(service) = origin.service() {
                devices::note_confirming(tx.db, service, now)?;
            }
            let missed = events::refused_since(tx.db, account, user.passed_event)?;
            let by = login.by;
            tx.record_pass(account, &user, by.clone())?;
            Ok(Confirmation::Confirmed {
                by,
                missed,
                trusted_until: trusted_until.0,
            })
        })
    }

    /// Notes that a program of `service` came to the account phase.
    pub fn note_confirming(
        &self,
        service: &str,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.change_unsynced(origin, now, |tx| {
            devices::note_confirming(tx.db, service, now)
        })
    }

    /// On a host of a fleet: leaves a ticket for a login that a server let pass, for the session hook.
    pub fn leave_fleet_ticket(
        &self,
        account: &Account,
        process: &LoginProcess,
        fleet: FleetLogin,
        ssh_auth_info: Option<&str>,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let login = write(&TicketLogin {
            service: origin.service().map(ToOwned::to_owned),
            by: Proof::Server,
            ssh_auth_info: ssh_auth_info.map(ToOwned::to_owned),
            code_at: None,
            grant: None,
            fleet: Some(fleet),
        })?;
        let number = TicketNumber::random()?;
        self.write_unsynced(|view| {
            tickets::delete_old(view.db, now.before(LIFETIME))?;
            tickets::save(view.db, number, process, account, true, &login, now)
        })
    }

    /// What is known of the login whose session `process` opens, and whose login it was. It is known once.
    pub fn redeem_ticket(
        &self,
        boot: &str,
        process: ProcessId,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Option<(Account, TicketLogin)>, StoreError> {
        self.change_unsynced(origin, now, |tx| tx.redeem(boot, process))
    }
}

/// Until when a device is trusted by a login; `None`: it makes none trusted.
struct TrustedUntil(Option<Timestamp>);

impl Tx<'_> {
    /// Leaves a ticket for a login that passed `by` this.
    pub(crate) fn leave_ticket(
        &self,
        account: &Account,
        pass: Pass<'_>,
        by: Proof,
        is_confirmed: bool,
    ) -> Result<(), StoreError> {
        let password = pass
            .password
            .map(|fingerprint| password_hash(self.key, account, fingerprint));
        let is_trusted = matches!(by, Proof::TrustedDevice(_));
        let wanted = pass
            .device
            .filter(|_| is_trusted || pass.trust_for.is_some());
        let device = wanted.map(|device| HashedDevice::new(self.key, device));
        let user = self.find(account)?;
        let code_at = match (&user, &device) {
            (Some(user), Some(device)) if is_trusted => self
                .valid_grant(user, device, password.as_ref())?
                .map(|(_, grant)| grant.granted_at),
            _ if is_trusted => None,
            _ => Some(self.now),
        };
        let generation = user.map_or(0, |user| user.generation);
        let lowering = devices::last_lowering(self.db)?;
        let grant = device.map(|device| TicketGrant {
            kind: device.kind.name().to_owned(),
            hash: device.hash,
            label: device.label,
            password,
            generation,
            seconds: pass.trust_for.map(Duration::seconds),
            lowering,
            class: Some(pass.class.to_owned()),
        });
        let login = TicketLogin {
            service: self.origin.service().map(ToOwned::to_owned),
            by,
            ssh_auth_info: pass.ssh_auth_info.map(ToOwned::to_owned),
            code_at: code_at.map(Timestamp::unix),
            grant,
            fleet: None,
        };
        let login = write(&login)?;
        tickets::delete_old(self.db, self.now.before(LIFETIME))?;
        tickets::save(
            self.db,
            pass.ticket,
            pass.process,
            account,
            is_confirmed,
            &login,
            self.now,
        )
    }

    /// Makes the grant of `login`, or marks the one it rests on used. `None`: that one has ended.
    fn settle(
        &self,
        account: &Account,
        user: &UserRecord,
        login: &TicketLogin,
    ) -> Result<Option<TrustedUntil>, StoreError> {
        let Some(ticket) = &login.grant else {
            return Ok(Some(TrustedUntil(None)));
        };
        let kind = twofa_core::DeviceKind::named(&ticket.kind)
            .ok_or_else(|| StoreError::Damaged("a ticket in it has an unknown kind".to_owned()))?;
        let device = HashedDevice {
            kind,
            hash: ticket.hash,
            label: ticket.label.clone(),
            host: None,
        };
        let Some(seconds) = ticket.seconds else {
            let valid = self.valid_grant(user, &device, ticket.password.as_ref())?;
            let Some((id, grant)) = valid.filter(|(_, grant)| self.now < grant.until) else {
                return Ok(None);
            };
            devices::set_used(self.db, id, self.now.max(grant.used_at))?;
            return Ok(Some(TrustedUntil(None)));
        };
        // A user who removes a stolen phone while a login with its code is unconfirmed must not end up with a trusted device.
        let is_current = ticket.generation == user.generation;
        let grant = Grant::new(Duration::from_seconds(seconds), self.now);
        let Some(grant) = grant.filter(|_| is_current) else {
            return Ok(Some(TrustedUntil(None)));
        };
        self.trust_device(
            account,
            user,
            &device,
            ticket.password,
            grant,
            (ticket.class.as_deref(), ticket.lowering),
        )?;
        Ok(Some(TrustedUntil(Some(grant.until))))
    }

    /// Records that `account` passed `by` this, in a login that was confirmed.
    pub(crate) fn record_pass(
        &self,
        account: &Account,
        user: &UserRecord,
        by: Proof,
    ) -> Result<(), StoreError> {
        let event = self.record(Some(account), &Event::Passed { by })?;
        users::set_passed(self.db, user.id, event, self.now)
    }
}

#[cfg(test)]
pub(crate) mod tests;
