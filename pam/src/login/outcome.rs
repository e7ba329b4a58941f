//! How a login ended: for the application, for the user, and for the log.

use pam::constants::PamResultCode;
use twofa_proto::{Confirm, Secret, Verdict};
use twofa_text::log_line;

use crate::host::{Host, Level, Tone};
use crate::messages;

/// How an exchange with the broker ended.
pub struct Outcome {
    pub verdict: Verdict,
    /// The reason, for the log.
    pub why: String,
    /// The broker has shown the user an error.
    pub error_shown: bool,
    /// The code that was split off a password.
    pub code: Option<Secret>,
    /// The account phase must ask the broker once more.
    pub confirm: Confirm,
}

impl Outcome {
    /// `verdict`, with the reason for the log.
    pub fn new(verdict: Verdict, why: impl Into<String>) -> Self {
        Self {
            verdict,
            why: why.into(),
            error_shown: false,
            code: None,
            confirm: Confirm::No,
        }
    }
}

/// The services that stop asking at `PAM_MAXTRIES`, and ask again at other codes: sshd does within one connection,
/// login and sudo-rs until they have had enough. Others need not know it: cockpit-session takes it for a fault of its own
/// and the browser gets HTTP 500 (session-utils.c, `exit_init_problem`).
const STOPS_AT_MAXTRIES: [&str; 6] = ["sshd", "login", "remote", "gdm-password", "sudo", "sudo-i"];

/// The code for the application. Nothing else in a login or account check returns success or ignore.
///
/// `stops_at_maxtries` is whether the caller, in this phase, knows `PAM_MAXTRIES`. No answer is `PAM_AUTH_ERR` like any
/// other refusal: `PAM_CONV_ERR` is none of the codes of `pam_sm_authenticate(3)`, and sudo and cockpit take it for a fault.
pub fn pam_code(verdict: Verdict, stops_at_maxtries: bool) -> PamResultCode {
    match verdict {
        Verdict::Passed => PamResultCode::PAM_SUCCESS,
        // Not success: a `sufficient` in the wrong place would let users in without a password.
        // Nor is it success when a later line decides.
        Verdict::Trusted | Verdict::NotRequired | Verdict::Exempt | Verdict::Later => {
            PamResultCode::PAM_IGNORE
        }
        Verdict::TriesUsedUp if stops_at_maxtries => PamResultCode::PAM_MAXTRIES,
        Verdict::NoTicket | Verdict::Denied | Verdict::TriesUsedUp | Verdict::NoAnswer => {
            PamResultCode::PAM_AUTH_ERR
        }
        Verdict::Unavailable => PamResultCode::PAM_AUTHINFO_UNAVAIL,
    }
}

/// Whether the program that `host` is knows `PAM_MAXTRIES` as the end of a login's authentication.
pub fn stops_at_maxtries(host: &impl Host) -> bool {
    STOPS_AT_MAXTRIES.contains(&host.service().as_str())
}

/// Reports the outcome, unless the application has changed the user: who passed must be who is let in (CVE-2024-9313).
/// Returns the outcome that holds.
pub fn conclude(host: &mut impl Host, user: &str, outcome: Outcome) -> Outcome {
    let outcome = if host.user_is_still(user) {
        outcome
    } else {
        Outcome::new(Verdict::Denied, messages::USER_CHANGED)
    };
    report(host, user, &outcome);
    outcome
}

/// Logs the outcome, and tells the user where the broker has not.
pub fn report(host: &mut impl Host, user: &str, outcome: &Outcome) {
    let verdict = outcome.verdict;
    let (level, word) = match verdict {
        // Not "logged in": the first factor may still be wrong, where it is checked after or with ours.
        Verdict::Passed => (Level::Info, "passed"),
        Verdict::Trusted => (Level::Info, "trusted"),
        Verdict::Later => (Level::Debug, "later"),
        // At each login while nobody needs a code.
        Verdict::NotRequired => (Level::Debug, "not-required"),
        Verdict::Exempt => (Level::Info, "exempt"),
        Verdict::NoTicket => (Level::Notice, "no-ticket"),
        Verdict::Denied => (Level::Notice, "denied"),
        Verdict::TriesUsedUp => (Level::Notice, "tries-used-up"),
        Verdict::NoAnswer => (Level::Notice, "no-answer"),
        Verdict::Unavailable => (Level::Error, "unavailable"),
    };
    if verdict == Verdict::Unavailable && !outcome.error_shown {
        host.show(Tone::Error, messages::UNAVAILABLE);
    }
    log(host, level, word, user, &outcome.why);
}

/// The verdict in the log if the end of a password is wrong and the login goes on.
pub const ASKING_AGAIN: &str = "asking-again";
/// The verdict in the log if a code was right but the login cannot be recorded.
pub const NOT_RECORDED: &str = "not-recorded";

/// Writes a line about a login of `user` to the log. Its keys and their order are those of the broker's lines.
pub fn log(host: &mut impl Host, level: Level, verdict: &str, user: &str, why: &str) {
    let (remote_host, remote_user) = (host.remote_host(), host.remote_user());
    let line = log_line([
        ("event", "login"),
        ("from", remote_host.as_deref().unwrap_or_default()),
        ("user", user),
        ("service", &host.service()),
        ("ruser", remote_user.as_deref().unwrap_or_default()),
        ("verdict", verdict),
        ("why", why),
    ]);
    host.log(level, &line);
}
