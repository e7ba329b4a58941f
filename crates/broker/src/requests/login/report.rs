//! Where the mode is report: nobody is asked or refused, and each login records what it would have been asked.

use twofa_core::decision::{DecisionFacts, would_decide};
use twofa_core::exemption::LoginSource;
use twofa_core::{Account, Decision, Denial, Mode, Rulebook, Timestamp};
use twofa_proto::{Login, Request};
use twofa_store::event::{Record, ReportedOutcome};
use twofa_store::{Event, EventFilter, Origin};

use super::origin;
use super::request::LoginError;
use crate::context::Services;
use crate::identity::accounts;
use crate::identity::authority::Peer;
use crate::identity::first_factor::FirstFactor;
use crate::identity::person::Person;

/// A login has been recorded in its `auth` phase already if its account phase comes within this many seconds.
const LOGIN_SECONDS: u64 = 300;

/// Records what the mode mandatory would have done with this login, if its user's mode is report.
///
/// A login is never refused because of a record that cannot be made: whatever fails is left out.
pub(super) fn record(services: Services<'_>, peer: Peer, request: &Request, login: &Login) {
    let _ = try_to_record(services, peer, request, login);
}

/// Whether the policy or a class of `rulebook` only reports at logins from `source`.
pub(super) fn is_wanted(rulebook: &Rulebook, source: LoginSource<'_>) -> bool {
    rulebook.policies().any(|(_, policy)| {
        policy.mode == Mode::Report && policy.services.include(source.service, source.is_sshd)
    })
}

fn try_to_record(
    services: Services<'_>,
    peer: Peer,
    request: &Request,
    login: &Login,
) -> Result<(), LoginError> {
    let is_account = matches!(request, Request::Account(_));
    // Only root's word says who logs in, and of those who have not shown the first factor nothing is recorded.
    if !peer.is_root()
        || !is_account && services.stacks.first_factor(peer, request, login) != FirstFactor::Shown
    {
        return Ok(());
    }
    let Some(account) = accounts::find(&login.user)? else {
        return Ok(());
    };
    let person = Person::load(services.store, &account)?;
    let source = origin::for_exemptions(peer, login);
    if person.policy.mode != Mode::Report
        || !person
            .policy
            .services
            .include(source.service, source.is_sshd)
    {
        return Ok(());
    }
    let now = services.now();
    let exemption = person.exemption(&account, source, now);
    let decision = would_decide(DecisionFacts {
        policy: &person.policy,
        user: &person.snapshot.user,
        exemption: exemption.as_ref(),
        source,
        // Nobody who is not asked for a code can have a device trusted.
        has_trusted_device: false,
        has_identity_mismatch: person.snapshot.identity_mismatch.is_some(),
        now,
    });
    let origin = origin::for_log(peer, login);
    if is_account && has_recorded(services, &account, &origin, now)? {
        return Ok(());
    }
    let event = Event::Reported {
        class: person.class,
        outcome: outcome(decision),
    };
    services
        .store
        .record(Some(&account), &event, &origin, now)
        .map_err(LoginError::from)
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

const fn outcome(decision: Decision) -> ReportedOutcome {
    match decision {
        Decision::NotRequired(_) => ReportedOutcome::Exempt,
        Decision::Trusted | Decision::Challenge => ReportedOutcome::Asked,
        Decision::Enrol => ReportedOutcome::Enrols,
        Decision::Replace => ReportedOutcome::Replaces,
        Decision::Deny(Denial::NotEnrolled | Denial::NotAllowed) => ReportedOutcome::NoMethod,
        Decision::Deny(Denial::Locked(_)) => ReportedOutcome::Locked,
        Decision::Deny(Denial::IdentityMismatch) => ReportedOutcome::IdentityMismatch,
    }
}
