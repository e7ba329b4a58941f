//! The PAM stacks whose logins are timed.

use std::fmt;

use twofa_e2e::FIRST_FACTOR;

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
}

impl Stack {
    /// The PAM service that has it.
    pub fn service(self) -> String {
        match self {
            Self::Empty | Self::EmptyPreloaded => "bench-empty".into(),
            Self::Google | Self::GoogleDurable => "bench-google".into(),
            Self::Oath(size) | Self::OathDurable(size) => format!("bench-oath-{size}"),
            Self::NullBroker | Self::Warm(_) | Self::Spawned(_) => "bench-twofa".into(),
        }
    }

    /// The stack without a second factor that this one is compared with.
    pub fn baseline(self) -> Self {
        self.preload().map_or(Self::Empty, |_| Self::EmptyPreloaded)
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
            Self::Empty => write!(f, "empty stack"),
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
        }
    }
}
