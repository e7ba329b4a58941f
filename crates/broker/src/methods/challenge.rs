//! Asking for a code. What is typed is accepted in [`verify`](super::verify) alone.
//!
//! Nothing is locked while the person types.

use twofa_core::{Answer, Duration, Lock, Method, Reply, User};
use twofa_proto::{Prompt, Secret};
use twofa_store::{AnswerVerdict, Settlement, StoreError, Tally};

use crate::context::Context;
use crate::methods::challenge_state::{ChallengeState, StoredChallenge};
use crate::methods::choice::{Choice, FirstPrompt, PromptCommand};
use crate::methods::settling::Settling;
pub use crate::methods::verify::{Accepted, ChallengeError};
use crate::methods::verify::{AnswerOutcome, Verifier};
use crate::sending::codes::Unsent;
use crate::text::messages::{self, reasons};
use crate::text::terminal::Terminal;

/// Digits of a code where no app says otherwise.
const USUAL_DIGITS: u8 = 6;

/// A challenge that is about to be made.
#[derive(Debug, Clone, Copy)]
pub struct Challenge<'a> {
    /// Whose code is asked for, and why.
    pub context: Context<'a>,
    /// Which methods count.
    pub accepted: Accepted,
    /// Where wrong codes are counted.
    pub tally: Tally,
    /// The application is known to answer no prompt: no code is sent before one was answered.
    pub cannot_answer: bool,
    /// How a right code becomes a login; `None`: there is no login, or it is settled at once.
    pub settling: Option<Settling<'a>>,
    /// What a `+` at the code does, for the prompt.
    pub trust_hint: Option<&'a str>,
    /// The verdict that is on record on the answer, if it comes a second time.
    pub verdict: Option<&'a AnswerVerdict>,
}

/// How a challenge ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChallengeOutcome {
    /// The code is right, and marked used on disk.
    Passed {
        /// The method of the code.
        method: Method,
        /// Backup codes that are left now.
        backup_codes_left: usize,
        /// The login is on record. If not, the account phase settles it.
        is_settled: bool,
        /// It has made the device trusted for so long, and nobody has been told.
        trusted_for: Option<Duration>,
    },
    /// The one answer of [`Challenge::ask_once`] was wrong.
    Wrong {
        /// Why, for the log.
        why: String,
    },
    /// No tries are left.
    TriesUsedUp {
        /// What was wrong with the last answer, for the log.
        why: String,
    },
    /// The account is locked.
    Locked(Lock),
    /// No code could be sent, and the person has no other method.
    Unreachable {
        /// Why, for the person.
        text: String,
    },
    /// No code may be sent for a while, and the person has no other method.
    TooManyCodes {
        /// Why, for the person.
        text: String,
    },
    /// No answer came from the terminal.
    NoAnswer,
}

/// What follows from the beginning of a challenge, or from an answer.
pub(super) enum Step {
    /// The person is shown this prompt.
    Ask(String),
    /// The challenge has ended.
    End(ChallengeOutcome),
}

impl Challenge<'_> {
    /// Asks until the tries are used up, with `intro` before the first prompt. Any code is verified against every accepted
    /// method. If the codes of the person's first method are sent, one is sent first.
    pub fn ask(
        &self,
        intro: &str,
        terminal: &mut dyn Terminal,
    ) -> Result<ChallengeOutcome, ChallengeError> {
        let (mut state, mut step) = if let Some((kept, answer)) = terminal.resume() {
            self.resume(&kept, answer)?
        } else {
            let mut state = ChallengeState::default();
            let step = self.begin(&mut state, intro)?;
            (state, step)
        };
        loop {
            let text = match step {
                Step::Ask(text) => text,
                Step::End(outcome) => return Ok(outcome),
            };
            terminal.keep(&|| StoredChallenge::from(&state).to_text());
            let Some(typed) = terminal.ask(text)? else {
                return Ok(ChallengeOutcome::NoAnswer);
            };
            step = self.answer(&mut state, &typed)?;
        }
    }

    /// What follows from the answer in a challenge that was `kept`.
    fn resume(
        &self,
        kept: &str,
        answer: Option<Secret>,
    ) -> Result<(ChallengeState, Step), ChallengeError> {
        let mut state = StoredChallenge::read(kept)
            .ok_or_else(|| StoreError::Damaged("the state of a challenge".to_owned()))?
            .restore();
        let step = match answer {
            Some(typed) => self.answer(&mut state, &typed)?,
            None => Step::End(ChallengeOutcome::NoAnswer),
        };
        Ok((state, step))
    }

    /// The first prompt, with `intro` before it.
    fn begin(&self, state: &mut ChallengeState, intro: &str) -> Result<Step, ChallengeError> {
        Ok(match self.choice(state).begin(self.cannot_answer)? {
            FirstPrompt::Ask(prompt) => Step::Ask(format!("{intro}{prompt}")),
            FirstPrompt::Unsent(unsent) => Step::End(unsent.into()),
        })
    }

    /// What follows from the answer that was `typed`.
    fn answer(&self, state: &mut ChallengeState, typed: &Secret) -> Result<Step, ChallengeError> {
        if let Some(command) = PromptCommand::read(state, typed.expose()) {
            state.commands = state.commands.saturating_sub(1);
            if state.commands == 0 {
                let why = reasons::COMMAND.to_owned();
                return Ok(Step::End(ChallengeOutcome::TriesUsedUp { why }));
            }
            return Ok(Step::Ask(self.choice(state).carry_out(command)?));
        }
        let Reply {
            answer,
            trusts_device,
        } = Reply::read(typed.expose());
        let (why, hint) = match answer {
            Answer::Empty => return Ok(Step::End(ChallengeOutcome::NoAnswer)),
            Answer::Code(_) | Answer::Backup(_) => {
                match self.verifier(trusts_device).verify(&answer, state)? {
                    AnswerOutcome::Wrong { why, hint } => (why, hint),
                    ended => return Ok(Step::End(ended.into())),
                }
            }
            // Not counted against the account, since it is no guess. But it uses up a try.
            Answer::NotACode | Answer::Help | Answer::Resend | Answer::OtherMethod => {
                (reasons::NOT_A_CODE.to_owned(), messages::NOT_A_CODE)
            }
        };
        state.tries = state.tries.saturating_sub(1);
        if state.tries == 0 {
            return Ok(Step::End(ChallengeOutcome::TriesUsedUp { why }));
        }
        let text = messages::try_again(hint, state.tries);
        Ok(Step::Ask(self.choice(state).prompt_again(&text)))
    }

    fn choice<'a>(&'a self, state: &'a mut ChallengeState) -> Choice<'a> {
        let accepted = self.accepted.methods(self.context.policy());
        Choice::new(self.context, accepted, self.trust_hint, state)
    }

    /// Asks once, by this `prompt`, and sends no code: for clients with a single prompt, and for people who may not have
    /// shown the first factor.
    pub fn ask_once(
        &self,
        prompt: Prompt,
        terminal: &mut dyn Terminal,
    ) -> Result<ChallengeOutcome, ChallengeError> {
        let Some(typed) = terminal.prompt(prompt)? else {
            return Ok(ChallengeOutcome::NoAnswer);
        };
        let Reply {
            answer,
            trusts_device,
        } = Reply::read(typed.expose());
        drop(typed);
        match answer {
            Answer::Empty => Ok(ChallengeOutcome::NoAnswer),
            Answer::Code(_) | Answer::Backup(_) => {
                let mut state = ChallengeState::default();
                let verifier = self.verifier(trusts_device);
                Ok(verifier.verify(&answer, &mut state)?.into())
            }
            Answer::Help | Answer::Resend | Answer::OtherMethod | Answer::NotACode => {
                let why = reasons::NO_CODE.to_owned();
                Ok(ChallengeOutcome::Wrong { why })
            }
        }
    }

    fn verifier(&self, trusts_device: bool) -> Verifier<'_> {
        let settling = self.settling.as_ref();
        Verifier {
            settlement: settling.map_or(Settlement::Now(None), |settling| {
                settling.settlement(trusts_device)
            }),
            context: self.context,
            accepted: self.accepted,
            tally: self.tally,
            verdict: self.verdict,
        }
    }
}

impl From<AnswerOutcome> for ChallengeOutcome {
    fn from(outcome: AnswerOutcome) -> Self {
        match outcome {
            AnswerOutcome::Right {
                method,
                backup_codes_left,
                is_settled,
                trusted_for,
            } => Self::Passed {
                method,
                backup_codes_left,
                is_settled,
                trusted_for,
            },
            AnswerOutcome::Wrong { why, .. } => Self::Wrong { why },
            AnswerOutcome::Locked(lock) => Self::Locked(lock),
        }
    }
}

impl From<Unsent> for ChallengeOutcome {
    fn from(Unsent { text, is_limited }: Unsent) -> Self {
        if is_limited {
            Self::TooManyCodes { text }
        } else {
            Self::Unreachable { text }
        }
    }
}

/// The most digits that a code of `user`'s apps has.
pub fn digits(user: &User) -> u8 {
    user.apps
        .iter()
        .map(|enrolled| enrolled.app.parameters.digits())
        .max()
        .unwrap_or(USUAL_DIGITS)
}

#[cfg(test)]
mod tests;
