//! What failed, why, what to do next, and the exit status that tells the kind of failure.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use twofa_broker::Failure;
use twofa_broker::admin::AdminError;
use twofa_broker::admin::providers::ProviderFailure;
use twofa_broker::client::ClientError;
use twofa_broker::privileges::PrivilegeError;
use twofa_core::text::printable;

use crate::messages;
use crate::output::wrap::for_stderr;

/// Why a command ended early.
#[derive(Debug)]
pub(crate) struct CommandError {
    kind: Failure,
    message: String,
    hint: Option<String>,
}

impl CommandError {
    pub(crate) fn new(kind: Failure, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn hinted(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// This one, and another one beside it, whose hint comes first.
    pub(crate) fn and(mut self, other: &Self) -> Self {
        self.message = format!("{}; {}", self.message, other.message);
        self.hint = other.hint.clone().or(self.hint);
        self
    }

    /// No PAM service has this name.
    pub(crate) fn no_service(name: &str) -> Self {
        let message =
            format!("there is no PAM service '{name}': a program that asks for it gets 'other'");
        Self::new(Failure::NotFound, message).hinted("'twofa pam list' shows all services")
    }

    /// Only root may do `what`.
    pub(crate) fn only_root(what: &str) -> Self {
        Self::new(Failure::NotPermitted, format!("only root can {what}")).hinted("run it with sudo")
    }

    /// The provider `name` failed a test.
    pub(crate) fn provider_failed(
        name: &str,
        failure: &ProviderFailure,
        consequence: &str,
        instead: Option<&str>,
    ) -> Self {
        let (message, hint) =
            messages::errors::provider_failed(name, failure, consequence, instead);
        Self {
            kind: Failure::Failed,
            message,
            hint,
        }
    }

    /// Prints it on standard error, and returns the exit status.
    pub(crate) fn report(self) -> ExitCode {
        const RED: Style = AnsiColor::Red.on_default().bold();
        const CYAN: Style = AnsiColor::Cyan.on_default().bold();
        let mut stderr = anstream::stderr().lock();
        let message = format!("{RED}error:{RED:#} {}", printable_lines(&self.message));
        let _ = write!(stderr, "{}", for_stderr(&message));
        if let Some(hint) = self.hint {
            let hint = format!("{CYAN}hint:{CYAN:#} {}", printable_lines(&hint));
            let _ = write!(stderr, "{}", for_stderr(&hint));
        }
        ExitCode::from(match self.kind {
            Failure::Failed => 1,
            Failure::Usage => 2,
            Failure::NotPermitted => 3,
            Failure::NotFound => 4,
            Failure::Denied => 5,
            Failure::Unavailable => 6,
        })
    }
}

/// `text`, in which names and paths may stand that strangers chose.
fn printable_lines(text: &str) -> String {
    let lines: Vec<_> = text.split('\n').map(printable).collect();
    lines.join("\n")
}

/// The message without the hint.
impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<AdminError> for CommandError {
    fn from(error: AdminError) -> Self {
        let (kind, hint) = messages::errors::advice(&error);
        Self {
            kind,
            message: error.to_string(),
            hint,
        }
    }
}

impl From<PrivilegeError> for CommandError {
    fn from(error: PrivilegeError) -> Self {
        Self::new(Failure::Unavailable, error.to_string())
    }
}

impl From<ClientError> for CommandError {
    fn from(error: ClientError) -> Self {
        let command_error = Self::new(Failure::Unavailable, error.to_string());
        match messages::errors::client_advice(&error) {
            Some(hint) => command_error.hinted(hint),
            None => command_error,
        }
    }
}

/// Output that cannot be written. A reader that has read enough (`twofa log | head`) is no failure, and there is nobody
/// to tell either way.
impl From<io::Error> for CommandError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            std::process::exit(0);
        }
        Self::new(Failure::Failed, format!("cannot write: {error}"))
    }
}
