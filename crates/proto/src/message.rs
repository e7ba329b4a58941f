//! The messages. None of them says who is asking: that is the peer of the socket.

use serde::{Deserialize, Serialize};

use crate::evidence::{Confirm, Evidence};
use crate::secret::Secret;
use crate::session::{SessionLimit, SessionProcess, SessionReport, SessionStart};

/// A message from a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "a connection has one request")]
pub enum FromClient {
    /// Makes the request.
    Open {
        /// The client's [`crate::VERSION`].
        version: u16,
        /// What the client asks for.
        request: Request,
        /// The uid of the person who logged in and became the client's user since (`/proc/self/loginuid`), if known. It is
        /// believed from root alone, and decides nothing: the log has it.
        login_uid: Option<u32>,
    },
    /// The answer to a prompt; `None`: the terminal gave none.
    Answer(Option<Secret>),
}

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Authenticate a login.
    Login(Login),
    /// Decide whether a login that has passed the first factor may go on without a second one. Ask for it only if
    /// [`Login::may_ask`].
    Account(Login),
    /// Report a user's status.
    Status {
        /// The login name of the user that the request is about.
        user: String,
    },
    /// Enrol an authenticator app.
    EnrolApp {
        /// The login name of the user that the request is about.
        user: String,
        /// Its label and parameters.
        app: AppRequest,
    },
    /// Enrol an address for codes. It is kept once a code that was sent there has been typed.
    EnrolAddress {
        /// The login name of the user that the request is about.
        user: String,
        /// `email` or `sms`.
        method: String,
        /// The address; `None`: the one on file, or else the user is asked.
        address: Option<String>,
    },
    /// Enrol a security key, which logs in by ssh.
    EnrolSecurityKey {
        /// The login name of the user that the request is about.
        user: String,
        /// Its label; `None`: the broker chooses one.
        label: Option<String>,
        /// The public key as in a `.pub` file; `None`: one that sshd verified in a login whose session is open.
        key: Option<String>,
    },
    /// Remove an app or security key by its label, the address of `email` or `sms`, or the backup codes by `backup`.
    Remove {
        /// The login name of the user that the request is about.
        user: String,
        /// The label, `email`, `sms` or `backup`.
        method: String,
    },
    /// Change what users set for themselves, all of it or nothing.
    Set {
        /// The login name of the user that the request is about.
        user: String,
        /// `never`, `new-device` or `always`.
        verify: Option<String>,
        /// The e-mail address; an empty one is removed.
        email: Option<String>,
        /// The phone number; an empty one is removed.
        phone: Option<String>,
        /// The method that logins ask for first: `app`, `email` or `sms`; an empty one is removed.
        prefer: Option<String>,
        /// Root attests that the addresses are the user's.
        attested: bool,
    },
    /// Make new backup codes; the old ones stop working.
    NewBackupCodes {
        /// The login name of the user that the request is about.
        user: String,
    },
    /// Report the devices that are trusted.
    Devices {
        /// The login name of the user that the request is about.
        user: String,
    },
    /// End the trust in devices.
    RevokeDevices {
        /// The login name of the user that the request is about.
        user: String,
        /// The number of the device; `None`: all of them.
        id: Option<i64>,
    },
    /// Record that a login session begins, and say how long it may last.
    OpenSession(SessionStart),
    /// Record that the program of a session has closed it.
    CloseSession {
        /// The login name of the user as whom it runs.
        user: String,
        /// The process that opened it.
        process: SessionProcess,
    },
    /// End the trust in a user's devices, because the password changes. Believed only if it comes from root.
    PasswordChanged {
        /// The login name of the user that the request is about.
        user: String,
        /// `PAM_SERVICE` of the program that changes it, such as `passwd`.
        service: String,
        /// The uid that the program's user was logged in with (`/proc/self/loginuid`), if any.
        login_uid: Option<u32>,
    },
    /// Report a user's sessions that are open on record.
    Sessions {
        /// The login name of the user that the request is about.
        user: String,
        /// Only those with a higher number than this.
        after: i64,
    },
}

impl Request {
    /// The login name that the request is about.
    pub fn user(&self) -> &str {
        match self {
            Self::Login(login) | Self::Account(login) => &login.user,
            Self::OpenSession(start) => &start.user,
            Self::Status { user }
            | Self::EnrolApp { user, .. }
            | Self::EnrolAddress { user, .. }
            | Self::EnrolSecurityKey { user, .. }
            | Self::Remove { user, .. }
            | Self::Set { user, .. }
            | Self::NewBackupCodes { user }
            | Self::Devices { user }
            | Self::RevokeDevices { user, .. }
            | Self::CloseSession { user, .. }
            | Self::PasswordChanged { user, .. }
            | Self::Sessions { user, .. } => user,
        }
    }
}

/// A login as the PAM module describes it. The texts are claims of the application, for people and logs; nothing follows
/// from them but whose record is read.
#[allow(
    clippy::struct_excessive_bools,
    reason = "four facts, none of which follows from another"
)]
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Login {
    /// `PAM_USER`, the login name.
    pub user: String,
    /// `PAM_SERVICE`, such as `sshd`.
    pub service: String,
    /// `PAM_RHOST`, the host that the login comes from.
    pub remote_host: Option<String>,
    /// `PAM_RUSER`, the user who asks for the login: su and sudo set it.
    pub remote_user: Option<String>,
    /// `PAM_TTY`, the terminal of the login.
    pub terminal: Option<String>,
    /// The code is typed behind the password in one answer, so the prompt asks for both.
    pub behind_password: bool,
    /// The module's arguments on the line of the stack that asks. They tell which line that is, and so whether the first
    /// factor has been verified before it.
    pub arguments: Vec<String>,
    /// Device and inode of the `/etc/pam.d` that the application sees. In a container that is not the broker's.
    pub pam_folder: Option<(u64, u64)>,
    /// For [`Request::Account`]: the line has the argument `challenge`.
    pub may_ask: bool,
    /// The application is known to answer no prompt, as sshd's method `password` does; no code is sent for one.
    pub cannot_answer: bool,
    /// What sshd itself verified before, from its `SSH_AUTH_INFO_0`: on each line a method and its details.
    pub ssh_auth_info: Option<String>,
    /// What is known of the process; `None`: the application is not root.
    pub evidence: Option<Box<Evidence>>,
}

/// The app that is to be enrolled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppRequest {
    /// Its label; `None`: the broker chooses one.
    pub label: Option<String>,
    /// HOTP instead of TOTP.
    pub counter: bool,
    /// `SHA1`, `SHA256` or `SHA512`.
    pub algorithm: String,
    /// How many digits a code has, 6 or 8.
    pub digits: u8,
    /// Seconds in which a TOTP code is shown.
    pub period: u32,
}

/// A message from the broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromBroker {
    /// The request is being served. Until this arrives, a client can still turn to another broker.
    Accepted,
    /// Show this and send what is typed.
    Prompt(Prompt),
    /// Show this text.
    Info(Secret),
    /// Show this text as an error.
    Error(String),
    /// The request has ended.
    Done(Done),
}

/// A text that expects one answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompt {
    /// Everything the person must read before answering. May show a key (enrolment).
    pub text: Secret,
    /// Whether what is typed is shown.
    pub echo: bool,
    /// For password and code in one answer: how many digits the code at its end has.
    pub digits_behind_password: Option<u8>,
    /// The link of the key that the text shows. A client that knows its screen shows it as a picture too, before the last
    /// line.
    pub link: Option<Secret>,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Done {
    /// The end of [`Request::Login`] and [`Request::Account`].
    Login {
        /// What the module reports to the application.
        verdict: Verdict,
        /// Why, for the administrator's log. Never a secret.
        why: String,
        /// Whether the account phase of this process must ask once more.
        confirm: Confirm,
    },
    /// The end of [`Request::Status`].
    Status(Box<UserReport>),
    /// The end of [`Request::Devices`].
    Devices(Vec<DeviceReport>),
    /// The end of [`Request::RevokeDevices`].
    Revoked {
        /// How many devices were trusted until now.
        count: u64,
    },
    /// The end of [`Request::OpenSession`] and [`Request::CloseSession`].
    Session {
        /// How long the session may last; `None`: without end.
        limit: Option<SessionLimit>,
    },
    /// The end of [`Request::Sessions`].
    Sessions {
        /// By number.
        sessions: Vec<SessionReport>,
        /// Whether there are more, with higher numbers.
        has_more: bool,
    },
    /// A change was made, or the end of [`Request::PasswordChanged`].
    Changed,
    /// Nothing was changed.
    Failed {
        /// Which kind of failure.
        failure: Failure,
        /// What failed and why.
        message: String,
        /// What to do next.
        hint: Option<String>,
    },
}

/// The result of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// The code is right, and its use is on disk.
    Passed,
    /// The device is trusted. The application is told the same as for [`Self::NotRequired`].
    Trusted,
    /// The policy asks for nothing.
    NotRequired,
    /// An exemption covers the user. The application is told the same as for [`Self::NotRequired`]; the log is not.
    Exempt,
    /// Nothing was decided: a later line of the stack decides, with the code that was typed here.
    Later,
    /// For [`Confirm::Record`]: the broker no longer knows of the login, so that it can neither be recorded nor make a device
    /// trusted. The code was right.
    NoTicket,
    /// The login is refused.
    Denied,
    /// No attempts are left, or the account is locked.
    TriesUsedUp,
    /// The second factor cannot be checked now.
    Unavailable,
    /// No answer came from the terminal.
    NoAnswer,
}

/// Why a request was not carried out; each kind is an exit code of the CLI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failure {
    /// The request could not be carried out.
    Failed,
    /// The request is invalid.
    Usage,
    /// The peer may not make this request.
    NotPermitted,
    /// There is no such user or method.
    NotFound,
    /// A code was wrong, or the account is locked.
    Denied,
    /// The store cannot be reached.
    Unavailable,
}

/// A user's record, without secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserReport {
    /// The login name that the record is kept under.
    pub user: String,
    /// The numeric user ID of the account.
    pub uid: u32,
    /// Whether the user is asked for a code, locked or exempt.
    pub status: UserStatus,
    /// The class whose policy applies.
    pub class: String,
    /// When the user wants to be asked: `never`, `new-device` or `always`.
    pub verify: String,
    /// The e-mail address.
    pub email: Option<ContactReport>,
    /// The phone number.
    pub phone: Option<ContactReport>,
    /// The methods that a login can ask for, in that order.
    pub methods: Vec<String>,
    /// The exemptions in force.
    pub exemptions: Vec<ExemptionReport>,
    /// Whether an administrator requires a second factor.
    pub required: bool,
    /// Wrong codes since the last right one.
    pub failures: u64,
    /// The enrolled apps.
    pub apps: Vec<AppReport>,
    /// The enrolled security keys.
    pub security_keys: Vec<SecurityKeyReport>,
    /// Backup codes not used yet.
    pub backup_codes_left: u32,
    /// When backup codes were shown that were not confirmed and do not work, in seconds after the Unix epoch; `None`: there
    /// are none.
    pub void_codes_shown_at: Option<i64>,
    /// For how long a code makes which kinds of devices trusted, in seconds; without those that it does not.
    pub trust: Vec<(String, u64)>,
    /// For [`UserStatus::IdentityMismatch`]: how the account differs from the one on record, for people.
    pub difference: Option<String>,
}

/// A device that is trusted now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceReport {
    /// The number by which it is revoked.
    pub id: i64,
    /// `key`, `host`, `address`, `seat`, `session` or `terminal`.
    pub kind: String,
    /// What it is, for people.
    pub label: String,
    /// The host of the fleet on which it is trusted, or for a key that is trusted on all, was made so; `None`: this machine.
    pub host: Option<String>,
    /// The PAM service of the login that made it trusted.
    pub service: Option<String>,
    /// When a code made it trusted, in seconds after the Unix epoch.
    pub since: i64,
    /// When it last stood in for a code; at first the same as `since`.
    pub used_at: i64,
    /// When the trust ends under the policy in force.
    pub until: i64,
    /// How many users trust this device.
    pub users: u32,
}

/// The status of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UserStatus {
    /// Not asked for a code.
    Off,
    /// Must enrol at the next login.
    Pending,
    /// Has only methods that the policy no longer allows.
    NotAllowed,
    /// Asked for a code at each login.
    Enabled,
    /// Locked until this many seconds after the Unix epoch.
    LockedUntil(i64),
    /// Locked until an administrator unlocks it.
    Locked,
    /// Exempt until this many seconds after the Unix epoch; `None`: without end.
    Exempt(Option<i64>),
    /// Refused: a second factor is registered for another account with this name or this uid.
    IdentityMismatch,
    /// There is a record, and no account with its name or its uid.
    Gone,
    /// Not asked for a code, because the mode is report: logins are recorded.
    Reported,
}

/// An address on file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactReport {
    /// The e-mail address, or the phone number in E.164.
    pub address: String,
    /// Whether it has been verified.
    pub verified: bool,
}

/// An exemption that covers the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExemptionReport {
    /// The number by which administrators refer to it.
    pub id: i64,
    /// The administrator's reason.
    pub reason: String,
    /// When it ends, in seconds after the Unix epoch; `None`: never.
    pub until: Option<i64>,
    /// Where it applies, for people; `None`: everywhere.
    pub only: Option<String>,
}

/// An enrolled security key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityKeyReport {
    /// The label that the user gave it, unique among their methods.
    pub label: String,
    /// `SHA256:…`, as ssh-keygen(1) shows it.
    pub fingerprint: String,
    /// When it was enrolled, in seconds after the Unix epoch.
    pub enrolled_at: i64,
    /// When the user first logged in with it, in seconds after the Unix epoch; `None`: not yet.
    pub confirmed_at: Option<i64>,
}

/// An enrolled app without its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppReport {
    /// The label that the user gave it, unique among their apps.
    pub label: String,
    /// How its codes are made, for people.
    pub parameters: String,
    /// When it was enrolled, in seconds after the Unix epoch.
    pub enrolled_at: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_message_prints_a_secret() {
        let secret = || Secret::from("943287");
        let prompt = Prompt {
            text: secret(),
            echo: true,
            digits_behind_password: None,
            link: Some(secret()),
        };
        let messages = [
            format!("{:?}", FromClient::Answer(Some(secret()))),
            format!("{:?}", FromBroker::Prompt(prompt)),
            format!("{:?}", FromBroker::Info(secret())),
        ];
        for message in messages {
            assert!(
                message.contains("Secret(…)") && !message.contains("943287"),
                "{message}"
            );
        }
    }
}
