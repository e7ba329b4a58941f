//! A login, as the PAM module asks about it.
//!
//! This file picks the next step: none, a refusal, [`security_key`] where sshd has proved one, [`challenge`] or [`enrolment`]
//! once the first factor has been shown, [`appended`] at a trusted device whose client has one prompt, and [`unproved`]
//! otherwise. [`report`] records what a login would be asked where the mode is report. [`request`] is what they share, [`origin`] how far a claim about its source is trusted, and [`outcome`] what it
//! ends with. [`rescue`] takes rescue codes on a host of a fleet. [`relayed`] is a login on a host of the fleet, for which this machine decides, with an [`invitation`] before
//! enrolment, [`claim`] what the host tells of its device, and [`exchange`] its person as far as one message goes.

mod appended;
mod challenge;
mod claim;
mod confirm;
#[cfg(test)]
mod damaged_host;
mod device;
mod enrolment;
mod evidence;
mod exchange;
mod invitation;
mod origin;
mod outcome;
mod relayed;
mod report;
mod request;
mod rescue;
mod security_key;
#[cfg(test)]
mod tests;
mod unproved;

use twofa_core::decision::Reason;
use twofa_core::exemption::LoginSource;
use twofa_core::{Account, Decision, Denial, Rulebook};
use twofa_fleet::client::Servers;
use twofa_proto::{Confirm, Done, Login, Request, Verdict};
use twofa_store::event::UnprovedReason;
use twofa_store::{Rules, Tally};

pub use self::exchange::{Exchange, Said};
pub use self::relayed::{RelayedLogin, Served, record_given_up, serve as serve_relayed};
pub(super) use self::relayed::{why_refused, why_stopped};

use self::device::LoginDevice;
use self::outcome::LoginOutcome;
pub(crate) use self::report::{record, refusal};
use self::request::{LoginError, LoginRequest};
use self::rescue::RescueLogin;
use self::unproved::Subject;
use crate::context::{Context, Services};
use crate::fleet::relay::{Relayed, RelayedRequest, relay};
use crate::fleet::shared;
use crate::identity::accounts;
use crate::identity::authority::{Peer, Permission};
use crate::identity::first_factor::FirstFactor;
use crate::identity::person::Person;
use crate::identity::relayed::Asker;
use crate::methods::challenge::{Accepted, ChallengeOutcome};
use crate::text::messages::{self, reasons};
use crate::text::terminal::Terminal;

/// Serves [`Request::Login`] and [`Request::Account`]. Any error is a refusal.
pub fn serve(
    services: Services<'_>,
    peer: Peer,
    request: &Request,
    login: &Login,
    terminal: &mut dyn Terminal,
) -> Done {
    let outcome = decide(services, peer, request, login, terminal);
    leave_refusal(services, Asker::Process(peer), login, &outcome);
    finish(outcome, terminal)
}

/// Queues the record of a refusal without a proved first factor. It is written after the answer has been sent.
fn leave_refusal(
    services: Services<'_>,
    asker: Asker<'_>,
    login: &Login,
    outcome: &Result<LoginOutcome, LoginError>,
) {
    if let Ok(outcome) = outcome
        && let Some(reason) = outcome.unproved
    {
        let origin = origin::of_stranger(asker, login);
        services.deferred.refusal(reason, origin, services.now());
    }
}

/// Has a server decide, or decides here.
fn decide(
    services: Services<'_>,
    peer: Peer,
    request: &Request,
    login: &Login,
    terminal: &mut dyn Terminal,
) -> Result<LoginOutcome, LoginError> {
    let rules = services.store.rules_in_force()?;
    match relay_if_shared(services, &rules, peer, request, login, terminal)? {
        Some(outcome) => Ok(outcome),
        None => begin(services, &rules, peer, request, login, terminal),
    }
}

/// The end of a login with this `outcome`; without one it is refused.
fn finish(outcome: Result<LoginOutcome, LoginError>, terminal: &mut dyn Terminal) -> Done {
    match outcome {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            if let Some(closed) = error.closed() {
                return LoginOutcome::new(Verdict::NoAnswer, closed.to_string()).into();
            }
            let _ = terminal.error(messages::UNAVAILABLE);
            unavailable(&error.to_string())
        }
    }
}

/// The end of a login that cannot be checked.
pub fn unavailable(why: &str) -> Done {
    LoginOutcome::new(Verdict::Unavailable, why).into()
}

/// On a host of a fleet, has a server decide about a shared account. `None`: this machine decides.
fn relay_if_shared(
    services: Services<'_>,
    rules: &Rules,
    peer: Peer,
    request: &Request,
    login: &Login,
    terminal: &mut dyn Terminal,
) -> Result<Option<LoginOutcome>, LoginError> {
    let servers = match services.fleet.servers(rules.fleet.as_ref(), services.store) {
        Ok(None) => return Ok(None),
        servers => servers,
    };
    // Root is this machine's own, so that its console works whatever has become of the fleet. So is who does not exist.
    let account = accounts::find(&login.user)?.filter(|account| account.uid != 0);
    let Some(account) = account else {
        return Ok(None);
    };
    let servers = match servers {
        Ok(Some(servers)) => servers,
        Ok(None) => return Ok(None),
        Err(error) => {
            let _ = terminal.error(messages::NOT_A_MEMBER);
            let why = error.to_string();
            return Ok(Some(LoginOutcome::new(Verdict::Unavailable, why)));
        }
    };
    let policy = rules.rulebook.machine();
    let source = origin::for_exemptions(Asker::Process(peer), login);
    let nobody_is_asked = why_nobody_is_asked(&rules.rulebook, source);
    if !shared::is_shared(policy, &account)? {
        if nobody_is_asked.is_some() || !shared::has_shared_uid(policy, &account)? {
            return Ok(None);
        }
        let _ = terminal.error(messages::IDENTITY_MISMATCH);
        let why = reasons::uid_of_a_shared_account(&account.name, account.uid);
        return Ok(Some(LoginOutcome::new(Verdict::Denied, why)));
    }
    if let Err(error) = services.fleet.check_policy(rules, services.store) {
        let _ = terminal.error(messages::POLICY_DAMAGED);
        let why = error.to_string();
        return Ok(Some(LoginOutcome::new(Verdict::Unavailable, why)));
    }
    if peer.may(request, &account) != Permission::Granted {
        let why = reasons::not_permitted(peer.uid, &account.name);
        return Ok(Some(LoginOutcome::new(Verdict::Denied, why)));
    }
    let mut relayed = RelayedRequest {
        peer,
        request,
        login,
        account: &account,
        first_factor: services.stacks.first_factor(peer, request, login),
        device: None,
        nobody_is_asked,
    };
    relayed.device = claim::describe(services, &rules.rulebook, &relayed)?;
    relay_to(&servers, services, rules, &relayed, terminal).map(Some)
}

/// Has one of the `servers` decide. Where none does, a rescue code lets in who may use one.
fn relay_to(
    servers: &Servers,
    services: Services<'_>,
    rules: &Rules,
    relayed: &RelayedRequest<'_>,
    terminal: &mut dyn Terminal,
) -> Result<LoginOutcome, LoginError> {
    let RelayedRequest {
        peer,
        request,
        login,
        account,
        first_factor,
        ..
    } = *relayed;
    let Relayed {
        verdict,
        why,
        passed,
        untold,
    } = relay(servers, services.store, relayed, terminal)?;
    if verdict == Verdict::Unavailable {
        let rescue = RescueLogin {
            services,
            rules,
            peer,
            request,
            login,
            account,
            first_factor,
        };
        if let Some(outcome) = rescue.ask(messages::RESCUE_NO_SERVER, terminal)? {
            return Ok(outcome);
        }
    }
    if let Some(text) = untold {
        terminal.error(text)?;
    }
    if let Some(passed) = passed {
        device::leave_fleet_ticket(services, peer, login, account, passed);
    }
    Ok(LoginOutcome::new(verdict, why))
}

/// Finds out who the login is about, and what is decided about them.
fn begin(
    services: Services<'_>,
    rules: &Rules,
    peer: Peer,
    request: &Request,
    login: &Login,
    terminal: &mut dyn Terminal,
) -> Result<LoginOutcome, LoginError> {
    let rulebook = &rules.rulebook;
    // Where nobody is asked, nothing that can fail is needed to say so.
    let asker = Asker::Process(peer);
    let source = origin::for_exemptions(asker, login);
    if let Some(why) = why_nobody_is_asked(rulebook, source) {
        if why == reasons::ONLY_REPORTED {
            report::leave(services, peer, request, login);
        }
        return Ok(LoginOutcome::new(Verdict::NotRequired, why));
    }
    let first_factor = services.stacks.first_factor(peer, request, login);
    let application = messages::application_name(rulebook.machine());
    let is_account = matches!(request, Request::Account(_));
    let Some(account) = accounts::find(&login.user)? else {
        if is_account || first_factor == FirstFactor::Shown {
            return Ok(LoginOutcome::new(Verdict::Denied, reasons::NO_ACCOUNT));
        }
        let why = reasons::NO_ACCOUNT.to_owned();
        let subject = Subject::Refused(UnprovedReason::NoAccount, why);
        return unproved::ask(first_factor, login, &application, subject, terminal);
    };
    let origin = origin::for_log(asker, login);
    let person = Person::load(services.store, &account)?;
    let device = LoginDevice::find(services, peer, request, login, &account, &person)?;
    let (decision, exemption) = person.decide(&account, source, device.is_trusted, services.now());
    if peer.may(request, &account) != Permission::Granted {
        return Ok(for_stranger(peer, &account, decision));
    }
    let hint = device.hint();
    let raw = request;
    let request = LoginRequest {
        context: Context {
            services,
            account: &account,
            origin: &origin,
            person: &person,
            purpose: &messages::login_purpose(origin.service()),
        },
        asker,
        login,
        decision,
        exemption: exemption.as_ref(),
        device: &device,
        is_account,
        needs_invitation: false,
        trust_hint: hint.as_deref(),
    };
    let outcome = match confirm::finish(&request, terminal)? {
        Some(outcome) => outcome,
        None => carry_on(&request, raw, (rules, peer, first_factor), terminal)?,
    };
    if decision == Decision::NotRequired(Reason::Report) {
        report::leave(services, peer, raw, login);
    }
    let outcome = settle(&request, outcome, terminal)?;
    Ok(match person.doubts() {
        Some(doubts) => outcome.under_doubts(&doubts),
        None => outcome,
    })
}

/// The outcome of a login of one of this machine's own accounts that no earlier phase has decided about.
fn carry_on(
    request: &LoginRequest<'_>,
    raw: &Request,
    (rules, peer, first_factor): (&Rules, Peer, FirstFactor),
    terminal: &mut dyn Terminal,
) -> Result<LoginOutcome, LoginError> {
    if let Some(outcome) = by_key(request, raw)? {
        return Ok(outcome);
    }
    let rescue = RescueLogin {
        services: request.context.services,
        rules,
        peer,
        request: raw,
        login: request.login,
        account: request.context.account,
        first_factor,
    };
    let application = messages::application_name(rules.rulebook.machine());
    match rescue.before_refusal(request.decision, terminal)? {
        Some(outcome) => Ok(outcome),
        None => follow(request, first_factor, &application, terminal),
    }
}

/// Why nobody is asked, in whatever class; `None`: some are.
fn why_nobody_is_asked(rulebook: &Rulebook, source: LoginSource<'_>) -> Option<&'static str> {
    if !rulebook.asks_nobody(source) {
        None
    } else if report::is_wanted(rulebook, source) {
        Some(reasons::ONLY_REPORTED)
    } else if rulebook.asks_nobody(LoginSource::default()) {
        Some(reasons::POLICY_DISABLED)
    } else {
        Some(reasons::NOT_AT_THIS_SERVICE)
    }
}

/// The outcome of a login that needs a code but has a security key that sshd verified; `None`: it has none.
fn by_key(request: &LoginRequest<'_>, raw: &Request) -> Result<Option<LoginOutcome>, LoginError> {
    match request.decision {
        // With a single prompt, the password is asked for there as well.
        Decision::Challenge if !request.login.behind_password => security_key::pass(request, raw),
        _ => Ok(None),
    }
}

/// Does what follows from the decision and from what is known of the first factor.
fn follow(
    request: &LoginRequest<'_>,
    first_factor: FirstFactor,
    application: &str,
    terminal: &mut dyn Terminal,
) -> Result<LoginOutcome, LoginError> {
    let (login, is_account) = (request.login, request.is_account);
    let can_ask = login.may_ask && !login.cannot_answer || login.behind_password;
    let is_shown = first_factor == FirstFactor::Shown;
    match request.decision {
        Decision::NotRequired(reason) if is_account || is_shown => Ok(request.not_required(reason)),
        Decision::Trusted if login.behind_password && !is_account => {
            appended::ask(request, terminal)
        }
        Decision::Trusted if is_account || is_shown => request.trusted(),
        // A refusal has reasons of its own, which need no question.
        Decision::Deny(denial) if is_shown => request.deny(denial, terminal),
        _ if is_account && !can_ask => request.could_not_ask(terminal),
        _ if is_shown => {
            let carried_out = carry_out(request, terminal);
            carried_out.inspect_err(|error| {
                if !terminal.is_waiting() {
                    request.log_given_up(error);
                }
            })
        }
        _ => {
            let subject = subject(request)?;
            unproved::ask(first_factor, login, application, subject, terminal)
        }
    }
}

/// Carries out the decision about a user who has shown the first factor.
fn carry_out(
    request: &LoginRequest<'_>,
    terminal: &mut dyn Terminal,
) -> Result<LoginOutcome, LoginError> {
    let enrols = matches!(request.decision, Decision::Enrol | Decision::Replace);
    if enrols && !enrolment::can_begin(request, terminal)? {
        return challenge::conclude(request, ChallengeOutcome::NoAnswer, terminal);
    }
    match request.decision {
        Decision::NotRequired(reason) => Ok(request.not_required(reason)),
        Decision::Trusted => request.trusted(),
        Decision::Deny(denial) => request.deny(denial, terminal),
        Decision::Challenge => challenge::ask(request, terminal),
        Decision::Enrol => {
            let intro = messages::must_enrol(&request.context.application());
            enrolment::enrol(request, false, &intro, terminal)
        }
        Decision::Replace => enrolment::replace(request, terminal),
    }
}

/// What an answer is worth where the first factor may be wrong.
fn subject<'a>(request: &'a LoginRequest<'_>) -> Result<Subject<'a>, LoginError> {
    Ok(match request.decision {
        Decision::NotRequired(reason) => Subject::NotAsked(request.not_required(reason)),
        Decision::Trusted => Subject::NotAsked(request.trusted()?),
        Decision::Challenge if request.has_code_at_hand() => {
            let challenge = request.challenge(Accepted::Allowed, Tally::Unproved);
            Subject::Asked(challenge, request.device.ticket())
        }
        Decision::Deny(Denial::Locked(_)) => {
            Subject::Refused(UnprovedReason::Locked, request.explain())
        }
        Decision::Challenge | Decision::Enrol | Decision::Replace | Decision::Deny(_) => {
            // The stack of a host of the fleet is not this machine's.
            let doubt = match request.asker {
                Asker::Process(_) => request.context.services.stacks.doubt(request.login),
                Asker::Host(_) => None,
            };
            let why = reasons::first_factor_unknown(doubt.as_deref());
            Subject::Refused(UnprovedReason::NothingToShow, why)
        }
    })
}

/// Settles what must be settled in the account phase, if this is the account phase.
fn settle(
    request: &LoginRequest<'_>,
    outcome: LoginOutcome,
    terminal: &mut dyn Terminal,
) -> Result<LoginOutcome, LoginError> {
    if !request.is_account || outcome.confirm == Confirm::No {
        return Ok(outcome);
    }
    match confirm::confirm(request, request.device.ticket(), terminal)? {
        Some(confirmed) => Ok(LoginOutcome::new(confirmed.verdict, outcome.why)),
        None => confirm::refuse_trust(request),
    }
}

/// The answer to a peer that may not ask about `account`. A service that is not root and lets people in must learn that
/// the policy asks nothing of them. It learns nothing else.
fn for_stranger(peer: Peer, account: &Account, decision: Decision) -> LoginOutcome {
    match decision {
        Decision::NotRequired(_) => LoginOutcome::new(Verdict::NotRequired, reasons::NOT_ASKED),
        _ => LoginOutcome::unproved(
            UnprovedReason::NotPermitted,
            reasons::not_permitted(peer.uid, &account.name),
        ),
    }
}
