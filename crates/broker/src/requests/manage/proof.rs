//! The proof that a change takes: a fresh code, once there is a method or an address to ask by.

use twofa_proto::{Failure, Request};
use twofa_store::{AnswerVerdict, Generation, Tally};

use super::request::sending_channel;
use crate::context::Context;
use crate::identity::person::Person;
use crate::methods::challenge::{Accepted, Challenge, ChallengeOutcome};
use crate::methods::enrolment::{self, Answered};
use crate::requests::error::RequestError;
use crate::text::messages::{self, commands};
use crate::text::terminal::Terminal;

/// Asks for the proof that `request` takes; `verdict` is what has become of an answer that came before. Returns the generation of the person's methods that the proof is good for.
pub(super) fn ask(
    context: Context<'_>,
    request: &Request,
    verdict: Option<&AnswerVerdict>,
    terminal: &mut dyn Terminal,
) -> Result<Generation, RequestError> {
    let person = context.person;
    if context.user().enrolled().is_empty() {
        return ask_by_address(context, request, terminal);
    }
    let now = context.now();
    if let Some(lock) = context.user().throttle.lock(now) {
        return Err(RequestError::new(
            Failure::Denied,
            messages::locked(lock, now),
        ));
    }
    // A method that is no longer allowed still proves the person where nothing else can.
    let accepted = if context.user().is_enrolled(context.policy().methods) {
        Accepted::Allowed
    } else {
        Accepted::Enrolled
    };
    let challenge = Challenge {
        context,
        accepted,
        tally: Tally::Proved,
        cannot_answer: false,
        settling: None,
        trust_hint: None,
        verdict,
    };
    match challenge.ask(messages::PROVE_TO_CHANGE, terminal)? {
        ChallengeOutcome::Passed { .. } => Ok(person.snapshot.generation),
        ChallengeOutcome::Locked(lock) => {
            let text = messages::locked(lock, context.now());
            Err(RequestError::new(Failure::Denied, text))
        }
        ChallengeOutcome::Unreachable { text } => {
            Err(RequestError::new(Failure::Unavailable, text))
        }
        ChallengeOutcome::TooManyCodes { text } => Err(RequestError::new(Failure::Denied, text)),
        ChallengeOutcome::NoAnswer => Err(commands::NO_CODE_ENTERED.into()),
        ChallengeOutcome::Wrong { .. } | ChallengeOutcome::TriesUsedUp { .. } => {
            Err(commands::TOO_MANY_WRONG_ANSWERS.into())
        }
    }
}

/// Goes on with the proof by an address on file.
pub(super) fn resume(
    context: Context<'_>,
    answered: Answered<'_>,
    terminal: &mut dyn Terminal,
) -> Result<Generation, RequestError> {
    let (_, verified) = enrolment::resume(context, answered, terminal)?.verified()?;
    Ok(verified.generation)
}

/// Where nothing is enrolled, a code to an address on file is the proof, if there is one.
fn ask_by_address(
    context: Context<'_>,
    request: &Request,
    terminal: &mut dyn Terminal,
) -> Result<Generation, RequestError> {
    let person = context.person;
    if !person.has_address_on_file() || is_proof(person, request) {
        return Ok(person.snapshot.generation);
    }
    let intro = messages::PROVE_BY_ADDRESS;
    let (_, verified) = enrolment::prove_by_address_on_file(context, intro, terminal)?;
    Ok(verified.generation)
}

/// Whether carrying out `request` sends a code to an address on file that proves the person: a proof before it would be
/// the same once more.
fn is_proof(person: &Person, request: &Request) -> bool {
    let Request::EnrolAddress {
        method,
        address: None,
        ..
    } = request
    else {
        return false;
    };
    sending_channel(method).is_ok_and(|channel| person.is_on_file(channel))
}
