//! Verifying an address: a code is sent there, and the person types it.

use twofa_core::answer::Reply;
use twofa_core::channel::AddressKind;
use twofa_core::sent::SentCodeOutcome;
use twofa_core::{Answer, Channel, Timestamp};
use twofa_proto::Secret;
use twofa_store::{
    AnswerVerdict, Attempt, Counted, Generation, MarkUsedOutcome, StoreError, Tally,
};

use crate::context::Context;
use crate::methods::candidate::Candidate;
use crate::methods::enrolment::{Enrolling, Step, choose_again};
use crate::methods::enrolment_state::{
    AddressState, At, Choices, CodeState, Named, SetUp, StoredCode,
};
use crate::methods::error::EnrolmentError;
use crate::sending::addresses;
use crate::sending::codes::{self, SEND_TIMEOUT, Unsent};
use crate::text::messages;
use crate::text::terminal::{Stage, Terminal};

/// How often the code may be mistyped.
const TRIES: u32 = 5;
/// How often the address may be mistyped.
const SPELLINGS: u32 = 3;

impl Enrolling<'_> {
    /// Sends a code to the address `given`, or the one on file; without one, asks for it. `intro` stands before the prompt.
    pub(super) fn begin_address(
        &mut self,
        channel: Channel,
        given: Option<&str>,
        choices: Option<Choices>,
        intro: &str,
        terminal: &mut dyn Terminal,
    ) -> Result<Step, EnrolmentError> {
        terminal.reach(Stage::Enrolling);
        let on_file = self.context.user().contacts[channel].as_ref();
        match given.or(on_file.map(|contact| contact.address.as_str())) {
            Some(address) => self.begin_code(channel, Candidate::masked(address), intro),
            None => self.ask_address(channel, choices, intro),
        }
    }

    fn ask_address(
        &self,
        channel: Channel,
        choices: Option<Choices>,
        intro: &str,
    ) -> Result<Step, EnrolmentError> {
        let policy = self.context.policy();
        if channel.address_kind() == AddressKind::Phone && policy.countries().is_empty() {
            return Err(EnrolmentError::NotSent(Unsent {
                text: messages::NO_NUMBERS.to_owned(),
                is_limited: false,
            }));
        }
        let question = messages::address_question(channel, self.inbox(channel).is_some());
        let state = AddressState {
            channel: Named(channel),
            spellings: SPELLINGS,
            choices,
        };
        Ok(Step::ask(&format!("{intro}{question}"), At::Address(state)))
    }

    /// The number to which a person can text a code.
    fn inbox(&self, channel: Channel) -> Option<String> {
        let can_text = channel == Channel::Sms;
        let inbox = can_text.then(|| self.context.services.sender.inbox_number());
        inbox.flatten()
    }

    pub(super) fn address_answered(
        &mut self,
        mut state: AddressState,
        typed: Option<Secret>,
    ) -> Result<Step, EnrolmentError> {
        let typed = typed.ok_or(EnrolmentError::NotConfirmed)?;
        let (policy, Named(channel)) = (self.context.policy(), state.channel);
        let inbox = self.inbox(channel);
        let bad = match (typed.expose().trim(), &inbox) {
            ("", Some(number)) => {
                let begun = self.begin_text_in(number, state.choices.clone());
                return choose_again(begun, state.choices);
            }
            ("", None) => return Err(EnrolmentError::NotConfirmed),
            (typed, _) => match addresses::read_of_user(policy, channel, typed) {
                Ok(address) => {
                    let candidate = Candidate::typed(channel, address);
                    return choose_again(self.begin_code(channel, candidate, ""), state.choices);
                }
                Err(bad) => bad,
            },
        };
        state.spellings = state.spellings.saturating_sub(1);
        if state.spellings == 0 {
            return Err(EnrolmentError::NotConfirmed);
        }
        let question = messages::address_question(channel, inbox.is_some());
        let text = messages::ask_again(&bad, question);
        Ok(Step::ask(&text, At::Address(state)))
    }

    /// Sends the first code, and asks for it.
    pub(super) fn begin_code(
        &mut self,
        channel: Channel,
        candidate: Candidate,
        intro: &str,
    ) -> Result<Step, EnrolmentError> {
        let Candidate { address, shown } = candidate;
        let unsent = CodeState {
            channel: Named(channel),
            address,
            shown,
            code: None,
            next_at: 0,
            left: TRIES,
        };
        if let Some(next) = self.is_sent_already()? {
            let text = messages::sent_to_another_login(next, self.context.now());
            let text = messages::confirm_prompt(&format!("{intro}{text}"));
            let next_at = next.unix();
            return Ok(Step::ask(&text, At::Code(CodeState { next_at, ..unsent })));
        }
        let (state, sent) = self.send(unsent)?;
        let text = messages::confirm_prompt(&format!("{intro}{sent}"));
        Ok(Step::ask(&text, At::Code(state)))
    }

    /// Whether a code was just sent for somebody on this host, perhaps for this conversation by a server that was lost: until when
    /// no other is sent.
    fn is_sent_already(&self) -> Result<Option<Timestamp>, StoreError> {
        let Context {
            account, origin, ..
        } = self.context;
        if origin.host.is_none() || origin.answering().is_some() {
            return Ok(None);
        }
        let cooldown = self.context.policy().codes.cooldown.seconds();
        let now = self.context.now();
        self.context
            .store()
            .code_is_awaited(account, origin, cooldown, now)
    }

    /// Sends a code. The text says so to the person.
    fn send(&self, state: CodeState) -> Result<(CodeState, String), EnrolmentError> {
        let purpose = messages::CONFIRM_PURPOSE;
        let context = Context {
            purpose,
            ..self.context
        };
        let code = codes::generate(context)?;
        let state = CodeState {
            code: Some(StoredCode::new(context.store(), &code)?),
            next_at: code.next_at().unix(),
            ..state
        };
        self.begin_step(At::Code(state.clone()))?;
        let Named(channel) = state.channel;
        let deadline = context.services.deadline_within(SEND_TIMEOUT);
        let is_late = codes::dispatch(context, channel, &state.address, &code, deadline)?;
        let text = self.sent(&state, is_late);
        Ok((state, text))
    }

    fn sent(&self, state: &CodeState, is_late: bool) -> String {
        let lifetime = self.context.policy().codes.lifetime;
        messages::code_sent(state.channel.0, &state.shown, lifetime, is_late)
    }

    /// Sends another code, unless that is too soon. The text says to the person what was done.
    fn resend(&self, state: CodeState) -> Result<(CodeState, String), EnrolmentError> {
        let (now, next_at) = (self.context.now(), Timestamp::from_unix(state.next_at));
        if now < next_at {
            return Ok((state, messages::too_soon(next_at, now)));
        }
        match self.send(state.clone()) {
            Err(EnrolmentError::NotSent(unsent)) => Ok((state, unsent.text)),
            sent => sent,
        }
    }

    /// What follows from what was typed as the code.
    pub(super) fn code_answered(
        &mut self,
        mut state: CodeState,
        typed: Option<Secret>,
        terminal: &mut dyn Terminal,
    ) -> Result<Step, EnrolmentError> {
        if self.verdict == Some(&AnswerVerdict::Begun) {
            // It was sent, or as good as, and the person was not told.
            let text = messages::confirm_prompt(&self.sent(&state, true));
            return Ok(Step::ask(&text, At::Code(state)));
        }
        let typed = typed.ok_or(EnrolmentError::NotConfirmed)?;
        let Reply {
            answer,
            trusts_device,
        } = Reply::read(typed.expose());
        drop(typed);
        state.left = state.left.saturating_sub(1);
        let wrong = match answer {
            Answer::Empty => return Err(EnrolmentError::NotConfirmed),
            Answer::Resend if state.left > 0 => {
                let (state, text) = self.resend(state)?;
                return Ok(Step::ask(&messages::confirm_prompt(&text), At::Code(state)));
            }
            Answer::Code(typed) => match self.compare(&state, &typed)? {
                Compared::Right(generation) => {
                    let CodeState {
                        channel, address, ..
                    } = state;
                    let set_up = SetUp::Address { channel, address };
                    return self.enrolled(set_up, generation, trusts_device, terminal);
                }
                Compared::Wrong(wrong) => wrong,
            },
            _ => messages::NOT_THE_CODE,
        };
        if state.left == 0 {
            return Err(EnrolmentError::NotConfirmed);
        }
        let text = messages::not_confirmed_yet(wrong, state.left, &state.shown);
        Ok(Step::ask(&messages::confirm_prompt(&text), At::Code(state)))
    }

    /// Counts a code, compares it, and keeps the address if it is right.
    fn compare(&self, state: &CodeState, typed: &str) -> Result<Compared, EnrolmentError> {
        match self.verdict {
            Some(AnswerVerdict::Enrolled(generation)) => return Ok(Compared::Right(*generation)),
            // It was counted, and is not known to have been right.
            Some(_) => return Ok(Compared::Wrong(messages::NOT_THE_CODE)),
            None => {}
        }
        let attempt = self.count()?;
        let (store, now) = (self.context.store(), self.context.now());
        let code = state.code.as_ref();
        let outcome = code.map(|code| code.compare(store, typed, now));
        match outcome.unwrap_or(SentCodeOutcome::Wrong) {
            SentCodeOutcome::Right => {
                let kept = self.keep_address(state, attempt)?;
                Ok(Compared::Right(kept))
            }
            SentCodeOutcome::Expired => Ok(Compared::Wrong(messages::EXPIRED_CODE)),
            SentCodeOutcome::Wrong => Ok(Compared::Wrong(messages::NOT_THE_CODE)),
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

    fn keep_address(
        &self,
        state: &CodeState,
        attempt: Option<Attempt>,
    ) -> Result<Generation, EnrolmentError> {
        let Context {
            account, origin, ..
        } = self.context;
        let (store, now) = (self.context.store(), self.context.now());
        let (Named(channel), address) = (state.channel, state.address.as_str());
        let generation =
            store.enrol_address(account, self.generation, channel, address, origin, now)?;
        if let Some(attempt) = attempt {
            // The code was right, so the try does not stay a failure.
            if store.use_confirming_code(attempt, channel, address, now)?
                == MarkUsedOutcome::Already
            {
                return Err(StoreError::ChangedMeanwhile.into());
            }
        }
        Ok(generation)
    }
}

/// The outcome of comparing a code.
enum Compared {
    /// It is right, and the address is kept: the methods have this generation.
    Right(Generation),
    /// Why not, for the person.
    Wrong(&'static str),
}

#[cfg(test)]
mod tests;
