//! Who may be the broker.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::User;
use twofa_proto::{SERVICE_USER, SOCKET};

/// Whether the broker may run as `uid`: as root (systemd listens as root), as the owner that root gave the socket's
/// directory, or as the service user.
///
/// The directory answers in two system calls, while the name service may take longer than everything else. It counts at
/// the built-in path only, because a directory made for something else says nothing about brokers: with `socket=` below a
/// user's home, its owner is not trusted.
pub fn may_be_broker(uid: u32, socket: &Path) -> bool {
    uid == 0
        || (socket == Path::new(SOCKET) && owner_appointed_by_root(socket) == Some(uid))
        || matches!(User::from_name(SERVICE_USER), Ok(Some(user)) if user.uid.as_raw() == uid)
}

/// The owner of the socket's directory, if only root can have given it to them: its parent belongs to root, and nobody
/// else can write there. A sticky bit does not help: anyone can make a directory in /tmp.
fn owner_appointed_by_root(socket: &Path) -> Option<u32> {
    let directory = socket.parent()?;
    let above = fs::symlink_metadata(directory.parent()?)
        .ok()
        .filter(is_writable_by_owner_alone)?;
    let directory = fs::symlink_metadata(directory)
        .ok()
        .filter(is_writable_by_owner_alone)?;
    (above.uid() == 0).then(|| directory.uid())
}

/// A real directory that only its owner can write to (the group's bits also bound all ACL entries).
fn is_writable_by_owner_alone(found: &fs::Metadata) -> bool {
    found.is_dir() && found.mode() & 0o022 == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    #[test]
    fn another_user_may_not_be_the_broker() {
        for socket in [
            SOCKET,
            "/run/elsewhere.sock",
            "/tmp/twofad.sock",
            "/nonexistent/twofad.sock",
            "/",
        ] {
            assert!(may_be_broker(0, Path::new(socket)));
            assert!(!may_be_broker(65_534, Path::new(socket)), "{socket}");
        }
    }

    #[test]
    fn an_owner_is_appointed_by_root_only_if_nobody_else_could_have_made_or_changed_the_directory()
    {
        const OTHER: u32 = 65_534;
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let above = tempfile::tempdir().unwrap();
        let directory = above.path().join("twofa");
        fs::create_dir(&directory).unwrap();
        let socket = directory.join("twofad.sock");
        let appointed_with = |modes: [u32; 2], owners: [u32; 2]| {
            for (path, (mode, owner)) in [above.path(), &directory]
                .into_iter()
                .zip(modes.into_iter().zip(owners))
            {
                chown(path, Some(owner), None).unwrap();
                fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
            }
            owner_appointed_by_root(&socket)
        };
        assert_eq!(appointed_with([0o755, 0o755], [0, OTHER]), Some(OTHER));
        assert_eq!(appointed_with([0o755, 0o755], [0, 0]), Some(0));
        for modes in [
            [0o755, 0o775],
            [0o755, 0o757],
            [0o775, 0o755],
            [0o757, 0o755],
            [0o1777, 0o755],
        ] {
            assert_eq!(appointed_with(modes, [0, OTHER]), None, "{modes:?}");
        }
        assert_eq!(appointed_with([0o755, 0o755], [OTHER, OTHER]), None);

        assert!(appointed_with([0o755, 0o755], [0, OTHER]).is_some());
        symlink("twofa", above.path().join("link")).unwrap();
        assert_eq!(
            owner_appointed_by_root(&above.path().join("link/twofad.sock")),
            None
        );
        assert_eq!(
            owner_appointed_by_root(&above.path().join("nothing/twofad.sock")),
            None
        );
    }
}
