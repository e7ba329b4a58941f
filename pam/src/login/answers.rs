//! Where the answers to the broker's prompts come from: the user, or a password with a code behind it.

use twofa_proto::{Prompt, Secret, Verdict};

use super::outcome::Outcome;
use crate::host::{Host, Typed};
use crate::messages;
use crate::options::CodeSource;
use crate::split::{may_end_in_code, split};

/// Sent in place of what can be no code, or may hold a password. The broker recognises it, and does not count it as a
/// guess against the account; whether it asks again is its decision.
pub const NOT_A_CODE: &str = "-";

/// `PAM_MAX_RESP_SIZE`; no code is that long.
pub const MAX_ANSWER_LENGTH: usize = 512;

/// Where the answers to prompts come from.
pub struct Answers {
    /// The password that an earlier module got, until it has been split.
    pub first_pass: Option<Typed>,
    /// The code that an earlier line of ours kept, until it has been sent.
    pub kept: Option<Secret>,
    /// The code that was split off a password.
    pub split_off: Option<Secret>,
    /// The password including the code that was split off.
    pub whole: Option<Typed>,
    /// The user may be asked.
    pub may_ask: bool,
    /// The broker shall ask for password and code in one.
    pub behind_password: bool,
}

impl Answers {
    /// No answers.
    pub const NONE: Self = Self {
        first_pass: None,
        kept: None,
        split_off: None,
        whole: None,
        may_ask: false,
        behind_password: false,
    };

    /// The answers for a login whose code comes from `code_source`.
    pub fn new(host: &mut impl Host, code_source: CodeSource) -> Self {
        let kept = take_kept_code(host);
        match code_source {
            CodeSource::OwnPrompt => Self {
                may_ask: true,
                behind_password: kept.is_some(),
                kept,
                ..Self::NONE
            },
            CodeSource::PasswordPrompt => Self {
                may_ask: true,
                behind_password: true,
                ..Self::NONE
            },
            CodeSource::FirstPass => Self {
                first_pass: host.password(),
                behind_password: true,
                ..Self::NONE
            },
            CodeSource::FirstPassOrPrompt => {
                let first_pass = host.password().filter(|password| may_end_in_code(password));
                Self {
                    behind_password: first_pass.is_some(),
                    may_ask: true,
                    first_pass,
                    ..Self::NONE
                }
            }
        }
    }

    /// An answer to `prompt`, or the outcome of a login that has none.
    pub fn answer(&mut self, host: &mut impl Host, prompt: &Prompt) -> Result<Secret, Outcome> {
        let digits = prompt.digits_behind_password;
        if digits.is_some()
            && let Some(code) = self.kept.take()
        {
            return Ok(code);
        }
        if let (Some(digits), Some(password)) = (digits, self.first_pass.take()) {
            if let Some(code) = split_off(host, &password, digits)? {
                self.split_off = Some(code.clone());
                self.whole = Some(password);
                return Ok(code);
            }
            // No code is wanted, or it is asked for by itself once this is refused.
            if digits == 0 || self.may_ask {
                return Ok(Secret::from(NOT_A_CODE));
            }
        }
        if !self.may_ask {
            let why = if self.behind_password {
                messages::NO_CODE_IN_PASSWORD
            } else {
                messages::MAY_NOT_ASK
            };
            return Err(Outcome::new(Verdict::Denied, why));
        }
        let typed = host
            .prompt(prompt.text.expose(), prompt.echo)
            .ok_or_else(|| Outcome::new(Verdict::NoAnswer, no_answer(host)))?;
        let code = match digits {
            // Only an empty answer is known to hold no password.
            Some(digits) if !typed.is_empty() => {
                self.split_off = split_off(host, &typed, digits)?;
                // Then all of it is the password, which the modules that follow must not ask for again.
                if self.split_off.is_none() && !host.set_password(&typed) {
                    return Err(no_password());
                }
                self.whole = Some(typed);
                self.split_off.clone()
            }
            _ => std::str::from_utf8(&typed)
                .ok()
                .filter(|text| text.len() <= MAX_ANSWER_LENGTH)
                .map(Secret::from),
        };
        Ok(code.unwrap_or_else(|| Secret::from(NOT_A_CODE)))
    }

    /// Puts back what was split off: it was no code, but the end of the password. Returns whether that worked.
    pub fn join(&mut self, host: &mut impl Host) -> bool {
        let split_off = self.split_off.take();
        match self.whole.take().filter(|_| split_off.is_some()) {
            Some(whole) => host.set_password(&whole),
            None => true,
        }
    }
}

/// The code behind a password. The password goes to the modules that follow and nowhere else.
fn split_off(host: &mut impl Host, typed: &[u8], digits: u8) -> Result<Option<Secret>, Outcome> {
    let Some((password, code)) = split(typed, digits) else {
        return Ok(None);
    };
    if !host.set_password(password) {
        return Err(no_password());
    }
    Ok(Some(Secret::from(code)))
}

fn no_password() -> Outcome {
    Outcome::new(Verdict::Unavailable, messages::PASSWORD_NOT_SET)
}

fn no_answer(host: &impl Host) -> &'static str {
    // What sshd sets in place of a terminal's name. Its method `password` cannot ask anything.
    if host.terminal().as_deref() == Some("ssh") {
        messages::NO_ANSWER_SSHD
    } else {
        messages::NO_ANSWER
    }
}

/// The code that an earlier line kept. It is returned once.
pub fn take_kept_code(host: &mut impl Host) -> Option<Secret> {
    let kept = host.kept_code()?;
    host.keep_code("").then_some(kept)
}
