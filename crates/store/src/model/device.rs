//! A trusted device.

use std::sync::atomic::AtomicI64;

use twofa_core::{Account, Device, DeviceKind, Grant};

use crate::event::DeviceFields;
use crate::seal::{HASH_BYTES, SealingKey};

/// A keyed hash of what tells a device from every other of its kind, the same for every user.
pub(crate) type DeviceHash = [u8; HASH_BYTES];
/// A keyed hash that changes with a user's password.
pub(crate) type PasswordHash = [u8; HASH_BYTES];

/// A device in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedDevice {
    /// Its number, by which it is revoked.
    pub id: i64,
    /// Whose device it is.
    pub account: Account,
    /// What kind of device it is.
    pub kind: DeviceKind,
    /// What it is, for people.
    pub label: String,
    /// The name of the host of the fleet that reported it; `None`: it is one of this machine's.
    pub host: Option<String>,
    /// The PAM service of the login that made it trusted.
    pub service: Option<String>,
    /// Since when, until when, and when it last stood in for a code.
    pub grant: Grant,
    /// How many users trust this device.
    pub users: u32,
}

/// A device as a login proves it, hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashedDevice {
    pub(crate) kind: DeviceKind,
    pub(crate) hash: DeviceHash,
    pub(crate) label: String,
    /// The id of the host of the fleet that reports it; `None`: it is one of this machine's.
    pub(crate) host: Option<String>,
}

/// A device as a host of the fleet reports it.
#[derive(Debug, Clone, Copy)]
pub struct ReportedDevice<'a> {
    /// What the host says it is.
    pub device: &'a Device,
    /// Whether it is trusted on all hosts that report it; if not, on this host alone.
    pub is_for_fleet: bool,
    /// What changes with the user's password; `None`: a directory keeps that.
    pub password: Option<&'a [u8; 32]>,
}

impl HashedDevice {
    pub(crate) fn new(key: &SealingKey, device: &Device) -> Self {
        let kind = device.kind();
        let parts = [kind.name().as_bytes(), &device.identity()];
        Self {
            kind,
            hash: key.keyed_hash("device", &parts),
            label: device.label(),
            host: None,
        }
    }

    /// The device that the host with the id `host` reports. Another host that reports the same has another device, unless it is
    /// trusted in the whole fleet; this machine has another one in any case.
    pub(crate) fn reported(key: &SealingKey, host: &str, reported: ReportedDevice<'_>) -> Self {
        let ReportedDevice { device, .. } = reported;
        let (kind, identity) = (device.kind(), device.identity());
        let hash = if reported.is_for_fleet {
            key.keyed_hash("device in the fleet", &[kind.name().as_bytes(), &identity])
        } else {
            let parts = [host.as_bytes(), kind.name().as_bytes(), &identity];
            key.keyed_hash("device on a host", &parts)
        };
        Self {
            kind,
            hash,
            label: device.label(),
            host: Some(host.to_owned()),
        }
    }

    pub(crate) fn fields(&self) -> DeviceFields {
        DeviceFields {
            of_kind: self.kind.name().to_owned(),
            label: self.label.clone(),
        }
    }
}

/// The hash of what the module read of `account`'s password.
pub(crate) fn password_hash(
    key: &SealingKey,
    account: &Account,
    fingerprint: &str,
) -> PasswordHash {
    let parts = [account.name.as_bytes(), fingerprint.as_bytes()];
    key.keyed_hash("password", &parts)
}

/// The hash of what a host of the fleet reports of `account`'s password.
pub(crate) fn reported_password_hash(
    key: &SealingKey,
    account: &Account,
    password: &[u8; 32],
) -> PasswordHash {
    key.keyed_hash("reported password", &[account.name.as_bytes(), password])
}

/// Up to which grant [`crate::Store::prune_devices`] got; zero: it begins with the first.
#[derive(Debug, Default)]
pub(crate) struct PruningState(pub(crate) AtomicI64);
