//! A login that requires a code.

use twofa_core::{Decision, Denial, Method};
use twofa_proto::Verdict;
use twofa_store::Tally;
use twofa_store::event::RefusalReason;

use super::outcome::LoginOutcome;
use super::request::{self, LoginError, LoginRequest, password_and_code};
use crate::methods::challenge::{self, Accepted, ChallengeOutcome};
use crate::text::events;
use crate::text::messages::{self, reasons};
use crate::text::terminal::Terminal;

/// If this many backup codes or fewer are left, every login says how many.
const FEW_BACKUP_CODES: usize = 2;

/// Asks for a code of a method that the policy allows.
pub(super) fn ask(
    request: &LoginRequest<'_>,
    terminal: &mut dyn Terminal,
) -> Result<LoginOutcome, LoginError> {
    let challenge = request.challenge(Accepted::Allowed, Tally::Proved);
    if !request.login.behind_password {
        let outcome = challenge.ask("", terminal)?;
        return conclude(request, outcome, terminal);
    }
    if !request.has_code_at_hand() {
        request.record_refusal(RefusalReason::OnePrompt)?;
        let outcome = LoginOutcome::new(Verdict::Denied, reasons::ONE_PROMPT_TO_SEND);
        return request::refuse(messages::ONE_PROMPT_TO_SEND, outcome, terminal);
    }
    let prompt = password_and_code(challenge::digits(request.context.user()));
    let outcome = challenge.ask_once(prompt, terminal)?;
    conclude(request, outcome, terminal)
}

/// The outcome of a login whose challenge ended with `outcome`, which is shown to the person.
pub(super) fn conclude(
    request: &LoginRequest<'_>,
    outcome: ChallengeOutcome,
    terminal: &mut dyn Terminal,
) -> Result<LoginOutcome, LoginError> {
    let (verdict, why, text) = match outcome {
        ChallengeOutcome::Passed {
            method,
            backup_codes_left,
            is_settled,
            trusted_for,
        } => {
            welcome(request, method, backup_codes_left, is_settled, terminal);
            if let Some(duration) = trusted_for {
                let now = request.context.now();
                let until = now.after(duration.seconds());
                let _ = terminal.info(messages::device_trusted_on_host(until, now).into());
            }
            let why = reasons::passed(method, backup_codes_left);
            return Ok(request.passed(why, is_settled));
        }
        ChallengeOutcome::Wrong { why } => (Verdict::Denied, why, messages::WRONG_CODE.to_owned()),
        ChallengeOutcome::TriesUsedUp { why } => (
            Verdict::TriesUsedUp,
            reasons::tries_used_up(&why),
            messages::TOO_MANY_WRONG_ANSWERS.to_owned(),
        ),
        ChallengeOutcome::Locked(lock) => (
            Verdict::TriesUsedUp,
            request.explain_decision(Decision::Deny(Denial::Locked(lock))),
            messages::locked(lock, request.context.now()),
        ),
        ChallengeOutcome::Unreachable { text } => {
            (Verdict::Unavailable, reasons::UNREACHABLE.to_owned(), text)
        }
        ChallengeOutcome::TooManyCodes { text } => (
            Verdict::TriesUsedUp,
            reasons::TOO_MANY_CODES.to_owned(),
            text,
        ),
        ChallengeOutcome::NoAnswer => {
            let why = RefusalReason::NoCodeEntered;
            request.record_giving_up(why)?;
            (
                Verdict::NoAnswer,
                events::refusal(why, request.context.now()),
                messages::NO_CODE_ENTERED.to_owned(),
            )
        }
    };
    request::refuse(&text, LoginOutcome::new(verdict, why), terminal)
}

/// Shows what a user should know after a correct code. If the client cannot show it, the login still succeeds.
fn welcome(
    request: &LoginRequest<'_>,
    method: Method,
    backup_codes_left: usize,
    is_settled: bool,
    terminal: &mut dyn Terminal,
) {
    let context = request.context;
    let missed = context.person.snapshot.missed.as_ref();
    if let Some(missed) = missed.filter(|_| is_settled) {
        let _ = terminal.info(messages::missed(missed, context.now()).into());
    }
    if let Some(shown_at) = context.person.snapshot.codes_shown_at {
        let text = messages::void_codes(shown_at, backup_codes_left, context.now());
        if terminal.info(text.into()).is_ok() {
            let (account, origin) = (context.account, context.origin);
            // If that fails, the next login shows it again.
            let _ = context
                .store()
                .forget_codes_shown(account, origin, context.now());
        }
    }
    let are_few =
        context.policy().methods.contains(Method::Backup) && backup_codes_left <= FEW_BACKUP_CODES;
    if are_few || method == Method::Backup {
        let _ = terminal.info(messages::backup_codes_left(backup_codes_left).into());
    }
}
