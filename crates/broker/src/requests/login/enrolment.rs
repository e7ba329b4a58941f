//! A login in which a method must be set up first. The first code of the new method is the one that lets the person in.

use twofa_core::{Decision, Denial};
use twofa_proto::codec::CodecError;
use twofa_proto::{ConnectionError, Prompt, Secret, Verdict};
use twofa_store::event::RefusalReason;
use twofa_store::{Settlement, StoreError, Tally};

use super::challenge::conclude;
use super::invitation;
use super::origin;
use super::outcome::LoginOutcome;
use super::request::{self, LoginError, LoginRequest};
use crate::context::Context;
use crate::identity::person::{Person, PersonError};
use crate::methods::challenge::{Accepted, Challenge, ChallengeOutcome};
use crate::methods::enrolment::{self, FirstMethod};
use crate::methods::error::EnrolmentError;
use crate::sending::codes::Unsent;
use crate::text::events;
use crate::text::messages::{self, reasons};
use crate::text::terminal::{Progress, Stage, Terminal, TerminalClosed};

/// Whether the client answers prompts. One that probably does not is asked first, and nothing is begun unless it does.
pub(super) fn can_begin(
    request: &LoginRequest<'_>,
    terminal: &mut dyn Terminal,
) -> Result<bool, LoginError> {
    let login = request.login;
    if !login.cannot_answer || login.behind_password {
        return Ok(true);
    }
    let probe = messages::enrolment_probe(&request.context.application());
    Ok(terminal.ask(probe)?.is_some())
}

/// Guides a user who must have a second factor but has none through enrolment. `intro` is shown first.
pub(super) fn enrol(
    request: &LoginRequest<'_>,
    is_proved: bool,
    intro: &str,
    terminal: &mut dyn Terminal,
) -> Result<LoginOutcome, LoginError> {
    if request.login.behind_password {
        request.record_refusal(RefusalReason::OnePrompt)?;
        let outcome = LoginOutcome::new(Verdict::Denied, reasons::ONE_PROMPT_TO_ENROL);
        return request::refuse(messages::ONE_PROMPT_TO_ENROL, outcome, terminal);
    }
    if request.needs_invitation
        && !is_proved
        && let Some(refused) = invitation::ask(request, terminal)?
    {
        return Ok(refused);
    }
    let mut answering = AnsweringTerminal::new(terminal);
    let with_hint = request
        .trust_hint
        .map(|hint| messages::with_trust_hint(intro, hint));
    let intro = with_hint.as_deref().unwrap_or(intro);
    match enrolment::enrol_first(request.context, is_proved, intro, &mut answering) {
        Ok(first) => pass(request, first, terminal),
        Err(error) => refuse(request, error, terminal),
    }
}

/// Asks for a code of a method that the policy no longer allows, then guides through enrolling one that it does.
pub(super) fn replace(
    request: &LoginRequest<'_>,
    terminal: &mut dyn Terminal,
) -> Result<LoginOutcome, LoginError> {
    if request.login.behind_password {
        request.record_refusal(RefusalReason::OnePrompt)?;
        let outcome = LoginOutcome::new(Verdict::Denied, reasons::ONE_PROMPT_TO_REPLACE);
        return request::refuse(messages::ONE_PROMPT_TO_ENROL, outcome, terminal);
    }
    let context = request.context;
    let challenge = Challenge {
        // The first code of the new method decides about trust: enrolling it would end trust given before.
        settling: None,
        trust_hint: None,
        ..request.challenge(Accepted::Enrolled, Tally::Proved)
    };
    let intro = messages::prove_first(&context.application());
    match challenge.ask(&intro, terminal)? {
        ChallengeOutcome::Passed { .. } => {}
        outcome => return conclude(request, outcome, terminal),
    }
    let fresh = Person::load(context.store(), context.account)?;
    let source = origin::for_exemptions(request.asker, request.login);
    let (decision, _) = fresh.decide(context.account, source, false, context.now());
    // Nothing is enrolled by what was decided before the code was typed.
    if fresh.snapshot.generation != context.person.snapshot.generation
        || decision != Decision::Replace
    {
        return changed_meanwhile(request, terminal);
    }
    let request = LoginRequest {
        context: Context {
            person: &fresh,
            ..context
        },
        ..*request
    };
    enrol(&request, true, messages::NOW_REPLACE, terminal)
}

/// Lets in who has set up a first method.
fn pass(
    request: &LoginRequest<'_>,
    first: FirstMethod,
    terminal: &mut dyn Terminal,
) -> Result<LoginOutcome, LoginError> {
    let FirstMethod {
        by,
        generation,
        trusts_device,
    } = first;
    let why = events::proof(&by);
    let Context {
        account, origin, ..
    } = request.context;
    let (store, now) = (request.context.store(), request.context.now());
    let settlement = request.settlement(trusts_device);
    match store.record_pass(account, generation, &by, settlement, origin, now) {
        Ok(()) => Ok(request.passed(why, matches!(settlement, Settlement::Now(_)))),
        Err(StoreError::ChangedMeanwhile) => changed_meanwhile(request, terminal),
        Err(error) => Err(error.into()),
    }
}

/// Refuses where no method was set up.
fn refuse(
    request: &LoginRequest<'_>,
    error: EnrolmentError,
    terminal: &mut dyn Terminal,
) -> Result<LoginOutcome, LoginError> {
    let (verdict, why, text) = match error {
        EnrolmentError::NotConfirmed => {
            let why = request.record_refusal(RefusalReason::NotConfirmed)?;
            (Verdict::Denied, why, messages::NOT_SET_UP)
        }
        EnrolmentError::NoMethod => {
            let why = request.record_refusal(RefusalReason::NoMethod)?;
            (Verdict::Unavailable, why, messages::NO_METHOD)
        }
        EnrolmentError::OutOfReach => {
            let why = request.record_refusal(RefusalReason::OutOfReach)?;
            (Verdict::Unavailable, why, messages::OUT_OF_REACH)
        }
        EnrolmentError::NotSent(Unsent {
            ref text,
            is_limited: true,
        }) => (
            Verdict::TriesUsedUp,
            reasons::TOO_MANY_TO_ENROL.to_owned(),
            text.as_str(),
        ),
        EnrolmentError::NotSent(Unsent { ref text, .. }) => (
            Verdict::Unavailable,
            reasons::NOT_SENT_TO_ENROL.to_owned(),
            text.as_str(),
        ),
        EnrolmentError::Locked(lock) => return request.deny(Denial::Locked(lock), terminal),
        EnrolmentError::Person(PersonError::Store(StoreError::ChangedMeanwhile)) => {
            return changed_meanwhile(request, terminal);
        }
        error => return Err(error.into()),
    };
    request::refuse(text, LoginOutcome::new(verdict, why), terminal)
}

fn changed_meanwhile(
    request: &LoginRequest<'_>,
    terminal: &mut dyn Terminal,
) -> Result<LoginOutcome, LoginError> {
    let why = request.record_refusal(RefusalReason::MethodsChanged)?;
    let outcome = LoginOutcome::new(Verdict::Denied, why);
    request::refuse(messages::CHANGED_MEANWHILE, outcome, terminal)
}

/// A terminal that counts as closed if a prompt gets no answer after a method was set up: the module then refuses the login,
/// so it must not go on here. Before that, no answer means that the person does not enrol.
struct AnsweringTerminal<'a> {
    terminal: &'a mut dyn Terminal,
    progress: Progress,
}

impl<'a> AnsweringTerminal<'a> {
    fn new(terminal: &'a mut dyn Terminal) -> Self {
        Self {
            terminal,
            progress: Progress::default(),
        }
    }
}

impl Terminal for AnsweringTerminal<'_> {
    fn reach(&mut self, stage: Stage) {
        self.progress.reach(stage);
        self.terminal.reach(stage);
    }

    fn prompt(&mut self, prompt: Prompt) -> Result<Option<Secret>, TerminalClosed> {
        match self.terminal.prompt(prompt)? {
            None if self.progress.is_enrolled => {
                Err(ConnectionError::from(CodecError::Closed).into())
            }
            answer => Ok(answer),
        }
    }

    fn info(&mut self, text: Secret) -> Result<(), TerminalClosed> {
        self.terminal.info(text)
    }

    fn error(&mut self, text: &str) -> Result<(), TerminalClosed> {
        self.terminal.error(text)
    }
}
