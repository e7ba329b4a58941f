//! The person in front of this program, as the broker's conversations see them.

use std::io::{self, BufRead, IsTerminal, Write};

use twofa_broker::{Dialogue, Gone};
use twofa_proto::codec::CodecError;
use twofa_proto::{ChannelError, Prompt, Secret};

/// Standard input and output.
#[derive(Debug, Default)]
pub(crate) struct Terminal;

impl Dialogue for Terminal {
    fn prompt(&mut self, Prompt { text, echo, .. }: Prompt) -> Result<Option<Secret>, Gone> {
        if !echo && io::stdin().is_terminal() {
            return Ok(rpassword::prompt_password(text.expose())
                .map(Secret::from)
                .map(Some)
                .map_err(gone)?);
        }
        let mut out = io::stdout().lock();
        write!(out, "{}", text.expose()).and_then(|()| out.flush()).map_err(gone)?;
        let mut line = String::new();
        if io::stdin().lock().read_line(&mut line).map_err(gone)? == 0 {
            // The cursor still stands behind the prompt.
            let _ = writeln!(out);
            return Ok(None);
        }
        Ok(Some(Secret::from(line)))
    }

    fn info(&mut self, text: Secret) -> Result<(), Gone> {
        let mut out = io::stdout().lock();
        writeln!(out, "{}", text.expose()).and_then(|()| out.flush()).map_err(gone)?;
        Ok(())
    }

    fn error(&mut self, text: &str) -> Result<(), Gone> {
        writeln!(io::stderr(), "{text}").map_err(gone)?;
        Ok(())
    }
}

fn gone(error: io::Error) -> ChannelError {
    CodecError::from(error).into()
}
