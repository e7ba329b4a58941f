//! What people read: short, plain, and the same wherever it is said.

use jiff::tz::TimeZone;
use twofa_core::duration::Duration;
use twofa_core::exemption::Exemption;
use twofa_core::text::printable;
use twofa_core::user::masked;
use twofa_core::{Account, BackupCode, Channel, Lock, Method, Policy, Timestamp};
use twofa_store::event::{LoginOrigin, RefusalReason};
use twofa_store::{Missed, Origin, SendLimit, SmsAlarm, SmsCount};
use zeroize::Zeroizing;

/// The name this machine goes by in prompts and apps: the policy's, or the host's.
pub fn application_name(policy: &Policy) -> String {
    match &policy.application_name {
        Some(name) => name.clone(),
        None => nix::unistd::gethostname().map_or_else(
            |_| "this machine".to_owned(),
            |name| printable(&name.to_string_lossy()),
        ),
    }
}

/// The first question of a login that begins with what the person has at hand.
pub fn code_prompt(application: &str, has_app: bool, has_backup: bool, is_only: bool) -> String {
    let ways = match (has_app, has_backup) {
        (false, true) => "backup code",
        (_, false) => "authenticator app",
        (true, true) => "authenticator app or backup code",
    };
    let others = if is_only { "" } else { "; m: other ways" };
    format!("Verification code for {application} ({ways}{others}): ")
}

/// The one question for everybody where the password may be wrong: it tells nobody whether there is such an account, and
/// what it has.
pub fn uniform_prompt(application: &str) -> String {
    format!("Verification code for {application} (just press Enter if you have none): ")
}

/// The question for password and code in one answer. The same for everybody: the password is not checked yet.
pub const PASSWORD_AND_CODE: &str =
    "Password, with the verification code right behind it if you have one: ";

/// Asked first where it is doubtful whether anything can be.
pub fn enrolment_probe(application: &str) -> String {
    format!("A second factor must be set up for {application}. Press Enter to begin: ")
}

/// What a login is told that was let in without a code being asked for.
pub struct NotAsked {
    /// For the person.
    pub person: &'static str,
    /// For the log, where it says what an administrator can do.
    pub why: RefusalReason,
}

/// Why nobody asked for a code, by the service that it is about.
pub fn not_asked(service: Option<&str>, is_sshd_without_questions: bool) -> NotAsked {
    match service {
        _ if is_sshd_without_questions => NotAsked {
            person: "This login needs a verification code, and sshd cannot ask for one after a key alone or by its method \
                     'password'. Try 'ssh -o PubkeyAuthentication=no -o PreferredAuthentications=keyboard-interactive', \
                     or ask an administrator.",
            why: RefusalReason::NotAskedBySshd,
        },
        Some("sudo" | "sudo-i") => NotAsked {
            person: "sudo needs a verification code here and did not ask for one. Try 'sudo -k' first, or ask an \
                     administrator.",
            why: RefusalReason::NotAskedBySudo,
        },
        _ => NotAsked {
            person: "This login needs a verification code and was not asked for one. An administrator can help.",
            why: RefusalReason::NotAsked,
        },
    }
}

/// A line of the system log about `account`, in the form of the module's own. What is in quotes stays there: `Debug`
/// escapes quotes and what cannot be seen.
pub fn log_line(outcome: &str, origin: &Origin, account: &Account, why: &str) -> String {
    let none = LoginOrigin::default();
    let login = origin.as_login().unwrap_or(&none);
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let (host, by) = (text(&login.remote_host), text(&login.remote_user));
    let (service, terminal) = (origin.service().unwrap_or_default(), text(&login.terminal));
    let user = &account.name;
    format!(
        "second factor {outcome}: rhost={host:?} user={user:?} ruser={by:?} service={service:?} tty={terminal:?} why={why:?}"
    )
}

/// A further question, with what was said before it. Where codes are sent the keys for another one stand in it.
pub fn again(what: &str, application: &str, sends: bool, has_others: bool) -> String {
    let keys = match (sends, has_others) {
        (true, true) => " (r: new code, m: other ways, ?: help)",
        (true, false) => " (r: new code, ?: help)",
        (false, true) => " (m: other ways, ?: help)",
        (false, false) => "",
    };
    format!("{what}\nVerification code for {application}{keys}: ")
}

/// How codes get to an address of this kind.
pub const fn way(channel: Channel) -> &'static str {
    match channel {
        Channel::Email => "e-mail",
        Channel::Sms => "text message",
    }
}

/// A code is on its way, or as far as is known.
pub fn code_sent(channel: Channel, address: &str, lifetime: Duration, is_late: bool) -> String {
    code_sent_to(channel, &masked(address), lifetime, is_late)
}

/// The same, of an address as it is to be shown.
pub fn code_sent_to(channel: Channel, to: &str, lifetime: Duration, is_late: bool) -> String {
    let minutes = lifetime.seconds() / 60;
    let minutes = if minutes == 1 {
        "a minute".to_owned()
    } else {
        format!("{minutes} minutes")
    };
    let way = way(channel);
    if is_late {
        return format!(
            "A code was sent by {way} to {to} and may be late. It is good for {minutes}."
        );
    }
    format!("A code was sent by {way} to {to}. It is good for {minutes}.")
}

/// No code is on its way.
pub fn not_sent(channel: Channel) -> String {
    format!("The {} with your code could not be sent.", way(channel))
}

/// The question for an address.
pub fn address_question(channel: Channel, can_text_us: bool) -> &'static str {
    match (channel, can_text_us) {
        (Channel::Email, _) => "Your e-mail address: ",
        (Channel::Sms, false) => "Your phone number, with its country (+49 1512 3456789): ",
        (Channel::Sms, true) => {
            "Your phone number, with its country (+49 1512 3456789), or Enter to text us instead: "
        }
    }
}

/// How to text us.
pub fn text_us(number: &str, code: &str) -> String {
    format!(
        "Text this code from your phone to {number}:\n\n    {code}\n\nThen press Enter here, or type your number: "
    )
}

/// No text message came in yet.
pub fn nothing_came_in(number: &str) -> String {
    format!("Nothing has come in at {number} yet. Press Enter to look again, or type your number: ")
}

/// What a code is for that is sent at a login.
pub fn purpose_of_login(service: Option<&str>) -> String {
    service.map_or_else(
        || "log in".to_owned(),
        |service| format!("log in with {service}"),
    )
}

/// Another code was asked for too soon.
pub fn too_soon(next: Timestamp, now: Timestamp) -> String {
    let seconds = next.unix().saturating_sub(now.unix()).max(1);
    let seconds = if seconds == 1 {
        "a second".to_owned()
    } else {
        format!("{seconds} seconds")
    };
    format!("A code is on its way already. Another one can be sent in {seconds}.")
}

/// A code was sent for another login, which alone it is good for.
pub fn sent_to_another_login(next: Timestamp, now: Timestamp) -> String {
    let seconds = next.unix().saturating_sub(now.unix()).max(1);
    format!(
        "A code was just sent for another login of yours and is good there only. For a new one, type r in {seconds} s."
    )
}

/// The method that somebody has is no longer allowed, and there is no enrolling at the login.
pub const NOT_ALLOWED: &str = "The policy no longer allows the second factor you have set up, so this login is refused. \
                               An administrator can help.";

/// Stands before the question for a code by a method that is to be replaced.
pub fn prove_first(application: &str) -> String {
    format!(
        "{application} no longer allows the second factor you have set up. Use it one last time, then set up another.\n"
    )
}

/// Enough codes were sent.
pub fn too_many_codes(limit: SendLimit, next: Timestamp, now: Timestamp) -> String {
    let what = match limit {
        SendLimit::User => "Too many codes were sent to you.",
        SendLimit::Address => "Too many codes were sent to this address.",
        SendLimit::Machine => "Too many codes were sent to everybody on this machine.",
        SendLimit::Unverified => {
            "Too many codes were sent for you to addresses that are not confirmed yet."
        }
        SendLimit::UnverifiedSms => {
            "Too many text messages were sent from this machine to numbers that are not confirmed yet."
        }
        SendLimit::Sms => "This machine has sent as many text messages as it may in a day.",
    };
    let instead = match limit {
        SendLimit::User | SendLimit::Address | SendLimit::Machine => "",
        SendLimit::Unverified | SendLimit::UnverifiedSms | SendLimit::Sms => {
            " Until then use another way, or ask an administrator."
        }
    };
    format!(
        "{what} The next is possible at {}.{instead}",
        moment(next, now)
    )
}

/// Enough was changed without a code.
pub fn too_many_changes(next: Timestamp, now: Timestamp) -> String {
    format!(
        "Too many changes were made before a second factor was set up. The next is possible at {}.",
        moment(next, now)
    )
}

/// For the administrator: how many text messages went out.
pub fn sms_alarm(alarm: SmsAlarm, count: SmsCount, sms_daily: u32) -> String {
    let SmsCount { all, unverified } = count;
    let next = "see 'twofa log' for whom; if that is right, raise it with 'twofa policy set send.sms-daily=…'";
    match alarm {
        SmsAlarm::Unverified => format!(
            "text messages to numbers that are not verified, in the last 24 hours: {unverified}, which is the fifth of \
             send.sms-daily={sms_daily} that may be; until some are older no such number can be enrolled; {next}"
        ),
        SmsAlarm::Most => format!(
            "text messages with codes in the last 24 hours: {all}, and send.sms-daily={sms_daily} is soon reached; {next}"
        ),
        SmsAlarm::All => format!(
            "text messages with codes in the last 24 hours: {all}, and send.sms-daily={sms_daily} allows no more: until \
             some are older, codes go by other ways or not at all; {next}"
        ),
    }
}

/// A user's number is of a country that users' numbers may not be in.
pub fn number_elsewhere(number: &str, country: Option<&str>, allowed: &[String]) -> String {
    let of = country.map_or(String::new(), |country| format!(" of {country}"));
    let (why, set) = match allowed {
        [] => (
            "users cannot enrol phone numbers on this machine".to_owned(),
            country.unwrap_or("DE"),
        ),
        allowed => (
            format!("users can enrol numbers of {} alone", allowed.join(", ")),
            "…",
        ),
    };
    format!(
        "{number} is a number{of}, and {why}: an administrator can set it with 'twofa user set NAME phone={}', or allow \
         its country with 'twofa policy set phone.countries={set}'",
        number.replace(' ', ""),
    )
}

/// A user's number cannot be a mobile phone's.
pub fn number_not_mobile(number: &str) -> String {
    format!(
        "{number} is no mobile number, and many others take no text messages: give a mobile number, or an administrator \
         can set this one with 'twofa user set NAME phone={}'",
        number.replace(' ', ""),
    )
}

/// Users cannot enrol phone numbers by themselves.
pub const NO_NUMBERS: &str = "Phone numbers cannot be enrolled by users on this machine. An administrator can put yours in \
                              ('twofa user set NAME phone=…'), or allow those of a country ('twofa policy set \
                              phone.countries=…').";

/// How many tries are left.
pub fn tries_left(tries: u32) -> String {
    match tries {
        1 => "one try is left".to_owned(),
        n => format!("{n} tries are left"),
    }
}

/// Help at a code prompt, for somebody with these methods.
pub fn help(methods: &[Method], has_backup: bool) -> String {
    let mut text = Vec::new();
    if methods.contains(&Method::App) || methods.is_empty() {
        text.push(
            "Open the authenticator app that you set up for this machine and type the digits it shows now.",
        );
    }
    if methods.iter().any(|method| method.channel().is_some()) {
        text.push(
            "Type the code that was sent to you; r sends a new one, and the one before dies.",
        );
    }
    if methods.len() > 1 {
        text.push("m shows the other ways you have.");
    }
    if has_backup {
        text.push("Without any of it, type one of your backup codes (abcd-efgh-ijkm-npqr).");
    }
    text.join(" ")
}

/// What was typed cannot be a code.
pub const NOT_A_CODE: &str = "That cannot be a code: it is the digits your authenticator app shows or that were sent to you, or a backup code. Never your password.";

/// Why a locked account is refused, to its owner.
pub fn locked(lock: Lock, now: Timestamp) -> String {
    match lock {
        Lock::Until(until) => {
            format!(
                "Too many wrong codes: locked until {}. An administrator can unlock it sooner.",
                moment(until, now)
            )
        }
        Lock::Administrator => {
            "Too many wrong codes: locked until an administrator unlocks it.".to_owned()
        }
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
        jiff::Timestamp::from_second(moment.unix())
            .unwrap_or(jiff::Timestamp::MAX)
            .to_zoned(zone.clone())
    };
    let (at, now) = (local(at), local(now));
    let format = if at.date() == now.date() {
        "%H:%M"
    } else {
        "%Y-%m-%d %H:%M"
    };
    at.strftime(format).to_string()
}

/// The account has the name or the uid of somebody else's record.
pub const NAMESAKE: &str = "This account is not the one that a second factor was set up for under its name or number. Ask \
                            an administrator.";

/// Enrolment needs more than one prompt.
pub const NO_ROOM_TO_ENROL: &str = "A second factor must be set up first, which takes several questions, and this program can \
                                    ask one. Log in with ssh or on the console once.";

/// There is an address on file, and nothing can be sent there.
pub const OUT_OF_REACH: &str = "A second factor must be set up first, with a code sent to the address on file for you, and \
                                this machine cannot send one. Ask an administrator.";

/// Which method to set up, of these.
pub fn which_method(methods: &[Method]) -> String {
    let mut text = String::from("How do you want to log in from now on?\n");
    for (number, method) in (1..).zip(methods) {
        text.push_str(&format!("  {number}  with {}\n", method.info().phrase));
    }
    text.push_str("Type a number [1]: ");
    text
}

/// No method that is allowed can be set up now.
pub const NO_METHOD: &str = "A second factor must be set up first, and none that is allowed here can be now: codes cannot be \
                             sent from this machine. Ask an administrator.";

/// Codes are sent, and a client has one prompt.
pub const NO_ROOM_FOR_SENT: &str = "Your codes are sent to you, and this program can ask only one question, before one is sent. Log in with \
                                    ssh or on the console.";

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
    let service = exemption
        .service
        .as_ref()
        .map(|service| format!("at {service}"));
    match (network, service) {
        (None, None) => None,
        (Some(one), None) | (None, Some(one)) => Some(one),
        (Some(network), Some(service)) => Some(format!("{network} {service}")),
    }
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
        "There {attempts} to log in as you since the last time, {last} {}{from}.",
        moment(*last_at, now)
    )
}

/// The backup codes, and the question that shows that they were saved: the last group of the one at `asked`,
/// counted from zero.
pub fn backup_codes(codes: &[BackupCode], asked: usize) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::from(
        "Backup codes, for when you cannot get another code. Each works once.\n\
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
    format!(
        "When you have saved them, type the last four characters of number {}: ",
        asked + 1
    )
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
