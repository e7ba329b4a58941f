//! Whether the store is whole and can be written. This looks at all of it.

use nix::unistd::{AccessFlags, access};

use super::finding::{EnvironmentFinding, Finding};
use crate::admin::log::SystemLog;
use crate::admin::{AdminError, Administration};
use crate::process::location::location;

/// Findings if SQLite's own check finds the database malformed, or if it can only be read.
pub(super) fn findings(admin: &Administration) -> Result<Vec<Finding>, AdminError> {
    let damage = admin.store().damage()?;
    let damage = damage.map(|error| EnvironmentFinding::StoreDamaged { error });
    // With the rights of the service, which this process has.
    let is_read_only = access(&location().database, AccessFlags::W_OK).is_err();
    let read_only = is_read_only.then_some(EnvironmentFinding::StoreReadOnly);
    let found = damage.into_iter().chain(read_only);
    Ok(found.map(Finding::Environment).collect())
}

/// A finding if the log is not what was written.
pub(super) fn altered_log(admin: &Administration) -> Result<Option<Finding>, AdminError> {
    let verified = admin.verify_log(&SystemLog::default(), None)?;
    let count = verified.findings.len();
    let finding = (count > 0).then_some(EnvironmentFinding::LogAltered { count });
    Ok(finding.map(Finding::Environment))
}
