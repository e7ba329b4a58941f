//! Learning a phone number from a text message: the person texts a code to our number, and the number it comes from is
//! then verified like any other.

use std::thread;
use std::time::{Duration, Instant};

use twofa_core::sent::SentCodeOutcome;
use twofa_core::{Channel, SentCode, Timestamp};
use twofa_delivery::{InboundSms, Step};
use twofa_store::{SendKind, SendStart, StoreError};

use crate::context::Context;
use crate::methods::candidate::Candidate;
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

/// Asks the person to text a code to our `number`, and finds the number that it comes from. The person may type a number
/// instead.
pub(super) fn ask_number(
    context: Context<'_>,
    number: &str,
    terminal: &mut dyn Terminal,
) -> Result<Candidate, EnrolmentError> {
    let begun = context.now();
    count_request(context)?;
    let code = SentCode::generate(context.policy().codes, begun, codes::random_byte)
        .map_err(StoreError::from)?;
    let question = messages::text_us(number, code.digits());
    let mut text = question.clone();
    for _ in 0..LOOKS {
        let Some(typed) = terminal.ask(text)? else {
            break;
        };
        let typed = typed.expose().trim();
        if !typed.is_empty() {
            match addresses::read_of_user(context.policy(), Channel::Sms, typed) {
                Ok(address) => return Ok(Candidate::typed(Channel::Sms, address)),
                Err(bad) => text = messages::ask_again(&bad, &question),
            }
            continue;
        }
        text = match find_sender(context, &code, begun) {
            Some(Ok(from)) => {
                let candidate = Candidate::masked(&from);
                // Sent at once: what follows takes its time, and a client waits only so long for a message.
                terminal.info(messages::texted_from(&candidate.shown).into())?;
                return Ok(candidate);
            }
            Some(Err(bad)) => messages::ask_again(&bad, &question),
            None => messages::nothing_came_in(number),
        };
    }
    Err(EnrolmentError::NotConfirmed)
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

/// Looks for a text message with `code` for a while. Returns the number it came from, or why that cannot be used.
fn find_sender(
    context: Context<'_>,
    code: &SentCode,
    begun: Timestamp,
) -> Option<Result<String, BadAddress>> {
    let since = Timestamp::from_unix(begun.unix().saturating_sub(CLOCK_SKEW));
    let deadline = Instant::now() + LOOK_TIMEOUT;
    loop {
        match context.services.sender.received(since, deadline) {
            Ok(received) => {
                let sender = sender_of(context, code, received, since);
                if sender.is_some() {
                    return sender;
                }
            }
            Err(error) => {
                log::warn(&log_lines::inbox_unreadable(&error));
                if error.step == Step::Login {
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
    code: &SentCode,
    received: Vec<InboundSms>,
    since: Timestamp,
) -> Option<Result<String, BadAddress>> {
    let now = context.now();
    let has_code = |text: &str| {
        text.split(|c: char| !c.is_ascii_digit())
            .any(|digits| code.compare(digits, now) == SentCodeOutcome::Right)
    };
    received
        .into_iter()
        .filter(|message| message.at.is_none_or(|at| at >= since) && has_code(&message.text))
        .map(|message| addresses::read_of_sender(context.policy(), &message.from))
        // A sender that does not read as a number cannot be answered.
        .find(|number| !matches!(number, Err(BadAddress::Phone(_))))
}
