//! Confirms a login in the account phase: the login is recorded, the user is told of refused attempts before it, and the
//! device becomes trusted if the user asked for that with the code.

use twofa_core::Decision;
use twofa_proto::{Confirm, Ticket, Verdict};
use twofa_store::event::{Proof, RefusalReason};
use twofa_store::{AccountPhase, Confirmation, TicketNumber};

use super::outcome::LoginOutcome;
use super::request::{LoginError, LoginRequest};
use crate::text::events;
use crate::text::messages::{self, reasons};
use crate::text::terminal::Terminal;

/// The outcome of a login that was right, or trusted, in `auth`, and waits for the account phase. `None`: the account phase
/// decides as if there had been nothing before.
pub(super) fn finish(
    request: &LoginRequest<'_>,
    terminal: &mut dyn Terminal,
) -> Result<Option<LoginOutcome>, LoginError> {
    // Any other peer could name the ticket of somebody else's login.
    let evidence = request.login.evidence.as_ref();
    let from_root = evidence.filter(|_| request.is_account && request.asker.is_root_here());
    let (ticket, is_by_code) = match from_root.map_or(Confirm::No, |it| it.confirms) {
        Confirm::No => return Ok(None),
        Confirm::Record(ticket) => (ticket, true),
        Confirm::Trust(ticket) => (ticket, false),
    };
    if let Some(outcome) = confirm(request, ticket, terminal)? {
        return Ok(Some(outcome));
    }
    Ok(match request.decision {
        // Nothing rests on the ticket but the record: the code is used up, and the module knows that it was right.
        Decision::Challenge | Decision::Trusted if is_by_code => {
            Some(LoginOutcome::new(Verdict::NoTicket, reasons::NO_TICKET))
        }
        // Everything rests on it.
        Decision::Challenge | Decision::Trusted => Some(refuse_trust(request)?),
        // The rules or the user's methods have changed.
        _ => None,
    })
}

/// Refuses a login from a trusted device that cannot be confirmed.
pub(super) fn refuse_trust(request: &LoginRequest<'_>) -> Result<LoginOutcome, LoginError> {
    let why = request.record_refusal(RefusalReason::TrustEnded)?;
    Ok(LoginOutcome::new(Verdict::Denied, why))
}

/// Confirms the login that left `ticket`; `None`: there is no such ticket any longer, or the trust it rests on has ended.
pub(super) fn confirm(
    request: &LoginRequest<'_>,
    ticket: Ticket,
    terminal: &mut dyn Terminal,
) -> Result<Option<LoginOutcome>, LoginError> {
    let context = request.context;
    let Some(process) = request.device.process() else {
        return Ok(None);
    };
    let (store, now) = (context.store(), context.now());
    let phase = AccountPhase {
        ticket: TicketNumber(ticket.0),
        process,
        key: request.device.own_key(),
        ssh_auth_info: request.login.ssh_auth_info.as_deref(),
    };
    let outcome = store.confirm(context.account, phase, context.origin, now)?;
    let Confirmation::Confirmed {
        by,
        missed,
        trusted_until,
    } = outcome
    else {
        return Ok(None);
    };
    // The login is settled: a client that cannot show this does not undo it.
    if let Some(missed) = &missed {
        let _ = terminal.info(messages::missed(missed, now).into());
    }
    if let Some(until) = trusted_until {
        let _ = terminal.info(messages::device_trusted(until, now).into());
    }
    let verdict = match by {
        Proof::TrustedDevice(_) if !request.device.is_users_own_proof() => Verdict::Trusted,
        _ => Verdict::Passed,
    };
    let why = events::proof(&by);
    Ok(Some(LoginOutcome::new(verdict, why)))
}
