//! Leaving the control groups of the program that started this one, see `cgroups(7)`.
//!
//! The owner of a control group can freeze the processes in it, root's as well, or leave them next to no processor,
//! memory or disk. Users own some: the service manager of a user (user@.service) has a part of the tree delegated.
//!
//! In cgroup v2 the process goes to `/twofa`, a group of its own directly below the root, where container managers
//! without systemd have theirs too and which systemd leaves alone; in v1 to the root of each hierarchy. Only root
//! can limit or freeze them, or the roots not even root.
//!
//! Where a group cannot be left, as in containers that see their part of the tree read-only, the process stays where it is
//! and goes on: to refuse there would refuse every login, and a user can own a control group only in a tree that can be
//! written.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The broker's group in cgroup v2. It is never removed, since a process cannot remove the group it is in.
const GROUP: &str = "twofa";

/// Control groups that could not be left, each with the reason.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot leave a control group of the program that started this one, whose owner could freeze it while logins wait \
     for it: {}", .0.join(", ")
)]
pub struct CgroupError(Vec<String>);

/// Leaves every control group that is not the root of its hierarchy, or of the part of it that can be seen.
pub(crate) fn leave() -> Result<(), CgroupError> {
    let groups = match fs::read_to_string("/proc/self/cgroup") {
        // A kernel without control groups.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(CgroupError(vec![format!("/proc/self/cgroup: {error}")])),
        Ok(groups) => groups,
    };
    // Without it, no hierarchy is found.
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let stayed_in = |membership: Membership<'_>| {
        let error = membership.leave(&mounts).err()?;
        Some(format!("{} ({error})", membership.group))
    };
    let stayed: Vec<String> = groups
        .lines()
        .filter_map(Membership::parse)
        .filter_map(stayed_in)
        .collect();
    if stayed.is_empty() {
        Ok(())
    } else {
        Err(CgroupError(stayed))
    }
}

/// A line of `/proc/self/cgroup`: a hierarchy, and this process's group in it.
#[derive(Debug)]
struct Membership<'a> {
    /// `freezer`, `cpu,cpuacct`, `name=systemd`; empty for cgroup v2.
    controllers: &'a str,
    group: &'a str,
}

/// Where the whole of a hierarchy is mounted, or a part of it.
#[derive(Debug, PartialEq)]
struct Mount<'a> {
    /// The group that is seen at `point`.
    root: &'a str,
    point: PathBuf,
}

impl<'a> Membership<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (_, rest) = line.split_once(':')?;
        let (controllers, group) = rest.split_once(':')?;
        Some(Self { controllers, group })
    }

    fn is_v2(&self) -> bool {
        self.controllers.is_empty()
    }

    /// The mount that shows the most of the tree above our group.
    fn mount<'m>(&self, mounts: &'m str) -> Option<Mount<'m>> {
        let shown = mounts.lines().filter_map(|line| self.mount_in(line));
        shown.min_by_key(|mount| mount.root.len())
    }

    /// proc(5), `/proc/[pid]/mountinfo`: the fourth and fifth fields are root and mount point; behind a dash come
    /// type, source and the options of the file system.
    fn mount_in<'m>(&self, line: &'m str) -> Option<Mount<'m>> {
        let (place, kind) = line.split_once(" - ")?;
        let mut place = place.split(' ').skip(3);
        let (root, point) = (place.next()?, place.next()?);
        let mut kind = kind.split(' ');
        let (name, options) = (kind.next()?, kind.nth(1)?);
        let is_ours = if self.is_v2() {
            name == "cgroup2"
        } else {
            let mut options = options.split(',');
            name == "cgroup"
                && self
                    .controllers
                    .split(',')
                    .all(|controller| options.any(|it| it == controller))
        };
        let below = self.group.strip_prefix(root)?;
        let is_above = root == "/" || below.is_empty() || below.starts_with('/');
        (is_ours && is_above).then(|| Mount {
            root,
            point: PathBuf::from(point),
        })
    }

    fn leave(&self, mounts: &str) -> io::Result<()> {
        let Some(mount) = self.mount(mounts) else {
            let is_in_root = self.group == "/";
            return if is_in_root {
                Ok(())
            } else {
                Err(io::Error::other("its hierarchy is not mounted"))
            };
        };
        if mount.root == self.group {
            return Ok(());
        }
        if self.is_v2()
            && own_group(&mount.point)
                .and_then(|group| enter(&group))
                .is_ok()
        {
            return Ok(());
        }
        enter(&mount.point)
    }
}

/// The broker's group below `root`, created if necessary. One that others can write to is not used.
fn own_group(root: &Path) -> io::Result<PathBuf> {
    let group = root.join(GROUP);
    match DirBuilder::new().mode(0o755).create(&group) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    for path in [group.clone(), group.join("cgroup.procs")] {
        let found = fs::symlink_metadata(path)?;
        if found.uid() != 0 || found.mode() & 0o022 != 0 {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
    }
    Ok(group)
}

/// Moves this process to `group`: 0 stands for the process that writes it.
fn enter(group: &Path) -> io::Result<()> {
    fs::write(group.join("cgroup.procs"), "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
30 25 0:26 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/unified rw,nosuid shared:10 - cgroup2 cgroup2 rw,nsdelegate
32 30 0:28 / /sys/fs/cgroup/systemd rw,nosuid shared:11 - cgroup cgroup rw,xattr,name=systemd
33 30 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:12 - cgroup cgroup rw,cpu,cpuacct
34 30 0:30 / /sys/fs/cgroup/cpuset rw,nosuid shared:13 - cgroup cgroup rw,cpuset
35 30 0:31 /docker/1 /mnt/part rw,nosuid shared:14 - cgroup cgroup rw,freezer
";

    fn mount(line: &str) -> Option<PathBuf> {
        Membership::parse(line)
            .unwrap()
            .mount(HYBRID)
            .map(|mount| mount.point)
    }

    #[test]
    fn each_hierarchy_is_found_at_its_mount_point() {
        for (line, point) in [
            (
                "0::/user.slice/user-1000.slice/session-3.scope",
                "/sys/fs/cgroup/unified",
            ),
            ("1:name=systemd:/user.slice", "/sys/fs/cgroup/systemd"),
            ("9:cpu,cpuacct:/user.slice", "/sys/fs/cgroup/cpu,cpuacct"),
            ("4:cpuset:/a:b", "/sys/fs/cgroup/cpuset"),
            ("5:freezer:/docker/1", "/mnt/part"),
            ("5:freezer:/docker/1/inner", "/mnt/part"),
        ] {
            assert_eq!(mount(line), Some(PathBuf::from(point)), "{line}");
        }
        for line in ["5:freezer:/docker/11", "5:freezer:/", "6:pids:/user.slice"] {
            assert_eq!(mount(line), None, "{line}");
        }
    }
}
