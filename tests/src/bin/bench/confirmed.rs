//! Logins with an account phase and a session, as sshd has them: with a code, or from a trusted device.
//!
//! pamtester is called sshd there, because only what sshd says of keys is used.

use std::io::{self, Write};
use std::process::Command;
use std::time::Duration;

use twofa_e2e::Machine;

use crate::inside::time;

/// The PAM service of these logins.
pub const SERVICE: &str = "bench-confirmed";
/// The same with our line for sessions.
pub const SESSION_SERVICE: &str = "bench-session";
/// The service without a second factor that they are compared with.
pub const EMPTY_SERVICE: &str = "bench-confirmed-empty";

/// Where pamtester is called sshd.
pub const SSHD: &str = "/usr/local/sbin/sshd";

/// A client that every user trusts, and one that nobody does.
pub const TRUSTED_ADDRESS: &str = "192.0.2.7";
const OTHER_ADDRESS: &str = "192.0.2.8";

/// A key that every user trusts.
pub const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";

/// What the login shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// A code, from a client that is not trusted.
    Code,
    /// The address of a trusted client.
    Address,
    /// A trusted key.
    Key,
}

impl Shown {
    /// In an order for the stopwatch.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Address => "address",
            Self::Key => "key",
        }
    }

    /// In the report.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Code => "a code",
            Self::Address => "a trusted address",
            Self::Key => "a trusted key",
        }
    }

    /// The arguments of pamtester that say where the login comes from.
    pub fn arguments(self) -> Vec<String> {
        let host = match self {
            Self::Address => TRUSTED_ADDRESS,
            Self::Code | Self::Key => OTHER_ADDRESS,
        };
        let mut arguments = vec![
            format!("-Irhost={host}"),
            format!("-ESSH_CONNECTION={host} 50000 192.0.2.1 22"),
        ];
        if self == Self::Key {
            arguments.push(format!("-ESSH_AUTH_INFO_0=publickey {KEY}"));
        }
        arguments
    }
}

impl Shown {
    /// The login as a shell command.
    pub fn command(self, service: &str, user: &str) -> String {
        let arguments: Vec<_> = self
            .arguments()
            .iter()
            .map(|it| format!("'{it}'"))
            .collect();
        let operations = OPERATIONS.join(" ");
        format!(
            "{SSHD} {} {service} {user} {operations}",
            arguments.join(" ")
        )
    }
}

/// What the program does after its user.
pub const OPERATIONS: [&str; 3] = ["authenticate", "acct_mgmt", "open_session"];

/// Gives `machine` the program.
pub fn install(machine: &Machine) {
    machine
        .run(&format!("install -m 0755 /usr/bin/pamtester {SSHD}"))
        .ok();
}

/// The time of a login inside a machine.
pub fn time_login(shown: &str, service: &str, user: &str, code: &str) -> io::Result<Duration> {
    let shown = [Shown::Code, Shown::Address, Shown::Key]
        .into_iter()
        .find(|it| it.name() == shown)
        .ok_or_else(|| io::Error::other("no such login"))?;
    let (typed, mut keyboard) = io::pipe()?;
    writeln!(keyboard, "{code}")?;
    drop(keyboard);
    let mut login = Command::new(SSHD);
    login
        .args(shown.arguments())
        .args([service, user])
        .args(OPERATIONS)
        .env_clear()
        .stdin(typed);
    time(login)
}
