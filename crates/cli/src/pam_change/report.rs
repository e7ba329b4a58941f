//! What a change is, and what has become of it: lines for people while it is made, or one object for programs at its end.

use std::io::{self, Write};

use serde::Serialize;

use super::diff;
use super::login::Trial;
use super::plan::authselect::Selection;
use super::policy::PolicyStep;
use super::step::Step;
use crate::error::CommandError;
use crate::output::Output;

/// What has become of a change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "result", rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// There was nothing to change.
    #[default]
    Unchanged,
    /// It was only shown.
    Shown,
    /// It was made, and proved. The directory has the old files.
    Changed { backup: String },
}

/// A change, as `--json` prints it.
#[derive(Debug, Serialize)]
pub(crate) struct ChangeReport {
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
    /// What the person must know.
    notes: Vec<String>,
    /// The setting `services`, before and after.
    policy: Option<PolicyStep>,
    /// The profile of authselect, before and after.
    authselect: Option<Selection>,
    files: Vec<FileChange>,
    /// The login that proved it.
    login: Option<Login>,
    #[serde(skip)]
    output: Output,
}

#[derive(Debug, Serialize)]
struct FileChange {
    path: String,
    /// Whether there was such a file before, and is one after.
    existed: bool,
    exists: bool,
    diff: String,
}

#[derive(Debug, Serialize)]
struct Login {
    service: String,
    user: String,
}

impl ChangeReport {
    pub(crate) const fn new(output: Output) -> Self {
        Self {
            outcome: Outcome::Unchanged,
            notes: Vec::new(),
            policy: None,
            authselect: None,
            files: Vec::new(),
            login: None,
            output,
        }
    }

    pub(super) fn note(&mut self, text: &str) -> Result<(), CommandError> {
        self.notes.push(text.to_owned());
        self.say(&format!("{text}\n"))
    }

    pub(super) fn policy(&mut self, step: &PolicyStep) -> Result<(), CommandError> {
        self.policy = Some(step.clone());
        let PolicyStep { old, new } = step;
        self.setting(
            "policy",
            &format!("services={old}"),
            &format!("services={new}"),
        )
    }

    pub(super) fn selection(&mut self, selection: &Selection) -> Result<(), CommandError> {
        self.authselect = Some(selection.clone());
        let Selection { old, new } = selection;
        self.setting("authselect", &old.join(" "), &new.join(" "))
    }

    fn setting(&self, what: &str, old: &str, new: &str) -> Result<(), CommandError> {
        self.say(&format!(
            "--- {what}\n+++ {what}\n     -{old}\n     +{new}\n"
        ))
    }

    pub(super) fn file(&mut self, step: &Step) -> Result<(), CommandError> {
        let diff = diff::unified(step);
        self.say(&diff)?;
        self.files.push(FileChange {
            path: step.path.clone(),
            existed: step.old.is_some(),
            exists: step.new.is_some(),
            diff,
        });
        Ok(())
    }

    pub(super) fn login(&mut self, trial: Option<&Trial>) {
        self.login = trial.map(|trial| Login {
            service: trial.service.clone(),
            user: trial.person.clone(),
        });
    }

    fn say(&self, text: &str) -> Result<(), CommandError> {
        if !self.output.is_json() {
            io::stdout().write_all(text.as_bytes())?;
        }
        Ok(())
    }
}
