//! Why a login was refused, or what would have become of it.

use serde::{Deserialize, Serialize};
use twofa_core::lockout::Lock;

/// Why a login was refused, or a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum RefusalReason {
    /// The code is wrong.
    WrongCode,
    /// The code was right and is used already.
    Replayed,
    /// The code is of now, and one of a later time was accepted before: the clock of this machine went back.
    ClockWentBack,
    /// A hardware token is ahead of what was accepted last; its next code proves it (RFC 4226 §7.4).
    TokenAhead,
    /// The code is of another time: a clock is wrong.
    Drifted {
        /// How far the code is ahead; negative: behind.
        seconds: i64,
    },
    /// The code was sent too long ago.
    SentCodeExpired,
    /// The code was sent by a method that was taken away since.
    MethodRemoved,
    /// The code was sent to an address that is not the user's any longer.
    AddressChanged,
    /// It is no backup code of the user that is unused.
    UnknownBackupCode,
    /// The backup code was used by another login at the same time.
    BackupCodeJustUsed,
    /// Nothing that could be a code was typed.
    NothingToVerify,
    /// The user was removed while the code was typed.
    UserRemoved,
    /// No code was entered.
    NoCodeEntered,
    /// The login was left at the prompt, after the first factor was right.
    GivenUp,
    /// sshd can ask nothing after a key alone or by its method `password`.
    NotAskedBySshd,
    /// sudo did not authenticate.
    NotAskedBySudo,
    /// The program did not authenticate.
    NotAsked,
    /// The trust in the device ended between the two phases of a login.
    TrustEnded,
    /// The program asks only once, and a code would have to be sent or a method enrolled first.
    OnePrompt,
    /// The user was asked to enrol and did not.
    NotConfirmed,
    /// It is not the user's invitation.
    WrongInvitation,
    /// The invitation was used already: a first method has been set up since it was made.
    UsedInvitation,
    /// The invitation has expired.
    ExpiredInvitation,
    /// It is no rescue code of this host that is unused.
    WrongRescueCode,
    /// No method that the policy allows can be enrolled: nothing carries its codes.
    NoMethod,
    /// Nothing carries codes to the address by which the user would have to be proved.
    OutOfReach,
    /// The user's methods changed while they enrolled.
    MethodsChanged,
    /// A second factor is required, none is enrolled, and nobody is enrolled at a login.
    NotEnrolled,
    /// The method that is enrolled is no longer allowed, and nobody is enrolled at a login.
    NotAllowed,
    /// The account is locked.
    Locked {
        /// Until then, in seconds since 1970; `None`: until an administrator unlocks it.
        until: Option<i64>,
    },
    /// There is a record under the same name or uid of another account.
    IdentityMismatch,
}

impl AsRef<Self> for RefusalReason {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl From<Lock> for RefusalReason {
    fn from(lock: Lock) -> Self {
        Self::Locked {
            until: match lock {
                Lock::Until(until) => Some(until.unix()),
                Lock::Administrator => None,
            },
        }
    }
}

/// Why a login was refused in which the first factor may have been wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnprovedReason {
    /// There is no such account.
    NoAccount,
    /// A program that is not root asked about another account than its own.
    NotPermitted,
    /// The user has nothing that could be shown there, or the rules refuse the user.
    NothingToShow,
    /// No code was typed.
    NoCode,
    /// The code was wrong, or the password was.
    WrongCode,
    /// There had been too many wrong codes.
    Locked,
}

/// What the mode mandatory would have done with a login that was only reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReportedOutcome {
    /// Asked for a code of a method that is enrolled.
    Asked,
    /// Not asked, because a trusted device stands in for a code.
    Trusted,
    /// Led through enrolment.
    Enrols,
    /// Led through the enrolment of another method, because those that are enrolled are not allowed.
    Replaces,
    /// Refused: no method is enrolled, or none that is allowed, and the policy has users enrol before the login.
    NoMethod,
    /// Refused: no provider delivers codes of a method that is enrolled, or of one that could be.
    NoProvider,
    /// Refused: the program that logs the user in cannot ask for a code.
    CannotAsk,
    /// Refused after too many wrong codes.
    Locked,
    /// Refused: the account's name or uid is that of another account's record.
    IdentityMismatch,
    /// Not asked, because of an exemption.
    Exempt,
}

impl ReportedOutcome {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Asked,
        Self::Trusted,
        Self::Enrols,
        Self::Replaces,
        Self::NoMethod,
        Self::NoProvider,
        Self::CannotAsk,
        Self::Locked,
        Self::IdentityMismatch,
        Self::Exempt,
    ];

    /// Whether the login would have been refused.
    pub const fn is_refusal(self) -> bool {
        match self {
            Self::NoMethod
            | Self::NoProvider
            | Self::CannotAsk
            | Self::Locked
            | Self::IdentityMismatch => true,
            Self::Asked | Self::Trusted | Self::Enrols | Self::Replaces | Self::Exempt => false,
        }
    }

    /// The name in the log, such as `no-method`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Trusted => "trusted",
            Self::Enrols => "enrols",
            Self::Replaces => "replaces",
            Self::NoMethod => "no-method",
            Self::NoProvider => "no-provider",
            Self::CannotAsk => "cannot-ask",
            Self::Locked => "locked",
            Self::IdentityMismatch => "identity-mismatch",
            Self::Exempt => "exempt",
        }
    }
}
