//! What root's module reports when a login session begins or ends, and what is reported about sessions.

use serde::{Deserialize, Serialize};

use crate::evidence::ProcessId;

/// Services whose programs log nobody in, though they open sessions: they run a command or a job for somebody, or the
/// services of a user who is logged in already.
const NO_LOGINS: [&str; 10] = [
    "sudo",
    "sudo-i",
    "doas",
    "polkit-1",
    "systemd-user",
    "cron",
    "crond",
    "atd",
    "runuser",
    "runuser-l",
];
/// How services end whose programs show a login screen, before anybody logs in.
const GREETERS: [&str; 2] = ["-launch-environment", "-greeter"];

/// Whether the sessions of `service` are nobody's login.
pub fn is_no_login(service: &str) -> bool {
    NO_LOGINS.contains(&service) || GREETERS.iter().any(|end| service.ends_with(end))
}

/// A session that begins, as the module's session hook reports it. Believed only if it comes from root.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SessionStart {
    /// `PAM_USER`, the login name.
    pub user: String,
    /// `PAM_SERVICE`
    pub service: String,
    /// `PAM_RHOST`
    pub remote_host: Option<String>,
    /// `PAM_RUSER`
    pub remote_user: Option<String>,
    /// `PAM_TTY`
    pub terminal: Option<String>,
    /// The process that opens the session.
    pub process: SessionProcess,
}

/// How long a session that begins may last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionLimit {
    /// In seconds, more than 0.
    pub seconds: u64,
    /// When it ends, for the user if there is a terminal.
    pub notice: String,
}

/// The process that opens a session.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SessionProcess {
    /// `/proc/sys/kernel/random/boot_id`
    pub boot: String,
    /// The process.
    pub id: ProcessId,
    /// The uid that it was logged in with before (`/proc/self/loginuid`), if any.
    pub login_uid: Option<u32>,
}

/// A session on record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionReport {
    /// Its number.
    pub id: i64,
    /// The login name of the user as whom it runs.
    pub user: String,
    /// The process that opened it.
    pub process: SessionProcess,
    /// The PAM service.
    pub service: String,
    /// Where it came from.
    pub remote_host: Option<String>,
    /// Who asked for it, if a user became another user.
    pub remote_user: Option<String>,
    /// Its terminal.
    pub terminal: Option<String>,
    /// What was shown as a second factor, for people; `None`: nothing was asked for.
    pub proof: Option<String>,
    /// When it began, in seconds after the Unix epoch.
    pub started_at: i64,
    /// When it is over its lifetime, in seconds after the Unix epoch.
    pub until: Option<i64>,
    /// The id that systemd-logind gave it, if that was seen.
    pub scope: Option<String>,
    /// When its program closed it, in seconds after the Unix epoch.
    pub closed_at: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeter_and_a_job_are_no_login() {
        for service in [
            "gdm-launch-environment",
            "lightdm-greeter",
            "cron",
            "systemd-user",
            "sudo",
            "doas",
        ] {
            assert!(is_no_login(service), "{service}");
        }
        for service in [
            "sshd",
            "login",
            "su",
            "su-l",
            "gdm-password",
            "remote",
            "run0",
        ] {
            assert!(!is_no_login(service), "{service}");
        }
    }
}
