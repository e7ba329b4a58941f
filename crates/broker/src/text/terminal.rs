//! The terminal of a person, who is shown texts and answers prompts.

use std::io;

use twofa_proto::codec::CodecError;
use twofa_proto::{ConnectionError, Prompt, Secret};

/// The terminal went away, or broke the protocol. The request ends.
#[derive(Debug, thiserror::Error)]
#[error("the terminal is gone: {0}")]
pub struct TerminalClosed(#[from] pub ConnectionError);

impl From<io::Error> for TerminalClosed {
    fn from(error: io::Error) -> Self {
        Self(CodecError::from(error).into())
    }
}

/// How far an enrolment has come, for a request that ends early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// A method is being set up. That takes people longer than a code does: an app must be installed, or a message arrive.
    Enrolling,
    /// The method is set up.
    Enrolled,
    /// Backup codes are shown, which do not work until they are confirmed.
    CodesShown,
    /// They are confirmed, or the person was told that they do not work.
    CodesSettled,
}

/// What has been set up when a request ends early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// A method was set up.
    pub is_enrolled: bool,
    /// Backup codes were shown that do not work.
    pub has_void_codes: bool,
}

impl Progress {
    /// Records that the request has reached `stage`.
    pub const fn reach(&mut self, stage: Stage) {
        match stage {
            Stage::Enrolling => {}
            Stage::Enrolled => self.is_enrolled = true,
            Stage::CodesShown => self.has_void_codes = true,
            Stage::CodesSettled => self.has_void_codes = false,
        }
    }
}

/// A terminal, local or at the other end of a connection.
pub trait Terminal {
    /// Records that the request has reached `stage`.
    fn reach(&mut self, stage: Stage) {
        let _ = stage;
    }

    /// What [`Self::keep`] kept and nothing has resumed yet; `None`: the request begins, or is held.
    fn resumed(&self) -> Option<&str> {
        None
    }

    /// What [`Self::keep`] kept, with the answer to the prompt after it; `None`: the request begins, or is held.
    fn resume(&mut self) -> Option<(String, Option<Secret>)> {
        None
    }

    /// Keeps what the answer to the next prompt needs, as text, where nothing is held while the person types.
    fn keep(&mut self, state: &dyn Fn() -> String) {
        let _ = state;
    }

    /// The request goes on when an answer comes: that a prompt failed does not mean that the person went away.
    fn is_waiting(&self) -> bool {
        false
    }

    /// Shows `prompt` and gives back what was typed; `None` at the end of input.
    fn prompt(&mut self, prompt: Prompt) -> Result<Option<Secret>, TerminalClosed>;

    /// Shows a text, which may contain secrets meant for the person.
    fn info(&mut self, text: Secret) -> Result<(), TerminalClosed>;

    /// Shows an error.
    fn error(&mut self, text: &str) -> Result<(), TerminalClosed>;

    /// Asks for something that may be seen while it is typed.
    fn ask(&mut self, text: String) -> Result<Option<Secret>, TerminalClosed> {
        self.ask_with_link(text, None)
    }

    /// The same, for a `text` that shows the key in `link`.
    fn ask_with_link(
        &mut self,
        text: String,
        link: Option<&str>,
    ) -> Result<Option<Secret>, TerminalClosed> {
        self.prompt(Prompt {
            text: text.into(),
            echo: true,
            digits_behind_password: None,
            link: link.map(Secret::from),
        })
    }
}
