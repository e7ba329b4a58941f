//! The login that proves a change: with a wrong code, which must fail, and with a right one.

use std::io::{self, BufRead, Write};

use twofa_broker::Failure;
use zeroize::Zeroizing;

use super::pam_sys::{Conversation, log_in};
use crate::error::CommandError;
use crate::terminal::ask_hidden;

/// How the module's prompt for a code begins: see `pam_twofa(8)`.
const CODE_PROMPT: &str = "Verification code";
/// One that is right once in a million times; the change is then not made.
const WRONG: &str = "000000";

/// Logs `person` in at `service`. If `asks`, a wrong code must be refused first.
pub(super) fn prove(service: &str, person: &str, asks: bool) -> Result<(), CommandError> {
    let mut out = io::stdout();
    writeln!(
        out,
        "The change is in place, but not final: log in at {service} as {person} to prove it."
    )?;
    let mut terminal = Terminal::default();
    if asks {
        writeln!(
            out,
            "After the password, a wrong code is tried, which must be refused."
        )?;
        terminal.code = Some(WRONG);
        let refused = log_in(service, person, &mut terminal);
        match (refused, terminal.codes) {
            (Ok(()), 0) => {
                return Err(failed(&format!("{person} was asked for no code")).hinted(
                    "enrol first ('twofa enrol app'), let the policy ask, and use no trusted device; or rely on the \
                     files alone with --no-login",
                ));
            }
            (Ok(()), _) => return Err(failed("a wrong code was accepted")),
            (Err(error), 0) => {
                return Err(failed(&format!("no code was asked for: {error}")));
            }
            (Err(_), _) => writeln!(out, "The wrong code was refused.")?,
        }
        terminal.code = None;
    }
    log_in(service, person, &mut terminal).map_err(|error| failed(&error))?;
    writeln!(out, "The login succeeded.")?;
    Ok(())
}

fn failed(why: &str) -> CommandError {
    let message = format!("the login did not prove the change: {why}");
    CommandError::new(Failure::Failed, message).hinted("the files are as they were before")
}

/// What the person types, and what is typed for them.
#[derive(Default)]
struct Terminal {
    /// Asked for once.
    password: Option<Zeroizing<String>>,
    /// Typed at the first prompt for a code; the next is not answered.
    code: Option<&'static str>,
    codes: u32,
}

impl Conversation for Terminal {
    fn answer(&mut self, prompt: &str, echo: bool) -> Option<Zeroizing<String>> {
        if prompt.contains(CODE_PROMPT) {
            self.codes += 1;
            if let Some(code) = self.code {
                return (self.codes == 1).then(|| Zeroizing::new(code.to_owned()));
            }
        } else if !echo {
            if self.password.is_none() {
                self.password = Some(Zeroizing::new(ask_hidden(prompt).ok()?));
            }
            return self.password.clone();
        }
        if !echo {
            return ask_hidden(prompt).ok().map(Zeroizing::new);
        }
        let mut out = io::stdout();
        write!(out, "{prompt}").and_then(|()| out.flush()).ok()?;
        let mut line = Zeroizing::new(String::new());
        let length = io::stdin().lock().read_line(&mut line).ok()?;
        if length == 0 {
            return None;
        }
        if line.ends_with('\n') {
            line.pop();
        }
        Some(line)
    }

    fn show(&mut self, text: &str) {
        let _ = writeln!(io::stdout(), "{text}");
    }
}
