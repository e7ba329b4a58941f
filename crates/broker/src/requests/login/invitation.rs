//! The invitation without which nobody sets up a first method through a host of the fleet that may not vouch for passwords.

use serde::{Deserialize, Serialize};
use twofa_core::Denial;
use twofa_fleet::invitation;
use twofa_proto::{Secret, Verdict};
use twofa_store::event::RefusalReason;
use twofa_store::{AnswerVerdict, InvitationOutcome};

use super::outcome::LoginOutcome;
use super::request::{self, LoginError, LoginRequest};
use crate::context::Context;
use crate::text::events;
use crate::text::messages;
use crate::text::terminal::Terminal;

/// How often a code may be typed in one login.
const TRIES: u32 = 3;

/// What is remembered between two prompts.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct InvitationState {
    /// How often a code may still be typed.
    left: u32,
    /// What was wrong with the last one.
    last: RefusalReason,
}

impl InvitationState {
    /// What the text of one begins with, so that it is taken for nothing else.
    const MARK: &str = "{\"invitation\":";

    fn to_text(self) -> String {
        // Nothing in it fails.
        let state = serde_json::to_string(&self).unwrap_or_default();
        format!("{}{state}}}", Self::MARK)
    }

    /// One that is stored as `text`; `None`: that is none.
    pub(super) fn read(text: &str) -> Option<Self> {
        let state = text.strip_prefix(Self::MARK)?.strip_suffix('}')?;
        serde_json::from_str(state).ok()
    }
}

/// What follows from an answer.
enum Tried {
    /// It is the invitation.
    Right,
    /// It is not; this asks again.
    Again(String),
    /// The login ends.
    End(LoginOutcome),
}

/// Asks for the person's invitation, or goes on where it was `resumed` with what was typed. `None`: it is right; it is used up
/// when the method is set up. Otherwise the login ends with this.
pub(super) fn ask(
    request: &LoginRequest<'_>,
    resumed: Option<(InvitationState, Option<Secret>)>,
    terminal: &mut dyn Terminal,
) -> Result<Option<LoginOutcome>, LoginError> {
    let mut verdict = request
        .asker
        .turn()
        .and_then(|turn| turn.verdict.as_ref())
        .filter(|_| resumed.is_some());
    let (mut state, mut typed) = if let Some(resumed) = resumed {
        resumed
    } else {
        let state = InvitationState {
            left: TRIES,
            last: RefusalReason::NoCodeEntered,
        };
        terminal.keep(&|| state.to_text());
        let text = messages::invitation(&request.context.application());
        (state, terminal.ask(text)?)
    };
    loop {
        match try_one(request, &mut state, typed, verdict.take(), terminal)? {
            Tried::Right => return Ok(None),
            Tried::End(outcome) => return Ok(Some(outcome)),
            Tried::Again(text) => {
                terminal.keep(&|| state.to_text());
                typed = terminal.ask(text)?;
            }
        }
    }
}

/// Tries what was typed, unless there is a `verdict` on it already.
fn try_one(
    request: &LoginRequest<'_>,
    state: &mut InvitationState,
    typed: Option<Secret>,
    verdict: Option<&AnswerVerdict>,
    terminal: &mut dyn Terminal,
) -> Result<Tried, LoginError> {
    let Context {
        account, origin, ..
    } = request.context;
    let Some(typed) = typed.filter(|typed| !typed.expose().trim().is_empty()) else {
        let why = request.record_refusal(RefusalReason::NotConfirmed)?;
        let outcome = LoginOutcome::new(Verdict::Denied, why);
        return request::refuse(messages::NOT_SET_UP, outcome, terminal).map(Tried::End);
    };
    let (store, now) = (request.context.store(), request.context.now());
    let digest = invitation::digest(typed.expose());
    let outcome = match verdict {
        Some(AnswerVerdict::Wrong(why)) => InvitationOutcome::Wrong(*why),
        _ => store.try_invitation(account, &digest, origin, now)?,
    };
    let why = match outcome {
        InvitationOutcome::Right => return Ok(Tried::Right),
        InvitationOutcome::Locked(lock) => {
            return request.deny(Denial::Locked(lock), terminal).map(Tried::End);
        }
        InvitationOutcome::Wrong(why) => why,
    };
    state.last = why;
    state.left = state.left.saturating_sub(1);
    if state.left > 0 {
        return Ok(Tried::Again(messages::invitation_again(why)));
    }
    let why = events::refusal(state.last, now);
    let outcome = LoginOutcome::new(Verdict::TriesUsedUp, why);
    let text = messages::invitation_refused(state.last);
    request::refuse(text, outcome, terminal).map(Tried::End)
}
