//! The login that proves a change: with a wrong code or password, which must fail, and with the right ones.

use std::io::{self, BufRead, Write};
use std::os::fd::AsFd;

use nix::unistd::{Uid, setresuid};
use twofa_broker::Failure;
use zeroize::Zeroizing;

use super::pam_sys::{self, Conversation};
use crate::error::CommandError;
use crate::interrupts;
use crate::terminal::ask_hidden;

/// How the module's prompt for a code begins: see `pam_twofa(8)`.
const CODE_PROMPT: &str = "Verification code";
/// One that is right once in a million times; the change is then not made.
const WRONG: &str = "000000";

/// A password that nobody has.
const WRONG_PASSWORD: &str = "not the password, says twofa";

pub(super) const SOMEBODY_ELSE: &str =
    "In a root shell, --login-as USER says who logs in instead of root.";

/// A login that is to prove a change.
pub(super) struct Trial {
    pub(super) service: String,
    pub(super) person: String,
    /// The real user of the process that calls libpam there: su and sudo run as who calls them, and libpam's modules ask less
    /// of root.
    pub(super) caller: Uid,
    /// A code must be asked for.
    pub(super) asks: bool,
    /// Root logs in because nobody else was named.
    pub(super) is_root_by_default: bool,
}

/// Logs somebody in twice: with something wrong, which must be refused, and with everything right.
pub(super) fn prove(trial: &Trial) -> Result<(), CommandError> {
    let Trial {
        service, person, ..
    } = trial;
    say(&format!(
        "The change is in place, but not final: log in at {service} as {person} to prove it."
    ))?;
    let mut terminal = Terminal::default();
    let mut log_in = |terminal: &mut Terminal| log_in(trial, terminal);
    if trial.asks {
        say("After the password, a wrong code is tried, which must be refused.")?;
        refuses_wrong_code(trial, &mut terminal, &mut log_in)?;
    } else {
        say("A wrong password is tried first, which must be refused.")?;
        refuses_wrong_password(trial, &mut log_in)?;
    }
    gets_in(trial, &mut terminal, &mut log_in)
}

/// One login. The error says why it failed.
pub(super) type LogIn<'a> = &'a mut dyn FnMut(&mut Terminal) -> Result<(), String>;

/// Logs in with what the person types.
pub(super) fn gets_in(
    trial: &Trial,
    terminal: &mut Terminal,
    log_in: LogIn<'_>,
) -> Result<(), CommandError> {
    terminal.codes = 0;
    log_in(terminal).map_err(|error| failed(trial, terminal.left().unwrap_or(&error)))?;
    if !trial.asks && terminal.codes > 0 {
        return Err(failed(trial, "a code was asked for"));
    }
    say("The login succeeded.")
}

/// One failure is never too many, and the right code that follows takes it back.
pub(super) fn refuses_wrong_code(
    trial: &Trial,
    terminal: &mut Terminal,
    log_in: LogIn<'_>,
) -> Result<(), CommandError> {
    (terminal.code, terminal.codes) = (Some(WRONG), 0);
    let refused = log_in(terminal);
    terminal.code = None;
    match (refused, terminal.codes) {
        (Ok(()), 0) => {
            let asked = format!("{} was asked for no code", trial.person);
            Err(failed(trial, &asked)
                .hinted("a trusted device or an exemption may be why: see 'twofa log'"))
        }
        (Ok(()), _) => Err(failed(trial, "a wrong code was accepted")),
        (Err(error), 0) => {
            let unasked = format!("no code was asked for: {error}");
            Err(failed(trial, terminal.left().unwrap_or(&unasked)))
        }
        (Err(_), _) => say("The wrong code was refused."),
    }
}

pub(super) fn refuses_wrong_password(trial: &Trial, log_in: LogIn<'_>) -> Result<(), CommandError> {
    let mut terminal = Terminal {
        password: Some(Zeroizing::new(WRONG_PASSWORD.to_owned())),
        ..Terminal::default()
    };
    match log_in(&mut terminal) {
        Ok(()) => Err(failed(trial, "a wrong password was accepted")),
        Err(_) => say("The wrong password was refused."),
    }
}

fn log_in(trial: &Trial, terminal: &mut Terminal) -> Result<(), String> {
    let root = Uid::from_raw(0);
    let set = |real| setresuid(real, root, root).map_err(|error| error.to_string());
    set(trial.caller)?;
    let result = pam_sys::log_in(&trial.service, &trial.person, terminal);
    set(root)?;
    result
}

/// What `--json` prints is on standard output.
pub(super) fn say(text: &str) -> Result<(), CommandError> {
    writeln!(io::stderr(), "{text}")?;
    Ok(())
}

pub(super) fn failed(trial: &Trial, why: &str) -> CommandError {
    let message = format!("the login did not prove the change: {why}");
    let hint = "the files are as they were before";
    CommandError::new(Failure::Failed, message).hinted(if trial.is_root_by_default {
        format!("{hint}. {SOMEBODY_ELSE}")
    } else {
        hint.to_owned()
    })
}

/// What the person types, and what is typed for them.
#[derive(Default)]
pub(super) struct Terminal {
    /// Asked for once.
    password: Option<Zeroizing<String>>,
    /// Typed at the first prompt for a code; the next is not answered.
    code: Option<&'static str>,
    codes: u32,
    /// The person pressed Ctrl-C or Ctrl-D at a prompt.
    is_left: bool,
}

impl Terminal {
    /// Whether a prompt asks for a code.
    pub(super) fn is_for_code(prompt: &str) -> bool {
        prompt.contains(CODE_PROMPT)
    }

    /// What is said of a login that the person has left.
    fn left(&self) -> Option<&'static str> {
        self.is_left.then_some("it was left")
    }

    /// What `ask` gives. At Ctrl-C this process goes on, and says what became of the change.
    fn ask(&mut self, ask: impl FnOnce() -> io::Result<String>) -> Option<Zeroizing<String>> {
        let held = interrupts::Held::begin().ok()?;
        let typed = ask().ok().map(Zeroizing::new);
        let is_interrupted = interrupts::take().ok()?;
        drop(held);
        self.is_left |= typed.is_none() || is_interrupted;
        typed.filter(|_| !is_interrupted)
    }
}

/// A line that may be seen while it is typed.
fn ask_visibly(prompt: &str) -> io::Result<String> {
    let mut out = io::stderr();
    write!(out, "{prompt}")?;
    out.flush()?;
    if interrupts::wait_for([io::stdin().as_fd()])?.is_none() {
        return Err(io::ErrorKind::Interrupted.into());
    }
    let mut line = String::new();
    if io::stdin().lock().read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if line.ends_with('\n') {
        line.pop();
    }
    Ok(line)
}

impl Conversation for Terminal {
    fn answer(&mut self, prompt: &str, echo: bool) -> Option<Zeroizing<String>> {
        if Self::is_for_code(prompt) {
            self.codes += 1;
            if let Some(code) = self.code {
                return (self.codes == 1).then(|| Zeroizing::new(code.to_owned()));
            }
        } else if !echo {
            if self.password.is_none() {
                self.password = Some(self.ask(|| ask_hidden(prompt))?);
            }
            return self.password.clone();
        }
        self.ask(|| {
            if echo {
                ask_visibly(prompt)
            } else {
                ask_hidden(prompt)
            }
        })
    }

    fn show(&mut self, text: &str) {
        let _ = writeln!(io::stderr(), "{text}");
    }
}
