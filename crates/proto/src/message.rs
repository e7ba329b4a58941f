//! The messages. Claims about who is asking are not among them: that is the socket's peer.

use serde::{Deserialize, Serialize};

use crate::secret::Secret;

/// What a client sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromClient {
    /// Opens the conversation.
    Open {
        /// [`crate::VERSION`] of the client.
        version: u16,
        /// What the client wants.
        request: Request,
    },
    /// What was typed at a prompt; `None` when the terminal gave nothing back.
    Answer(Option<Secret>),
}

/// What a client wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Authenticate a login.
    Login(Login),
    /// Say whether a login that got past the first factor needs a second one; ask for it only where
    /// [`Login::may_ask`] says so.
    Account(Login),
    /// Report how a user stands.
    Status {
        /// Login name.
        user: String,
    },
    /// Enrol an authenticator app.
    EnrolApp {
        /// Login name.
        user: String,
        /// How the app is to work.
        app: AppRequest,
    },
    /// Enrol an address that codes are sent to. It is kept once a code sent there came back.
    EnrolAddress {
        /// Login name.
        user: String,
        /// `email` or `sms`.
        method: String,
        /// The address; `None`: the one that is known, else it is asked for.
        address: Option<String>,
    },
    /// Remove an app by its label, the address of `email` or `sms`, or the backup codes by `backup`.
    Remove {
        /// Login name.
        user: String,
        /// The label, `email`, `sms` or `backup`.
        method: String,
    },
    /// Set what people set for themselves, all or none.
    Set {
        /// Login name.
        user: String,
        /// `never`, `new-device` or `always`.
        verify: Option<String>,
        /// The e-mail address; an empty one is removed.
        email: Option<String>,
        /// The phone number; an empty one is removed.
        phone: Option<String>,
        /// The method a login begins with: `app`, `email` or `sms`; an empty one is forgotten.
        prefer: Option<String>,
        /// The addresses are known to be the user's: root's word for it.
        vouched: bool,
    },
    /// Make new backup codes; the old ones die.
    NewBackupCodes {
        /// Login name.
        user: String,
    },
}

impl Request {
    /// The login name that it is about.
    pub fn user(&self) -> &str {
        match self {
            Self::Login(login) | Self::Account(login) => &login.user,
            Self::Status { user }
            | Self::EnrolApp { user, .. }
            | Self::EnrolAddress { user, .. }
            | Self::Remove { user, .. }
            | Self::Set { user, .. }
            | Self::NewBackupCodes { user } => user,
        }
    }
}

/// A login as the PAM module found it. The text fields are what the application claims, for people and
/// logs; nothing is decided by them but whose record is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Login {
    /// `PAM_USER`.
    pub user: String,
    /// `PAM_SERVICE`, such as `sshd`.
    pub service: String,
    /// `PAM_RHOST`, where the login comes from.
    pub remote_host: Option<String>,
    /// `PAM_RUSER`, who asks for it: su and sudo say so.
    pub remote_user: Option<String>,
    /// `PAM_TTY`.
    pub terminal: Option<String>,
    /// The code comes behind the password in one answer, so the prompt asks for both.
    pub behind_password: bool,
    /// The module's arguments on the line of the stack that asks: which line that is tells whether the first factor
    /// has been shown when it is reached.
    pub arguments: Vec<String>,
    /// Device and inode of the `/etc/pam.d` that the application sees: in another root than the broker's, another one.
    pub pam_folder: Option<(u64, u64)>,
    /// With [`Request::Account`]: the line has the argument `challenge`.
    pub may_ask: bool,
    /// The application is known to answer no prompt, as sshd's method `password` is: nothing is sent for one.
    pub cannot_answer: bool,
    /// What sshd itself proved before, as its `SSH_AUTH_INFO_0` has it: a method and its details on each line.
    pub ssh_auth_info: Option<String>,
}

/// An app that is to be enrolled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppRequest {
    /// What its owner calls it; `None`: the broker finds a name.
    pub label: Option<String>,
    /// HOTP instead of TOTP.
    pub counter: bool,
    /// `SHA1`, `SHA256` or `SHA512`.
    pub algorithm: String,
    /// Digits of a code.
    pub digits: u8,
    /// Seconds a code lasts.
    pub period: u32,
}

/// What the broker sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromBroker {
    /// The request is being served. A client that waits in vain for this has lost nothing yet.
    Accepted,
    /// Show this and send back what is typed.
    Prompt(Prompt),
    /// Show this.
    Info(Secret),
    /// Show this as an error.
    Error(String),
    /// The end.
    Done(Done),
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompt {
    /// All that must be read before answering, in the prompt's own text. May hold a key (enrolment).
    pub text: Secret,
    /// Whether what is typed may be seen.
    pub echo: bool,
    /// Set when password and code are asked for in one: how many digits the code at the end has.
    pub digits_behind_password: Option<u8>,
}

/// How a conversation ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Done {
    /// The end of [`Request::Login`] and [`Request::Account`].
    Login {
        /// What the application is told.
        verdict: Verdict,
        /// Why, in words for the administrator's log. Never a secret.
        why: String,
    },
    /// The end of [`Request::Status`].
    Status(Box<Report>),
    /// A change was made.
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

/// What becomes of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// A right code, and its use is on disk.
    Passed,
    /// Policy asks nothing of this person.
    NotRequired,
    /// Policy would ask, and an exemption spares this person: to the application the same, to the log not.
    Exempt,
    /// Nothing was decided: a later line of the same stack decides, with the code that was typed here.
    Later,
    /// Refused.
    Denied,
    /// All tries are used up, or the account is locked.
    TriesUsedUp,
    /// The second factor cannot be checked now.
    Unavailable,
    /// The terminal gave no answer.
    NoAnswer,
}

/// Why a request was not carried out; each kind is an exit code of the CLI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failure {
    /// It could not be done.
    Failed,
    /// What was asked for makes no sense.
    Usage,
    /// Not for this peer.
    NotPermitted,
    /// There is no such user or method.
    NotFound,
    /// A code was wrong, or the account is locked.
    Denied,
    /// The store is out of reach.
    Unavailable,
}

/// How a user stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Login name.
    pub user: String,
    /// User id.
    pub uid: u32,
    /// Where the user stands.
    pub standing: Standing,
    /// The class whose policy holds.
    pub class: String,
    /// When the user wants to be asked.
    pub verify: String,
    /// The e-mail address.
    pub email: Option<ContactReport>,
    /// The phone number.
    pub phone: Option<ContactReport>,
    /// The methods a login can ask for, the first one first.
    pub methods: Vec<String>,
    /// The exemptions in force.
    pub exemptions: Vec<ExemptionReport>,
    /// An administrator requires a second factor.
    pub required: bool,
    /// Wrong codes in a row.
    pub failures: u64,
    /// The enrolled apps.
    pub apps: Vec<AppReport>,
    /// Backup codes not used yet.
    pub backup_codes_left: u32,
}

/// Where a user stands, for people and scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Not asked.
    Off,
    /// Must enrol.
    Pending,
    /// Is enrolled by methods that the policy no longer allows.
    NotAllowed,
    /// Asked at each login.
    Enabled,
    /// Locked until this many seconds after the Unix epoch.
    LockedUntil(i64),
    /// Locked until an administrator unlocks it.
    Locked,
    /// Not asked until this many seconds after the Unix epoch; `None`: for good.
    Exempt(Option<i64>),
}

/// An address that codes could be sent to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactReport {
    /// The address.
    pub address: String,
    /// Whether a code sent there came back.
    pub verified: bool,
}

/// An exemption that covers a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExemptionReport {
    /// The number it goes by.
    pub id: i64,
    /// Why.
    pub reason: String,
    /// Seconds after the Unix epoch; `None`: it does not end.
    pub until: Option<i64>,
    /// Where it holds, in words; `None`: everywhere.
    pub only: Option<String>,
}

/// An enrolled app without its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppReport {
    /// What its owner calls it.
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
    fn no_message_prints_what_was_typed_or_shown() {
        let secret = || Secret::from("943287");
        let prompt = Prompt {
            text: secret(),
            echo: true,
            digits_behind_password: None,
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
