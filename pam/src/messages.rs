//! Every sentence that people read from the module: users on their screens, administrators in the system log.
//!
//! What users are shown comes from the broker, except for [`UNAVAILABLE`].

use std::fmt::Display;

/// What the user reads when the broker has shown no error.
pub const UNAVAILABLE: &str = "The second factor cannot be checked now, so this login is refused. \
                               An administrator can find the reason in the system log.";

/// The application has no name for `PAM_USER`.
pub const NO_USER: &str = "the application names no user";
/// No account that the broker knows has such a name.
pub const USER_NOT_UTF8: &str = "the user's name is not UTF-8";
/// CVE-2024-9313.
pub const USER_CHANGED: &str = "the application changed the user during the conversation";
/// libpam has no memory left, or no data for this handle.
pub const CODE_NOT_KEPT: &str = "the code cannot be kept for a later line";
/// The modules that follow would ask for the password again, or get it with the code.
pub const PASSWORD_NOT_SET: &str = "PAM_AUTHTOK cannot be set";
/// `use_first_pass`, and nothing was split off.
pub const NO_CODE_IN_PASSWORD: &str =
    "the password from an earlier module ends in no code, or in one that was already sent";
/// An account line without `challenge`.
pub const MAY_NOT_ASK: &str = "the broker asks for a code where this line may not ask the user";
/// A result of a request that the module does not make.
pub const UNEXPECTED_RESULT: &str = "the broker sent the result of another request";
/// The broker is of the previous release, as during an upgrade.
pub const PREVIOUS_VERSION: &str = "the broker is of an older release, and speaks the previous version of the protocol; \
                                    if no upgrade is under way, restart twofad";
/// The application returned no answer to a prompt.
pub const NO_ANSWER: &str = "the terminal gave no answer";
/// The same in sshd, whose method `password` cannot ask anything.
pub const NO_ANSWER_SSHD: &str =
    "sshd got no answer; if nothing was asked, set KbdInteractiveAuthentication yes in sshd_config";
/// `challenge` on an auth line.
pub const CHALLENGE_IN_AUTH: &str = "option \"challenge\" belongs on an account line";
/// `proved` on an account line, where sshd may not have told what it proved.
pub const PROVED_IN_ACCOUNT: &str = "option \"proved\" belongs on an auth line";

/// What a line with `proved` found.
pub const fn proved_key(is_proved: bool) -> &'static str {
    if is_proved {
        "sshd proved a key of the user's"
    } else {
        "no key of the user's was proved by sshd"
    }
}
/// `confirm` on an auth line.
pub const CONFIRM_IN_AUTH: &str = "option \"confirm\" belongs on an account line";

/// An option that cannot be obeyed.
pub fn refused_for_options(why: &dyn Display) -> String {
    format!("every login is refused until this is corrected: {why}")
}

/// A session line with an option that cannot be obeyed.
pub fn session_not_recorded(why: &dyn Display) -> String {
    format!("no session is recorded until this is corrected: {why}")
}

/// A password line with an option that cannot be obeyed.
pub fn password_not_told(why: &dyn Display) -> String {
    format!("no new password ends the trust in devices until this is corrected: {why}")
}

/// The broker does not know of a new password.
pub const TRUST_NOT_ENDED: &str = "the broker could not be told of a new password, which therefore ended the trust in no \
     device: twofa device revoke --all --user USER ends it";

/// The broker at a socket serves this login.
pub fn served_at(socket: &dyn Display) -> String {
    format!("served by the broker at {socket}")
}

/// No broker at a socket serves this login.
pub fn no_broker_at(socket: &dyn Display, why: &dyn Display) -> String {
    format!("no broker at {socket}: {why}")
}

/// Another one is started instead.
pub fn starting(no_broker: &str, program: &str) -> String {
    format!("{no_broker}; starting {program}")
}

/// That one does not serve this login either.
pub fn not_started(no_broker: &str, program: &str, why: &dyn Display) -> String {
    format!("{no_broker}; {program} was started instead and failed: {why}")
}

/// A process that listens at the socket and may not be the broker.
pub fn not_the_broker(uid: u32, service_user: &str) -> String {
    format!("uid {uid} listens there, which is neither root nor {service_user}")
}

/// An option that does not exist.
pub fn unknown_option(option: &str) -> String {
    format!("unknown option {option:?}")
}

/// `socket=` with a relative path.
pub fn not_absolute(option: &str) -> String {
    format!("option {option:?} needs an absolute path")
}

/// An option that contradicts another.
pub fn contradiction(option: &str) -> String {
    format!("option {option:?} contradicts one before it")
}
