//! Verifying an address: a code is sent there, and the person types it.

use std::time::Instant;

use twofa_core::answer::Reply;
use twofa_core::channel::AddressKind;
use twofa_core::sent::SentCodeOutcome;
use twofa_core::{Answer, Channel, SentCode};
use twofa_store::{Attempt, Counted, Generation, MarkUsedOutcome, StoreError, Tally};

use crate::context::Context;
use crate::methods::candidate::Candidate;
use crate::methods::error::EnrolmentError;
use crate::methods::inbound_sms;
use crate::sending::addresses;
use crate::sending::codes::{self, DispatchedCode, SEND_TIMEOUT, Unsent};
use crate::text::messages;
use crate::text::terminal::Terminal;

/// How often the code may be mistyped.
const TRIES: u32 = 5;
/// How often the address may be mistyped.
const SPELLINGS: u32 = 3;

/// An address that is a method now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The address in the form in which it is stored.
    pub address: String,
    /// The generation of the person's methods after that.
    pub generation: Generation,
    /// The code had a `+`.
    pub trusts_device: bool,
}

/// Finds out the address, sends a code there and keeps the address when the code is typed. `known` is the address that is
/// known already; `intro` stands before the first prompt.
pub(super) fn verify_address(
    context: Context<'_>,
    channel: Channel,
    known: Option<&str>,
    intro: &str,
    terminal: &mut dyn Terminal,
) -> Result<Verified, EnrolmentError> {
    let purpose = messages::CONFIRM_PURPOSE;
    let verification = AddressVerification {
        context: Context { purpose, ..context },
        channel,
    };
    if let Some(address) = known {
        return verification.run(&Candidate::masked(address), intro, terminal);
    }
    let candidate = verification.ask_address(intro, terminal)?;
    verification.run(&candidate, "", terminal)
}

struct AddressVerification<'a> {
    context: Context<'a>,
    channel: Channel,
}

impl AddressVerification<'_> {
    fn ask_address(
        &self,
        intro: &str,
        terminal: &mut dyn Terminal,
    ) -> Result<Candidate, EnrolmentError> {
        let policy = self.context.policy();
        if self.channel.address_kind() == AddressKind::Phone && policy.countries().is_empty() {
            return Err(EnrolmentError::NotSent(Unsent {
                text: messages::NO_NUMBERS.to_owned(),
                is_limited: false,
            }));
        }
        let can_text = self.channel == Channel::Sms;
        let inbox = can_text.then(|| self.context.services.sender.inbox_number());
        let inbox = inbox.flatten();
        let question = messages::address_question(self.channel, inbox.is_some());
        let mut text = format!("{intro}{question}");
        for _ in 0..SPELLINGS {
            let Some(typed) = terminal.ask(text)? else {
                break;
            };
            match (typed.expose().trim(), &inbox) {
                ("", Some(number)) => {
                    return inbound_sms::ask_number(self.context, number, terminal);
                }
                ("", None) => break,
                (typed, _) => match addresses::read_of_user(policy, self.channel, typed) {
                    Ok(address) => return Ok(Candidate::typed(self.channel, address)),
                    Err(bad) => text = messages::ask_again(&bad, question),
                },
            }
        }
        Err(EnrolmentError::NotConfirmed)
    }

    fn run(
        &self,
        candidate: &Candidate,
        intro: &str,
        terminal: &mut dyn Terminal,
    ) -> Result<Verified, EnrolmentError> {
        let (mut code, sent) = self.send(candidate)?;
        let mut text = messages::confirm_prompt(&format!("{intro}{sent}"));
        for left in (0..TRIES).rev() {
            let Some(typed) = terminal.ask(text)? else {
                break;
            };
            let Reply {
                answer,
                trusts_device,
            } = Reply::read(typed.expose());
            drop(typed);
            let wrong = match answer {
                Answer::Empty => break,
                Answer::Resend => {
                    text = messages::confirm_prompt(&self.resend(&mut code, candidate)?);
                    continue;
                }
                Answer::Code(typed) => {
                    let attempt = self.count()?;
                    match code.compare(&typed, self.context.now()) {
                        SentCodeOutcome::Right => {
                            return self.keep(candidate, attempt, trusts_device);
                        }
                        SentCodeOutcome::Expired => messages::EXPIRED_CODE,
                        SentCodeOutcome::Wrong => messages::NOT_THE_CODE,
                    }
                }
                _ => messages::NOT_THE_CODE,
            };
            text = messages::confirm_prompt(&messages::not_confirmed_yet(
                wrong,
                left.max(1),
                &candidate.shown,
            ));
        }
        Err(EnrolmentError::NotConfirmed)
    }

    /// Sends a code. The text says so to the person.
    fn send(&self, candidate: &Candidate) -> Result<(SentCode, String), EnrolmentError> {
        let Candidate { address, shown } = candidate;
        let deadline = Instant::now() + SEND_TIMEOUT;
        let DispatchedCode { code, is_late } =
            codes::send(self.context, self.channel, address, deadline)?;
        let lifetime = self.context.policy().codes.lifetime;
        let text = messages::code_sent(self.channel, shown, lifetime, is_late);
        Ok((code, text))
    }

    /// Sends another code instead of `code`, unless that is too soon. The text says to the person what was done.
    fn resend(&self, code: &mut SentCode, candidate: &Candidate) -> Result<String, EnrolmentError> {
        let now = self.context.now();
        if now < code.next_at() {
            return Ok(messages::too_soon(code.next_at(), now));
        }
        match self.send(candidate) {
            Ok((new, text)) => {
                *code = new;
                Ok(text)
            }
            Err(EnrolmentError::NotSent(unsent)) => Ok(unsent.text),
            Err(error) => Err(error),
        }
    }

    /// Counts a try before it is looked at, if there is a record to count it in: guessing here locks the account as it
    /// does at a login.
    fn count(&self) -> Result<Option<Attempt>, EnrolmentError> {
        let Context {
            account, origin, ..
        } = self.context;
        let now = self.context.now();
        let store = self.context.store();
        match store.count_attempt_durably(account, Tally::Proved, origin, now)? {
            Counted::Attempt(attempt, _) => Ok(Some(attempt)),
            Counted::Unknown => Ok(None),
            Counted::Locked(lock) => Err(EnrolmentError::Locked(lock)),
        }
    }

    fn keep(
        &self,
        candidate: &Candidate,
        attempt: Option<Attempt>,
        trusts_device: bool,
    ) -> Result<Verified, EnrolmentError> {
        let Context {
            account,
            origin,
            person,
            ..
        } = self.context;
        let (store, now) = (self.context.store(), self.context.now());
        let address = candidate.address.as_str();
        let generation = store.enrol_address(
            account,
            person.snapshot.generation,
            self.channel,
            address,
            origin,
            now,
        )?;
        if let Some(attempt) = attempt {
            // The code was right, so the try does not stay a failure.
            if store.use_confirming_code(attempt, self.channel, address, now)?
                == MarkUsedOutcome::Already
            {
                return Err(StoreError::ChangedMeanwhile.into());
            }
        }
        Ok(Verified {
            address: address.to_owned(),
            generation,
            trusts_device,
        })
    }
}

#[cfg(test)]
mod tests;
