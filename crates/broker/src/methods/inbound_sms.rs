//! Learning a phone number from a text message: the person texts a code to our number, and the number it comes from is
//! then verified like any other.

use std::thread;
use std::time::{Duration, Instant};

use twofa_core::sent::SentCodeOutcome;
use twofa_core::{Channel, Timestamp};
use twofa_delivery::InboundSms;
use twofa_proto::Secret;
use twofa_store::{SendKind, SendStart};

use crate::context::Context;
use crate::methods::candidate::Candidate;
use crate::methods::enrolment::{Enrolling, Step, choose_again};
use crate::methods::enrolment_state::{At, Choices, StoredCode, TextInState};
use crate::methods::error::EnrolmentError;
use crate::process::log;
use crate::sending::addresses::{self, BadAddress};
use crate::sending::codes::{self, NotSent};
use crate::text::messages::{self, log_lines};
use crate::text::terminal::Terminal;

/// How often a person may say that the text message was sent.
const LOOKS: u32 = 6;
/// How long one look for a text message takes. The client hears nothing meanwhile.
const LOOK_TIMEOUT: Duration = Duration::from_secs(12);
/// The pause between two requests to the provider.
const PAUSE: Duration = Duration::from_secs(3);
/// How much earlier than ours a provider's clock may be, in seconds.
const CLOCK_SKEW: i64 = 120;

impl Enrolling<'_> {
    /// Asks the person to text a code to our `number`. The person may type a number instead.
    pub(super) fn begin_text_in(
        &self,
        number: &str,
        choices: Option<Choices>,
    ) -> Result<Step, EnrolmentError> {
        let context = self.context;
        count_request(context)?;
        let code = codes::generate(context)?;
        let question = messages::text_us(number, code.digits());
        let state = TextInState {
            number: number.to_owned(),
            question: question.clone(),
            code: StoredCode::new(context.store(), &code)?,
            begun: context.now().unix(),
            looks: LOOKS,
            choices,
        };
        Ok(Step::ask(&question, At::TextIn(state)))
    }

    /// Finds the number from which the code was texted, or reads the one that was typed, and sends a code there.
    pub(super) fn text_in_answered(
        &mut self,
        mut state: TextInState,
        typed: Option<Secret>,
        terminal: &mut dyn Terminal,
    ) -> Result<Step, EnrolmentError> {
        let typed = typed.ok_or(EnrolmentError::NotConfirmed)?;
        let typed = typed.expose().trim();
        let context = self.context;
        let (candidate, text) = if typed.is_empty() {
            match find_sender(context, &state) {
                Some(Ok(from)) => {
                    let candidate = Candidate::masked(&from);
                    // Sent at once: what follows takes its time, and a client waits only so long for a message.
                    terminal.info(messages::texted_from(&candidate.shown).into())?;
                    (Some(candidate), String::new())
                }
                Some(Err(bad)) => (None, messages::ask_again(&bad, &state.question)),
                None => (None, messages::nothing_came_in(&state.number)),
            }
        } else {
            match addresses::read_of_user(context.policy(), Channel::Sms, typed) {
                Ok(address) => {
                    let candidate = Candidate::typed(Channel::Sms, address);
                    (Some(candidate), String::new())
                }
                Err(bad) => (None, messages::ask_again(&bad, &state.question)),
            }
        };
        if let Some(candidate) = candidate {
            return choose_again(self.begin_code(Channel::Sms, candidate, ""), state.choices);
        }
        state.looks = state.looks.saturating_sub(1);
        if state.looks == 0 {
            return Err(EnrolmentError::NotConfirmed);
        }
        Ok(Step::ask(&text, At::TextIn(state)))
    }
}

/// Each look costs a request to the provider, so asking for this counts as a code that is sent.
fn count_request(context: Context<'_>) -> Result<(), EnrolmentError> {
    let now = context.now();
    let subject = format!("text-in of {}", context.account.name);
    let store = context.store();
    match store.begin_send(SendKind::TextIn, context.account, &subject, now)? {
        SendStart::Allowed => Ok(()),
        SendStart::TooMany { what: limit, next } => {
            Err(NotSent::TooMany { limit, next, now }.into())
        }
    }
}

/// Looks for a text message with the code for a while. Returns the number it came from, or why that cannot be used.
fn find_sender(context: Context<'_>, state: &TextInState) -> Option<Result<String, BadAddress>> {
    let since = Timestamp::from_unix(state.begun.saturating_sub(CLOCK_SKEW));
    let deadline = context.services.deadline_within(LOOK_TIMEOUT);
    loop {
        match context.services.sender.received(since, deadline) {
            Ok(received) => {
                let sender = sender_of(context, &state.code, received, since);
                if sender.is_some() {
                    return sender;
                }
            }
            Err(error) => {
                log::warn(&log_lines::inbox_unreadable(&error));
                if error.step == twofa_delivery::Step::Login {
                    return None;
                }
            }
        }
        if Instant::now() + PAUSE >= deadline {
            return None;
        }
        thread::sleep(PAUSE);
    }
}

/// The sender of the one among `received` that has `code`.
fn sender_of(
    context: Context<'_>,
    code: &StoredCode,
    received: Vec<InboundSms>,
    since: Timestamp,
) -> Option<Result<String, BadAddress>> {
    let (store, now) = (context.store(), context.now());
    let has_code = |text: &str| {
        text.split(|c: char| !c.is_ascii_digit())
            .any(|digits| code.compare(store, digits, now) == SentCodeOutcome::Right)
    };
    received
        .into_iter()
        .filter(|message| message.at.is_none_or(|at| at >= since) && has_code(&message.text))
        .map(|message| addresses::read_of_sender(context.policy(), &message.from))
        // A sender that does not read as a number cannot be answered.
        .find(|number| !matches!(number, Err(BadAddress::Phone(_))))
}
