//! One exchange with the broker: it leads, and each of its prompts is answered.

use twofa_proto::{Confirm, Done, FromBroker, Prompt, Request, Verdict};

use super::answers::Answers;
use super::outcome::Outcome;
use crate::broker::Connection;
use crate::host::{Host, Tone};
use crate::messages;

/// Sends `request` to the broker that `connect` finds, and does what it says until it sends its result.
pub fn run<H: Host>(
    host: &mut H,
    mut answers: Answers,
    request: Request,
    connect: impl FnOnce(&mut H, Request) -> Result<Connection, String>,
) -> Outcome {
    let mut broker = match connect(host, request) {
        Ok(broker) => broker,
        Err(why) => return Outcome::new(Verdict::Unavailable, why),
    };
    let mut error_shown = false;
    let outcome = loop {
        match broker.receive() {
            Ok(FromBroker::Accepted) => {}
            Ok(FromBroker::Info(text)) => host.show(Tone::Info, text.expose()),
            Ok(FromBroker::Error(text)) => {
                host.show(Tone::Error, &text);
                error_shown = true;
            }
            Ok(FromBroker::Prompt(prompt)) => {
                if let Err(outcome) = answer(host, &mut broker, &mut answers, &prompt) {
                    break outcome;
                }
            }
            Ok(FromBroker::Done(Done::Login {
                verdict,
                why,
                confirm,
            })) => {
                // Where the device stands in for the code, none was at the end of the password.
                if stands_in(verdict, confirm) && !answers.join(host) {
                    break Outcome::new(Verdict::Unavailable, messages::PASSWORD_NOT_SET);
                }
                break Outcome {
                    code: answers.split_off,
                    confirm,
                    ..Outcome::new(verdict, why)
                };
            }
            Ok(FromBroker::Done(_)) => {
                break Outcome::new(Verdict::Unavailable, messages::UNEXPECTED_RESULT);
            }
            Err(error) => break Outcome::new(Verdict::Unavailable, error.to_string()),
        }
    };
    Outcome {
        error_shown,
        ..outcome
    }
}

/// Answers `prompt`. Without an answer the exchange is cancelled, and this is its outcome.
fn answer(
    host: &mut impl Host,
    broker: &mut Connection,
    answers: &mut Answers,
    prompt: &Prompt,
) -> Result<(), Outcome> {
    match answers.answer(host, prompt) {
        Ok(answer) => {
            // If the broker has closed the connection, it may have said why.
            let _ = broker.answer(Some(answer));
            Ok(())
        }
        Err(outcome) => Err(match broker.cancel() {
            // They were asked only because everyone is: users who need no code are not refused for giving no answer.
            Some(Done::Login {
                verdict,
                why,
                confirm,
            }) if matches!(verdict, Verdict::NotRequired | Verdict::Exempt)
                || stands_in(verdict, confirm) =>
            {
                Outcome {
                    confirm,
                    ..Outcome::new(verdict, why)
                }
            }
            _ => outcome,
        }),
    }
}

/// Whether a trusted device stands in for the code. A key that sshd proved passes that way.
fn stands_in(verdict: Verdict, confirm: Confirm) -> bool {
    match confirm {
        Confirm::Trust(_) => true,
        // A right code at a trusted device, which is told to the application like trust.
        Confirm::Record(_) => false,
        Confirm::No => verdict == Verdict::Trusted,
    }
}
