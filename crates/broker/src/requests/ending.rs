//! Requests that the broker ends at a prompt: no answer came in time, or the broker itself is stopped.
//!
//! The person is told, nothing unfinished is kept, and the log has the reason.

use std::fmt;
use std::time::Duration;

use twofa_core::text::printable;
use twofa_proto::codec::CodecError;
use twofa_proto::{ConnectionError, Done, Failure, Request, Verdict};

use crate::identity::authority::Peer;

/// Characters of a client's claim that are logged at most.
const MAX_CLAIM: usize = 128;

/// Why the broker ends a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Ending {
    /// No answer came within this time.
    #[error("no answer came within {} minutes", .0.as_secs() / 60)]
    TimedOut(Duration),
    /// The broker got SIGTERM.
    #[error("the broker was stopped or restarted while it waited for an answer")]
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

    /// What the person at the login is told; `is_enrolled` says that a method was set up before.
    pub(crate) fn text(self, is_enrolled: bool) -> String {
        match (self, is_enrolled) {
            (Self::TimedOut(_), false) => {
                format!(
                    "{}, so nothing was changed. Log in again.",
                    capitalised(self)
                )
            }
            (Self::Stopped, false) => "The login service was restarted: log in again.".to_owned(),
            (Self::TimedOut(_), true) => format!("{}. {KEPT} Log in again.", capitalised(self)),
            (Self::Stopped, true) => {
                format!("The login service was restarted: log in again. {KEPT}")
            }
        }
    }

    /// The answer to `request`.
    pub(crate) fn done(self, request: &Request, is_enrolled: bool) -> Done {
        match (request, self) {
            (Request::Login(_) | Request::Account(_), Self::TimedOut(_)) => Done::Login {
                verdict: Verdict::NoAnswer,
                why: self.to_string(),
            },
            (Request::Login(_) | Request::Account(_), Self::Stopped) => Done::Login {
                verdict: Verdict::Unavailable,
                why: self.to_string(),
            },
            (_, ending) => {
                let cause = match ending {
                    Self::TimedOut(_) => ending.to_string(),
                    Self::Stopped => "the login service was restarted".to_owned(),
                };
                let (message, hint) = if is_enrolled {
                    let message =
                        format!("{cause}: what you had confirmed is kept, the rest was not done");
                    (
                        message,
                        "see 'twofa status'; 'twofa codes --new' makes backup codes",
                    )
                } else {
                    (
                        format!("{cause}, so nothing was changed"),
                        "run the command again",
                    )
                };
                Done::Failed {
                    failure: Failure::Unavailable,
                    message,
                    hint: Some(hint.to_owned()),
                }
            }
        }
    }
}

/// Added where a method was set up before the end.
const KEPT: &str = "What you had confirmed is kept; if you have no backup codes, make them with 'twofa codes --new'.";

fn capitalised(what: impl fmt::Display) -> String {
    let text = what.to_string();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

/// What `peer` asked for, for the log. Names and hosts are the client's claims.
pub(crate) fn subject(request: &Request, peer: Peer) -> String {
    let claim = |text: &str| printable(text).chars().take(MAX_CLAIM).collect::<String>();
    let user = claim(request.user());
    let (Request::Login(login) | Request::Account(login)) = request else {
        return format!("a request of uid {} about '{user}'", peer.uid);
    };
    let place = login.remote_host.as_deref().or(login.terminal.as_deref());
    let place = place.map_or_else(String::new, |place| format!(" from '{}'", claim(place)));
    format!(
        "a login of '{user}' with '{}'{place}, asked for by uid {}",
        claim(&login.service),
        peer.uid
    )
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
        assert_eq!(subject(&status, Peer { uid: 1000 }), expected);
    }

    #[test]
    fn nothing_is_called_unchanged_where_a_method_was_set_up() {
        let request = Request::NewBackupCodes {
            user: "alice".into(),
        };
        for ending in [Ending::TimedOut(Duration::from_secs(900)), Ending::Stopped] {
            for is_enrolled in [false, true] {
                let Done::Failed { message, .. } = ending.done(&request, is_enrolled) else {
                    panic!()
                };
                assert_eq!(
                    message.contains("nothing was changed"),
                    !is_enrolled,
                    "{message}"
                );
                assert_eq!(ending.text(is_enrolled).contains("is kept"), is_enrolled);
            }
        }
    }
}
