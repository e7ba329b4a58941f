//! The one prompt for password and code at a trusted device. Its client cannot know whether a code is wanted today, so it may
//! append one or not.

use twofa_store::Tally;

use super::challenge::passed;
use super::outcome::LoginOutcome;
use super::request::{LoginError, LoginRequest, password_and_code};
use crate::methods::challenge::{self, Accepted, Challenge, ChallengeOutcome};
use crate::methods::settling::Settling;
use crate::text::messages::reasons;
use crate::text::terminal::Terminal;

/// Asks once. A right code at the end of the answer is used up, and is how the login passes; anything else there belongs to
/// the password, and the device stands in for a code.
pub(super) fn ask(
    request: &LoginRequest<'_>,
    terminal: &mut dyn Terminal,
) -> Result<LoginOutcome, LoginError> {
    if !request.has_code_at_hand() {
        terminal.prompt(password_and_code(0))?;
        return request.trusted();
    }
    let challenge = request.challenge(Accepted::Allowed, Tally::Uncounted);
    // What is not counted may be guessed often, so it must gain nothing: it does not make the trust last longer.
    let challenge = Challenge {
        settling: challenge.settling.map(|settling| Settling {
            trust_for: None,
            ..settling
        }),
        ..challenge
    };
    let prompt = password_and_code(challenge::digits(request.context.user()));
    match challenge.ask_once(prompt, terminal)? {
        ChallengeOutcome::Passed {
            method,
            backup_codes_left,
            is_settled,
        } => Ok(passed(
            reasons::passed(method, backup_codes_left),
            is_settled,
        )),
        _ => request.trusted(),
    }
}
