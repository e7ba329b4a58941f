//! Asking where the password may be wrong: one question, the same for everybody, that gives nothing away.
//!
//! Nothing is sent, nobody is enrolled, no address is shown, and wrong codes are counted apart from the account's own
//! ([`Tally::Unproved`](twofa_store::Tally::Unproved)). Whether there is such an account, what it has and whether the code
//! was right shows in nothing but whether the login works, which takes the password as well.

use twofa_proto::{Login, Prompt, Ticket, Verdict};
use twofa_store::event::UnprovedReason;

use super::outcome::LoginOutcome;
use super::request::{LoginError, password_and_code};
use crate::identity::first_factor::FirstFactor;
use crate::methods::challenge::{self, Challenge, ChallengeOutcome};
use crate::text::messages::{self, reasons};
use crate::text::terminal::Terminal;

/// Digits of a code where there is none to type.
const USUAL_DIGITS: u8 = 6;

/// What the answer is worth.
#[allow(clippy::large_enum_variant, reason = "a login has one")]
pub(super) enum Subject<'a> {
    /// It is verified. The login leaves this ticket if it is right.
    Asked(Challenge<'a>, Ticket),
    /// Nothing is asked of them: this is the outcome for any answer.
    NotAsked(LoginOutcome),
    /// They are refused for this reason, for any answer.
    Refused(UnprovedReason, String),
}

/// Asks, or leaves that to the line of the stack that is called when the first factor is right.
pub(super) fn ask(
    first_factor: FirstFactor,
    login: &Login,
    application: &str,
    subject: Subject<'_>,
    terminal: &mut dyn Terminal,
) -> Result<LoginOutcome, LoginError> {
    let prompt = prompt(login, application, &subject);
    if first_factor == FirstFactor::LaterLine {
        if login.behind_password {
            terminal.prompt(prompt)?;
        }
        return Ok(LoginOutcome::new(Verdict::Later, reasons::LATER_LINE));
    }
    let (outcome, ticket) = match subject {
        Subject::Asked(challenge, ticket) => (challenge.ask_once(prompt, terminal)?, ticket),
        Subject::NotAsked(outcome) => {
            terminal.prompt(prompt)?;
            return Ok(outcome);
        }
        Subject::Refused(reason, why) => {
            terminal.prompt(prompt)?;
            return Ok(LoginOutcome::unproved(reason, why));
        }
    };
    // Every refusal has the same verdict, because applications show by it what is wrong.
    let (reason, why) = match outcome {
        ChallengeOutcome::Passed {
            method,
            backup_codes_left,
            is_settled,
            ..
        } => {
            let why = reasons::passed(method, backup_codes_left);
            let unsettled = (!is_settled).then_some(ticket);
            return Ok(LoginOutcome::passed(why, unsettled));
        }
        ChallengeOutcome::Wrong { why } | ChallengeOutcome::TriesUsedUp { why } => {
            (UnprovedReason::WrongCode, why)
        }
        ChallengeOutcome::Locked(_) => {
            let why = reasons::TOO_MANY_WRONG_CODES.to_owned();
            (UnprovedReason::Locked, why)
        }
        ChallengeOutcome::NoAnswer => (UnprovedReason::NoCode, reasons::NO_CODE_ENTERED.to_owned()),
        ChallengeOutcome::Unreachable { .. } | ChallengeOutcome::TooManyCodes { .. } => {
            let why = reasons::NOTHING_SENT_HERE.to_owned();
            (UnprovedReason::NothingToShow, why)
        }
    };
    let why = reasons::or_wrong_password(&why);
    Ok(LoginOutcome::unproved(reason, why))
}

/// The prompt. Where the code is typed after the password in one answer, it also says how many digits to split off: none
/// for a user who is not asked for a code.
fn prompt(login: &Login, application: &str, subject: &Subject<'_>) -> Prompt {
    if !login.behind_password {
        return Prompt {
            text: messages::uniform_prompt(application).into(),
            echo: true,
            digits_behind_password: None,
            link: None,
        };
    }
    password_and_code(match subject {
        Subject::Asked(challenge, _) => challenge::digits(challenge.context.user()),
        Subject::NotAsked(_) => 0,
        Subject::Refused(..) => USUAL_DIGITS,
    })
}
