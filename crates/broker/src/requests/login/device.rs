//! The device behind a login: what is proved about it, whether it is trusted, and whether a right code makes it trusted.

use twofa_core::device::identify;
use twofa_core::policy::{Offer, Scope};
use twofa_core::service;
use twofa_core::{Account, Decision, Device, Duration};
use twofa_proto::{Confirm, Login, PasswordState, Request, Ticket};
use twofa_store::{
    FleetLogin, LockerPlace, LoginProcess, NewTrust, Pass, ProcessId, ReportedDevice, StoreError,
    TicketNumber,
};

use super::evidence::{evidence, is_bare_address};
use super::{RelayedLogin, claim, origin};
use crate::context::Services;
use crate::identity::authority::Peer;
use crate::identity::first_factor::FirstFactor;
use crate::identity::person::Person;
use crate::identity::relayed::{Asker, RelayedPeer};
use crate::methods::settling::{Passing, Settling};
use crate::process::log;
use crate::text::messages::{self, log_lines};

/// What is known of the device behind one login. Only what root's module says is used.
#[derive(Debug)]
pub(super) struct LoginDevice {
    /// The process that the login happens in; `None`: the application is not root, and nothing is settled later.
    process: Option<LoginProcess>,
    /// The number of the ticket that the login leaves.
    ticket: TicketNumber,
    device: Option<Device>,
    /// For how long a code makes it trusted; zero: it does not.
    duration: Duration,
    /// The class whose policy says so.
    class: String,
    /// Whether the device stands in for a code now.
    pub(super) is_trusted: bool,
    /// A screen locker asks, within a session whose login rests on a code of not long ago.
    pub(super) is_unlocking: bool,
    /// Whether the login will reach a line of ours in the account phase, or is there now.
    can_confirm: bool,
    /// Which codes make it trusted.
    offer: Offer,
    /// What the host of the fleet adds that reports it; `None`: this machine has seen it.
    reported: Option<Report>,
}

/// What a host of the fleet adds to a device.
#[derive(Debug)]
struct Report {
    is_for_fleet: bool,
    password: Option<[u8; 32]>,
}

impl LoginDevice {
    /// No device: nothing is known of it that this machine's root has seen, and a right code is settled at once.
    pub(super) fn none() -> Result<Self, StoreError> {
        Ok(Self {
            process: None,
            ticket: TicketNumber::random()?,
            device: None,
            duration: Duration::from_seconds(0),
            class: String::new(),
            is_trusted: false,
            is_unlocking: false,
            can_confirm: false,
            offer: Offer::Ask,
            reported: None,
        })
    }

    /// Finds the device behind a login of `person` that `host` describes. Nothing is known of it unless the password was right.
    pub(super) fn of_host(
        services: Services<'_>,
        host: &RelayedPeer,
        relayed: RelayedLogin<'_>,
        person: &Person,
    ) -> Result<Self, StoreError> {
        let RelayedLogin { request, login, .. } = relayed;
        let is_known = relayed.first_factor == FirstFactor::Shown && !login.behind_password;
        let claim = relayed.device.filter(|_| is_known && host.asked_by == 0);
        let found = claim.and_then(|claim| {
            let device = identify(&claim::read(login, claim), &person.policy.trust)?;
            (!is_bare_address(request, login, device.kind())).then_some((claim, device))
        });
        let Some((claim, device)) = found else {
            return Self::none();
        };
        let trust = &person.policy.trust;
        let scopes = claim.is_for_fleet && trust.scope == Scope::Fleet;
        let at_most = Duration::from_seconds(claim.at_most);
        let mut found = Self {
            duration: person.trust_duration(device.kind()).min(at_most),
            class: person.class.clone(),
            can_confirm: true,
            offer: if claim.only_if_asked {
                Offer::Ask
            } else {
                trust.offer
            },
            // What changes with a password in the files of one host says nothing on another.
            reported: Some(Report {
                is_for_fleet: scopes && claim.password.is_none() && device.is_users_own_proof(),
                password: claim.password,
            }),
            device: Some(device),
            ..Self::none()?
        };
        // Who was asked for a code has typed one, and it is verified.
        if let Some((reported, duration)) = found.reported().filter(|_| host.turn.is_none()) {
            let (store, now) = (services.store, services.now());
            let grant = store.reported_grant(&host.key, relayed.account, reported, now)?;
            found.is_trusted = grant.is_some_and(|grant| grant.is_believed(duration, now));
        }
        Ok(found)
    }

    /// It, unless a method is to be set up first: nothing of before is worth trust.
    pub(super) fn unless_set_up(self, decision: Decision) -> Result<Self, StoreError> {
        match decision {
            Decision::Enrol | Decision::Replace => Self::none(),
            _ => Ok(self),
        }
    }

    /// The device that a host of the fleet reports, and for how long a code makes it trusted; `None`: it does not.
    pub(super) fn reported(&self) -> Option<(ReportedDevice<'_>, Duration)> {
        let device = self.trustable()?;
        let Report {
            is_for_fleet,
            password,
        } = self.reported.as_ref()?;
        let reported = ReportedDevice {
            device,
            is_for_fleet: *is_for_fleet,
            password: password.as_ref(),
        };
        Some((reported, self.duration))
    }

    /// Finds the device behind `login`, a login of `person`.
    pub(super) fn find(
        services: Services<'_>,
        peer: Peer,
        request: &Request,
        login: &Login,
        account: &Account,
        person: &Person,
    ) -> Result<Self, StoreError> {
        let from_root = login.evidence.as_deref().filter(|_| peer.is_root());
        let process = from_root.map(process);
        let is_account = matches!(request, Request::Account(_));
        let confirms = from_root.map_or(Confirm::No, |evidence| evidence.confirms);
        // Without knowing whether the password has changed, nothing can stay trusted.
        let knows_password =
            |evidence: &&twofa_proto::Evidence| evidence.password != PasswordState::Unknown;
        let device = from_root
            .filter(knows_password)
            .and_then(|_| identify(&evidence(login), &person.policy.trust))
            .filter(|device| !is_bare_address(request, login, device.kind()));
        let duration = device.as_ref().map_or(Duration::from_seconds(0), |device| {
            person.trust_duration(device.kind())
        });
        let mut found = Self {
            can_confirm: process.is_some()
                && (is_account || services.stacks.confirms_logins(login)),
            process,
            ticket: TicketNumber::random()?,
            device,
            duration,
            class: person.class.clone(),
            offer: person.policy.trust.offer,
            reported: None,
            is_trusted: false,
            is_unlocking: is_unlocking(services, peer, login, account, person)?,
        };
        if found.is_unlocking {
            found.is_trusted = true;
            return Ok(found);
        }
        // The ticket says what such a login rests on, and the store looks at it there.
        let confirms_ticket = is_account && confirms != Confirm::No;
        let Some(device) = found.trustable().filter(|_| !confirms_ticket) else {
            return Ok(found);
        };
        let store = services.store;
        if !is_account && !store.is_confirming(&login.service)? {
            return Ok(found);
        }
        let password = from_root.and_then(|evidence| evidence.password.hash());
        let grant = store.device_grant(account, device, password)?;
        found.is_trusted = grant.is_some_and(|grant| grant.is_believed(duration, services.now()));
        Ok(found)
    }

    /// The device, if a code can make it trusted.
    fn trustable(&self) -> Option<&Device> {
        let is_possible = self.can_confirm && self.duration.seconds() > 0;
        self.device.as_ref().filter(|_| is_possible)
    }

    /// Whether sshd verified one of the user's own keys in this login.
    pub(super) fn is_users_own_proof(&self) -> bool {
        self.device.as_ref().is_some_and(Device::is_users_own_proof)
    }

    /// The user's own key that sshd verified, if a code can make it trusted, and for how long.
    pub(super) fn own_key(&self) -> Option<(&Device, Duration)> {
        let key = self.trustable().filter(|key| key.is_users_own_proof())?;
        Some((key, self.duration))
    }

    /// The process by which the account phase recognises the login.
    pub(super) const fn process(&self) -> Option<&LoginProcess> {
        self.process.as_ref()
    }

    /// The ticket of the login, for the account phase.
    pub(super) const fn ticket(&self) -> Ticket {
        Ticket(self.ticket.0)
    }

    /// The device, if it is trusted, and what the store needs to let a login from it pass.
    pub(super) fn trusted<'a>(&'a self, login: &'a Login) -> Option<(&'a Device, Pass<'a>)> {
        let device = self.device.as_ref().filter(|_| self.is_trusted)?;
        Some((device, self.pass(login)?))
    }

    fn pass<'a>(&'a self, login: &'a Login) -> Option<Pass<'a>> {
        let evidence = login.evidence.as_deref();
        Some(Pass {
            ticket: self.ticket,
            process: self.process.as_ref()?,
            device: self.device.as_ref(),
            trust_for: None,
            class: &self.class,
            password: evidence.and_then(|evidence| evidence.password.hash()),
            ssh_auth_info: login.ssh_auth_info.as_deref(),
        })
    }

    /// How a right code of `person` is settled; `None`: at once.
    pub(super) fn settling<'a>(
        &'a self,
        login: &'a Login,
        is_first_factor_shown: bool,
    ) -> Option<Settling<'a>> {
        Some(Settling {
            passing: self.passing(login)?,
            trust_for: self.trustable().map(|_| self.duration),
            offer: self.offer,
            is_first_factor_shown,
            can_confirm: self.can_confirm,
        })
    }

    fn passing<'a>(&'a self, login: &'a Login) -> Option<Passing<'a>> {
        if self.reported.is_none() {
            return self.pass(login).map(Passing::Here);
        }
        let (reported, duration) = self.reported()?;
        Some(Passing::OnHost(NewTrust {
            reported,
            duration,
            class: &self.class,
        }))
    }

    /// What a `+` at the end of the code would do, for the prompt; `None`: nothing.
    pub(super) fn hint(&self) -> Option<String> {
        let device = self.trustable()?;
        let is_asked = self.offer == Offer::Ask;
        is_asked.then(|| messages::trust_hint(device, self.duration))
    }
}

/// Whether a screen locker is believed to unlock a session of `account` whose login rests on a code.
///
/// One that root runs must be in that very session. Of one that runs as its user, the broker cannot see which session it is in,
/// so any of the user's at this machine counts. Nobody gains by a false claim: programs of the user need not ask.
fn is_unlocking(
    services: Services<'_>,
    peer: Peer,
    login: &Login,
    account: &Account,
    person: &Person,
) -> Result<bool, StoreError> {
    let duration = person.policy.trust.unlock.seconds();
    let place = locker_place(peer, login, account).filter(|_| duration > 0);
    let Some(place) = place else {
        return Ok(false);
    };
    let now = services.now();
    let since = now.before(duration);
    services
        .store
        .has_verified_session(account, place, since, now)
}

/// Where the screen locker runs that asks; `None`: this is no locker of `account`'s.
fn locker_place<'a>(peer: Peer, login: &'a Login, account: &Account) -> Option<LockerPlace<'a>> {
    // Programs that somebody started within a session are in it as well, as root or as its user, and some let in people from
    // elsewhere (a VNC server that checks passwords, for one).
    let is_locker = is_gdm(&login.service) || service::is_locker(&login.service);
    if !is_locker || login.remote_host.is_some() {
        return None;
    }
    if !peer.is_root() {
        return (peer.uid == account.uid).then_some(LockerPlace::Unknown);
    }
    let evidence = login.evidence.as_deref()?;
    let session = evidence
        .session
        .as_ref()
        .filter(|session| session.uid == account.uid)?;
    Some(LockerPlace::Session {
        boot: &evidence.boot,
        opener: process_id(session.leader?),
    })
}

/// Whether this is a service of gdm, which unlocks the screens of its sessions itself, with processes in those sessions.
fn is_gdm(service: &str) -> bool {
    service == "gdm" || service.starts_with("gdm-")
}

/// Leaves word for the session hook that a server of the fleet let the login pass. It passes whether that can be kept or not.
pub(super) fn leave_fleet_ticket(
    services: Services<'_>,
    peer: Peer,
    login: &Login,
    account: &Account,
    passed: FleetLogin,
) {
    let Some(evidence) = login.evidence.as_deref().filter(|_| peer.is_root()) else {
        return;
    };
    let origin = origin::for_log(Asker::Process(peer), login);
    let left = services.store.leave_fleet_ticket(
        account,
        &process(evidence),
        passed,
        login.ssh_auth_info.as_deref(),
        &origin,
        services.now(),
    );
    if let Err(error) = left {
        log::warn(&log_lines::session_not_noted(&error));
    }
}

fn process(evidence: &twofa_proto::Evidence) -> LoginProcess {
    LoginProcess {
        boot: evidence.boot.clone(),
        own: process_id(evidence.process),
        parent: evidence.parent.map(process_id),
    }
}

pub(super) const fn process_id(process: twofa_proto::ProcessId) -> ProcessId {
    ProcessId {
        pid: process.pid,
        start: process.start,
    }
}
