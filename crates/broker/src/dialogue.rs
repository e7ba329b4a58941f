//! The person at the other end: somebody who is shown texts and answers prompts.

use std::io::{Read, Write};

use twofa_proto::{BrokerEnd, ChannelError, FromBroker, FromClient, Prompt, Secret};

/// The terminal went away, or does not keep to the protocol. Whatever was being done ends here.
#[derive(Debug, thiserror::Error)]
#[error("the terminal is gone: {0}")]
pub struct Gone(#[from] pub ChannelError);

/// A terminal, near or far.
pub trait Dialogue {
    /// Shows `prompt` and gives back what was typed; `None` at the end of input.
    fn prompt(&mut self, prompt: Prompt) -> Result<Option<Secret>, Gone>;

    /// Shows a text, which may hold secrets meant for the person.
    fn info(&mut self, text: Secret) -> Result<(), Gone>;

    /// Shows an error.
    fn error(&mut self, text: &str) -> Result<(), Gone>;

    /// Asks for something that may be seen while it is typed.
    fn ask(&mut self, text: String) -> Result<Option<Secret>, Gone> {
        self.prompt(Prompt { text: text.into(), echo: true, digits_behind_password: None })
    }
}

impl<S: Read + Write> Dialogue for BrokerEnd<S> {
    fn prompt(&mut self, prompt: Prompt) -> Result<Option<Secret>, Gone> {
        self.send(&FromBroker::Prompt(prompt))?;
        match self.receive()? {
            FromClient::Answer(answer) => Ok(answer),
            // The table lets nothing but an answer through while a prompt stands.
            FromClient::Open { .. } => Ok(None),
        }
    }

    fn info(&mut self, text: Secret) -> Result<(), Gone> {
        Ok(self.send(&FromBroker::Info(text))?)
    }

    fn error(&mut self, text: &str) -> Result<(), Gone> {
        Ok(self.send(&FromBroker::Error(text.to_owned()))?)
    }
}
