//! What the machine was like before its set-up, so that a set-up can be rolled back. It is kept on disk from the first step
//! that changes something until the set-up is finished or rolled back, because it can be left and resumed.
//!
//! With it is kept what the set-up made of the machine: what differs from that was changed by others, and a roll-back would
//! take it back too.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};

use serde::{Deserialize, Serialize};
use twofa_broker::{Failure, clock};
use twofa_core::Timestamp;

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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

    /// Whether a roll-back to this would take back what others have changed since `made` was made of it.
    fn rules_differ(&self, made: &Self) -> bool {
        (&self.policy, &self.asking, self.has_profile)
            != (&made.policy, &made.asking, made.has_profile)
    }
}

/// What is kept of the machine while a set-up is under way.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    /// What a roll-back leads to.
    pub(super) before: Before,
    /// When the set-up began to change something, in seconds since 1970.
    at: i64,
    /// What its steps have made of the machine.
    made: Before,
}

impl Kept {
    /// What a set-up that is under way has kept, if one is. What another version has kept counts for nothing.
    pub(super) fn read() -> Result<Option<Self>, CommandError> {
        let text = match fs::read(FILE) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&error)),
        };
        Ok(serde_json::from_slice(&text).ok())
    }

    /// Runs a step, and keeps what the machine was like before it if it is the first one that changes something.
    pub(super) fn around<T>(
        user: &str,
        state: &State,
        run: impl FnOnce() -> Result<T, CommandError>,
    ) -> Result<T, CommandError> {
        let now = Before::of_machine(state)?;
        let is_first = Self::read()?.is_none();
        if is_first {
            // The step can be killed.
            Self::begin(now.clone())?;
        }
        let result = run();
        let updated = State::read(user).and_then(|state| {
            let after = Before::of_machine(&state)?;
            Self::update(&now, &after, is_first)
        });
        let value = result?;
        updated.map(|()| value)
    }

    fn begin(before: Before) -> Result<(), CommandError> {
        let kept = Self {
            made: before.clone(),
            before,
            at: clock::now().unix(),
        };
        kept.write()
    }

    /// After a step that made the machine `after` of `before`.
    fn update(before: &Before, after: &Before, is_first: bool) -> Result<(), CommandError> {
        // A roll-back may have dropped it.
        let Some(mut kept) = Self::read()? else {
            return Ok(());
        };
        if is_first && before == after {
            return Self::forget();
        }
        if kept.has_made(before, after) {
            kept.write()?;
        }
        Ok(())
    }

    /// Takes note that a step made the machine `after` of `before`; `false`: that is nothing to note. What others had changed
    /// before the step stays theirs.
    fn has_made(&mut self, before: &Before, after: &Before) -> bool {
        let is_ours = before != after && !self.made.rules_differ(before);
        if is_ours {
            self.made = after.clone();
        }
        is_ours
    }

    fn write(&self) -> Result<(), CommandError> {
        let write = || -> io::Result<()> {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(FOLDER)?;
            let _ = fs::remove_file(NEW);
            let mut options = OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(0o600).open(NEW)?;
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            file.sync_all()?;
            fs::rename(NEW, FILE)?;
            File::open(FOLDER)?.sync_all()
        };
        write().map_err(|error| failed(&error))
    }

    /// When the set-up began to change something.
    pub(super) const fn began(&self) -> Timestamp {
        Timestamp::from_unix(self.at)
    }

    /// Whether others have changed rules or PAM files since, of a machine that is now like `now`.
    pub(super) fn is_changed_by_others(&self, now: &Before) -> bool {
        self.made.rules_differ(now)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(policy: &str) -> Before {
        Before {
            policy: policy.to_owned(),
            asking: Vec::new(),
            has_profile: false,
            providers: Vec::new(),
            has_app: false,
        }
    }

    #[test]
    fn what_steps_change_is_the_set_ups_own_and_what_is_changed_between_them_is_not() {
        let mut kept = Kept {
            before: machine("1"),
            at: 0,
            made: machine("1"),
        };
        assert!(kept.has_made(&machine("1"), &machine("2")));
        assert!(!kept.is_changed_by_others(&machine("2")));
        // Providers are not rolled back.
        let provider = Before {
            providers: vec!["mail".to_owned()],
            ..machine("2")
        };
        assert!(!kept.is_changed_by_others(&provider));
        assert!(kept.is_changed_by_others(&machine("3")));
        assert!(!kept.has_made(&machine("3"), &machine("4")));
        assert!(kept.is_changed_by_others(&machine("4")));
    }
}
