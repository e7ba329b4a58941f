//! Fingerprints of an administrator's files: a cheap way to see whether they have changed since they were read.

use std::fs::Metadata;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::provider::{ConfigDirs, ProviderConfig};

/// The setting that names a file which is read once and kept in memory.
const CA_FILE: &str = "ca-file";

impl ConfigDirs {
    /// A number that changes when a file in these directories is added, removed or changed, or a directory itself is;
    /// changes of owner and mode count. It can be compared with one of the same process only. What was opened with a
    /// [`Catalogue`] of an older fingerprint has older templates and data files.
    ///
    /// Costs a listing of each directory and a `stat` of each file; no file is read. A directory that does not exist
    /// counts as empty. A second change within a few milliseconds that keeps a file's size may go unnoticed, because
    /// file systems store times no more precisely.
    ///
    /// [`Catalogue`]: crate::Catalogue
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for dir in [&self.sms, &self.templates] {
            hash_file(dir, &mut hasher);
            let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
            let mut files: Vec<_> = entries.map(|entry| entry.path()).collect();
            files.sort();
            files.len().hash(&mut hasher);
            for file in files {
                hash_file(&file, &mut hasher);
            }
        }
        hasher.finish()
    }
}

impl ProviderConfig {
    /// The fingerprint of the file that this provider reads once and keeps in memory, its `ca-file`. A constant if it
    /// has none.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        if let Some(file) = self.settings.get(CA_FILE).filter(|file| !file.is_empty()) {
            hash_file(Path::new(file.as_str()), &mut hasher);
        }
        hasher.finish()
    }
}

fn hash_file(path: &Path, hasher: &mut DefaultHasher) {
    path.hash(hasher);
    // Follows symbolic links, because the target is what is read.
    std::fs::metadata(path)
        .ok()
        .as_ref()
        .map(attributes)
        .hash(hasher);
}

/// What changes when a file does. Unlike the time of modification, the time of change cannot be set by a program.
fn attributes(file: &Metadata) -> impl Hash + use<> {
    let times = [
        (file.mtime(), file.mtime_nsec()),
        (file.ctime(), file.ctime_nsec()),
    ];
    (
        file.dev(),
        file.ino(),
        file.size(),
        file.uid(),
        file.mode(),
        times,
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use zeroize::Zeroizing;

    use super::*;

    /// Makes `change` at a later time than all changes before, by the clock of any file system.
    fn change_later(change: impl FnOnce()) {
        std::thread::sleep(Duration::from_millis(20));
        change();
    }

    #[test]
    fn every_change_of_an_administrators_files_changes_the_fingerprint() {
        let root = tempfile::tempdir().unwrap();
        let (sms, templates) = (root.path().join("sms.d"), root.path().join("templates"));
        let dirs = ConfigDirs {
            sms: sms.clone(),
            templates: templates.clone(),
        };
        let (file, other) = (templates.join("code.txt"), root.path().join("other"));
        fs::write(&other, "1").unwrap();
        let changes: [&dyn Fn(); 10] = [
            &|| fs::create_dir(&templates).unwrap(),
            &|| fs::write(&file, "{{ code }}").unwrap(),
            &|| fs::write(&file, "{{ code }}!").unwrap(),
            // Of the same size.
            &|| fs::write(&file, "{{ code }}?").unwrap(),
            &|| fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap(),
            &|| fs::create_dir(&sms).unwrap(),
            &|| std::os::unix::fs::symlink(&other, sms.join("x.toml")).unwrap(),
            &|| fs::write(&other, "2").unwrap(),
            &|| fs::set_permissions(&sms, fs::Permissions::from_mode(0o777)).unwrap(),
            &|| fs::remove_file(&file).unwrap(),
        ];
        let mut seen = vec![dirs.fingerprint()];
        for change in changes {
            change_later(change);
            let fingerprint = dirs.fingerprint();
            assert!(!seen.contains(&fingerprint), "after change {}", seen.len());
            assert_eq!(fingerprint, dirs.fingerprint(), "nothing was changed");
            seen.push(fingerprint);
        }
    }

    #[test]
    fn a_changed_ca_file_changes_the_fingerprint_of_its_provider_alone() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let with = |settings: &[(&str, &str)]| {
            let settings = settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), Zeroizing::new((*value).to_owned())))
                .collect::<BTreeMap<_, _>>();
            ProviderConfig {
                name: "x".into(),
                kind: "smtp".into(),
                title: None,
                settings,
            }
        };
        let (one, other) = (
            with(&[("ca-file", file.path().to_str().unwrap())]),
            with(&[("host", "x")]),
        );
        let before = (one.fingerprint(), other.fingerprint());
        change_later(|| fs::write(file.path(), "new").unwrap());
        assert_ne!(one.fingerprint(), before.0);
        assert_eq!(other.fingerprint(), before.1);
    }
}
