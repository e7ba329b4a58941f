//! The person at the other end of a conversation that is on record, as far as one message goes: what was typed, and what is
//! shown in return.
//!
//! Nothing is held while the person types. A prompt ends the work with an error, and a login that goes on with the answer is
//! begun again: what was decided is decided again, by the rules of that moment, up to the prompt. A challenge, an invitation and
//! the setting up of a method have a state that is kept, and go on from there.

use twofa_proto::codec::CodecError;
use twofa_proto::{ConnectionError, Prompt, Secret};

use zeroize::Zeroizing;

use crate::methods::challenge_state::StoredChallenge;
use crate::text::terminal::{Terminal, TerminalClosed};

/// A text that is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// A text, which is no error.
    Info(Secret),
    /// An error.
    Error(String),
}

/// One message of a conversation and what follows from it.
#[derive(Debug, Default)]
pub struct Exchange {
    /// What is shown, in this order, before the prompt.
    pub said: Vec<Said>,
    /// The prompt that waits for an answer.
    pub prompt: Option<Prompt>,
    /// What the answer to it needs; empty: nothing.
    pub state: Zeroizing<String>,
    /// The state before the answer.
    resumed: Option<Zeroizing<String>>,
    /// The answer, until it is used.
    answer: Option<Typed>,
}

/// What was typed; `None`: nothing was.
#[derive(Debug)]
struct Typed(Option<Secret>);

impl Exchange {
    /// The answer that was typed, where the state before it was `state`.
    pub fn answer(state: &str, answer: Option<Secret>) -> Self {
        let is_kept = !state.is_empty();
        Self {
            resumed: is_kept.then(|| Zeroizing::new(state.to_owned())),
            answer: Some(Typed(answer)),
            ..Self::default()
        }
    }

    /// Whether a wrong answer was typed before the prompt of which `state` was kept.
    pub fn has_failed(state: &str) -> bool {
        StoredChallenge::read(state).is_some_and(|challenge| challenge.has_failed())
    }
}

impl Terminal for Exchange {
    fn resumed(&self) -> Option<&str> {
        self.resumed.as_ref().map(|state| state.as_str())
    }

    fn resume(&mut self) -> Option<(String, Option<Secret>)> {
        let state = self.resumed.take()?;
        let Typed(answer) = self.answer.take()?;
        Some((state.to_string(), answer))
    }

    fn keep(&mut self, state: &dyn Fn() -> String) {
        // The answer to an earlier prompt is none to this one.
        self.answer = None;
        self.state = Zeroizing::new(state());
    }

    fn is_waiting(&self) -> bool {
        self.prompt.is_some()
    }

    fn prompt(&mut self, prompt: Prompt) -> Result<Option<Secret>, TerminalClosed> {
        // A state has its answer, which is for nothing else.
        if let Some(Typed(answer)) = self.answer.take().filter(|_| self.resumed.is_none()) {
            return Ok(answer);
        }
        self.prompt = Some(prompt);
        Err(ConnectionError::from(CodecError::Aborted).into())
    }

    fn info(&mut self, text: Secret) -> Result<(), TerminalClosed> {
        self.said.push(Said::Info(text));
        Ok(())
    }

    fn error(&mut self, text: &str) -> Result<(), TerminalClosed> {
        self.said.push(Said::Error(text.to_owned()));
        Ok(())
    }
}
