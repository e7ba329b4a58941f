//! Messages to people that are neither questions nor refusals.

use twofa_core::duration::Duration;
use twofa_core::text::printable;
use twofa_core::{Channel, Method, Timestamp};
use twofa_store::Missed;

use super::{counted, moment, seconds_until, tries_left};

/// A security key was enrolled; its first login will confirm it.
pub fn security_key_enrolled(label: &str, fingerprint: &str) -> String {
    format!(
        "The security key '{label}' ({fingerprint}) is set up. The first ssh login with it, for which it must be in \
         authorized_keys too, shows that it is yours."
    )
}

/// A security key was enrolled that sshd has verified in a login already.
pub fn proved_key_enrolled(label: &str, fingerprint: &str) -> String {
    format!(
        "The security key '{label}' ({fingerprint}) is set up. sshd verified it in a login that is still open."
    )
}

/// The number typed is none of those shown.
pub const NOT_ON_THE_LIST: &str = "That is not on the list.";

/// sshd does not demand a touch.
pub const NO_TOUCH_DEMANDED: &str = "It does not count yet, and a code is still asked for: sshd must demand a touch. An administrator sets \
                                     'PubkeyAuthOptions touch-required' in sshd_config, or 'verify-required' for a PIN.";

/// A code was sent to an address that is shown as `shown`; `is_late`: no provider has confirmed it.
pub fn code_sent(channel: Channel, shown: &str, lifetime: Duration, is_late: bool) -> String {
    let lifetime = counted(lifetime.seconds() / 60, "minute");
    let way = channel.noun();
    let late = if is_late { " and may be late" } else { "" };
    format!("A code was sent by {way} to {shown}{late}. It is valid for {lifetime}.")
}

/// A right code made the device trusted.
pub fn device_trusted(until: Timestamp, now: Timestamp) -> String {
    format!(
        "No code is asked for here until {}. To undo this: twofa device list.",
        moment(until, now)
    )
}

/// The same on a host of a fleet, where devices are listed on its servers.
pub fn device_trusted_on_host(until: Timestamp, now: Timestamp) -> String {
    format!(
        "No code is asked for here until {}. An administrator can undo this.",
        moment(until, now)
    )
}

/// The session has a lifetime.
pub fn session_ends(until: Timestamp, now: Timestamp) -> String {
    format!("This session ends at {}.", moment(until, now))
}

/// No code is sent to a program that may not answer.
pub const NOT_SENT_YET: &str = "No code has been sent yet.";

/// The last code was sent for another login and works only there.
pub fn sent_to_another_login(next: Timestamp, now: Timestamp) -> String {
    let seconds = counted(seconds_until(next, now), "second");
    format!(
        "A code was just sent for another login of yours and works only there. For a new one, type r in {seconds}."
    )
}

/// Another code was asked for too soon.
pub fn too_soon(next: Timestamp, now: Timestamp) -> String {
    let seconds = counted(seconds_until(next, now), "second");
    format!("A code is already on its way. Another one can be sent in {seconds}.")
}

/// The user asked for another code, but none of their methods sends codes.
pub const NOTHING_TO_RESEND: &str = "No codes are sent to you: your authenticator app shows them.";

/// For a user who asks for another method and has only one.
pub const fn no_other_method(has_backup: bool) -> &'static str {
    if has_backup {
        "You have no other method except your backup codes: type one of them."
    } else {
        "You have no other method."
    }
}

/// `text`, and the advice to use a backup code if there is one.
pub fn with_backup_code(text: &str, has_backup: bool) -> String {
    let or_backup = if has_backup {
        " Use a backup code."
    } else {
        ""
    };
    format!("{text}{or_backup}")
}

/// What was wrong with an answer, and how many tries are left.
pub fn try_again(hint: &str, tries: u32) -> String {
    format!("{hint} ({})", tries_left(tries))
}

/// The same at the confirmation of an address that is shown as `shown`.
pub fn not_confirmed_yet(wrong: &str, tries: u32, shown: &str) -> String {
    format!("{}\nThe code was sent to {shown}.", try_again(wrong, tries))
}

/// Help at a prompt for a code, for somebody with these methods.
pub fn help(methods: &[Method], has_backup: bool) -> String {
    let mut text = Vec::new();
    if methods.contains(&Method::App) || methods.is_empty() {
        text.push(
            "Open the authenticator app that you set up for this machine and type the digits it shows now.",
        );
    }
    if methods.iter().any(|method| method.channel().is_some()) {
        text.push(
            "Type the code that was sent to you; r sends a new one, and the old one stops working.",
        );
    }
    if methods.len() > 1 {
        text.push("m lists your other methods.");
    }
    if has_backup {
        text.push("If you cannot get a code, type one of your backup codes (abcd-efgh-ijkm-npqr).");
    }
    text.join(" ")
}

/// What was refused since the last login.
pub fn missed(missed: &Missed, now: Timestamp) -> String {
    let Missed {
        count,
        last_at,
        last_from,
    } = missed;
    let attempts = if *count == 1 {
        "was one failed attempt".to_owned()
    } else {
        format!("were {count} failed attempts")
    };
    let from = last_from
        .as_deref()
        .map_or(String::new(), |from| format!(" from {}", printable(from)));
    let last = if *count == 1 { "at" } else { "the last at" };
    format!(
        "There {attempts} to log in as you since your last login, {last} {}{from}.",
        moment(*last_at, now)
    )
}

/// Few backup codes are left.
pub fn backup_codes_left(left: usize) -> String {
    match left {
        0 => "No backup codes are left. Make new ones with 'twofa codes --new'.".to_owned(),
        1 => "One backup code is left. Make new ones with 'twofa codes --new'.".to_owned(),
        2 => "2 backup codes are left. Make new ones with 'twofa codes --new'.".to_owned(),
        n => format!("{n} backup codes are left."),
    }
}

/// The number that a text message came from.
pub fn texted_from(shown: &str) -> String {
    format!("Your text message came from {shown}.")
}

/// Backup codes that were shown do not count.
pub const BACKUP_CODES_NOT_KEPT: &str =
    "The backup codes were not confirmed and do not work. Make new ones with 'twofa codes --new'.";

/// Backup codes that were shown at `at` do not work; `left` earlier ones still do.
pub fn void_codes(at: Timestamp, left: usize, now: Timestamp) -> String {
    let at = moment(at, now);
    let earlier = if left > 0 {
        ", and your earlier ones still do"
    } else {
        ""
    };
    format!(
        "The backup codes shown at {at} were not confirmed and do not work{earlier}. Make new ones with 'twofa codes \
         --new'."
    )
}

/// Backup codes were made where there were some.
pub const BACKUP_CODES_REPLACED: &str =
    "These are your backup codes now. Earlier ones no longer work.";

/// An app was enrolled.
pub fn app_enrolled(label: &str) -> String {
    format!("Your authenticator app is enrolled as '{label}'.")
}

/// An address was enrolled.
pub fn address_enrolled(channel: Channel, address: &str) -> String {
    let way = channel.noun();
    format!("Codes can be sent by {way} to {address} from now on.")
}

/// How a number was read.
pub fn number_read(number: &str) -> String {
    format!("Your number was read as {number}.")
}

/// A method was enrolled where no login asks for it.
pub const NOT_ASKED_YET: &str = "Logins do not ask for it yet: the mode asks nobody.";

/// All of what was set is so already.
pub const NOTHING_TO_CHANGE: &str = "Nothing to change: it is already set that way.";

/// What was changed about `user`.
pub fn user_changed(user: &str, change: &str) -> String {
    format!("{user}: {change}.")
}
