//! Confirms a login in the account phase: the login is recorded, the user is told of refused attempts before it, and the
//! device becomes trusted if the user asked for that with the code.

use twofa_proto::Verdict;
use twofa_store::event::Proof;
use twofa_store::{AccountPhase, Confirmation};

use super::outcome::LoginOutcome;
use super::request::{LoginError, LoginRequest};
use crate::text::terminal::Terminal;
use crate::text::{events, messages};

/// Confirms what `auth` left in the same process; `None`: it left nothing, or what it left has expired.
pub(super) fn confirm(
    request: &LoginRequest<'_>,
    terminal: &mut dyn Terminal,
) -> Result<Option<LoginOutcome>, LoginError> {
    let context = request.context;
    let Some(process) = request.device.process() else {
        return Ok(None);
    };
    let (store, now) = (context.store(), context.now());
    let phase = AccountPhase {
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
