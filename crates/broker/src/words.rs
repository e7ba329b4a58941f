//! What people read: short, plain, and the same wherever it is said.

use jiff::tz::TimeZone;
use twofa_core::policy::Methods;
use twofa_core::{BackupCode, Lock, Policy, Timestamp};

/// The name this machine goes by in prompts and apps: the policy's, or the host's.
pub fn application_name(policy: &Policy) -> String {
    match &policy.application_name {
        Some(name) => name.clone(),
        None => nix::unistd::gethostname()
            .map_or_else(|_| "this machine".to_owned(), |name| printable(&name.to_string_lossy())),
    }
}

/// `text` with everything that could steer a terminal or a log replaced.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// The first question of a login.
pub fn code_prompt(application: &str, allowed: Methods, has_backup: bool) -> String {
    let or_backup = if allowed.backup && has_backup { " or backup code" } else { "" };
    format!("Verification code for {application} (authenticator app{or_backup}): ")
}

/// A further question, with what was wrong before it.
pub fn again(what: &str, application: &str) -> String {
    format!("{what}\nVerification code for {application}: ")
}

/// How many tries are left.
pub fn tries_left(tries: u32) -> String {
    match tries {
        1 => "one try is left".to_owned(),
        n => format!("{n} tries are left"),
    }
}

/// Help at a code prompt.
pub const HELP: &str = "Open the authenticator app that you set up for this machine and type the digits it shows \
                        now. Without it, type one of your backup codes (abcd-efgh-ijkm-npqr).";

/// What was typed cannot be a code.
pub const NOT_A_CODE: &str = "That cannot be a code: it is 6 or 8 digits from your authenticator app, or a backup code. Never your password.";

/// Why a locked account is refused, to its owner.
pub fn locked(lock: Lock, now: Timestamp) -> String {
    match lock {
        Lock::Until(until) => {
            format!(
                "Too many wrong codes: locked until {}. An administrator can unlock it sooner.",
                moment(until, now)
            )
        }
        Lock::Administrator => "Too many wrong codes: locked until an administrator unlocks it.".to_owned(),
    }
}

/// Why a login without an enrolled method is refused, to its owner.
pub fn not_enrolled(application: &str, user: &str) -> String {
    format!(
        "{application} asks for a second factor, and none is set up for {user}. Ask an administrator to run \
         'twofa enrol app --user {user}' with you."
    )
}

/// The second factor cannot be checked.
pub const UNAVAILABLE: &str = "The second factor cannot be checked now, so this is refused. An administrator finds the \
                               reason in the system log.";

/// A moment as people say it: the time, and the day when it is not today. In the system's time zone.
pub fn moment(at: Timestamp, now: Timestamp) -> String {
    let zone = TimeZone::system();
    let local = |moment: Timestamp| {
        jiff::Timestamp::from_second(moment.unix()).unwrap_or(jiff::Timestamp::MAX).to_zoned(zone.clone())
    };
    let (at, now) = (local(at), local(now));
    let format = if at.date() == now.date() { "%H:%M" } else { "%Y-%m-%d %H:%M" };
    at.strftime(format).to_string()
}

/// After a login with a backup code.
pub fn backup_codes_left(left: usize) -> String {
    match left {
        0 => "That was your last backup code. Make new ones with 'twofa codes --new'.".to_owned(),
        1 => "One backup code is left. Make new ones with 'twofa codes --new'.".to_owned(),
        n => format!("{n} backup codes are left."),
    }
}

/// The backup codes, shown once.
pub fn backup_codes(codes: &[BackupCode]) -> String {
    let mut text = String::from(
        "Backup codes, for when you are without your app. Each works once.\n\
         Keep them in a safe place: they are not shown again.\n",
    );
    for code in codes {
        text.push_str("\n    ");
        text.push_str(&code.grouped());
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_control_characters_cannot_steer_a_terminal() {
        assert_eq!(printable("al\u{1b}[2Jice\n"), "al?[2Jice?");
    }

    #[test]
    fn a_lock_that_ends_another_day_says_the_day() {
        let now = Timestamp::from_unix(1_800_000_000);
        assert_eq!(moment(now.after(60), now).len(), 5);
        assert_eq!(moment(now.after(86_400), now).len(), 16);
    }
}
