//! Requests that the broker ends at a prompt: no answer came in time, or the broker itself is stopped.
//!
//! The person is told, nothing unfinished is kept, and the log has the reason.

use std::time::Duration;

use twofa_core::text::printable;
use twofa_proto::codec::CodecError;
use twofa_proto::{Confirm, ConnectionError, Done, Failure, Request, Verdict};

use crate::identity::authority::Peer;
use crate::text::messages::{endings, log_lines};
use crate::text::terminal::Progress;

/// Characters of a client's claim that are logged at most.
const MAX_CLAIM: usize = 128;

/// Why the broker ends a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// No answer came within this time.
    TimedOut(Duration),
    /// The broker got SIGTERM.
    Stopped,
}

impl Ending {
    /// The ending that `error` means at a prompt with this `timeout`, if it is one.
    pub(crate) const fn from_error(error: &ConnectionError, timeout: Duration) -> Option<Self> {
        match error {
            ConnectionError::Codec(CodecError::TimedOut) => Some(Self::TimedOut(timeout)),
            ConnectionError::Codec(CodecError::Aborted) => Some(Self::Stopped),
            _ => None,
        }
    }

    /// The reason, for the log.
    pub(crate) fn why(self) -> String {
        match self {
            Self::TimedOut(timeout) => endings::why_timed_out(timeout),
            Self::Stopped => endings::WHY_STOPPED.to_owned(),
        }
    }

    /// What the person at the login is shown.
    pub(crate) fn text(self, progress: Progress) -> String {
        match self {
            Self::TimedOut(timeout) => endings::login_timed_out(timeout, progress),
            Self::Stopped => endings::login_stopped(progress),
        }
    }

    /// The answer to `request`.
    pub(crate) fn done(self, request: &Request, progress: Progress) -> Done {
        if matches!(request, Request::Login(_) | Request::Account(_)) {
            let verdict = match self {
                Self::TimedOut(_) => Verdict::NoAnswer,
                Self::Stopped => Verdict::Unavailable,
            };
            let why = self.why();
            return Done::Login {
                verdict,
                why,
                confirm: Confirm::No,
            };
        }
        let why = match self {
            Self::TimedOut(_) => self.why(),
            Self::Stopped => endings::SERVICE_RESTARTED.to_owned(),
        };
        Done::Failed {
            failure: Failure::Unavailable,
            message: endings::command_ended(&why, progress),
            hint: Some(endings::command_hint(progress).to_owned()),
        }
    }
}

/// What `peer` asked for, for the log. Names and hosts are the client's claims.
pub(crate) fn subject(request: &Request, peer: Peer) -> String {
    let claim = |text: &str| printable(text).chars().take(MAX_CLAIM).collect::<String>();
    let user = claim(request.user());
    let (Request::Login(login) | Request::Account(login)) = request else {
        return log_lines::request_of(peer.uid, &user);
    };
    let place = login.remote_host.as_deref().or(login.terminal.as_deref());
    let place = place.map(claim);
    log_lines::login_of(peer.uid, &user, &claim(&login.service), place.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use twofa_proto::Login;

    #[test]
    fn the_log_names_user_and_host_on_one_line() {
        let login = Login {
            user: "alice\n".into(),
            service: "sshd".into(),
            remote_host: Some("192.0.2.1".into()),
            terminal: Some("ssh".into()),
            ..Login::default()
        };
        assert_eq!(
            subject(&Request::Login(login), Peer::ROOT),
            "a login of 'alice?' with 'sshd' from '192.0.2.1', asked for by uid 0"
        );
        let status = Request::Status {
            user: "x".repeat(200),
        };
        let expected = format!("a request of uid 1000 about '{}'", "x".repeat(128));
        assert_eq!(subject(&status, Peer::new(1000)), expected);
    }

    #[test]
    fn nothing_is_called_unchanged_where_a_method_was_set_up() {
        let request = Request::NewBackupCodes {
            user: "alice".into(),
        };
        for ending in [Ending::TimedOut(Duration::from_secs(900)), Ending::Stopped] {
            for is_enrolled in [false, true] {
                let progress = Progress {
                    is_enrolled,
                    ..Progress::default()
                };
                let Done::Failed { message, .. } = ending.done(&request, progress) else {
                    panic!()
                };
                assert_eq!(
                    message.contains("nothing was changed"),
                    !is_enrolled,
                    "{message}"
                );
                assert_eq!(
                    ending.text(progress).contains("has been saved"),
                    is_enrolled
                );
            }
        }
    }

    #[test]
    fn backup_codes_that_were_shown_but_not_confirmed_are_reported_as_void() {
        let request = Request::NewBackupCodes {
            user: "alice".into(),
        };
        for ending in [Ending::TimedOut(Duration::from_secs(900)), Ending::Stopped] {
            for is_enrolled in [false, true] {
                let progress = Progress {
                    is_enrolled,
                    has_void_codes: true,
                };
                let Done::Failed { message, .. } = ending.done(&request, progress) else {
                    panic!()
                };
                for text in [message, ending.text(progress)] {
                    assert!(text.contains("do not work"), "{text}");
                }
            }
        }
    }
}
