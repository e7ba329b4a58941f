//! What can happen, and what is known of each time it did.

use serde::{Deserialize, Serialize};
use twofa_core::app::{OtpKind, Parameters};
use twofa_core::lockout::Lock;
use twofa_core::user::Verify;
use twofa_core::{Channel, Method};

use super::as_text::{self, optional as as_optional_text};

/// What happened. Its user, if it has one, its origin and its time are kept beside it. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "fields", rename_all = "kebab-case")]
pub enum Event {
    /// A code was right: at a login, which may still fail for other reasons, or to allow a change.
    Passed {
        /// What was shown.
        by: Proof,
    },
    /// A backup code was right, likewise.
    BackupCodeUsed,
    /// A login was refused, or a code for a change.
    Refused {
        /// The reason, of which programs make the sentence.
        why: RefusalReason,
    },
    /// A login was not asked because the mode is report.
    Reported {
        /// The class whose policy applied.
        class: String,
        /// What the mode mandatory would have done.
        outcome: ReportedOutcome,
    },
    /// Logins under the mode report of which there is no record.
    ReportsMissed {
        /// How many there were.
        count: u64,
        /// When the first of them was, in seconds since 1970.
        since: i64,
    },
    /// Logins were refused in which the first factor may have been wrong. Nothing in it was chosen by those who tried.
    UnprovedRefused {
        /// Why.
        reason: UnprovedReason,
        /// How many there were.
        count: u64,
        /// When the first of them was, in seconds since 1970.
        since: i64,
    },
    /// Wrong codes locked an account.
    Locked {
        /// How many there were in a row.
        failures: u64,
    },
    /// An authenticator app or token was enrolled.
    AppEnrolled(AppFields),
    /// An authenticator app or token was removed.
    AppRemoved {
        /// What its owner called it.
        label: String,
    },
    /// A security key was enrolled.
    SecurityKeyEnrolled {
        /// What its owner calls it.
        label: String,
        /// `SHA256:…`, as ssh-keygen(1) shows it.
        fingerprint: String,
    },
    /// A security key was removed.
    SecurityKeyRemoved {
        /// What its owner called it.
        label: String,
    },
    /// An address became a method, or took the place of one that was.
    AddressEnrolled {
        /// How codes get there.
        #[serde(with = "as_text")]
        channel: Channel,
        /// The new address.
        address: String,
        /// Why it counts as the user's.
        attestation: Attestation,
        /// The address that was the method until then, if it was another one.
        replaced: Option<String>,
    },
    /// An address is no longer a method.
    AddressRemoved {
        /// How codes got there.
        #[serde(with = "as_text")]
        channel: Channel,
        /// The address that was the method.
        address: String,
        /// The address that replaces it and is not verified yet.
        instead: Option<String>,
    },
    /// Backup codes were made where there were none.
    BackupCodesMade,
    /// Backup codes were made, and the ones before died.
    BackupCodesReplaced,
    /// The backup codes were removed.
    BackupCodesRemoved,
    /// A second factor is required of a user.
    Required,
    /// It is required no longer.
    Released,
    /// An administrator opened a lock.
    Unlocked {
        /// How many wrong codes in a row were forgotten with that.
        failures: u64,
    },
    /// An administrator removed all of a user's methods.
    Reset,
    /// An administrator removed a user's record.
    UserRemoved,
    /// An administrator changed a setting of the policy, or a class.
    PolicyChanged {
        /// A key, or `class NAME`, or `class NAME: KEY`.
        what: String,
        /// Its value before; `None`: there was none.
        from: Option<String>,
        /// Its value now; `None`: there is none.
        to: Option<String>,
    },
    /// An administrator exempted a user or a group.
    Exempted(ExemptionFields),
    /// An administrator ended an exemption.
    ExemptionEnded(ExemptionFields),
    /// An administrator made a record.
    UserAdded,
    /// What a user set, or an administrator for one, that is no method.
    UserChanged(UserChange),
    /// A code was sent.
    CodeSent {
        /// By which way.
        #[serde(with = "as_text")]
        channel: Channel,
        /// Where to, masked.
        to: String,
        /// The provider that took it.
        provider: String,
        /// What that provider calls the message.
        id: Option<String>,
        /// How long it took, with the providers that failed, in milliseconds. Earlier versions did not record it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        milliseconds: Option<u64>,
        /// The providers that failed before.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        failed: Vec<String>,
    },
    /// A code was not sent.
    CodeNotSent {
        /// By which way.
        #[serde(with = "as_text")]
        channel: Channel,
        /// Where to, masked.
        to: String,
        /// The reason, of which programs make the sentence.
        why: NotSent,
    },
    /// An administrator added a provider.
    ProviderAdded {
        /// The name that the administrator gave it.
        name: String,
        /// The name of its kind.
        of_kind: String,
        /// What it carries.
        #[serde(with = "as_text")]
        channel: Channel,
    },
    /// An administrator changed a provider.
    ProviderChanged {
        /// The name that the administrator gave it.
        name: String,
        /// The names of the settings that changed.
        settings: Vec<String>,
    },
    /// An administrator removed a provider.
    ProviderRemoved {
        /// The name that the administrator gave it.
        name: String,
        /// The name of its kind.
        of_kind: String,
    },
    /// An administrator changed the order in which providers are tried.
    ProviderOrderChanged {
        /// The channel that they are tried for.
        #[serde(with = "as_text")]
        channel: Channel,
        /// Their names, the first to be tried first.
        order: Vec<String>,
    },
    /// An administrator added a host to the fleet, which may now join.
    HostAdded {
        /// The name that the administrator gave it.
        name: String,
        /// The PAM services that it may ask for; empty: all.
        services: String,
        /// Whether people may set up their first method there.
        may_enrol: bool,
    },
    /// A host has joined.
    HostJoined {
        /// The name that the administrator gave it.
        name: String,
    },
    /// An administrator removed a host from the fleet.
    HostRemoved {
        /// The name that the administrator gave it.
        name: String,
    },
    /// This machine has joined a fleet.
    FleetJoined {
        /// The name that this machine has there.
        name: String,
    },
    /// This machine has left its fleet.
    FleetLeft {
        /// The name that this machine had there.
        name: String,
    },
    /// A device became trusted that was not.
    DeviceTrusted {
        /// Which.
        device: DeviceFields,
        /// Until when, in seconds since 1970.
        until: i64,
    },
    /// A device became trusted again, or an address soon after another.
    TrustRenewed {
        /// Which.
        device: DeviceFields,
        /// Until when, in seconds since 1970.
        until: i64,
    },
    /// The trust in a device was ended.
    DeviceRevoked {
        /// Which.
        device: DeviceFields,
    },
    /// The trust in all devices of a user, or of everybody, was ended.
    DevicesRevoked {
        /// How many there were.
        count: u64,
    },
    /// A new password ended the trust in all devices of a user.
    PasswordChanged {
        /// How many there were.
        count: u64,
    },
    /// A login session was ended from outside.
    SessionEnded {
        /// Which.
        session: SessionFields,
        /// Why.
        why: SessionEnd,
    },
    /// Earlier events gave way to this one, because there were too many.
    SummedUp {
        /// The name of their kind.
        of_kind: String,
        /// How many there were.
        count: u64,
        /// From how many places apart from the origin of this event, which is where most of them came from.
        other_places: u64,
        /// When the first of them was, in seconds since 1970.
        since: i64,
        /// When the last of them was, in seconds since 1970.
        until: i64,
        /// A hash of what proves that they were there, in hexadecimal.
        digest: String,
    },
    /// Events were removed because of their age.
    LogPruned {
        /// The number of the last one.
        through: i64,
        /// They were from before this time, in seconds since 1970.
        before: i64,
    },
    /// A verification key of the log was made.
    LogKeyMade {
        /// The number of the first checkpoint that it verifies.
        checkpoint: i64,
    },
    /// Many text messages were sent.
    SmsLimit {
        /// What about them an administrator should know.
        alarm: SmsAlarm,
        /// How many went out in the last 24 hours.
        all: u32,
        /// How many of them to numbers that were not verified.
        unverified: u32,
        /// `send.sms-daily` at that time.
        limit: u32,
    },
}

/// What a user showed in order to pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "kebab-case")]
pub enum Proof {
    /// A code of an authenticator app.
    App {
        /// Its label at that time.
        label: String,
    },
    /// A code that was sent.
    SentCode {
        /// By which way.
        #[serde(with = "as_text")]
        channel: Channel,
    },
    /// A backup code.
    BackupCode,
    /// A security key, with which sshd let the user in.
    SecurityKey {
        /// Its label at that time.
        label: String,
    },
    /// No code: the device is trusted.
    TrustedDevice(DeviceFields),
    /// The first code of an app that was enrolled in this login.
    EnrolledApp {
        /// Its label at that time.
        label: String,
    },
    /// A code that was sent to an address which was enrolled with it in this login.
    EnrolledAddress {
        /// By which way.
        #[serde(with = "as_text")]
        channel: Channel,
        /// The address, masked.
        address: String,
    },
}

/// A device, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceFields {
    /// The name of its kind.
    pub of_kind: String,
    /// What it is, such as an address or a key's fingerprint.
    pub label: String,
}

/// A login session, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionFields {
    /// Its number.
    pub number: i64,
    /// The PAM service.
    pub of_service: String,
    /// The host that it came from, else its terminal.
    pub place: Option<String>,
}

/// Why a login session was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionEnd {
    /// An administrator wanted it.
    Administrator,
    /// It was over its lifetime (`session.lifetime`).
    Lifetime,
}

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

/// An authenticator app, without its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppFields {
    /// Its label at that time.
    pub label: String,
    /// The name of its hash.
    pub algorithm: String,
    /// How many digits its codes have.
    pub digits: u8,
    /// Seconds of a time step; `None`: it counts codes (HOTP).
    pub period: Option<u32>,
}

impl AppFields {
    pub(crate) fn new(label: &str, parameters: Parameters) -> Self {
        Self {
            label: label.to_owned(),
            algorithm: parameters.algorithm().name().to_owned(),
            digits: parameters.digits(),
            period: match parameters.kind() {
                OtpKind::Time { period } => Some(period),
                OtpKind::Counter => None,
            },
        }
    }
}

/// Why an address counts as a user's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attestation {
    /// A code that was sent there came back.
    Confirmed,
    /// An administrator attested it.
    Administrator,
}

/// An exemption. Of a user it is where the event has one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExemptionFields {
    /// The number by which an administrator ends it.
    pub id: i64,
    /// The group whose members are exempt.
    pub group: Option<String>,
    /// From where, as a CIDR.
    pub network: Option<String>,
    /// At which PAM service.
    pub service: Option<String>,
    /// For how many seconds from its grant on; `None`: it has no end.
    pub seconds: Option<u64>,
    /// The administrator's reason.
    pub reason: String,
}

/// A change of a user's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "setting", rename_all = "kebab-case")]
pub enum UserChange {
    /// An address that is no method.
    Address {
        /// How codes would get there.
        #[serde(with = "as_text")]
        channel: Channel,
        /// It, not verified yet; `None`: it was removed.
        address: Option<String>,
    },
    /// When to ask for a code.
    Verify {
        /// Its new value.
        #[serde(with = "as_text")]
        value: Verify,
    },
    /// The method that logins begin with.
    Preferred {
        /// Its new value; `None`: no matter which.
        #[serde(with = "as_optional_text")]
        method: Option<Method>,
    },
}

/// Why a code was not sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum NotSent {
    /// Too many were.
    LimitReached,
    /// No provider took it.
    Undelivered {
        /// What the providers answered.
        error: String,
        /// Those that were tried.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        failed: Vec<String>,
    },
}

/// A warning for administrators about the number of text messages: they cost money, and some operators earn by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SmsAlarm {
    /// As many went to numbers that are not verified as may.
    Unverified,
    /// Four fifths of all that may be sent.
    Most,
    /// All that may be sent.
    All,
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

impl Event {
    /// Whether the user whom it is about gets a notice of it: where something happened to the second factor that a
    /// user should know of who did not do it.
    pub const fn is_noticed(&self) -> bool {
        match self {
            Self::BackupCodeUsed
            | Self::Locked { .. }
            | Self::AppEnrolled(_)
            | Self::AppRemoved { .. }
            | Self::SecurityKeyEnrolled { .. }
            | Self::SecurityKeyRemoved { .. }
            | Self::AddressEnrolled { .. }
            | Self::AddressRemoved { .. }
            | Self::DeviceTrusted { .. }
            | Self::BackupCodesReplaced
            | Self::Reset
            | Self::UserRemoved
            | Self::UserChanged(UserChange::Verify {
                value: Verify::Never,
            }) => true,
            Self::Passed { .. }
            | Self::Refused { .. }
            | Self::Reported { .. }
            | Self::ReportsMissed { .. }
            | Self::UnprovedRefused { .. }
            | Self::BackupCodesMade
            | Self::BackupCodesRemoved
            | Self::Required
            | Self::Released
            | Self::Unlocked { .. }
            | Self::PolicyChanged { .. }
            | Self::Exempted(_)
            | Self::ExemptionEnded(_)
            | Self::UserAdded
            | Self::UserChanged(
                UserChange::Verify {
                    value: Verify::NewDevice | Verify::Always,
                }
                | UserChange::Address { .. }
                | UserChange::Preferred { .. },
            )
            | Self::CodeSent { .. }
            | Self::CodeNotSent { .. }
            | Self::ProviderAdded { .. }
            | Self::ProviderChanged { .. }
            | Self::ProviderRemoved { .. }
            | Self::ProviderOrderChanged { .. }
            | Self::HostAdded { .. }
            | Self::HostJoined { .. }
            | Self::HostRemoved { .. }
            | Self::FleetJoined { .. }
            | Self::FleetLeft { .. }
            | Self::TrustRenewed { .. }
            | Self::DeviceRevoked { .. }
            | Self::DevicesRevoked { .. }
            | Self::PasswordChanged { .. }
            | Self::SessionEnded { .. }
            | Self::SummedUp { .. }
            | Self::LogPruned { .. }
            | Self::LogKeyMade { .. }
            | Self::SmsLimit { .. } => false,
        }
    }
}
