//! Messages for requests that the broker ends at a prompt.

use std::time::Duration;

use crate::text::terminal::Progress;

/// Why it ended, for the log: no answer came.
pub fn why_timed_out(timeout: Duration) -> String {
    format!("no answer came within {} minutes", minutes(timeout))
}

/// Why it ended, for the log: the broker was stopped.
pub const WHY_STOPPED: &str = "the broker was stopped or restarted while it waited for an answer";

/// A login ended because no answer came.
pub fn login_timed_out(timeout: Duration, progress: Progress) -> String {
    let minutes = minutes(timeout);
    match kept(progress) {
        Some(kept) => format!("No answer came within {minutes} minutes. {kept} Log in again."),
        None => format!(
            "No answer came within {minutes} minutes, so nothing was changed. Log in again."
        ),
    }
}

/// A login ended because the broker was stopped.
pub fn login_stopped(progress: Progress) -> String {
    const RESTARTED: &str = "The login service was restarted: log in again.";
    match kept(progress) {
        Some(kept) => format!("{RESTARTED} {kept}"),
        None => RESTARTED.to_owned(),
    }
}

/// A command ended because the broker was stopped.
pub const SERVICE_RESTARTED: &str = "the login service was restarted";

/// A command ended for this reason.
pub fn command_ended(why: &str, progress: Progress) -> String {
    let void = if progress.has_void_codes {
        "; the backup codes that were shown do not work"
    } else {
        ""
    };
    if progress.is_enrolled {
        format!("{why}: what you had confirmed has been saved, the rest was not done{void}")
    } else {
        format!("{why}, so nothing was changed{void}")
    }
}

/// What to do then.
pub const fn command_hint(progress: Progress) -> &'static str {
    if progress.is_enrolled {
        "see 'twofa status'; 'twofa codes --new' makes backup codes"
    } else {
        "run the command again"
    }
}

/// What is left of a login that ended early; `None`: nothing.
fn kept(progress: Progress) -> Option<String> {
    match (progress.is_enrolled, progress.has_void_codes) {
        (false, false) => None,
        (true, false) => Some(KEPT.to_owned()),
        (true, true) => Some(format!("{SAVED} {}", super::BACKUP_CODES_NOT_KEPT)),
        (false, true) => Some(super::BACKUP_CODES_NOT_KEPT.to_owned()),
    }
}

const SAVED: &str = "What you had confirmed has been saved.";

const KEPT: &str = "What you had confirmed has been saved; if you have no backup codes, make them with 'twofa codes \
                    --new'.";

const fn minutes(timeout: Duration) -> u64 {
    timeout.as_secs() / 60
}
