//! The machine's own mail system, by the program that every Unix has for it.
//!
//! The broker gives up for good to gain rights by starting a program (`PR_SET_NO_NEW_PRIVS`), so that a program which
//! writes to a queue with rights of its own cannot take mail from it: Postfix's would try until the deadline, each
//! time. Such a program is refused. Whether it is one is read from its file, not from this process: an administrator's
//! command that adds a provider runs with other rights than the broker.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Instant;

use lettre::Address;

use super::{Outgoing, Transport};
use crate::error::{SendError, Step};
use crate::program::Program;
use crate::provider::Receipt;
use crate::secrets::Secrets;

/// sysexits.h: the addressee is unknown.
const EX_NOUSER: i32 = 67;
/// sysexits.h: try again later.
const EX_TEMPFAIL: i32 = 75;

/// What Postfix's sendmail, which has no rights of its own, starts to write to the queue (postdrop(1)).
const POSTDROP: &str = "/usr/sbin/postdrop";
/// A program of more bytes is not looked through; Postfix's has 31 thousand.
const LARGEST: u64 = 1024 * 1024;

/// What to use in the place of a program with rights of its own.
const INSTEAD: &str =
    "use a provider of kind smtp with host=127.0.0.1 tls=none, if the mail system listens there";

/// Sends through a program that takes the mail on its standard input.
#[derive(Debug)]
pub(super) struct Sendmail {
    program: Program,
    from: Address,
}

impl Sendmail {
    /// Sends mail from `from` through `program`; what is wrong with that, starting with a verb.
    pub(super) fn new(program: Program, from: Address) -> Result<Self, String> {
        match rights_of(program.path()) {
            Some(why) => Err(format!(
                "must be a program that runs without rights of its own: {why}; {INSTEAD}"
            )),
            None => Ok(Self { program, from }),
        }
    }

    fn not_started(&self, error: &io::Error) -> SendError {
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
        let said = said
            .lines()
            .find(|line| !line.trim().is_empty())
            .unwrap_or_default();
        Err(failed(
            self.program.path(),
            ended.status,
            &secrets.strike(said),
        ))
    }

    fn check(&self, _: Instant) -> Result<(), SendError> {
        if let Some(why) = rights_of(self.program.path()) {
            return Err(SendError::at(Step::Program, why).hinted(INSTEAD));
        }
        let found =
            std::fs::metadata(self.program.path()).map_err(|error| self.not_started(&error))?;
        if found.is_file() && found.permissions().mode() & 0o111 != 0 {
            return Ok(());
        }
        Err(self.not_started(&ErrorKind::PermissionDenied.into()))
    }
}

/// Why the program at `path` cannot do its work without gaining rights; `None`: it can, or is not there.
fn rights_of(path: &str) -> Option<String> {
    if let Some(rights) = set_id(path) {
        return Some(format!(
            "{path} is {rights}, which has no effect when twofad starts it"
        ));
    }
    let rights = set_id(POSTDROP).filter(|_| is_postfixs(path).unwrap_or(false))?;
    Some(format!(
        "{path} is Postfix's and needs {POSTDROP}, which is {rights}; that has no effect under twofad"
    ))
}

/// Whose rights the program at `path` runs with, if not its caller's.
fn set_id(path: &str) -> Option<&'static str> {
    let mode = std::fs::metadata(path).ok()?.permissions().mode();
    match mode & 0o6000 {
        0 => None,
        0o2000 => Some("set-group-ID"),
        _ => Some("set-user-ID"),
    }
}

/// Whether the program at `path` is one that hands mail to [`POSTDROP`]: it has its name in it.
fn is_postfixs(path: &str) -> io::Result<bool> {
    // Before it is opened, which a pipe would not come back from.
    if !std::fs::metadata(path)?.is_file() {
        return Ok(false);
    }
    let mut content = Vec::new();
    File::open(path)?.take(LARGEST).read_to_end(&mut content)?;
    let name = b"/postdrop";
    Ok(content.windows(name.len()).any(|window| window == name))
}

fn failed(path: &str, status: ExitStatus, said: &str) -> SendError {
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with status {code}"),
        (None, signal) => format!("was ended by signal {}", signal.unwrap_or_default()),
    };
    let colon = if said.is_empty() { "" } else { ": " };
    let step = if status.code() == Some(EX_NOUSER) {
        Step::Recipient
    } else {
        Step::Program
    };
    let error = SendError::at(step, format!("{path} {how}{colon}{said}"));
    match status.code() {
        Some(EX_NOUSER) => error.hinted("the address does not exist: check how it is written"),
        Some(EX_TEMPFAIL) => {
            error.hinted("the machine's mail system cannot take mail right now: see its log")
        }
        _ => error.hinted(
            "see the log of the machine's mail system; the user 'twofa' has to be allowed to send",
        ),
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
