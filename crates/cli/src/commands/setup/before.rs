//! What the machine was like before its set-up, so that a set-up can be rolled back. It is kept on disk until the set-up is
//! finished or rolled back, because it can be left and resumed.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use serde::{Deserialize, Serialize};
use twofa_broker::Failure;

use super::commands;
use super::state::State;
use crate::error::CommandError;

/// Root's own, beside the PAM files from before each change.
const FOLDER: &str = "/var/backups/twofa-pam";
const FILE: &str = "/var/backups/twofa-pam/before-setup.json";
const NEW: &str = "/var/backups/twofa-pam/.before-setup.new";
/// Has the module's lines if the profile of pam-auth-update is on.
const COMMON_AUTH: &str = "/etc/pam.d/common-auth";

/// What a set-up can change.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Before {
    /// The policy and its classes, as `twofa policy export` writes them.
    pub(super) policy: String,
    /// The PAM services that ask.
    pub(super) asking: Vec<String>,
    /// Whether the profile for all services is on.
    pub(super) has_profile: bool,
    pub(super) providers: Vec<String>,
    /// Whether the person who sets the machine up has an app.
    pub(super) has_app: bool,
}

impl Before {
    /// The machine as it is.
    pub(super) fn of_machine(state: &State) -> Result<Self, CommandError> {
        let providers = state.providers.iter().map(|known| known.name.clone());
        Ok(Self {
            policy: commands::text(&["policy", "export"])?,
            asking: state.asking(),
            has_profile: has_profile(),
            providers: providers.collect(),
            has_app: state.has_app,
        })
    }

    /// Keeps what the machine is like, unless a set-up that was left has kept it.
    pub(super) fn keep(state: &State) -> Result<(), CommandError> {
        if Path::new(FILE).exists() {
            return Ok(());
        }
        let before = Self::of_machine(state)?;
        let write = || -> io::Result<()> {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(FOLDER)?;
            let _ = fs::remove_file(NEW);
            let mut options = OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(0o600).open(NEW)?;
            file.write_all(&serde_json::to_vec_pretty(&before)?)?;
            file.sync_all()?;
            fs::rename(NEW, FILE)?;
            File::open(FOLDER)?.sync_all()
        };
        write().map_err(|error| failed(&error))
    }

    /// What [`keep`](Self::keep) has kept.
    pub(super) fn kept() -> Result<Self, CommandError> {
        let text = fs::read(FILE).map_err(|error| failed(&error))?;
        serde_json::from_slice(&text).map_err(|error| failed(&error.into()))
    }

    /// The set-up is over: the next one begins with the machine as it is then.
    pub(super) fn forget() -> Result<(), CommandError> {
        match fs::remove_file(FILE) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&error)),
            _ => Ok(()),
        }
    }
}

pub(super) fn has_profile() -> bool {
    fs::read_to_string(COMMON_AUTH).is_ok_and(|text| text.contains("pam_twofa.so"))
}

fn failed(error: &io::Error) -> CommandError {
    CommandError::new(Failure::Failed, format!("{FILE}: {error}"))
}
