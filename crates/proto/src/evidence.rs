//! What root's module knows about a login apart from PAM's items. Believed only if it comes from root.

use serde::{Deserialize, Serialize};

/// What is known about the process that asks, and where it runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Evidence {
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot: String,
    /// The process that calls PAM.
    pub process: ProcessId,
    /// Its parent, if this is sshd, where that opens the session.
    pub parent: Option<ProcessId>,
    /// The uid that the login session was opened for (`/proc/self/loginuid`), if it is known.
    pub login_uid: Option<u32>,
    /// In sshd: the client's address, from its `SSH_CONNECTION`; `PAM_RHOST` may be a name.
    pub ssh_client: Option<String>,
    /// In sshd: it is known to have read `/etc/ssh/sshd_config`, and nothing on its command line changes what that demands of
    /// security keys.
    pub has_default_sshd_config: bool,
    /// The address that the login comes from is one of this machine.
    pub is_from_this_machine: bool,
    /// The login session that the process belongs to, by its control group.
    pub session: Option<SessionEvidence>,
    /// The controlling terminal of the process.
    pub controlling_terminal: Option<TerminalEvidence>,
    /// What can be seen of the user's password.
    pub password: PasswordState,
    /// In the account phase: what the end of the same login in `auth` asked for.
    pub confirms: Confirm,
}

/// Whether the account phase must ask once more, with [`Evidence::confirms`], because what follows from a login follows only
/// there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Confirm {
    /// Nothing follows.
    #[default]
    No,
    /// The code was right. That is on disk; what follows is the record of the login, and trust in the device.
    Record(Ticket),
    /// There was no code: the device is trusted, and the login rests on the confirmation.
    Trust(Ticket),
}

/// The number of what the broker remembers of a login until its account phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket(pub i64);

/// What root can see of a user's password. A trusted device stays trusted only as long as it is the same.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum PasswordState {
    /// The files of this machine have it. A hash that changes with it.
    Hashed(String),
    /// The files of this machine do not have the account: a directory keeps its password.
    Elsewhere,
    /// The files of this machine have the account, and its password could not be read.
    #[default]
    Unknown,
}

impl PasswordState {
    /// The hash, if there is one.
    pub fn hash(&self) -> Option<&str> {
        match self {
            Self::Hashed(hash) => Some(hash),
            Self::Elsewhere | Self::Unknown => None,
        }
    }
}

/// A process. Its number alone does not distinguish it from a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProcessId {
    /// Its number.
    pub pid: u32,
    /// When it started, in clock ticks since boot (field 22 of `/proc/PID/stat`).
    pub start: u64,
}

/// A session of systemd-logind that is open.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SessionEvidence {
    /// Its id.
    pub id: String,
    /// When it began, in microseconds of `CLOCK_MONOTONIC`.
    pub start: u64,
    /// Whose it is.
    pub uid: u32,
    /// The process that opened it, if that is still there.
    pub leader: Option<ProcessId>,
}

/// A terminal and the process that leads its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TerminalEvidence {
    /// The device number.
    pub device: u64,
    /// The leader of the terminal's session.
    pub leader: ProcessId,
}
