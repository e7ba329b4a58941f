//! A login in which a method must be set up first. The first code of the new method is the one that lets the person in.

use twofa_core::{Decision, Denial};
use twofa_proto::Verdict;
use twofa_store::event::RefusalReason;
use twofa_store::{AnswerVerdict, Settlement, StoreError, Tally};

use super::challenge;
use super::invitation::{self, InvitationState};
use super::origin;
use super::outcome::LoginOutcome;
use super::request::{self, LoginError, LoginRequest};
use crate::context::Context;
use crate::identity::person::{Person, PersonError};
use crate::methods::challenge::{Accepted, Challenge, ChallengeOutcome};
use crate::methods::enrolment::{self, Answered, EnrolmentState, FirstMethod};
use crate::methods::error::EnrolmentError;
use crate::sending::codes::Unsent;
use crate::text::events;
use crate::text::messages::{self, reasons};
use crate::text::terminal::Terminal;

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
        && let Some(refused) = invitation::ask(request, None, terminal)?
    {
        return Ok(refused);
    }
    begin(request, is_proved, intro, terminal)
}

fn begin(
    request: &LoginRequest<'_>,
    is_proved: bool,
    intro: &str,
    terminal: &mut dyn Terminal,
) -> Result<LoginOutcome, LoginError> {
    let with_hint = request
        .trust_hint
        .map(|hint| messages::with_trust_hint(intro, hint));
    let intro = with_hint.as_deref().unwrap_or(intro);
    conclude(
        request,
        enrolment::enrol_first(request.context, is_proved, intro, terminal),
        terminal,
    )
}

/// Where a login stands in which a method is set up, with what was typed.
pub(super) enum Resumed {
    Invitation(InvitationState),
    Enrolment(Box<EnrolmentState>),
}

impl Resumed {
    /// What `terminal` goes on with; `None`: a method is not being set up.
    pub(super) fn find(terminal: &dyn Terminal) -> Result<Option<Self>, StoreError> {
        let Some(state) = terminal.resumed() else {
            return Ok(None);
        };
        if let Some(state) = InvitationState::read(state) {
            return Ok(Some(Self::Invitation(state)));
        }
        let state = EnrolmentState::find(terminal)?;
        Ok(state.map(|state| Self::Enrolment(Box::new(state))))
    }
}

/// Goes on with the login of a user who was being guided through enrolment. That it still may be done was found again.
pub(super) fn go_on(
    request: &LoginRequest<'_>,
    resumed: Resumed,
    terminal: &mut dyn Terminal,
) -> Result<LoginOutcome, LoginError> {
    let verdict = request.asker.turn().and_then(|turn| turn.verdict.as_ref());
    let is_enrolled = match &resumed {
        Resumed::Invitation(_) => false,
        Resumed::Enrolment(state) => {
            if let (Some(AnswerVerdict::Right(_)), Some(by)) = (verdict, state.proof()) {
                return Ok(request.passed(events::proof(&by), true));
            }
            state.is_enrolled() || matches!(verdict, Some(AnswerVerdict::Enrolled(_)))
        }
    };
    match request.decision {
        Decision::Deny(denial) => return request.deny(denial, terminal),
        Decision::Enrol | Decision::Replace => {}
        _ if is_enrolled => {}
        // Nothing is enrolled by what was decided before the answer was typed.
        _ => return changed_meanwhile(request, terminal),
    }
    let typed = terminal.resume().and_then(|(_, typed)| typed);
    match resumed {
        Resumed::Invitation(state) => {
            if let Some(refused) = invitation::ask(request, Some((state, typed)), terminal)? {
                return Ok(refused);
            }
            let intro = messages::must_enrol(&request.context.application());
            begin(request, false, &intro, terminal)
        }
        Resumed::Enrolment(state) => {
            let answered = Answered {
                state: *state,
                typed,
                verdict,
            };
            let enrolled = enrolment::resume_first(request.context, answered, terminal);
            conclude(request, enrolled, terminal)
        }
    }
}

/// Lets the person in if a method is set up.
fn conclude(
    request: &LoginRequest<'_>,
    enrolled: Result<FirstMethod, EnrolmentError>,
    terminal: &mut dyn Terminal,
) -> Result<LoginOutcome, LoginError> {
    match enrolled {
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
        outcome => return challenge::conclude(request, outcome, terminal),
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
        Ok(()) => Ok(request.passed(why, !matches!(settlement, Settlement::InAccount(_)))),
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
