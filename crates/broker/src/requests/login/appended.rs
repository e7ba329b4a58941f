//! The single prompt for password and code at a trusted device. The user cannot know whether a code is needed this time, so the
//! answer may end in one or not.

use twofa_store::Tally;

use super::outcome::LoginOutcome;
use super::request::{LoginError, LoginRequest, password_and_code};
use crate::methods::challenge::{self, Accepted, Challenge, ChallengeOutcome};
use crate::methods::settling::Settling;
use crate::text::messages::reasons;
use crate::text::terminal::Terminal;

/// Asks once. If the answer ends in a right code, the code is used up and the login passes by it. Otherwise all of the answer
/// is the password, and the device stands in for a code. As guesses are not counted, the application is told no more in the
/// first case than in the second.
pub(super) fn ask(
    request: &LoginRequest<'_>,
    terminal: &mut dyn Terminal,
) -> Result<LoginOutcome, LoginError> {
    // To a screen locker's user, who may ask as often as they like, nothing is said about a code.
    if !request.has_code_at_hand() || !request.asker.is_root_here() {
        terminal.prompt(password_and_code(0))?;
        return request.trusted();
    }
    let challenge = request.challenge(Accepted::Allowed, Tally::Uncounted);
    // Wrong codes are not counted here and can be guessed without limit, so a right one must not prolong the trust.
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
            ..
        } => {
            let passed = request.passed(reasons::passed(method, backup_codes_left), is_settled);
            Ok(LoginOutcome {
                verdict: request.verdict_of_trust(),
                ..passed
            })
        }
        _ => request.trusted(),
    }
}
