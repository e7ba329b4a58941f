//! A login session.

use twofa_core::service::{self, ServiceKind};
use twofa_core::{Account, Timestamp};

use super::ticket::ProcessId;
use crate::event::{Proof, SessionFields};

/// The machine whose sessions these are. In a database on a server are those of other machines too, of which nobody here can
/// tell whether they have processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Machine<'a> {
    pub name: &'a str,
    /// Nobody else uses the store, whatever the machine was called when a session began.
    pub is_only: bool,
}

impl Machine<'_> {
    /// The machine that sessions are to be of; `None`: all are.
    pub(crate) fn filter(&self) -> Option<&str> {
        (!self.is_only).then_some(self.name)
    }
}

/// A session that begins. Its service, host and terminal are those of the origin.
#[derive(Debug, Clone)]
pub struct NewSession<'a> {
    /// The account that it runs as.
    pub account: &'a Account,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot: &'a str,
    /// The process that opens it.
    pub process: ProcessId,
    /// The uid that the process was logged in with before (`/proc/self/loginuid`), if any.
    pub login_uid: Option<u32>,
    /// Whether the program logs somebody in, whatever was proved. If not, the session is kept only if something was.
    pub is_login: bool,
}

/// A session on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSession {
    /// Its number, by which it is ended.
    pub id: i64,
    /// The account that it runs as.
    pub account: Account,
    /// `/proc/sys/kernel/random/boot_id` when it began.
    pub boot: String,
    /// The process that opened it.
    pub process: ProcessId,
    /// The uid that the process was logged in with before, if any.
    pub login_uid: Option<u32>,
    /// The PAM service.
    pub service: String,
    /// Where it came from.
    pub remote_host: Option<String>,
    /// Who asked for it, if a user became another user.
    pub remote_user: Option<String>,
    /// Its terminal.
    pub terminal: Option<String>,
    /// What the user showed as a second factor; `None`: nothing was asked for.
    pub proof: Option<Proof>,
    /// The user's own keys that sshd verified in its login, each as in a `.pub` file.
    pub keys: Vec<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it is over its lifetime.
    pub until: Option<Timestamp>,
    /// The id that systemd-logind gave it, if somebody has looked.
    pub scope: Option<String>,
    /// When its program closed it. Its processes may have stayed.
    pub closed_at: Option<Timestamp>,
    /// When it had no processes any longer, as far as somebody has looked.
    pub ended_at: Option<Timestamp>,
    /// A server of the fleet wants it ended.
    pub is_to_end: bool,
}

/// Which sessions to read.
#[derive(Debug, Clone, Default)]
pub struct SessionFilter {
    /// Those of the user of this login name.
    pub user: Option<String>,
    /// Those that have ended as well.
    pub ended: bool,
    /// Those with a higher number than this.
    pub after: i64,
}

/// Where a screen locker runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockerPlace<'a> {
    /// In the session that this process opened.
    Session {
        /// `/proc/sys/kernel/random/boot_id`.
        boot: &'a str,
        /// The process.
        opener: ProcessId,
    },
    /// In any session of its user's that did not come from another host.
    Unknown,
}

impl LockerPlace<'_> {
    pub(crate) fn is_in(self, session: &StoredSession) -> bool {
        match self {
            Self::Session { boot, opener } => session.boot == boot && session.process == opener,
            // Users who became this one by su may have come from anywhere.
            Self::Unknown => {
                session.remote_host.is_none()
                    && service::kind(&session.service) != ServiceKind::Elevation
            }
        }
    }
}

impl From<StoredSession> for SessionFields {
    fn from(session: StoredSession) -> Self {
        Self {
            number: session.id,
            of_service: session.service,
            place: session.remote_host.or(session.terminal),
        }
    }
}
