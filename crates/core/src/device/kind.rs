//! The devices that a code can make trusted, and what tells two of a kind apart.

use std::fmt;

use super::address::DeviceAddress;
use super::ssh_key::ProvedKey;
use super::trust::{Identity, Trust};
use crate::duration::Duration;

/// Something that a code can make trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Device {
    /// The user's key, or the key in the user's certificate, that sshd verified in this login.
    UserKey(ProvedKey),
    /// The host key of the client machine (`hostbased`).
    ClientHost(ProvedKey),
    /// The address that a login comes from.
    Address(DeviceAddress),
    /// A seat of this machine, or a serial line.
    Seat(String),
    /// The login session in which a user becomes another user.
    Session(LoginSession),
    /// The terminal in which a user becomes another user, where there is no such session.
    Terminal(LoginTerminal),
}

/// A session of systemd-logind. Its id alone can be reused within one boot: `systemctl restart systemd-logind` is enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginSession {
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot: String,
    /// Such as `c1` or `42`.
    pub id: String,
    /// When it began, in microseconds of `CLOCK_MONOTONIC`.
    pub start: u64,
}

/// A terminal with the process that leads its session, as sudo(8) tells terminals apart: pts numbers are reused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginTerminal {
    /// The uid of the user who becomes another. After `su`, the terminal has a second user, whom no code has verified.
    pub uid: u32,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot: String,
    /// The device number of the terminal.
    pub device: u64,
    /// Process id of the session leader.
    pub leader: u32,
    /// When the session leader started, in clock ticks since boot (field 22 of `/proc/PID/stat`).
    pub start: u64,
}

/// What kind of device it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeviceKind {
    /// [`Device::UserKey`]
    Key,
    /// [`Device::ClientHost`]
    Host,
    /// [`Device::Address`]
    Address,
    /// [`Device::Seat`]
    Seat,
    /// [`Device::Session`]
    Session,
    /// [`Device::Terminal`]
    Terminal,
}

const KINDS: [(DeviceKind, &str); 6] = [
    (DeviceKind::Key, "key"),
    (DeviceKind::Host, "host"),
    (DeviceKind::Address, "address"),
    (DeviceKind::Seat, "seat"),
    (DeviceKind::Session, "session"),
    (DeviceKind::Terminal, "terminal"),
];

impl DeviceKind {
    /// All kinds.
    pub fn all() -> impl Iterator<Item = Self> {
        KINDS.iter().map(|(kind, _)| *kind)
    }

    /// The kind as it is stored and shown.
    pub fn name(self) -> &'static str {
        KINDS
            .iter()
            .find(|(kind, _)| *kind == self)
            .map_or("", |(_, name)| name)
    }

    /// The kind with this name.
    pub fn named(name: &str) -> Option<Self> {
        KINDS
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(kind, _)| *kind)
    }

    /// How long a code makes a device of this kind trusted under `trust`. Zero: not at all.
    pub fn duration(self, trust: &Trust) -> Duration {
        match self {
            Self::Key | Self::Host => trust.remote,
            Self::Address if trust.identity == Identity::Key => Duration::from_seconds(0),
            Self::Address => trust.for_addresses(),
            Self::Seat => trust.console,
            Self::Session | Self::Terminal => trust.elevation,
        }
    }
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Device {
    /// What kind of device it is.
    pub const fn kind(&self) -> DeviceKind {
        match self {
            Self::UserKey(_) => DeviceKind::Key,
            Self::ClientHost(_) => DeviceKind::Host,
            Self::Address(_) => DeviceKind::Address,
            Self::Seat(_) => DeviceKind::Seat,
            Self::Session(_) => DeviceKind::Session,
            Self::Terminal(_) => DeviceKind::Terminal,
        }
    }

    /// What tells this device from every other of its kind. Kept only as a keyed hash.
    pub fn identity(&self) -> Vec<u8> {
        match self {
            Self::UserKey(key) | Self::ClientHost(key) => key.identity().to_vec(),
            Self::Address(address) => address.to_string().into_bytes(),
            Self::Seat(seat) => seat.clone().into_bytes(),
            Self::Session(LoginSession { boot, id, start }) => {
                format!("{boot}\n{id}\n{start}").into_bytes()
            }
            Self::Terminal(LoginTerminal {
                uid,
                boot,
                device,
                leader,
                start,
            }) => format!("{boot}\n{device}\n{leader}\n{start}\n{uid}").into_bytes(),
        }
    }

    /// The device for a list, such as `ED25519 SHA256:…` or `192.0.2.7`.
    pub fn label(&self) -> String {
        match self {
            Self::UserKey(key) | Self::ClientHost(key) => key.label(),
            Self::Address(address) => address.to_string(),
            Self::Seat(seat) => seat.clone(),
            Self::Session(session) => format!("session {}", session.id),
            Self::Terminal(terminal) => format!("terminal of process {}", terminal.leader),
        }
    }

    /// Whether sshd verified a key of the *user* in this login, so that a login by trust still takes a secret of theirs.
    pub const fn is_users_own_proof(&self) -> bool {
        matches!(self, Self::UserKey(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_name_that_reads_back() {
        for (kind, name) in KINDS {
            assert_eq!((kind.name(), DeviceKind::named(name)), (name, Some(kind)));
        }
        assert_eq!(DeviceKind::named("phone"), None);
    }

    #[test]
    fn a_session_with_a_reused_id_is_another_device() {
        let session = |start| {
            Device::Session(LoginSession {
                boot: "b".into(),
                id: "c1".into(),
                start,
            })
        };
        assert_eq!(session(1).identity(), session(1).identity());
        assert_ne!(session(1).identity(), session(2).identity());
    }
}
