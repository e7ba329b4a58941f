//! The machine's own mail system, by the program that every Unix has for it.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Instant;

use lettre::Address;

use super::secrets::Secrets;
use super::{Outgoing, Transport};
use crate::error::{SendError, Step};
use crate::program::Program;
use crate::provider::Receipt;

/// sysexits.h: the addressee is unknown.
const EX_NOUSER: i32 = 67;
/// sysexits.h: try again later.
const EX_TEMPFAIL: i32 = 75;

/// Sends through a program that takes the mail on its standard input.
#[derive(Debug)]
pub(super) struct Sendmail {
    program: Program,
    from: Address,
}

impl Sendmail {
    pub(super) fn new(program: Program, from: Address) -> Self {
        Self { program, from }
    }

    fn not_started(&self, error: &std::io::Error) -> SendError {
        SendError::at(Step::Program, format!("{}: {error}", self.program.path()))
            .hinted("set 'command' to the machine's sendmail, or use a provider of kind smtp")
    }
}

impl Transport for Sendmail {
    fn deliver(&self, mail: &Outgoing<'_>, deadline: Instant) -> Result<Receipt, SendError> {
        let to = mail.to.to_string();
        // -i: a line with nothing but a dot does not end the mail; -f: who hears of a mail that comes back.
        let arguments = ["-i", "-f", self.from.as_ref(), "--", &to];
        // The program's conventions are this machine's: lines end in LF.
        let content = zeroize::Zeroizing::new(without_cr(mail.content));
        let ended = self.program.run(&arguments, &content, deadline);
        let ended = ended.map_err(|error| match error.kind() {
            // It had the mail, or most of it, before it was killed.
            ErrorKind::TimedOut => SendError::late(Step::Program).after_handover(),
            _ => self.not_started(&error),
        })?;
        if ended.status.success() {
            return Ok(Receipt::default());
        }
        let secrets = Secrets::default().with(mail.code);
        let said = String::from_utf8_lossy(&ended.stderr);
        let said = said.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        Err(failed(self.program.path(), ended.status, &secrets.strike(said)))
    }

    fn check(&self, _: Instant) -> Result<(), SendError> {
        let found = std::fs::metadata(self.program.path()).map_err(|error| self.not_started(&error))?;
        if found.is_file() && found.permissions().mode() & 0o111 != 0 {
            return Ok(());
        }
        Err(self.not_started(&ErrorKind::PermissionDenied.into()))
    }
}

fn failed(path: &str, status: ExitStatus, said: &str) -> SendError {
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with status {code}"),
        (None, signal) => format!("was ended by signal {}", signal.unwrap_or_default()),
    };
    let colon = if said.is_empty() { "" } else { ": " };
    let step = if status.code() == Some(EX_NOUSER) { Step::Recipient } else { Step::Program };
    let error = SendError::at(step, format!("{path} {how}{colon}{said}"));
    match status.code() {
        Some(EX_NOUSER) => error.hinted("the address does not exist: check how it is written"),
        Some(EX_TEMPFAIL) => {
            error.hinted("the machine's mail system cannot take mail right now: see its log")
        }
        _ => error
            .hinted("see the log of the machine's mail system; the user 'twofa' has to be allowed to send"),
    }
}

fn without_cr(mail: &[u8]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(mail.len());
    for (i, &byte) in mail.iter().enumerate() {
        if byte != b'\r' || mail.get(i + 1) != Some(&b'\n') {
            lines.push(byte);
        }
    }
    lines
}
