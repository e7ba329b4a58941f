//! Files that hold secrets: who may own, read and change them.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::geteuid;
use zeroize::Zeroizing;

use crate::error::StoreError;

pub(crate) const OTHERS: u32 = 0o007;
pub(crate) const OTHERS_WRITE: u32 = 0o002;
pub(crate) const GROUP: u32 = 0o070;
pub(crate) const GROUP_WRITES: u32 = 0o020;
/// The longest secret, in bytes: a key as PEM is a tenth of it.
const LONGEST: u64 = 64 * 1024;

/// A secret that the administrator keeps in the file `path`, which others must not be able to read or change.
pub(crate) fn read_secret(path: &Path) -> Result<Zeroizing<String>, StoreError> {
    let file = File::open(path).map_err(StoreError::file("open", path))?;
    let metadata = file.metadata().map_err(StoreError::file("look at", path))?;
    check_private(path, &metadata, OTHERS | GROUP_WRITES)?;
    let mut text = Zeroizing::new(String::new());
    file.take(LONGEST)
        .read_to_string(&mut text)
        .map_err(StoreError::file("read", path))?;
    Ok(text)
}

/// Checks that `path` is a regular file with none of the mode bits in `forbidden`, owned by root, by us, or by
/// the owner of its folder, and that nobody else can put another file in its place.
pub(crate) fn check_private(
    path: &Path,
    metadata: &fs::Metadata,
    forbidden: u32,
) -> Result<(), StoreError> {
    let exposed = |path: &Path, why: String| {
        Err(StoreError::Exposed {
            path: path.to_owned(),
            why,
        })
    };
    if !metadata.is_file() {
        return exposed(path, "is not a regular file".to_owned());
    }
    let mode = metadata.mode() & 0o7777;
    if mode & forbidden != 0 {
        let why = format!(
            "has mode {mode:04o}, so that others can read or change it; remove these permissions with 'chmod', and if others \
             may have read it, create new secrets"
        );
        return exposed(path, why);
    }
    let directory = parent(path);
    let around = fs::metadata(directory).map_err(StoreError::file("look at", directory))?;
    if around.mode() & (0o002 | GROUP_WRITES) != 0 {
        let why = format!(
            "has mode {:04o}, so that others can replace what is in it",
            around.mode() & 0o7777
        );
        return exposed(directory, why);
    }
    let ours = geteuid().as_raw();
    if [0, ours, around.uid()].contains(&metadata.uid()) {
        Ok(())
    } else {
        exposed(
            path,
            format!("belongs to uid {}, which must not own it", metadata.uid()),
        )
    }
}

/// The folder of a file.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_that_others_can_read_or_change_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        fs::write(&path, "secret\n").unwrap();
        for (mode, is_private) in [
            (0o600, true),
            (0o640, true),
            (0o644, false),
            (0o660, false),
            (0o602, false),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let read = read_secret(&path);
            assert_eq!(read.is_ok(), is_private, "{mode:o}: {read:?}");
            assert!(is_private || matches!(read, Err(StoreError::Exposed { .. })));
        }
        assert!(matches!(
            read_secret(folder.path()),
            Err(StoreError::Exposed { .. })
        ));
    }
}
