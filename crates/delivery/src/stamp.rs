//! Whether an administrator's files have changed since they were read, told cheaply.

use std::fs::Metadata;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::provider::{Configuration, Places};

/// The setting that names a file which is read once and kept.
const CA_FILE: &str = "ca-file";

impl Places {
    /// A number that is another one when a file in these folders was added, removed or changed, or a folder was, its
    /// owner and mode included. Compare it with one of the same process; what is opened with a [`Catalogue`] of an
    /// older stamp has older templates and data files.
    ///
    /// Two readings of a folder and a `stat` for each file; contents are not read. A folder that is not there is as
    /// good as an empty one. What is changed within a few milliseconds of an earlier change, and keeps its size, may
    /// go unseen: file systems do not tell times apart any finer.
    ///
    /// [`Catalogue`]: crate::Catalogue
    pub fn stamp(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for folder in [&self.sms, &self.templates] {
            put_file(folder, &mut hasher);
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            let mut files: Vec<_> = entries.map(|entry| entry.path()).collect();
            files.sort();
            files.len().hash(&mut hasher);
            for file in files {
                put_file(&file, &mut hasher);
            }
        }
        hasher.finish()
    }
}

impl Configuration {
    /// The same for the file that this provider reads once and keeps, its `ca-file`; always the same where it names
    /// none.
    pub fn stamp(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        if let Some(file) = self.settings.get(CA_FILE).filter(|file| !file.is_empty()) {
            put_file(Path::new(file.as_str()), &mut hasher);
        }
        hasher.finish()
    }
}

fn put_file(path: &Path, hasher: &mut DefaultHasher) {
    path.hash(hasher);
    // What a link points to is what is read.
    std::fs::metadata(path)
        .ok()
        .as_ref()
        .map(marks)
        .hash(hasher);
}

/// What changes with a file. The time of its last change of any kind cannot be set by hand, as the other can.
fn marks(file: &Metadata) -> impl Hash + use<> {
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

    /// Does `change`, later than whatever was done before by any file system's clock.
    fn later(change: impl FnOnce()) {
        std::thread::sleep(Duration::from_millis(20));
        change();
    }

    #[test]
    fn every_change_of_an_administrators_files_changes_the_stamp() {
        let root = tempfile::tempdir().unwrap();
        let (sms, templates) = (root.path().join("sms.d"), root.path().join("templates"));
        let places = Places {
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
        let mut seen = vec![places.stamp()];
        for change in changes {
            later(change);
            let stamp = places.stamp();
            assert!(!seen.contains(&stamp), "after change {}", seen.len());
            assert_eq!(stamp, places.stamp(), "nothing was changed");
            seen.push(stamp);
        }
    }

    #[test]
    fn a_changed_ca_file_changes_the_stamp_of_its_provider_alone() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let with = |settings: &[(&str, &str)]| {
            let settings = settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), Zeroizing::new((*value).to_owned())))
                .collect::<BTreeMap<_, _>>();
            Configuration {
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
        let before = (one.stamp(), other.stamp());
        later(|| fs::write(file.path(), "new").unwrap());
        assert_ne!(one.stamp(), before.0);
        assert_eq!(other.stamp(), before.1);
    }
}
