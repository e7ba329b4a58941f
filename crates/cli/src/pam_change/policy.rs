//! The policy, as far as it decides what a change of PAM files means. Each question is a process of its own, because a
//! process that opens the store gives up root.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use twofa_broker::Failure;
use twofa_core::service::Services;

use crate::error::CommandError;

/// What a login of somebody's would meet.
#[derive(Debug, Deserialize)]
pub(super) struct Rules {
    /// See `twofa class test --json`.
    decision: String,
    pub(super) why: String,
    services: String,
}

impl Rules {
    /// The rules for a user now.
    pub(super) fn of_user(user: &str) -> Result<Self, CommandError> {
        read(&["class", "test", user])
    }

    /// Whether a code would be asked for, and not enrolment gone through first.
    pub(super) fn asks(&self) -> bool {
        self.decision == "challenge"
    }

    /// Whether every login is refused where the policy asks.
    pub(super) fn refuses(&self) -> bool {
        self.decision == "deny"
    }

    /// Whether the policy asks at a service at all.
    pub(super) fn include(&self, service: &str) -> bool {
        let services = Services::read(&self.services);
        services.is_none_or(|services| services.include(Some(service), service == "sshd"))
    }
}

/// What a command of this program prints with `--json`.
fn read<T: DeserializeOwned>(arguments: &[&str]) -> Result<T, CommandError> {
    let failed = |message: String| CommandError::new(Failure::Unavailable, message);
    let command = arguments.join(" ");
    let output = twofa(arguments)
        .arg("--json")
        .output()
        .map_err(|error| failed(format!("'twofa {command}': {error}")))?;
    if !output.status.success() {
        io::stderr().write_all(&output.stderr)?;
        return Err(failed(format!("'twofa {command}' failed")));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| failed(format!("'twofa {command}': {error}")))
}

/// This very program, even if it has been replaced meanwhile.
fn twofa(arguments: &[&str]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("twofa").args(arguments).stdin(Stdio::null());
    command
}
