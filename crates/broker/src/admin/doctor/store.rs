//! Whether the store is whole. Both look at all of it.

use super::finding::{EnvironmentFinding, Finding};
use crate::admin::log::SystemLog;
use crate::admin::{AdminError, Administration};

/// A finding if SQLite's own check finds the database malformed.
pub(super) fn damage(admin: &Administration) -> Result<Option<Finding>, AdminError> {
    let damage = admin.store().damage()?;
    let finding = damage.map(|error| EnvironmentFinding::StoreDamaged { error });
    Ok(finding.map(Finding::Environment))
}

/// A finding if the log is not what was written.
pub(super) fn altered_log(admin: &Administration) -> Result<Option<Finding>, AdminError> {
    let verified = admin.verify_log(&SystemLog::default(), None)?;
    let count = verified.findings.len();
    let finding = (count > 0).then_some(EnvironmentFinding::LogAltered { count });
    Ok(finding.map(Finding::Environment))
}
