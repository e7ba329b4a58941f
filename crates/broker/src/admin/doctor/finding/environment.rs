//! What can be wrong with the machine, and with the store as a file.

use std::path::PathBuf;

/// What is wrong with the machine apart from PAM's files, or with the store as a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvironmentFinding {
    /// Others than root, or than the service, can change a file or folder that decides who gets in.
    Exposed {
        /// Where it is.
        path: PathBuf,
        /// How they can.
        exposure: Exposure,
    },
    /// The disk of the store is nearly full.
    DiskNearlyFull {
        /// The folder of the store.
        path: PathBuf,
        /// How many MiB are left.
        free: u64,
    },
    /// The file system of the store has hardly room for another file.
    FilesNearlyUsedUp {
        /// The folder of the store.
        path: PathBuf,
        /// How many files can still be made.
        left: u64,
    },
    /// Nothing can be written next to the store.
    StoreUnwritable {
        /// The error as it was reported.
        error: String,
    },
    /// The program of a running broker has been replaced.
    BrokerOutdated,
    /// The store does not open, so that everybody who needs a code is refused.
    StoreUnavailable {
        /// Why not.
        error: String,
    },
    /// Others can read or change the sealing key, and the store does not open therefore.
    KeyExposed {
        /// What is wrong with its owner or mode.
        error: String,
    },
    /// The store can only be read.
    StoreReadOnly,
    /// A change of PAM files by `twofa pam` is not final.
    PamChangePending,
    /// SELinux denied something in the last 24 hours.
    SelinuxDenials {
        /// How often.
        count: usize,
        /// What was denied last, as auditd wrote it.
        latest: String,
    },
    /// People who must enrol at a login have little time for it.
    Hurry(Hurry),
    /// Nothing keeps the clock right that apps' codes depend on.
    ClockUnsynchronised,
    /// SQLite's own check found the database malformed.
    StoreDamaged {
        /// What it found first.
        error: String,
    },
    /// The log is not what was written.
    LogAltered {
        /// How many things a verification found.
        count: usize,
    },
}

impl EnvironmentFinding {
    pub(super) const fn may_be_meant(&self) -> bool {
        matches!(
            self,
            Self::Hurry(_) | Self::ClockUnsynchronised | Self::BrokerOutdated
        )
    }
}

/// How others can change a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposure {
    /// It belongs to the user with this uid.
    Owner(u32),
    /// Its mode lets them.
    Mode(u32),
}

/// A limit on how long a login may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hurry {
    /// The name of the setting.
    pub setting: &'static str,
    /// The file that it is in.
    pub file: &'static str,
    /// The limit, in seconds.
    pub seconds: u64,
}
