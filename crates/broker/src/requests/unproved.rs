//! Asking where the password may be wrong: one question, the same for everybody, that gives nothing away.
//!
//! Nothing is sent, nobody is enrolled, no address is shown, and wrong codes are counted apart from the account's own
//! ([`Tally::Unproved`](twofa_store::Tally::Unproved)). Whether there is such an account, what it has and what the code
//! was worth shows in nothing but whether the login works, which takes the password as well.

use twofa_proto::{Login, Prompt, Verdict};

use crate::methods::challenge::{self, Challenge, ChallengeError, ChallengeOutcome};
use crate::requests::login_outcome::LoginOutcome;
use crate::text::messages;
use crate::text::terminal::Terminal;

/// Digits of a code where there is none to type.
const USUAL_DIGITS: u8 = 6;

/// What the answer is good for.
pub(crate) enum Who<'a> {
    /// It is checked.
    Asked(Challenge<'a>),
    /// Nothing is asked of them: whatever they answer, that is the outcome.
    NotAsked(LoginOutcome),
    /// They are refused, for this reason.
    Refused(String),
}

/// The question. With a password in front, `None` digits mean that all of the answer is the password.
pub(crate) fn prompt(login: &Login, application: &str, who: &Who<'_>) -> Prompt {
    if !login.behind_password {
        let text = messages::uniform_prompt(application).into();
        return Prompt {
            text,
            echo: true,
            digits_behind_password: None,
        };
    }
    let digits = match who {
        Who::Asked(challenge) => challenge::digits(&challenge.person.situation.user),
        Who::NotAsked(_) => 0,
        Who::Refused(_) => USUAL_DIGITS,
    };
    Prompt {
        text: messages::PASSWORD_AND_CODE.into(),
        echo: false,
        digits_behind_password: Some(digits),
    }
}

/// Asks, and rules.
pub(crate) fn ask(
    login: &Login,
    application: &str,
    who: Who<'_>,
    terminal: &mut dyn Terminal,
) -> Result<LoginOutcome, ChallengeError> {
    let prompt = prompt(login, application, &who);
    let challenge = match who {
        Who::Asked(challenge) => challenge,
        Who::NotAsked(outcome) => {
            terminal.prompt(prompt)?;
            return Ok(outcome);
        }
        Who::Refused(why) => {
            terminal.prompt(prompt)?;
            return Ok(LoginOutcome::new(Verdict::Denied, why));
        }
    };
    // Every refusal has the same verdict: an application shows by it what the matter is.
    let denied = |why: &str| {
        LoginOutcome::new(
            Verdict::Denied,
            format!("{why}; the password may be wrong as well"),
        )
    };
    Ok(match challenge.ask_once(prompt, terminal)? {
        ChallengeOutcome::Passed { method, .. } => {
            LoginOutcome::new(Verdict::Passed, format!("by {}", method.info().noun))
        }
        ChallengeOutcome::Wrong { why } | ChallengeOutcome::TriesUsedUp { why } => denied(&why),
        ChallengeOutcome::Locked(_) => denied("too many wrong codes"),
        ChallengeOutcome::NoAnswer => denied("no code was entered"),
        ChallengeOutcome::Unreachable { .. } | ChallengeOutcome::TooManyCodes { .. } => {
            denied("no code is sent here")
        }
    })
}
