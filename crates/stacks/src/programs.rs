//! What is known of programs by the names of their services.

use crate::phase::Phase;

/// Services whose programs run with the real user of the person who asks. Elsewhere, a call by root means nothing: sshd
/// and login run as root for everyone.
const ASKS_FOR_ITSELF: [&str; 17] = [
    "su",
    "su-l",
    "runuser",
    "runuser-l",
    "sudo",
    "sudo-i",
    "doas",
    "chfn",
    "chsh",
    "passwd",
    "chpasswd",
    "chage",
    "newusers",
    "useradd",
    "usermod",
    "userdel",
    "groupmod",
];

/// Whether the program of a service runs with the real user of the person who asks.
pub(crate) fn asks_for_itself(service: &str) -> bool {
    ASKS_FOR_ITSELF.contains(&service)
}

/// What a program calls, and for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Route {
    /// `auth`, then `account`.
    Login,
    /// `auth` alone, as some screen lockers do.
    Unlock,
    /// `account` alone, after sshd has proved a key.
    Key,
    /// `account` alone: sudo within its timestamp, or with NOPASSWD.
    Remembered,
    /// `account` alone, with nobody to ask: cron.
    Job,
    /// What is called when root itself runs the program.
    Root,
}

impl Route {
    /// Whether the person is authenticated by the stack.
    pub const fn has_authentication(self) -> bool {
        matches!(self, Self::Login | Self::Unlock)
    }

    /// The phases that must succeed.
    pub(crate) fn phases(self, service: &str) -> &'static [Phase] {
        match self {
            Self::Unlock => &[Phase::Auth],
            Self::Key | Self::Remembered | Self::Job => &[Phase::Account],
            // It asks root for no password.
            Self::Root if service.starts_with("sudo") => &[Phase::Account],
            Self::Login | Self::Root => &[Phase::Auth, Phase::Account],
        }
    }
}

/// What the program of a service is, as far as that decides what it calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// A screen locker: some of them never call `account`, or ignore its result.
    Locker,
    /// One that runs jobs, with nobody to ask.
    Jobs,
    /// Any other.
    Other,
}

/// Services of which only root's calls succeed, or that call neither `auth` nor `account`.
const NO_LOGIN: [&str; 5] = ["runuser", "runuser-l", "passwd", "chpasswd", "newusers"];

/// Whether somebody can log in at a service: with runuser and passwd, `auth` and `account` are not called, or by root alone.
pub(crate) fn takes_logins(service: &str) -> bool {
    !NO_LOGIN.contains(&service)
}

impl Program {
    /// What it calls for the logins at a service.
    pub(crate) fn routes(self, service: &str) -> &'static [Route] {
        match (self, service) {
            (Self::Locker, _) => &[Route::Unlock],
            (Self::Jobs, _) => &[Route::Job],
            (_, "sshd") => &[Route::Login, Route::Key],
            (_, "sudo" | "sudo-i") => &[Route::Login, Route::Remembered, Route::Root],
            _ if !takes_logins(service) => &[],
            _ if asks_for_itself(service) => &[Route::Login, Route::Root],
            _ => &[Route::Login],
        }
    }
}
