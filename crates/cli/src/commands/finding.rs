//! A finding of `twofa doctor` or `twofa pam check`, as it is shown.

use serde::Serialize;
use twofa_broker::admin::doctor::{Finding, Severity};

use crate::messages::{doctor, pam};

/// A finding as it is printed, and as JSON has it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Line {
    /// The stable name of its kind.
    pub(super) id: &'static str,
    pub(super) severity: &'static str,
    pub(super) finding: String,
}

impl Line {
    pub(super) fn of(finding: &Finding) -> Self {
        Self {
            id: finding.name(),
            severity: pam::severity(finding.severity()),
            finding: doctor::finding(finding),
        }
    }

    pub(super) fn of_note(note: pam::Note) -> Self {
        Self {
            id: note.name,
            severity: pam::severity(note.severity),
            finding: note.message,
        }
    }

    pub(super) fn is_problem(&self) -> bool {
        self.severity == pam::severity(Severity::Problem)
    }
}
