//! What is wrong with the programs of twofa as they are installed.

use std::path::PathBuf;

/// What is wrong with `pam_twofa.so` or `twofad` as a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProgramFinding {
    /// No folder of modules has `pam_twofa.so`.
    ModuleMissing {
        /// Where libpam looks.
        folder: PathBuf,
    },
    /// These folders of modules, of other architectures, do not have it.
    ModuleMissingForSome {
        /// Where libpam looks; never empty.
        folders: Vec<PathBuf>,
    },
    /// The module, or `pam_unix.so` beside it, cannot be read.
    ModuleUnreadable {
        /// The path of the module.
        path: PathBuf,
        /// Why not.
        error: String,
    },
    /// It is not for the programs that load the modules beside it.
    ModuleUnloadable {
        /// The path of the module.
        path: PathBuf,
    },
    /// It has another version than this program.
    ModuleVersion {
        /// The path of the module.
        path: PathBuf,
        /// Its version; `None`: it does not say.
        version: Option<String>,
        /// This program's version.
        expected: &'static str,
    },
    /// The broker is not installed, or does not even say its version.
    BrokerDoesNotRun {
        /// Why not.
        error: String,
    },
    /// The broker has another version than this program.
    BrokerVersion {
        /// Its version.
        version: String,
        /// This program's version.
        expected: &'static str,
    },
}

impl ProgramFinding {
    pub(super) const fn may_be_meant(&self) -> bool {
        matches!(self, Self::ModuleMissingForSome { .. })
    }

    pub(in super::super) const fn name(&self) -> &'static str {
        match self {
            Self::ModuleMissing { .. } => "module-missing",
            Self::ModuleMissingForSome { .. } => "module-missing-for-some",
            Self::ModuleUnreadable { .. } => "module-unreadable",
            Self::ModuleUnloadable { .. } => "module-unloadable",
            Self::ModuleVersion { .. } => "module-version",
            Self::BrokerDoesNotRun { .. } => "broker-does-not-run",
            Self::BrokerVersion { .. } => "broker-version",
        }
    }
}
