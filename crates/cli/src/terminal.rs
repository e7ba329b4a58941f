//! The terminal of this program, which shows what the broker says and takes the answers.

use std::io::{self, BufRead, IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{FlushArg, LocalFlags, SetArg, Termios, tcflush, tcgetattr, tcsetattr};
use twofa_broker::client::{ClientTerminal, Typed};
use twofa_broker::{Prompt, Secret, Terminal, TerminalClosed};
use zeroize::Zeroizing;

use crate::interrupts;
use crate::messages::enrol as messages;
use crate::picture;
use crate::qr_file::QrFile;

/// Standard input and output.
#[derive(Debug, Default)]
pub(crate) struct StandardTerminal {
    /// Where the QR code of a key goes, instead of the screen.
    qr_file: Option<QrFile>,
}

impl StandardTerminal {
    pub(crate) const fn new(qr_file: Option<QrFile>) -> Self {
        Self { qr_file }
    }

    pub(crate) const fn qr_file(&self) -> Option<&QrFile> {
        self.qr_file.as_ref()
    }

    /// Shows `prompt`; the picture of a key stands before its last line, the question.
    fn show(&mut self, prompt: &Prompt) -> io::Result<()> {
        let text = prompt.text.expose();
        let question = text.rfind('\n').map_or(0, |end| end + 1);
        let picture = match &prompt.link {
            Some(link) => self.draw(link.expose())?,
            None => Zeroizing::default(),
        };
        let mut out = io::stdout().lock();
        for part in [&text[..question], &picture, &text[question..]] {
            out.write_all(part.as_bytes())?;
        }
        out.flush()
    }

    /// The QR code of `link` for the screen, or what has become of it.
    fn draw(&mut self, link: &str) -> io::Result<Zeroizing<String>> {
        let Some(file) = &mut self.qr_file else {
            return Ok(picture::for_terminal(link));
        };
        let text = if file.write(link)? {
            messages::written_to(file.path())
        } else {
            messages::TOO_LONG.to_owned()
        };
        Ok(Zeroizing::new(text))
    }
}

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
        self.show(&prompt)?;
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
        self.show(&prompt)?;
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
    // At Ctrl-C rpassword ends the process, and the terminal would stay silent. Held back, that comes when this returns.
    let _held = interrupts::Held::begin()?;
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
