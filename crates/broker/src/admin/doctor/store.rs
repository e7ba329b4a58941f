//! Whether the store opens, is whole and can be written. This looks at all of it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process;

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

/// Findings if SQLite's own check finds the database malformed, if it can only be read, or if nothing can be written there.
pub(super) fn findings(admin: &Administration) -> Result<Vec<Finding>, AdminError> {
    if admin.store().is_on_server() {
        // No file is its: what can be wrong with the database is seen by writing to it.
        return Ok(Vec::new());
    }
    let damage = admin.store().damage()?;
    let damage = damage.map(|error| EnvironmentFinding::StoreDamaged { error });
    let found = damage.into_iter().chain(unwritable(&location().database));
    Ok(found.map(Finding::Environment).collect())
}

/// Whether the database cannot be written, with the rights of the service, which this process has.
fn unwritable(database: &Path) -> Option<EnvironmentFinding> {
    if access(database, AccessFlags::W_OK).is_err() {
        return Some(EnvironmentFinding::StoreReadOnly);
    }
    let error = try_to_write(database.parent()?).err()?;
    let error = error.to_string();
    Some(EnvironmentFinding::StoreUnwritable { error })
}

/// Writes a page into a file of no name in `folder`, as SQLite would next to the database: what a file system says of its
/// room is not all that can be in the way.
fn try_to_write(folder: &Path) -> io::Result<()> {
    let path = folder.join(format!(".doctor-{}", process::id()));
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)?;
    fs::remove_file(&path)?;
    file.write_all(&[0; 4096])?;
    file.sync_all()
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
    fn a_folder_into_which_nothing_can_be_written_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("twofa.db");
        fs::write(&database, "").unwrap();
        assert_eq!(unwritable(&database), None);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        // No file can be made here, even by root.
        let found = try_to_write(Path::new("/proc"));
        assert!(found.is_err(), "{found:?}");
    }

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
