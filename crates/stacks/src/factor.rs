//! What a module's success says of the person: a password, a code, or only that root is calling.

use std::fmt;

use crate::module;

/// What somebody shows to get in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Factor {
    /// A password, of whatever kind of account.
    Password,
    /// A security key, smart card or one-time password that another module than twofa's checks.
    Token,
    /// A fingerprint.
    Fingerprint,
    /// An ssh key: one that sshd proved, or one of the agent's.
    Key,
    /// A Kerberos ticket.
    Ticket,
    /// A host that is trusted.
    Host,
    /// An earlier login.
    EarlierLogin,
    /// The calling process belongs to root, where it belongs to the person who asks.
    Root,
    /// twofa's module let through: after a code, or because the policy asks for none.
    Code,
}

impl Factor {
    /// All of them, in their order.
    pub const ALL: [Self; 9] = [
        Self::Password,
        Self::Token,
        Self::Fingerprint,
        Self::Key,
        Self::Ticket,
        Self::Host,
        Self::EarlierLogin,
        Self::Root,
        Self::Code,
    ];

    /// What the success of a module in `auth` shows, if the model knows that it shows something.
    pub(crate) fn of_module(name: &str) -> Option<Self> {
        Some(match name {
            "pam_u2f"
            | "pam_pkcs11"
            | "pam_p11"
            | "pam_poldi"
            | "pam_google_authenticator"
            | "pam_oath"
            | "pam_yubico" => Self::Token,
            "pam_fprintd" => Self::Fingerprint,
            "pam_ssh_agent_auth" => Self::Key,
            "pam_sss_gss" => Self::Ticket,
            "pam_rhosts" => Self::Host,
            "pam_timestamp" => Self::EarlierLogin,
            "pam_rootok" => Self::Root,
            _ if module::proves_identity(name) => Self::Password,
            _ => return None,
        })
    }
}

/// What was shown on a path: factors, and the success of modules that the model does not know.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Shown(u32);

/// Where the bits of unknown modules begin.
const MODULES: u32 = 16;

impl Shown {
    pub(crate) const fn factor(factor: Factor) -> Self {
        Self(1 << factor as u32)
    }

    /// The unknown module at this place of a list. From the sixteenth, all count as one.
    pub(crate) fn module(at: usize) -> Self {
        let at = u32::try_from(at).unwrap_or(u32::MAX).min(31 - MODULES);
        Self(1 << (MODULES + at))
    }

    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Whether this factor was shown.
    pub const fn has(self, factor: Factor) -> bool {
        self.0 & (1 << factor as u32) != 0
    }

    /// The factors, in their order.
    pub fn factors(self) -> impl Iterator<Item = Factor> {
        Factor::ALL
            .into_iter()
            .filter(move |factor| self.has(*factor))
    }

    /// Whether the person showed who they are: any factor but the code.
    pub fn has_first_factor(self) -> bool {
        self.factors().any(|factor| factor != Factor::Code)
    }

    /// The places of unknown modules in their list.
    pub(crate) fn modules(self) -> impl Iterator<Item = usize> {
        (0..32 - MODULES)
            .filter(move |at| self.0 >> (MODULES + at) & 1 == 1)
            .map(|at| at as usize)
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.factors())
            .entries(self.modules())
            .finish()
    }
}
