//! The terminal of this program, which shows what the broker says and takes the answers.

use std::io::{self, BufRead, IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{FlushArg, LocalFlags, SetArg, Termios, tcflush, tcgetattr, tcsetattr};
use twofa_broker::client::{ClientTerminal, Typed};
use twofa_broker::{Prompt, Secret, Terminal, TerminalClosed};

/// Standard input and output.
#[derive(Debug, Default)]
pub(crate) struct StandardTerminal;

impl ClientTerminal for StandardTerminal {
    /// `other` is watched on a terminal only, which gives one line at a time: the answer from a pipe may already have been
    /// read.
    fn prompt_unless(
        &mut self,
        prompt: Prompt,
        other: BorrowedFd<'_>,
    ) -> Result<Typed, TerminalClosed> {
        let stdin = io::stdin();
        if !prompt.echo || !stdin.is_terminal() {
            return Ok(Typed::Answer(self.prompt(prompt)?));
        }
        show(&prompt)?;
        let mut events = [stdin.as_fd(), other].map(|file| PollFd::new(file, PollFlags::POLLIN));
        while let Err(error) = poll(&mut events, PollTimeout::NONE) {
            if error != Errno::EINTR {
                return Err(io::Error::from(error).into());
            }
        }
        if events[0].any() == Some(false) {
            // A line that was typed in part must not reach the shell.
            let _ = tcflush(&stdin, FlushArg::TCIFLUSH);
            let _ = writeln!(io::stdout());
            return Ok(Typed::Nothing);
        }
        Ok(Typed::Answer(read_line()?))
    }
}

impl Terminal for StandardTerminal {
    fn prompt(&mut self, prompt: Prompt) -> Result<Option<Secret>, TerminalClosed> {
        if !prompt.echo && io::stdin().is_terminal() {
            return Ok(ask_hidden(prompt.text.expose())
                .map(Secret::from)
                .map(Some)?);
        }
        show(&prompt)?;
        Ok(read_line()?)
    }

    fn info(&mut self, text: Secret) -> Result<(), TerminalClosed> {
        let mut out = io::stdout().lock();
        writeln!(out, "{}", text.expose()).and_then(|()| out.flush())?;
        Ok(())
    }

    fn error(&mut self, text: &str) -> Result<(), TerminalClosed> {
        writeln!(io::stderr(), "{text}")?;
        Ok(())
    }
}

fn show(prompt: &Prompt) -> io::Result<()> {
    let mut out = io::stdout().lock();
    write!(out, "{}", prompt.text.expose()).and_then(|()| out.flush())
}

/// A line of standard input; `None` at its end.
fn read_line() -> io::Result<Option<Secret>> {
    let mut line = String::new();
    if io::stdin().lock().read_line(&mut line)? == 0 {
        // The cursor is still after the prompt.
        let _ = writeln!(io::stdout());
        return Ok(None);
    }
    Ok(Some(Secret::from(line)))
}

/// Asks for something that nobody else may see. Echo is off before the question appears, so that even what is typed at
/// once is not shown.
pub(crate) fn ask_hidden(question: &str) -> io::Result<String> {
    // rpassword shows the question first, and turns echo off only then.
    let _silence = Silence::of_input();
    rpassword::prompt_password(question)
}

/// Standard input without echo, for as long as this lives.
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
