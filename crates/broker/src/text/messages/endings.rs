//! Messages for requests that the broker ends at a prompt.

use std::time::Duration;

/// Why it ended, for the log: no answer came.
pub fn why_timed_out(timeout: Duration) -> String {
    format!("no answer came within {} minutes", minutes(timeout))
}

/// Why it ended, for the log: the broker was stopped.
pub const WHY_STOPPED: &str = "the broker was stopped or restarted while it waited for an answer";

/// A login ended because no answer came; `is_enrolled`: a method was set up before.
pub fn login_timed_out(timeout: Duration, is_enrolled: bool) -> String {
    let minutes = minutes(timeout);
    if is_enrolled {
        format!("No answer came within {minutes} minutes. {KEPT} Log in again.")
    } else {
        format!("No answer came within {minutes} minutes, so nothing was changed. Log in again.")
    }
}

/// A login ended because the broker was stopped; `is_enrolled`: a method was set up before.
pub fn login_stopped(is_enrolled: bool) -> String {
    const RESTARTED: &str = "The login service was restarted: log in again.";
    if is_enrolled {
        format!("{RESTARTED} {KEPT}")
    } else {
        RESTARTED.to_owned()
    }
}

/// A command ended because the broker was stopped.
pub const SERVICE_RESTARTED: &str = "the login service was restarted";

/// A command ended for this reason.
pub fn command_ended(why: &str, is_enrolled: bool) -> String {
    if is_enrolled {
        format!("{why}: what you had confirmed has been saved, the rest was not done")
    } else {
        format!("{why}, so nothing was changed")
    }
}

/// What to do then.
pub const fn command_hint(is_enrolled: bool) -> &'static str {
    if is_enrolled {
        "see 'twofa status'; 'twofa codes --new' makes backup codes"
    } else {
        "run the command again"
    }
}

const KEPT: &str = "What you had confirmed has been saved; if you have no backup codes, make them with 'twofa codes \
                    --new'.";

const fn minutes(timeout: Duration) -> u64 {
    timeout.as_secs() / 60
}
