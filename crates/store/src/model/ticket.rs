//! A ticket: what a login has left for its account phase.

use serde::{Deserialize, Serialize};
use twofa_core::{Device, Duration, Timestamp};

use super::device::{HashedDevice, ReportedDevice};
use crate::error::StoreError;
use crate::event::{DeviceFields, Missed, Proof};

/// How long a ticket can be used, in seconds: longer than any program lets a login last.
pub(crate) const LIFETIME: u64 = 10 * 60;

/// A process. Its number alone does not distinguish it from a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessId {
    /// Its number.
    pub pid: u32,
    /// When it started, in clock ticks since boot (field 22 of `/proc/PID/stat`).
    pub start: u64,
}

/// The number of a ticket, by which the account phase names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TicketNumber(pub i64);

impl TicketNumber {
    /// A number that no other ticket has.
    pub fn random() -> Result<Self, StoreError> {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes)?;
        Ok(Self(i64::from_le_bytes(bytes)))
    }
}

/// The process that a login happens in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginProcess {
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot: String,
    /// The process that called PAM.
    pub own: ProcessId,
    /// The process that opens the session, where that is another one.
    pub parent: Option<ProcessId>,
}

/// How a login passed, before it is confirmed.
#[derive(Debug, Clone, Copy)]
pub struct Pass<'a> {
    /// The number of the ticket that it leaves.
    pub ticket: TicketNumber,
    /// The process that comes back in the account phase, as far as is known.
    pub process: &'a LoginProcess,
    /// The device behind the login, if anything is proved about it.
    pub device: Option<&'a Device>,
    /// How long a right code makes it trusted; `None`: not wanted.
    pub trust_for: Option<Duration>,
    /// The class whose policy says so.
    pub class: &'a str,
    /// What the module read of the user's password.
    pub password: Option<&'a str>,
    /// What sshd verified before (`SSH_AUTH_INFO_0`).
    pub ssh_auth_info: Option<&'a str>,
}

/// When a right code counts as a login.
#[derive(Debug, Clone, Copy)]
pub enum Settlement<'a> {
    /// At once: the first factor is known to be right.
    Now(Option<Pass<'a>>),
    /// When the account phase of the same login confirms it.
    InAccount(Pass<'a>),
    /// At once, on a host of the fleet, and it makes a device trusted that the host reports.
    Trusting(NewTrust<'a>),
}

/// The trust in a device that a host of the fleet reports.
#[derive(Debug, Clone, Copy)]
pub struct NewTrust<'a> {
    /// The device.
    pub reported: ReportedDevice<'a>,
    /// How long a right code makes it trusted.
    pub duration: Duration,
    /// The class whose policy says so.
    pub class: &'a str,
}

/// The account phase of a login.
#[derive(Debug, Clone, Copy)]
pub struct AccountPhase<'a> {
    /// The number of the ticket, as the module kept it.
    pub ticket: TicketNumber,
    /// The process that came to it.
    pub process: &'a LoginProcess,
    /// A key of the user's, and for how long it can be trusted.
    pub key: Option<(&'a Device, Duration)>,
    /// What sshd verified before (`SSH_AUTH_INFO_0`).
    pub ssh_auth_info: Option<&'a str>,
}

/// What a ticket says of a login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketLogin {
    /// The PAM service.
    pub service: Option<String>,
    /// What the user showed.
    pub by: Proof,
    /// What sshd verified before.
    pub ssh_auth_info: Option<String>,
    /// When the code was right that the login rests on, in Unix seconds.
    #[serde(default)]
    pub(crate) code_at: Option<i64>,
    pub(crate) grant: Option<TicketGrant>,
    /// On a host of a fleet: the login as its servers know it.
    #[serde(default)]
    pub(crate) fleet: Option<FleetLogin>,
}

/// A login that a server of the fleet let pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetLogin {
    /// The id of its conversation.
    pub conversation: [u8; 16],
    /// Whether a second factor was asked for.
    pub is_asked: bool,
}

/// The grant that a confirmed ticket makes or uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TicketGrant {
    pub(crate) kind: String,
    pub(crate) hash: [u8; 32],
    pub(crate) label: String,
    pub(crate) password: Option<[u8; 32]>,
    /// Of the user's methods, by one of which the code was right.
    pub(crate) generation: u64,
    /// Seconds for which to trust it; `None`: it is trusted already.
    pub(crate) seconds: Option<u64>,
    /// [`crate::sql::devices::last_lowering`] when the code was right: the policy was of that moment.
    #[serde(default)]
    pub(crate) lowering: i64,
    /// The class whose policy that was.
    #[serde(default)]
    pub(crate) class: Option<String>,
}

/// The outcome of confirming a ticket in the account phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirmation {
    /// The login is recorded. `missed`: what was refused since the last one.
    Confirmed {
        /// What the user showed.
        by: Proof,
        /// What was refused before.
        missed: Option<Missed>,
        /// Until when the device is trusted now, if this login made it so.
        trusted_until: Option<Timestamp>,
    },
    /// The user has no such ticket that is unconfirmed, or it is too old.
    NoTicket,
    /// The trust that it rests on has ended.
    TrustEnded,
}

impl TicketLogin {
    /// If the login makes a device trusted, lets that be `device`.
    pub(crate) fn trust_instead(&mut self, device: HashedDevice, duration: Duration) {
        if let Some(grant) = &mut self.grant
            && grant.seconds.is_some()
        {
            device.kind.name().clone_into(&mut grant.kind);
            grant.hash = device.hash;
            grant.label = device.label;
            grant.seconds = Some(duration.seconds());
        }
    }
}

pub(crate) fn write(login: &TicketLogin) -> Result<String, StoreError> {
    serde_json::to_string(login)
        .map_err(|error| StoreError::Other(format!("a ticket cannot be written: {error}")))
}

pub(crate) fn read(login: &str) -> Result<TicketLogin, StoreError> {
    serde_json::from_str(login)
        .map_err(|_| StoreError::Damaged("a ticket in it cannot be read".to_owned()))
}

impl From<&TicketLogin> for Option<DeviceFields> {
    fn from(login: &TicketLogin) -> Self {
        login.grant.as_ref().map(|grant| DeviceFields {
            of_kind: grant.kind.clone(),
            label: grant.label.clone(),
        })
    }
}
