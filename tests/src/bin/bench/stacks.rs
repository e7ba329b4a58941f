//! The PAM stacks whose logins are timed.

use std::fmt;

use twofa_e2e::FIRST_FACTOR;

use crate::confirmed::{self, Shown};
use crate::statistics::grouped;

/// How many users pam_oath's files have.
pub const OATH_SIZES: [usize; 2] = [60, 100_000];

/// Where the library is that follows a rename with a sync of its folder ([`crate::sync_renames`]).
pub const SYNC_RENAMES: &str = "/run/sync_renames.so";

/// A stack that pamtester logs in with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stack {
    /// A copy of `pam_permit` alone, which every other stack has as well.
    Empty,
    /// pam_google_authenticator, which has a file for each user.
    Google,
    /// pam_oath with a file of this many users.
    Oath(usize),
    /// [`Stack::Empty`] with the library preloaded: what loading it costs.
    EmptyPreloaded,
    /// pam_google_authenticator as durable as ours: its rename is followed by a sync of the folder.
    GoogleDurable,
    /// pam_oath as durable as ours, with a file of this many users.
    OathDurable(usize),
    /// Our module with a broker that asks and then lets everyone in: no store, no sync. What is left is the module, the
    /// exchange with a broker, and the line in the log.
    NullBroker,
    /// Ours with this many users enrolled and a running broker.
    Warm(usize),
    /// Ours with this many users enrolled and no broker, so that the module starts one for the login.
    Spawned(usize),
    /// [`Stack::Empty`] with an account phase and a session.
    EmptyConfirmed,
    /// Ours with an account phase and a session, this many users enrolled and a running broker.
    Confirmed(Shown, usize),
    /// The same from a trusted address, with our line for sessions.
    Session(usize),
}

/// What is behind our line or lines in a stack with an account phase.
const PERMIT: &str = "account required pam_permit.so\nsession required pam_permit.so\n";

impl Stack {
    /// The PAM service that has it.
    pub fn service(self) -> String {
        match self {
            Self::Empty | Self::EmptyPreloaded => "bench-empty".into(),
            Self::Google | Self::GoogleDurable => "bench-google".into(),
            Self::Oath(size) | Self::OathDurable(size) => format!("bench-oath-{size}"),
            Self::NullBroker | Self::Warm(_) | Self::Spawned(_) => "bench-twofa".into(),
            Self::EmptyConfirmed => confirmed::EMPTY_SERVICE.into(),
            Self::Confirmed(..) => confirmed::SERVICE.into(),
            Self::Session(_) => confirmed::SESSION_SERVICE.into(),
        }
    }

    /// The stack without a second factor that this one is compared with.
    pub fn baseline(self) -> Self {
        match self {
            Self::EmptyConfirmed | Self::Confirmed(..) | Self::Session(_) => Self::EmptyConfirmed,
            _ if self.preload().is_some() => Self::EmptyPreloaded,
            _ => Self::Empty,
        }
    }

    /// What the login shows, if it has an account phase.
    pub const fn shown(self) -> Option<Shown> {
        match self {
            Self::EmptyConfirmed => Some(Shown::Code),
            Self::Confirmed(shown, _) => Some(shown),
            Self::Session(_) => Some(Shown::Address),
            _ => None,
        }
    }

    /// What a stopwatch is told to time.
    pub fn order(self) -> String {
        let service = self.service();
        self.shown().map_or_else(
            || format!("pamtester {service} {}", self.preload().unwrap_or("-")),
            |shown| format!("confirmed {} {service}", shown.name()),
        )
    }

    /// Whether the broker runs before the login.
    pub const fn has_broker(self) -> bool {
        matches!(self, Self::Warm(_) | Self::Confirmed(..) | Self::Session(_))
    }

    /// The library that is preloaded into pamtester.
    pub fn preload(self) -> Option<&'static str> {
        let preloads = matches!(
            self,
            Self::EmptyPreloaded | Self::GoogleDurable | Self::OathDurable(_)
        );
        preloads.then_some(SYNC_RENAMES)
    }

    /// The stack as it stands in `/etc/pam.d`.
    pub fn lines(self) -> String {
        let module = match self {
            Self::Empty | Self::EmptyPreloaded => String::new(),
            Self::Google | Self::GoogleDurable => google_line(),
            Self::Oath(size) | Self::OathDurable(size) => oath_line(size),
            Self::NullBroker | Self::Warm(_) | Self::Spawned(_) => {
                "auth required pam_twofa.so\n".into()
            }
            Self::EmptyConfirmed => PERMIT.into(),
            Self::Confirmed(..) => {
                format!("auth required pam_twofa.so\naccount required pam_twofa.so\n{PERMIT}")
            }
            Self::Session(_) => format!(
                "auth required pam_twofa.so\naccount required pam_twofa.so\nsession optional pam_twofa.so\n{PERMIT}"
            ),
        };
        FIRST_FACTOR.to_owned() + &module
    }
}

/// The line of pam_google_authenticator.
pub fn google_line() -> String {
    "auth required pam_google_authenticator.so\n".into()
}

/// The line of pam_oath with its file of `size` users.
pub fn oath_line(size: usize) -> String {
    format!(
        "auth required pam_oath.so usersfile={} window=5 digits=6\n",
        oath_path(size)
    )
}

/// Where pam_oath's file of `size` users is.
pub fn oath_path(size: usize) -> String {
    format!("/etc/oath/{size}.users")
}

impl fmt::Display for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty | Self::EmptyConfirmed => write!(f, "empty stack"),
            Self::Google => write!(f, "pam_google_authenticator"),
            Self::Oath(size) => write!(f, "pam_oath, {} users", grouped(*size)),
            Self::EmptyPreloaded => write!(f, "empty stack, preload"),
            Self::GoogleDurable => write!(f, "pam_google_authenticator, folder synced"),
            Self::OathDurable(size) => {
                write!(f, "pam_oath, {} users, folder synced", grouped(*size))
            }
            Self::NullBroker => write!(f, "twofa's module, a broker that checks nothing"),
            Self::Warm(size) => write!(f, "twofa, {} users, broker warm", grouped(*size)),
            Self::Spawned(size) => write!(f, "twofa, {} users, broker spawned", grouped(*size)),
            Self::Confirmed(shown, size) => write!(f, "{}, {} users", shown.text(), grouped(*size)),
            Self::Session(size) => write!(
                f,
                "{}, {} users, session line",
                Shown::Address.text(),
                grouped(*size)
            ),
        }
    }
}
