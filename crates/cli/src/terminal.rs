//! The person in front of this program, as the broker's conversations see them.

use std::io::{self, BufRead, IsTerminal, Write};

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use twofa_broker::{Dialogue, Gone};
use twofa_proto::codec::CodecError;
use twofa_proto::{ChannelError, Prompt, Secret};

/// Standard input and output.
#[derive(Debug, Default)]
pub(crate) struct Terminal;

impl Dialogue for Terminal {
    fn prompt(&mut self, Prompt { text, echo, .. }: Prompt) -> Result<Option<Secret>, Gone> {
        if !echo && io::stdin().is_terminal() {
            return Ok(ask_hidden(text.expose()).map(Secret::from).map(Some).map_err(gone)?);
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

/// Asks for something that nobody else is to see. Nothing is shown from before the question on: who types as soon as it
/// stands there must not be read over the shoulder.
pub(crate) fn ask_hidden(question: &str) -> io::Result<String> {
    // It asks first, and only then sees to it that nothing is shown.
    let _silence = Silence::of_input();
    rpassword::prompt_password(question)
}

/// A terminal that does not show what is typed, for as long as this lives.
struct Silence(Termios);

impl Silence {
    /// `None`: standard input is no terminal.
    fn of_input() -> Option<Self> {
        let before = tcgetattr(io::stdin()).ok()?;
        let mut silent = before.clone();
        silent.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(io::stdin(), SetArg::TCSANOW, &silent).ok()?;
        Some(Self(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.0);
    }
}

fn gone(error: io::Error) -> ChannelError {
    CodecError::from(error).into()
}
