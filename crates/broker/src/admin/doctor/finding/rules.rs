//! What can be wrong with the rules, and with the people and devices that they are about.

use twofa_core::{Account, Denial, Timestamp};

use crate::admin::checks::{Concern, People};

/// What is wrong with the policy and its classes, or with what they mean for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RulesFinding {
    /// The mode is disabled.
    Disabled,
    /// The mode is report, of the machine (`everyone`) or of this class.
    Reporting {
        /// The class.
        class: String,
        /// Since when; `None`: the log does not say.
        since: Option<Timestamp>,
    },
    /// A concern that a change to the present policy would have raised.
    Concern(Concern),
    /// The name service does not answer.
    NameService {
        /// The error as it was reported.
        error: String,
    },
    /// People have enrolled nothing that is allowed, and replace it at their next login.
    ReplaceAtLogin(People),
    /// People have enrolled nothing that is allowed, and are refused.
    Refused(People),
    /// `services` has entries at which no line of the module asks.
    ServicesUncovered {
        /// The classes with this list, `everyone` among them; never empty.
        classes: Vec<String>,
        /// The list.
        services: String,
        /// The entries at which nothing asks; never empty.
        missing: Vec<String>,
    },
    /// The rules refuse root.
    RootRefused(Denial),
    /// People must show a second factor, have none, and cannot enrol at a login.
    CannotVerify {
        /// Their login names; never empty.
        names: Vec<String>,
    },
    /// Root can neither show nor enrol anything, because no provider delivers codes.
    RootUndelivered,
    /// People can neither show nor enrol anything, because no provider delivers codes.
    Undelivered {
        /// Their login names; never empty.
        names: Vec<String>,
    },
    /// Logins under `mode=report` could not be recorded in the last seven days.
    ReportsMissed {
        /// How many there were.
        count: u64,
    },
    /// People have no method but e-mail (NIST SP 800-63B-4, 3.1.3.1).
    EmailAlone {
        /// Their login names; never empty.
        names: Vec<String>,
    },
}

impl RulesFinding {
    pub(super) const fn may_be_meant(&self) -> bool {
        match self {
            Self::Disabled
            | Self::Reporting { .. }
            | Self::ReplaceAtLogin(_)
            | Self::ReportsMissed { .. }
            | Self::EmailAlone { .. } => true,
            Self::Concern(concern) => matches!(
                concern,
                Concern::EnrolledBeforehandOnly { .. } | Concern::NoBackupCodes { .. }
            ),
            Self::NameService { .. }
            | Self::ServicesUncovered { .. }
            | Self::Refused(_)
            | Self::RootRefused(_)
            | Self::RootUndelivered
            | Self::Undelivered { .. }
            | Self::CannotVerify { .. } => false,
        }
    }
}

/// What has become of accounts on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountFinding {
    /// No account has these names or uids. An account that is created with the same name and uid takes over the record.
    Gone {
        /// The names on record.
        names: Vec<String>,
    },
    /// An account has another uid or another name than the one on record, and is refused.
    Differs {
        /// The account on record.
        record: Account,
        /// The account that has its name or its uid now.
        now: Account,
    },
    /// The name service does not say whether these accounts exist.
    Unsettled {
        /// The names on record.
        names: Vec<String>,
        /// Why there is no answer.
        error: String,
    },
    /// Names that share a uid, where some have a second factor and others do not.
    SharedUid {
        /// The uid that they share.
        uid: u32,
        /// Those who have a second factor, or must have one.
        with: Vec<String>,
        /// Those who have none.
        without: Vec<String>,
    },
}

impl AccountFinding {
    pub(super) const fn may_be_meant(&self) -> bool {
        match self {
            Self::Gone { .. } | Self::Unsettled { .. } => true,
            Self::Differs { .. } | Self::SharedUid { .. } => false,
        }
    }
}

/// What prevents devices from being trusted although a policy allows it, or what an administrator should know about
/// trusted ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceFinding {
    /// No line of the module in `account` confirms all logins of these services, so that nothing is trusted there.
    NeverTrusted {
        /// The services; never empty.
        services: Vec<String>,
    },
    /// Logins of these services showed neither an address nor a terminal of this machine, so that a code was asked for.
    WithoutProof {
        /// The services; never empty.
        services: Vec<String>,
    },
    /// Devices stay trusted when these users get a new password: it is not in `/etc/shadow`, and no line of the module tells
    /// of it.
    PasswordsUnseen {
        /// The users; never empty.
        names: Vec<String>,
    },
    /// Several users trust the same addresses.
    SharedAddresses {
        /// The addresses and how many users trust each of them, the most shared first; never empty.
        addresses: Vec<(String, u32)>,
    },
}

/// When an exemption ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExemptionEnd {
    /// It has no end.
    Never,
    /// It ended at this time.
    Ended(Timestamp),
    /// It ends at this time, within two weeks.
    Soon(Timestamp),
    /// It ends at this time, in more than two weeks.
    Later(Timestamp),
}
