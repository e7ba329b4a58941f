//! Where the mode is report: nobody is asked or refused, and each login records what it would have been asked.

use twofa_core::decision::DecisionFacts;
use twofa_core::exemption::LoginSource;
use twofa_core::forecast::{Forecast, ForecastFacts, LockedOut, forecast};
use twofa_core::{Account, Mode, Rulebook, Timestamp};
use twofa_proto::{Login, Request};
use twofa_store::event::{Record, ReportedOutcome};
use twofa_store::{Event, EventFilter, Origin};

use super::device::LoginDevice;
use super::origin;
use super::request::LoginError;
use super::security_key;
use crate::context::Services;
use crate::identity::accounts;
use crate::identity::authority::Peer;
use crate::identity::first_factor::FirstFactor;
use crate::identity::person::Person;
use crate::identity::relayed::{Asker, RelayedPeer};
use crate::process::log;
use crate::sending::carried::carried;
use crate::text::messages::log_lines;

/// A login has been recorded in its `auth` phase already if its account phase comes within this many seconds.
const LOGIN_SECONDS: u64 = 300;

/// Has what the mode mandatory would have done with this login recorded once it has its answer, if it is one to be recorded.
/// The login waits for nothing because of that.
pub(super) fn leave(services: Services<'_>, peer: Peer, request: &Request, login: &Login) {
    let is_account = matches!(request, Request::Account(_));
    // Only root's word says who logs in, and of those who have not shown the first factor nothing is recorded.
    let is_shown = || services.stacks.first_factor(peer, request, login) == FirstFactor::Shown;
    if peer.is_root() && (is_account || is_shown()) {
        services.deferred.report(peer, request, services.now());
    }
}

/// Whether the policy or a class of `rulebook` only reports at logins from `source`.
pub(super) fn is_wanted(rulebook: &Rulebook, source: LoginSource<'_>) -> bool {
    rulebook.policies().any(|(_, policy)| {
        policy.mode == Mode::Report && policy.services.include(source.service, source.is_sshd)
    })
}

/// Records what the mode mandatory would have done with the login that `peer` made with `request`, if its user's mode is
/// report.
pub(crate) fn record(services: Services<'_>, peer: Peer, request: &Request) -> Result<(), String> {
    try_to_record(services, peer, request).map_err(|error| error.to_string())
}

fn try_to_record(services: Services<'_>, peer: Peer, request: &Request) -> Result<(), LoginError> {
    let (Request::Login(login) | Request::Account(login)) = request else {
        return Ok(());
    };
    let is_account = matches!(request, Request::Account(_));
    let Some(account) = accounts::find(&login.user)? else {
        return Ok(());
    };
    let person = Person::load(services.store, &account)?;
    let source = origin::for_exemptions(Asker::Process(peer), login);
    if person.policy.mode != Mode::Report
        || !person
            .policy
            .services
            .include(source.service, source.is_sshd)
    {
        return Ok(());
    }
    let now = services.now();
    let found = find(services, peer, request, login, &account, &person)?;
    let origin = origin::for_log(Asker::Process(peer), login);
    if is_account && has_recorded(services, &account, &origin, now)? {
        return Ok(());
    }
    let event = Event::Reported {
        class: person.class,
        outcome: outcome(found, login),
    };
    services
        .store
        .record_unsynced(Some(&account), &event, &origin, now)
        .map_err(LoginError::from)
}

/// A login on a host of the fleet.
#[derive(Debug, Clone, Copy)]
pub(super) struct LoginOnHost<'a> {
    /// The login, as the host describes it.
    pub(super) login: &'a Login,
    /// The account, as it is known here.
    pub(super) account: &'a Account,
    /// This is the account phase.
    pub(super) is_account: bool,
    /// The first factor has been shown, according to the host.
    pub(super) is_shown: bool,
    /// Where it comes from.
    pub(super) source: LoginSource<'a>,
}

/// Records what the mode mandatory would have done with a login on `host`, if its user's mode is report. If it cannot be recorded,
/// the log says so, and the login goes on.
pub(super) fn record_on_host(
    services: Services<'_>,
    host: &RelayedPeer,
    reported: LoginOnHost<'_>,
) {
    if let Err(error) = try_to_record_on_host(services, host, reported) {
        log::warn(&log_lines::login_not_recorded(&error));
    }
}

fn try_to_record_on_host(
    services: Services<'_>,
    host: &RelayedPeer,
    reported: LoginOnHost<'_>,
) -> Result<(), LoginError> {
    let LoginOnHost {
        login,
        account,
        is_account,
        is_shown,
        source,
    } = reported;
    let asker = Asker::Host(host);
    if !asker.is_root() || !is_account && !is_shown {
        return Ok(());
    }
    let person = Person::load(services.store, account)?;
    let policy = &person.policy;
    if policy.mode != Mode::Report || !policy.services.include(source.service, source.is_sshd) {
        return Ok(());
    }
    let now = services.now();
    let origin = origin::for_log(asker, login);
    if is_account && has_recorded(services, account, &origin, now)? {
        return Ok(());
    }
    let can_show = login.may_ask || !is_account;
    let found = forecast(ForecastFacts {
        login: DecisionFacts {
            policy,
            user: &person.snapshot.user,
            exemption: person.exemption(account, source, now).as_ref(),
            source,
            has_trusted_device: false,
            has_identity_mismatch: person.snapshot.identity_mismatch.is_some(),
            now,
        },
        carried: carried(&services.store.providers()?),
        has_security_key: false,
        can_ask: login.behind_password || can_show && !login.cannot_answer,
    });
    let outcome = match found {
        Forecast::Enrols | Forecast::Replaces if !host.may_set_up() => ReportedOutcome::NoMethod,
        found => outcome(found, login),
    };
    let event = Event::Reported {
        class: person.class,
        outcome,
    };
    Ok(services
        .store
        .record_unsynced(Some(account), &event, &origin, now)?)
}

fn find(
    services: Services<'_>,
    peer: Peer,
    request: &Request,
    login: &Login,
    account: &Account,
    person: &Person,
) -> Result<Forecast, LoginError> {
    let is_account = matches!(request, Request::Account(_));
    let can_show = login.may_ask || !is_account;
    let can_ask = login.behind_password || can_show && !login.cannot_answer;
    let (asker, now) = (Asker::Process(peer), services.now());
    let source = origin::for_exemptions(asker, login);
    let exemption = person.exemption(account, source, now);
    let device = LoginDevice::find(services, peer, request, login, account, person)?;
    Ok(forecast(ForecastFacts {
        login: DecisionFacts {
            policy: &person.policy,
            user: &person.snapshot.user,
            exemption: exemption.as_ref(),
            source,
            // Trusted before the mode was report, or in another class.
            has_trusted_device: device.is_trusted,
            has_identity_mismatch: person.snapshot.identity_mismatch.is_some(),
            now,
        },
        carried: carried(&services.store.providers()?),
        has_security_key: security_key::counting(services, asker, request, login, person).is_some(),
        can_ask,
    }))
}

/// Whether the login's `auth` phase has recorded it.
fn has_recorded(
    services: Services<'_>,
    account: &Account,
    origin: &Origin,
    now: Timestamp,
) -> Result<bool, LoginError> {
    let filter = EventFilter {
        user: Some(account.name.clone()),
        last: Some(1),
        since: Some(now.before(LOGIN_SECONDS)),
        kinds: vec!["reported".to_owned()],
        service: origin.service().map(str::to_owned),
        ..EventFilter::default()
    };
    let mut found = false;
    services.store.events(&filter, |logged| {
        found = matches!(&logged.record, Record::Event(event) if matches!(**event, Event::Reported { .. }));
        false
    })?;
    Ok(found)
}

const fn outcome(found: Forecast, login: &Login) -> ReportedOutcome {
    match found {
        Forecast::NotAsked(_) => ReportedOutcome::Exempt,
        // Nobody is enrolled where password and code are typed at one prompt.
        Forecast::Enrols | Forecast::Replaces if login.behind_password => {
            ReportedOutcome::CannotAsk
        }
        Forecast::Trusted => ReportedOutcome::Trusted,
        Forecast::Asked(_) => ReportedOutcome::Asked,
        Forecast::Enrols => ReportedOutcome::Enrols,
        Forecast::Replaces => ReportedOutcome::Replaces,
        Forecast::LockedOut(why) => refusal(why),
    }
}

/// A refusal, as the log has it.
pub(crate) const fn refusal(why: LockedOut) -> ReportedOutcome {
    match why {
        LockedOut::NotEnrolled | LockedOut::NotAllowed => ReportedOutcome::NoMethod,
        LockedOut::NothingToEnrol | LockedOut::Undeliverable => ReportedOutcome::NoProvider,
        LockedOut::CannotAsk => ReportedOutcome::CannotAsk,
        LockedOut::Locked => ReportedOutcome::Locked,
        LockedOut::IdentityMismatch => ReportedOutcome::IdentityMismatch,
    }
}
