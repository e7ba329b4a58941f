//! The policy's settings for trusted devices.

use crate::duration::Duration;

/// How long a verified device is trusted, by how it is used. Zero: a code is asked for every time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trust {
    /// A local terminal or display.
    pub console: Duration,
    /// A login from another host, whose key is known.
    pub remote: Duration,
    /// su, sudo, polkit.
    pub elevation: Duration,
    /// A login from another host of which only the address is known. See [`Trust::for_addresses`].
    pub address: Duration,
    /// Screen lockers, within a session that a code opened.
    pub unlock: Duration,
    /// Which logins make their device trusted.
    pub offer: Offer,
    /// How devices are told apart.
    pub identity: Identity,
    /// How many bits of an IPv6 address tell one customer's network from another's.
    pub ipv6_prefix: u8,
    /// Where a device is trusted that a host of the fleet has reported.
    pub scope: Scope,
}

impl Trust {
    /// How long an address is trusted: never longer than a login whose key is known, because everybody who shares the
    /// address is trusted with it.
    pub fn for_addresses(&self) -> Duration {
        self.address.min(self.remote)
    }

    /// The stricter of both in each respect.
    #[must_use]
    pub fn stricter(&self, other: &Self) -> Self {
        Self {
            console: self.console.min(other.console),
            remote: self.remote.min(other.remote),
            elevation: self.elevation.min(other.elevation),
            address: self.address.min(other.address),
            unlock: self.unlock.min(other.unlock),
            offer: if other.offer == Offer::Ask {
                Offer::Ask
            } else {
                self.offer
            },
            identity: if other.identity == Identity::Key {
                Identity::Key
            } else {
                self.identity
            },
            ipv6_prefix: self.ipv6_prefix.max(other.ipv6_prefix),
            scope: if other.scope == Scope::Host {
                Scope::Host
            } else {
                self.scope
            },
        }
    }
}

/// Which logins make their device trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// Those whose user asks for it with a `+`.
    Ask,
    /// All with a right code.
    Always,
}

impl Offer {
    pub(crate) const ALL: [Self; 2] = [Self::Ask, Self::Always];

    /// As an administrator writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::Always => "always",
        }
    }
}

/// How devices are told apart (the policy's `trust.identity`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// By a key, or else by the address.
    KeyOrAddress,
    /// By a key only.
    Key,
}

impl Identity {
    pub(crate) const ALL: [Self; 2] = [Self::KeyOrAddress, Self::Key];

    /// As an administrator writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::KeyOrAddress => "key-or-address",
            Self::Key => "key",
        }
    }
}

/// Where a device is trusted that a host of the fleet has reported (the policy's `trust.scope`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// On that host.
    Host,
    /// On all hosts, if it is a key of the user's; otherwise on that host.
    Fleet,
}

impl Scope {
    pub(crate) const ALL: [Self; 2] = [Self::Host, Self::Fleet];

    /// As an administrator writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Fleet => "fleet",
        }
    }
}
