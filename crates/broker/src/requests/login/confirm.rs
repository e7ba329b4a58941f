//! What follows from a login in the account phase: it is on record, the user hears what was refused before, and the device
//! is trusted if a code said so.

use twofa_proto::Verdict;
use twofa_store::Confirmation;
use twofa_store::event::Proof;

use super::outcome::LoginOutcome;
use super::request::{LoginError, LoginRequest};
use crate::text::messages;
use crate::text::terminal::Terminal;

/// Confirms what `auth` of the same process left; `None`: it left nothing, or that has ended.
pub(super) fn confirm(
    request: &LoginRequest<'_>,
    terminal: &mut dyn Terminal,
) -> Result<Option<LoginOutcome>, LoginError> {
    let context = request.context;
    let Some(process) = request.device.process() else {
        return Ok(None);
    };
    let (store, now) = (context.store(), context.now());
    let outcome = store.confirm(
        context.account,
        process,
        request.device.own_key(),
        context.origin,
        now,
    )?;
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
    let why = crate::text::events::proof(&by);
    Ok(Some(LoginOutcome::new(verdict, why)))
}
