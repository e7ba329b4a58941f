//! What people read: short, plain, and the same wherever it is said.

use jiff::tz::TimeZone;
use twofa_core::exemption::Exemption;
use twofa_core::policy::Methods;
use twofa_core::text::printable;
use twofa_core::{BackupCode, Lock, Policy, Timestamp};
use twofa_store::Missed;
use zeroize::Zeroizing;

/// The name this machine goes by in prompts and apps: the policy's, or the host's.
pub fn application_name(policy: &Policy) -> String {
    match &policy.application_name {
        Some(name) => name.clone(),
        None => nix::unistd::gethostname()
            .map_or_else(|_| "this machine".to_owned(), |name| printable(&name.to_string_lossy())),
    }
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

/// The account has the name or the uid of somebody else's record.
pub const NAMESAKE: &str = "This account is not the one that a second factor was set up for under its name or number. Ask \
                            an administrator.";

/// Enrolment needs more than one prompt.
pub const NO_ROOM_TO_ENROL: &str = "A second factor must be set up first, which takes several questions, and this program can \
                                    ask one. Log in with ssh or on the console once.";

/// What comes before the first enrolment at a login.
pub fn must_enrol(application: &str) -> String {
    format!("{application} asks for a second factor, and you have none yet.")
}

/// When few backup codes are left.
pub fn backup_codes_left(left: usize) -> String {
    match left {
        0 => "No backup code is left. Make new ones with 'twofa codes --new'.".to_owned(),
        1 => "One backup code is left. Make new ones with 'twofa codes --new'.".to_owned(),
        2 => "2 backup codes are left. Make new ones with 'twofa codes --new'.".to_owned(),
        n => format!("{n} backup codes are left."),
    }
}

/// Where an exemption holds, when not everywhere.
pub fn exemption_scope(exemption: &Exemption) -> Option<String> {
    let network = exemption.network.map(|network| format!("from {network}"));
    let service = exemption.service.as_ref().map(|service| format!("at {service}"));
    match (network, service) {
        (None, None) => None,
        (Some(one), None) | (None, Some(one)) => Some(one),
        (Some(network), Some(service)) => Some(format!("{network} {service}")),
    }
}

/// What was refused since the last login.
pub fn missed(missed: &Missed, now: Timestamp) -> String {
    let Missed { count, last_at, last_from } = missed;
    let attempts = if *count == 1 {
        "was one failed attempt".to_owned()
    } else {
        format!("were {count} failed attempts")
    };
    let from = last_from.as_deref().map_or(String::new(), |from| format!(" from {}", printable(from)));
    let last = if *count == 1 { "at" } else { "the last at" };
    format!("There {attempts} to log in as you since the last time, {last} {}{from}.", moment(*last_at, now))
}

/// The backup codes, and the question that shows that they were saved: the last group of the one at `asked`,
/// counted from zero.
pub fn backup_codes(codes: &[BackupCode], asked: usize) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::from(
        "Backup codes, for when you are without your app. Each works once.\n\
         Write them down or save them now: they are not shown again.\n",
    ));
    for (number, code) in (1..).zip(codes) {
        text.push_str(&format!("\n    {number}.  "));
        text.push_str(&code.grouped());
    }
    text.push_str(&format!("\n\n{}", saved_question(asked)));
    text
}

/// The question whether the backup codes were saved.
pub fn saved_question(asked: usize) -> String {
    format!("When you have saved them, type the last four characters of number {}: ", asked + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_ends_another_day_says_the_day() {
        let now = Timestamp::from_unix(1_800_000_000);
        assert_eq!(moment(now.after(60), now).len(), 5);
        assert_eq!(moment(now.after(86_400), now).len(), 16);
    }
}
