//! The machine's own mail system, through the `sendmail` program that every Unix mail system provides.
//!
//! twofad sets `PR_SET_NO_NEW_PRIVS`, so a program it starts gains no rights from a set-user-ID or set-group-ID bit. A
//! sendmail that needs such rights to write to the mail queue cannot work: Postfix's would retry until the deadline
//! every time. Such a program is therefore refused. Whether it needs rights is read from the file's mode, not tried:
//! the command that adds a provider runs with other rights than the broker.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Instant;

use lettre::Address;

use super::mailer::{Outgoing, Transport};
use crate::error::{SendError, Step};
use crate::provider::Receipt;
use crate::redaction::Secrets;
use crate::subprocess::Program;

/// The path that the Linux Standard Base specifies.
pub(super) const DEFAULT_COMMAND: &str = "/usr/sbin/sendmail";

/// sysexits.h: the recipient is unknown.
const EX_NOUSER: i32 = 67;
/// sysexits.h: a temporary failure.
const EX_TEMPFAIL: i32 = 75;

/// The set-group-ID program through which Postfix's sendmail writes to the queue (postdrop(1)).
const POSTDROP: &str = "/usr/sbin/postdrop";
/// Larger programs are not searched, in bytes. Postfix's sendmail has 31 thousand.
const MAX_SEARCHED: u64 = 1024 * 1024;

/// The alternative to a program that needs rights of its own.
const ALTERNATIVE: &str = "use a provider of kind smtp with host=127.0.0.1 tls=none, if the mail system accepts connections there";

/// Sends mails through a program that reads them from its standard input.
#[derive(Debug)]
pub(super) struct Sendmail {
    program: Program,
    from: Address,
}

impl Sendmail {
    /// Sends mails from `from` through `program`. The error says what is wrong with the program, beginning with a verb.
    pub(super) fn new(program: Program, from: Address) -> Result<Self, String> {
        match needed_rights(program.path()) {
            Some(why) => Err(format!(
                "must be a program that needs no privileges of its own: {why}; {ALTERNATIVE}"
            )),
            None => Ok(Self { program, from }),
        }
    }

    fn not_started(&self, error: &io::Error) -> SendError {
        SendError::new(Step::Program, format!("{}: {error}", self.program.path()))
            .hinted("set 'command' to this machine's sendmail, or use a provider of kind smtp")
    }
}

impl Transport for Sendmail {
    fn deliver(&self, mail: &Outgoing<'_>, deadline: Instant) -> Result<Receipt, SendError> {
        let to = mail.to.to_string();
        // -i: a line with a single dot does not end the mail; -f: the address that bounces go to.
        let arguments = ["-i", "-f", self.from.as_ref(), "--", &to];
        // Local programs expect lines to end in LF.
        let content = zeroize::Zeroizing::new(without_cr(mail.content));
        let output = self.program.run(&arguments, &content, deadline);
        let output = output.map_err(|error| match error.kind() {
            // The program had all or most of the mail before it was killed.
            ErrorKind::TimedOut => SendError::timeout(Step::Program)
                .hinted("run the program as the user 'twofa' to see what it waits for")
                .after_handover(),
            _ => self.not_started(&error),
        })?;
        if output.status.success() {
            return Ok(Receipt::default());
        }
        let secrets = Secrets::default().with(mail.code);
        let stderr = String::from_utf8_lossy(&output.stderr);
        let message = stderr
            .lines()
            .find(|line| !line.trim().is_empty())
            .unwrap_or_default();
        Err(exit_error(
            self.program.path(),
            output.status,
            &secrets.redact(message),
        ))
    }

    fn check(&self, _: Instant) -> Result<(), SendError> {
        let path = self.program.path();
        if let Some(why) = needed_rights(path) {
            return Err(SendError::new(Step::Program, why).hinted(ALTERNATIVE));
        }
        let file = std::fs::metadata(path).map_err(|error| self.not_started(&error))?;
        if file.is_file() && file.permissions().mode() & 0o111 != 0 {
            return Ok(());
        }
        Err(self.not_started(&ErrorKind::PermissionDenied.into()))
    }
}

/// Why the program at `path` cannot work without gaining rights. `None`: it can, or it does not exist.
fn needed_rights(path: &str) -> Option<String> {
    if let Some(bit) = set_id_bit(path) {
        return Some(format!(
            "{path} is {bit}, which has no effect when twofad starts it"
        ));
    }
    let bit = set_id_bit(POSTDROP).filter(|_| uses_postdrop(path).unwrap_or(false))?;
    Some(format!(
        "{path} is Postfix's and needs {POSTDROP}, which is {bit}; that has no effect when twofad starts it"
    ))
}

/// The name of the bit that lets the program at `path` run with other rights than its caller's.
fn set_id_bit(path: &str) -> Option<&'static str> {
    let mode = std::fs::metadata(path).ok()?.permissions().mode();
    match mode & 0o6000 {
        0 => None,
        0o2000 => Some("set-group-ID"),
        _ => Some("set-user-ID"),
    }
}

/// Whether the program at `path` hands mail to [`POSTDROP`], which is so if it contains that name.
fn uses_postdrop(path: &str) -> io::Result<bool> {
    // Checked before opening, because opening a FIFO would block.
    if !std::fs::metadata(path)?.is_file() {
        return Ok(false);
    }
    let mut content = Vec::new();
    File::open(path)?
        .take(MAX_SEARCHED)
        .read_to_end(&mut content)?;
    let name = b"/postdrop";
    Ok(content.windows(name.len()).any(|window| window == name))
}

fn exit_error(path: &str, status: ExitStatus, message: &str) -> SendError {
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with status {code}"),
        (None, signal) => format!("was killed by signal {}", signal.unwrap_or_default()),
    };
    let colon = if message.is_empty() { "" } else { ": " };
    let step = if status.code() == Some(EX_NOUSER) {
        Step::Recipient
    } else {
        Step::Program
    };
    let error = SendError::new(step, format!("{path} {how}{colon}{message}"));
    match status.code() {
        Some(EX_NOUSER) => error.hinted("the address does not exist: check its spelling"),
        Some(EX_TEMPFAIL) => error.hinted(
            "the machine's mail system cannot accept mail right now: see its log",
        ),
        _ => error.hinted(
            "see the log of the machine's mail system; the user 'twofa' must be allowed to send mail",
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
