//! Whether the store opens, is whole and can be written. This looks at all of it.

use nix::unistd::{AccessFlags, access};
use twofa_store::StoreError;

use super::finding::{EnvironmentFinding, Finding};
use crate::admin::log::SystemLog;
use crate::admin::{AdminError, Administration};
use crate::process::location::location;

/// That the store does not open, for this reason.
pub(super) fn unopened(error: &AdminError) -> EnvironmentFinding {
    let is_exposed = matches!(error, AdminError::Store(StoreError::Exposed { path, .. })
        if *path == location().key);
    let error = error.to_string();
    if is_exposed {
        EnvironmentFinding::KeyExposed { error }
    } else {
        EnvironmentFinding::StoreUnavailable { error }
    }
}

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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_store_that_does_not_open_is_a_finding_and_a_key_that_others_can_read_is_named() {
        let exposed = |path: PathBuf| {
            let why = "has mode 0644".to_owned();
            unopened(&AdminError::Store(StoreError::Exposed { path, why }))
        };
        let key = exposed(location().key);
        assert!(matches!(key, EnvironmentFinding::KeyExposed { .. }));
        let missing = AdminError::Store(StoreError::Missing(location().database));
        for found in [exposed(location().database), unopened(&missing)] {
            let unavailable = matches!(found, EnvironmentFinding::StoreUnavailable { .. });
            assert!(unavailable, "{found:?}");
        }
    }
}
