//! The programs as they are installed: `pam_twofa.so` in every folder that libpam looks in, and `twofad`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use twofa_delivery::subprocess;

use super::elf::Elf;
use super::finding::ProgramFinding;

/// The version that everything should have: this program's.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The broker that the module starts.
pub(super) const BROKER: &str = "/usr/sbin/twofad";
/// How long the broker may take to say its version.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What is wrong with the modules in `folders`, which have a `pam_unix.so` each.
pub(super) fn of_modules(folders: &[PathBuf]) -> Vec<ProgramFinding> {
    // On a merged /usr, some folders are the same.
    let folders: BTreeSet<_> = folders
        .iter()
        .map(|folder| fs::canonicalize(folder).unwrap_or_else(|_| folder.clone()))
        .collect();
    let (with, without): (Vec<_>, Vec<_>) = folders
        .into_iter()
        .partition(|folder| folder.join("pam_twofa.so").exists());
    let missing = if with.is_empty() {
        let first = without.into_iter().next();
        first.map(|folder| ProgramFinding::ModuleMissing { folder })
    } else {
        let some = (!without.is_empty()).then_some(without);
        some.map(|folders| ProgramFinding::ModuleMissingForSome { folders })
    };
    let unfit = with.iter().filter_map(|folder| unfit(folder));
    missing.into_iter().chain(unfit).collect()
}

/// What is wrong with the module in `folder`.
fn unfit(folder: &Path) -> Option<ProgramFinding> {
    let path = folder.join("pam_twofa.so");
    let read = |path: &Path| fs::read(path).map_err(|error| error.to_string());
    let (module, neighbour) = match (read(&path), read(&folder.join("pam_unix.so"))) {
        (Ok(module), Ok(neighbour)) => (module, neighbour),
        (Err(error), _) | (_, Err(error)) => {
            return Some(ProgramFinding::ModuleUnreadable { path, error });
        }
    };
    let architecture = |file| Elf::read(file).and_then(|elf| elf.architecture());
    if architecture(&module) != architecture(&neighbour) {
        return Some(ProgramFinding::ModuleUnloadable { path });
    }
    let version = Elf::read(&module).and_then(|module| module.version());
    (version.as_deref() != Some(VERSION)).then_some(ProgramFinding::ModuleVersion {
        path,
        version,
        expected: VERSION,
    })
}

/// What is wrong with the broker's program.
pub(super) fn of_broker() -> Option<ProgramFinding> {
    let mut command = Command::new(BROKER);
    command.arg("--version").env_clear();
    let answer = subprocess::run(command, &[], Instant::now() + TIMEOUT);
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            return Some(ProgramFinding::BrokerDoesNotRun {
                error: error.to_string(),
            });
        }
    };
    let said = String::from_utf8_lossy(&answer.stdout);
    let version = said.split_whitespace().nth(1).unwrap_or_default();
    if !answer.status.success() {
        let error = String::from_utf8_lossy(&answer.stderr);
        let error = format!("{}: {}", answer.status, error.trim());
        return Some(ProgramFinding::BrokerDoesNotRun { error });
    }
    (version != VERSION).then(|| ProgramFinding::BrokerVersion {
        version: version.to_owned(),
        expected: VERSION,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(module: Option<&[u8]>) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        // Any program of this machine has the architecture of this machine.
        let neighbour = fs::read("/proc/self/exe").unwrap();
        fs::write(folder.path().join("pam_unix.so"), neighbour).unwrap();
        if let Some(module) = module {
            fs::write(folder.path().join("pam_twofa.so"), module).unwrap();
        }
        folder
    }

    #[test]
    fn each_folder_of_modules_is_looked_at() {
        let without_note = fs::read("/proc/self/exe").unwrap();
        let (good, none) = (folder(Some(&without_note)), folder(None));
        let script = folder(Some(b"#!/bin/sh\n"));
        let path = |folder: &tempfile::TempDir| folder.path().to_owned();
        let module = |folder: &tempfile::TempDir| folder.path().join("pam_twofa.so");
        assert_eq!(of_modules(&[]), []);
        let missing = ProgramFinding::ModuleMissing {
            folder: path(&none),
        };
        assert_eq!(of_modules(&[path(&none)]), [missing]);
        let found = of_modules(&[path(&good), path(&good), path(&none), path(&script)]);
        let version = ProgramFinding::ModuleVersion {
            path: module(&good),
            version: None,
            expected: VERSION,
        };
        let unloadable = ProgramFinding::ModuleUnloadable {
            path: module(&script),
        };
        let some = ProgramFinding::ModuleMissingForSome {
            folders: vec![path(&none)],
        };
        assert_eq!(found.len(), 3, "{found:?}");
        for expected in [some, version, unloadable] {
            assert!(found.contains(&expected), "{expected:?} in {found:?}");
        }
    }
}
