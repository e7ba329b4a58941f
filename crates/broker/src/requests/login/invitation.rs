//! The invitation without which nobody sets up a first method through a host of the fleet that may not vouch for passwords.

use twofa_core::Denial;
use twofa_fleet::invitation;
use twofa_proto::Verdict;
use twofa_store::InvitationOutcome;
use twofa_store::event::RefusalReason;

use super::outcome::LoginOutcome;
use super::request::{self, LoginError, LoginRequest};
use crate::context::Context;
use crate::text::events;
use crate::text::messages;
use crate::text::terminal::Terminal;

/// How often a code may be typed in one login.
const TRIES: u32 = 3;

/// Asks for the person's invitation. `None`: it is right; it is used up when the method is set up. Otherwise the login ends
/// with this.
pub(super) fn ask(
    request: &LoginRequest<'_>,
    terminal: &mut dyn Terminal,
) -> Result<Option<LoginOutcome>, LoginError> {
    let Context {
        account, origin, ..
    } = request.context;
    let store = request.context.store();
    let mut text = messages::invitation(&request.context.application());
    let mut last = RefusalReason::NoCodeEntered;
    for _ in 0..TRIES {
        let typed = terminal.ask(text)?;
        let Some(typed) = typed.filter(|typed| !typed.expose().trim().is_empty()) else {
            let why = request.record_refusal(RefusalReason::NotConfirmed)?;
            let outcome = LoginOutcome::new(Verdict::Denied, why);
            return request::refuse(messages::NOT_SET_UP, outcome, terminal).map(Some);
        };
        let digest = invitation::digest(typed.expose());
        match store.try_invitation(account, &digest, origin, request.context.now())? {
            InvitationOutcome::Right => return Ok(None),
            InvitationOutcome::Locked(lock) => {
                return request.deny(Denial::Locked(lock), terminal).map(Some);
            }
            InvitationOutcome::Wrong(why) => {
                last = why;
                text = messages::invitation_again(why);
            }
        }
    }
    let why = events::refusal(last, request.context.now());
    let outcome = LoginOutcome::new(Verdict::TriesUsedUp, why);
    let text = messages::invitation_refused(last);
    request::refuse(text, outcome, terminal).map(Some)
}
