//! Asking where the password may be wrong: one question, the same for everybody, that gives nothing away.
//!
//! Nothing is sent, nobody is enrolled, no address is shown, and wrong codes are counted apart from the account's own
//! ([`Tally::Unproved`](twofa_store::Tally::Unproved)). Whether there is such an account, what it has and what the code
//! was worth shows in nothing but whether the login works, which takes the password as well.

use twofa_proto::{Login, Prompt, Verdict};

use crate::methods::challenge::{self, Challenge, ChallengeError, Outcome};
use crate::requests::login_outcome::Ruling;
use crate::text::messages;
use crate::text::terminal::Dialogue;

/// Digits of a code where there is none to type.
const USUAL_DIGITS: u8 = 6;

/// What the answer is good for.
pub(crate) enum Who<'a> {
    /// It is checked.
    Asked(Challenge<'a>),
    /// Nothing is asked of them: whatever they answer, that is the ruling.
    NotAsked(Ruling),
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
    dialogue: &mut dyn Dialogue,
) -> Result<Ruling, ChallengeError> {
    let prompt = prompt(login, application, &who);
    let challenge = match who {
        Who::Asked(challenge) => challenge,
        Who::NotAsked(ruling) => {
            dialogue.prompt(prompt)?;
            return Ok(ruling);
        }
        Who::Refused(why) => {
            dialogue.prompt(prompt)?;
            return Ok(Ruling::new(Verdict::Denied, why));
        }
    };
    // Every refusal has the same verdict: an application shows by it what the matter is.
    let denied = |why: &str| {
        Ruling::new(
            Verdict::Denied,
            format!("{why}; the password may be wrong as well"),
        )
    };
    Ok(match challenge.ask_once(prompt, dialogue)? {
        Outcome::Passed { method, .. } => {
            Ruling::new(Verdict::Passed, format!("by {}", method.info().noun))
        }
        Outcome::Wrong { why } | Outcome::TriesUsedUp { why } => denied(&why),
        Outcome::Locked(_) => denied("too many wrong codes"),
        Outcome::NoAnswer => denied("no code was entered"),
        Outcome::Unreachable { .. } | Outcome::TooManyCodes { .. } => {
            denied("no code is sent here")
        }
    })
}
