//! One file, replaced atomically.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

use rustix::fs::{XattrFlags, fsetxattr, getxattr};
use twofa_broker::Failure;

use crate::error::CommandError;

/// Where a new text is written before it gets its name. libpam and sshd read no file of this name.
const NEW: &str = ".twofa-new";
const LABEL: &str = "security.selinux";
const LARGEST_LABEL: usize = 1024;

/// Gives the file at `path` a new text, or removes it. Owner, mode and SELinux label are those of `like`. At every moment
/// there is the old file or the new one; when this returns, the change is on disk.
pub(super) fn replace(path: &str, text: Option<&str>, like: &str) -> io::Result<()> {
    let path = Path::new(path);
    let folder = path.parent().unwrap_or(Path::new("/"));
    match text {
        Some(text) => {
            let new = folder.join(NEW);
            remove(&new)?;
            write(&new, text, Path::new(like))?;
            fs::rename(&new, path)?;
        }
        None => remove(path)?,
    }
    File::open(folder)?.sync_all()
}

/// Removes what an interrupted [`replace`] may have left next to `path`.
pub(super) fn remove_rest(path: &str) -> io::Result<()> {
    let folder = Path::new(path).parent().unwrap_or(Path::new("/"));
    remove(&folder.join(NEW))
}

/// Writes a file that does not exist yet, and syncs it.
pub(super) fn write(path: &Path, text: &str, like: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    if let Ok(found) = fs::metadata(like) {
        fchown(&file, Some(found.uid()), Some(found.gid()))?;
        file.set_permissions(fs::Permissions::from_mode(found.mode() & 0o7777))?;
        let mut label = [0; LARGEST_LABEL];
        if let Ok(length) = getxattr(like, LABEL, &mut label[..]) {
            fsetxattr(&file, LABEL, &label[..length], XattrFlags::empty())?;
        }
    } else {
        file.set_permissions(fs::Permissions::from_mode(0o644))?;
    }
    file.sync_all()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The text of a file that only root could have written; `None` if there is none. Links are refused, too: what they lead to
/// belongs to another program.
pub(super) fn read_own(path: &str) -> Result<Option<String>, CommandError> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(path, &error)),
    };
    let refused = |why: &str| {
        let message = format!("{path} {why}: nothing was changed");
        Err(CommandError::new(Failure::Failed, message))
    };
    if found.is_symlink() {
        return refused("is a symbolic link");
    }
    if !found.is_file() {
        return refused("is not a file");
    }
    if found.uid() != 0 {
        return refused("does not belong to root");
    }
    if found.mode() & 0o022 != 0 {
        return refused("can be written by others than root");
    }
    match String::from_utf8(fs::read(path).map_err(|error| failed(path, &error))?) {
        Ok(text) => Ok(Some(text)),
        Err(error) => {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = before.split(|&byte| byte == b'\n').count();
            let message = format!("{path}:{line}: not UTF-8: nothing was changed");
            Err(CommandError::new(Failure::Failed, message))
        }
    }
}

pub(super) fn failed(path: &str, error: &io::Error) -> CommandError {
    CommandError::new(Failure::Failed, format!("{path}: {error}"))
}
