//! What is known of a person.

use crate::app::App;
use crate::backup::BackupSet;
use crate::lockout::{Lock, Throttle};
use crate::policy::{Methods, Mode, Policy};
use crate::time::Timestamp;

/// An account of this machine, as the name service knows it. The pair is the identity: an account
/// re-created with another uid, or a uid given to another name, is somebody else.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Account {
    /// The login name, as the name service spells it.
    pub name: String,
    /// The user id.
    pub uid: u32,
}

/// An enrolled authenticator app with what people call it.
#[derive(Debug, Clone)]
pub struct EnrolledApp {
    /// Names the app in the store; means nothing outside.
    pub id: i64,
    /// What its owner calls it, such as `phone`. Unique for the user.
    pub label: String,
    /// When it was enrolled.
    pub enrolled_at: Timestamp,
    /// The app itself.
    pub app: App,
}

/// What is stored for a person. Somebody nothing is stored for is [`User::default`].
#[derive(Debug, Clone, Default)]
pub struct User {
    /// An administrator requires a second factor of this person.
    pub required: bool,
    /// Failures and lock.
    pub throttle: Throttle,
    /// The enrolled apps, oldest first.
    pub apps: Vec<EnrolledApp>,
    /// The backup codes, when there are any.
    pub backup: Option<BackupSet>,
}

/// Where a person stands, as it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Is not asked for a second factor.
    Off,
    /// Must have one and has none.
    Pending,
    /// Is asked.
    Enabled,
    /// Is refused for too many wrong codes.
    Locked(Lock),
}

impl User {
    /// Whether a method that can stand alone is enrolled and allowed. Backup codes cannot.
    pub fn is_enrolled(&self, allowed: Methods) -> bool {
        allowed.app && !self.apps.is_empty()
    }

    /// How many backup codes are left.
    pub fn backup_codes_left(&self) -> usize {
        self.backup.as_ref().map_or(0, |set| set.unused.len())
    }

    /// Where the person stands at `now`.
    pub fn status(&self, policy: &Policy, now: Timestamp) -> Status {
        Status::of(policy, self.required, self.is_enrolled(policy.methods), self.throttle, now)
    }
}

impl Status {
    /// Where somebody stands at `now` who is `required` or not, and has `enrolled` a method the policy
    /// allows or not.
    pub fn of(policy: &Policy, required: bool, enrolled: bool, throttle: Throttle, now: Timestamp) -> Self {
        match policy.mode {
            Mode::Disabled => Self::Off,
            Mode::Optional if !required && !enrolled => Self::Off,
            Mode::Optional | Mode::Mandatory if !enrolled => Self::Pending,
            Mode::Optional | Mode::Mandatory => throttle.lock(now).map_or(Self::Enabled, Self::Locked),
        }
    }
}
