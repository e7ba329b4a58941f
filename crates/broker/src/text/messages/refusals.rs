//! Why something is not done, for the person.

use twofa_core::{Channel, Lock, Timestamp};
use twofa_store::SendLimit;
use twofa_store::event::RefusalReason;

use super::moment;

/// No code was sent by `channel`.
pub fn not_sent(channel: Channel) -> String {
    format!("The {} with your code could not be sent.", channel.noun())
}

/// A limit on codes was reached.
pub fn too_many_codes(limit: SendLimit, next: Timestamp, now: Timestamp) -> String {
    let what = match limit {
        SendLimit::User => "Too many codes have been sent to you.",
        SendLimit::Address => "Too many codes have been sent to this address.",
        SendLimit::Machine => "Too many codes have been sent to all users of this machine.",
        SendLimit::Host => "Too many codes have been sent for logins on this host.",
        SendLimit::Unverified => {
            "Too many of your codes have been sent to addresses that are not verified yet."
        }
        SendLimit::UnverifiedSms => {
            "Too many text messages have been sent from this machine to numbers that are not verified yet."
        }
        SendLimit::Sms => "This machine has sent as many text messages as it may in a day.",
    };
    let instead = match limit {
        SendLimit::User | SendLimit::Address | SendLimit::Machine | SendLimit::Host => "",
        SendLimit::Unverified | SendLimit::UnverifiedSms | SendLimit::Sms => {
            " Until then, use another method or ask an administrator."
        }
    };
    let next = moment(next, now);
    format!("{what} The next can be sent at {next}.{instead}")
}

/// The limit on changes without a code was reached.
pub fn too_many_changes(next: Timestamp, now: Timestamp) -> String {
    let next = moment(next, now);
    format!(
        "Too many changes were made before a second factor was set up. The next can be made at {next}."
    )
}

/// A user's number is in a country that users' numbers may not be in.
pub fn number_elsewhere(number: &str, country: Option<&str>, allowed: &[String]) -> String {
    let from = country.map_or(String::new(), |country| format!(" from {country}"));
    let (why, set) = match allowed {
        [] => (
            "users cannot enrol phone numbers on this machine".to_owned(),
            country.unwrap_or("DE"),
        ),
        allowed => (
            format!("users can enrol only numbers from {}", allowed.join(", ")),
            "...",
        ),
    };
    let digits = number.replace(' ', "");
    format!(
        "{number} is a number{from}, and {why}: an administrator can set it with 'twofa user set NAME \
         phone={digits}', or allow its country with 'twofa policy set phone.countries={set}'"
    )
}

/// A user's number cannot be that of a mobile phone.
pub fn number_not_mobile(number: &str) -> String {
    let digits = number.replace(' ', "");
    format!(
        "{number} is not a mobile number, and many other numbers cannot receive text messages: enter a mobile number, \
         or ask an administrator to set this one with 'twofa user set NAME phone={digits}'"
    )
}

/// Users cannot enrol phone numbers.
pub const NO_NUMBERS: &str = "Users cannot enrol phone numbers on this machine. An administrator can set yours ('twofa user \
                              set NAME phone=...'), or allow the numbers of a country ('twofa policy set \
                              phone.countries=...').";

/// The account is locked.
pub fn locked(lock: Lock, now: Timestamp) -> String {
    match lock {
        Lock::Until(until) => {
            let until = moment(until, now);
            format!(
                "Too many wrong codes: locked until {until}. An administrator can unlock it sooner."
            )
        }
        Lock::Administrator => {
            "Too many wrong codes: locked until an administrator unlocks it.".to_owned()
        }
    }
}

/// No method is enrolled, and none can be enrolled at a login.
pub fn not_enrolled(application: &str, user: &str) -> String {
    format!(
        "{application} requires a second factor, and none is set up for {user}. Ask an administrator to run \
         'twofa enrol app --user {user}' with you."
    )
}

/// Every method that is enrolled is no longer allowed, and none can be enrolled at a login.
pub const NOT_ALLOWED: &str = "The policy no longer allows the second factor you have set up, so this login is refused. \
                               Ask an administrator.";

/// The account has the name or the uid of somebody else's record.
pub const IDENTITY_MISMATCH: &str = "A second factor is registered for a different account with this name or user ID. Ask an \
                                     administrator.";

/// The second factor cannot be checked.
pub const UNAVAILABLE: &str = "The second factor cannot be checked now, so this is refused. An administrator can find \
                               the reason in the system log.";

/// This machine is a host of a fleet, and only half of what says so is there.
pub const NOT_A_MEMBER: &str = "This machine's membership of its fleet is damaged, so nobody but root can log in. An \
                                administrator can find the reason in the system log.";

/// The host's copy of the rules of its fleet is not what a server has signed.
pub const POLICY_DAMAGED: &str = "This machine's copy of the fleet's policy is damaged, so accounts that are shared with the \
                                  fleet cannot log in. An administrator can find the reason in the system log.";

/// No server of the fleet decides.
pub const NO_SERVER: &str = "No server of the fleet can be reached to check the second factor, so this is refused. Try \
                             again later, or ask an administrator.";

/// There were too many wrong rescue codes.
pub const RESCUE_LOCKED: &str = "Too many wrong rescue codes. This host accepts none for this account until it has reached a \
                                 server and has new ones.";

/// A login on a host went on for too long, or elsewhere.
pub const CONVERSATION_OVER: &str = "This login is over, so this is refused. Log in again.";

/// As many logins wait for an answer as may.
pub const TOO_MANY_LOGINS: &str = "Too many logins wait for a code at the moment, so this is refused. Try again in a few minutes.";

/// The host was removed from the fleet, or its certificate has ended.
pub const HOST_REFUSED: &str =
    "This host is not a member of the fleet, so access is denied. Ask an administrator.";

/// A host may not use this service, or not ask about this person, whether that exists or not.
pub const NOT_FOR_THIS_HOST: &str =
    "The fleet does not allow this login on this host, so this is refused. Ask an administrator.";

/// A host is cut off, or has asked about too many people.
pub const TOO_MUCH_OF_A_HOST: &str =
    "This host has been stopped after too many requests, so this is refused. Ask an administrator.";

/// A host asks about uid 0.
pub const ROOT_IS_LOCAL: &str = "The fleet does not decide about root.";

/// A token lets no server join.
pub const SERVER_TOKEN_REFUSED: &str = "the token has been used, has expired, or is none for a server; 'twofa server add' issues a new one";

/// A host or server could not join, or be told about itself, because of the server.
pub const JOIN_FAILED: &str = "the server cannot do that now; see its system log";

/// A host has renewed with a certificate that was renewed before.
pub const HOST_COPIED: &str = "this host and a copy of it used the same certificate, so both are refused: run 'twofa host \
                               renew' on a server, then 'twofa leave' and 'twofa join' on the host that is the right one";

/// Enrolment takes more than the one prompt that a client has.
pub const ONE_PROMPT_TO_ENROL: &str = "A second factor must be set up first. That takes several questions, and this program \
                                       can ask only one. Log in once with ssh or on the console.";

/// A client has its one prompt before a code is sent.
pub const ONE_PROMPT_TO_SEND: &str = "Your codes are sent by e-mail or text message, and this program asks its only \
                                      question before one can be sent. Log in with ssh or on the console.";

/// The address on file must prove the person, and no provider sends there.
pub const OUT_OF_REACH: &str = "A second factor must be set up first, with a code to the address on file for you, and this \
                                machine cannot send one. Ask an administrator.";

/// No method that is allowed can be set up.
pub const NO_METHOD: &str = "A second factor must be set up first, and none of the allowed methods can be: this \
                             machine cannot send codes. Ask an administrator.";

/// No second factor was set up where one must be.
pub const NOT_SET_UP: &str = "No second factor was set up, so this login is refused.";

/// What was decided when the login began no longer holds.
pub const CHANGED_MEANWHILE: &str = "Your second factor was changed in the meantime: log in again.";

/// No tries are left.
pub const TOO_MANY_WRONG_ANSWERS: &str = "Too many wrong answers.";

/// What was typed cannot be a code, and may be a password.
pub const NOT_A_CODE: &str = "That cannot be a code. A code is the digits that your authenticator app shows or that were sent \
                              to you, or a backup code, and never your password.";

/// The only answer was wrong.
pub const WRONG_CODE: &str = "Wrong code.";

/// The only answer was empty.
pub const NO_CODE_ENTERED: &str = "No code was entered.";

/// A code was typed too late.
pub const EXPIRED_CODE: &str = "That code has expired: type r for a new one.";

/// A code to an address is wrong.
pub const NOT_THE_CODE: &str = "That is not the code.";

/// A login came to the account phase without a code, and none can be asked for there.
pub struct NotAsked {
    /// For the person.
    pub person: &'static str,
    /// For the log, where it says what an administrator can do.
    pub why: RefusalReason,
}

/// Why no code was asked for, and what can be done.
pub fn not_asked(service: Option<&str>, is_sshd_without_questions: bool) -> NotAsked {
    match service {
        _ if is_sshd_without_questions => NotAsked {
            person: "This login needs a verification code, and sshd cannot ask for one after a key alone or with its \
                     'password' method. Try 'ssh -o PubkeyAuthentication=no -o \
                     PreferredAuthentications=keyboard-interactive', or ask an administrator.",
            why: RefusalReason::NotAskedBySshd,
        },
        Some("sudo" | "sudo-i") => NotAsked {
            person: "sudo needs a verification code here and did not ask for one. Try 'sudo -k' first, or ask an \
                     administrator.",
            why: RefusalReason::NotAskedBySudo,
        },
        Some("doas") => NotAsked {
            person: "doas needs a verification code here and did not ask for one. Try 'doas -L' first, or ask an \
                     administrator.",
            why: RefusalReason::NotAsked,
        },
        _ => NotAsked {
            person: "This login needs a verification code and was not asked for one. Ask an administrator.",
            why: RefusalReason::NotAsked,
        },
    }
}
