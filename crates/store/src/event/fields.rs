//! What is known of an event, where that is more than a word.

use serde::{Deserialize, Serialize};
use twofa_core::app::{OtpKind, Parameters};
use twofa_core::user::Verify;
use twofa_core::{Channel, Method};

use super::as_text::{self, optional as as_optional_text};

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
    /// On a host of a fleet: what a server has asked for.
    Server,
    /// On a host of a fleet that reached no server, or has nothing else of the user: a code that servers gave out for this host.
    RescueCode,
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
    /// An administrator wanted it, on a server of the fleet.
    Fleet,
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

impl UserChange {
    /// Whether the user gets a notice of it: codes are not asked for from now on.
    pub(super) const fn is_noticed(&self) -> bool {
        match self {
            Self::Verify {
                value: Verify::Never,
            } => true,
            Self::Verify {
                value: Verify::NewDevice | Verify::Always,
            }
            | Self::Address { .. }
            | Self::Preferred { .. } => false,
        }
    }
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
