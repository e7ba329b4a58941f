//! What of this machine, apart from PAM's files, would make logins fail or let somebody change the rules: owners and modes,
//! the disk, a broker that an upgrade has left running, and how long programs let a login take.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;
use twofa_core::Timestamp;
use twofa_proto::SERVICE_USER;

use super::finding::{EnvironmentFinding, Exposure, Finding, Hurry, Part};
use super::module::BROKER;
use super::selinux;
use super::sshd::Sshd;
use crate::admin::pam::{FOLDERS, Machine, PENDING_CHANGE, module_folders};
use crate::identity::accounts::system_user;
use crate::process::location::location;
use crate::sshd::config::Config;

/// A store with less than this many MiB of room may soon be unable to count attempts, and then refuses everybody.
const ROOM: u64 = 64;
/// The same for files: SQLite makes some while it writes.
const FILES: u64 = 64;
/// How long it takes to install an app, scan a key and type a code, in seconds: sshd's own default.
const TO_ENROL: u64 = 120;

/// All findings about files, disk, broker and SELinux.
pub(super) fn findings(now: Timestamp) -> Vec<Finding> {
    let mut found = exposed(&roots_files(), &[0]);
    found.extend(exposed(&services_files(), &trusted_with_the_store()));
    found.extend(room(&location().database));
    found.extend(outdated_broker());
    found.extend(pending_change());
    found.extend(selinux::finding(now));
    found
}

fn pending_change() -> Option<Finding> {
    let path = Path::new(PENDING_CHANGE);
    match path.try_exists() {
        Ok(true) => Some(Finding::Environment(EnvironmentFinding::PamChangePending)),
        Ok(false) => None,
        Err(error) => unreadable(path, &error),
    }
}

/// The programs that give people too little time to enrol at a login.
pub(super) fn hurried(machine: &Machine, sshd: Option<&Sshd>) -> Vec<Hurry> {
    let asks = |service: &str| {
        let checked = machine.check(service);
        checked.is_some_and(|checked| !checked.asks.is_empty())
    };
    let sshd = sshd
        .filter(|sshd| sshd.is_in_use && asks(sshd.service()))
        .and_then(Sshd::grace)
        .map(|seconds| Hurry {
            setting: "LoginGraceTime",
            file: "/etc/ssh/sshd_config",
            seconds,
        });
    let console = asks("login").then(|| Hurry {
        setting: "LOGIN_TIMEOUT",
        file: "/etc/login.defs",
        seconds: login_timeout(&fs::read_to_string("/etc/login.defs").unwrap_or_default()),
    });
    // 0 is no limit.
    let is_short = |hurry: &Hurry| (1..TO_ENROL).contains(&hurry.seconds);
    sshd.into_iter().chain(console).filter(is_short).collect()
}

/// `LOGIN_TIMEOUT`, see `login.defs(5)`; in seconds.
fn login_timeout(text: &str) -> u64 {
    let pairs = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut last = pairs.filter_map(|words| match words[..] {
        ["LOGIN_TIMEOUT", seconds, ..] => seconds.parse().ok(),
        _ => None,
    });
    last.next_back().unwrap_or(60)
}

/// Files and folders that nobody but root may change: who changes them decides who gets in.
fn roots_files() -> Vec<PathBuf> {
    let folders = FOLDERS.into_iter().chain([
        "/etc/twofa",
        "/etc/twofa/templates",
        "/etc/twofa/sms.d",
        "/etc/ssh/sshd_config.d",
    ]);
    let mut files: Vec<_> = folders
        .flat_map(|folder| {
            let files = fs::read_dir(folder).into_iter().flatten().flatten();
            let files = files.map(|file| file.path());
            [PathBuf::from(folder)].into_iter().chain(files)
        })
        .collect();
    let modules = module_folders().into_iter();
    files.extend(modules.map(|folder| folder.join("pam_twofa.so")));
    let others = [
        BROKER,
        "/usr/bin/twofa",
        "/etc/pam.conf",
        "/etc/ssh",
        "/etc/ssh/sshd_config",
    ];
    files.extend(others.map(PathBuf::from));
    // If it cannot be read, another finding says so.
    if let Ok(sshd) = Config::as_it_is() {
        let included = sshd.paths().map(PathBuf::from);
        files.extend(included.flat_map(|file| {
            let folder = file.parent().map(Path::to_owned);
            [file].into_iter().chain(folder)
        }));
    }
    files.sort();
    files.dedup();
    files
}

/// What the service's user may change too.
fn services_files() -> [PathBuf; 2] {
    let store = location().database;
    let folder = store.parent().unwrap_or(&store).to_owned();
    [folder, PathBuf::from("/run/twofa")]
}

fn trusted_with_the_store() -> Vec<u32> {
    let service = system_user(SERVICE_USER).ok().flatten();
    let service = service.map(|(uid, _)| uid);
    [0].into_iter().chain(service).collect()
}

/// Those of `files` that others than the users `trusted` could change, or of which that is not to be known. What is not there
/// is no finding here.
fn exposed(files: &[PathBuf], trusted: &[u32]) -> Vec<Finding> {
    let exposure = |path: &PathBuf| {
        let found = match fs::metadata(path) {
            Ok(found) => found,
            Err(error) => return unreadable(path, &error),
        };
        let exposure = if !trusted.contains(&found.uid()) {
            Exposure::Owner(found.uid())
        } else if found.mode() & 0o002 != 0 || (found.mode() & 0o020 != 0 && found.gid() != 0) {
            Exposure::Mode(found.mode() & 0o7777)
        } else {
            let list = || fs::read_dir(path).err();
            let error = found.is_dir().then(list).flatten()?;
            return unreadable(path, &error);
        };
        let path = path.clone();
        let exposed = EnvironmentFinding::Exposed { path, exposure };
        Some(Finding::Environment(exposed))
    };
    files.iter().filter_map(exposure).collect()
}

/// That `path` cannot be read, if it is there.
pub(super) fn unreadable(path: &Path, error: &io::Error) -> Option<Finding> {
    let is_there = !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory);
    is_there.then(|| Finding::NotExamined {
        part: Part::Path(path.to_owned()),
        error: error.to_string(),
    })
}

/// Findings if the file system of the store has little room, or few files left to make.
fn room(database: &Path) -> Vec<Finding> {
    let Some(folder) = database.parent() else {
        return Vec::new();
    };
    let disk = match statvfs(folder) {
        Ok(disk) => disk,
        Err(error) => return unreadable(folder, &error.into()).into_iter().collect(),
    };
    // On some architectures these are 32 bits wide.
    #[allow(clippy::useless_conversion)]
    let (blocks, size, files, left) = (
        u64::from(disk.blocks_available()),
        u64::from(disk.fragment_size()),
        u64::from(disk.files()),
        u64::from(disk.files_available()),
    );
    scarce(folder, blocks.saturating_mul(size) >> 20, files, left)
        .into_iter()
        .map(Finding::Environment)
        .collect()
}

/// What is scarce where `free` MiB are left, and of `files` files that there can be, `left` can still be made.
fn scarce(folder: &Path, free: u64, files: u64, left: u64) -> Vec<EnvironmentFinding> {
    let path = || folder.to_owned();
    let disk = (free < ROOM).then(|| EnvironmentFinding::DiskNearlyFull { path: path(), free });
    // File systems without such a limit say 0 of 0.
    let is_short = files > 0 && left < FILES;
    let inodes = is_short.then(|| EnvironmentFinding::FilesNearlyUsedUp { path: path(), left });
    disk.into_iter().chain(inodes).collect()
}

/// A broker whose program has been replaced since it was started: it runs without the changes of the upgrade.
fn outdated_broker() -> Option<Finding> {
    let folder = Path::new("/proc");
    let processes = match fs::read_dir(folder) {
        Ok(processes) => processes.flatten(),
        Err(error) => return unreadable(folder, &error),
    };
    let is_outdated = |process: &PathBuf| {
        let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
        let program = fs::read_link(process.join("exe")).unwrap_or_default();
        name.trim_end() == "twofad" && program.to_string_lossy().ends_with(" (deleted)")
    };
    let mut outdated = processes.map(|process| process.path()).filter(is_outdated);
    outdated
        .next()
        .map(|_| Finding::Environment(EnvironmentFinding::BrokerOutdated))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_that_others_could_change_is_found_and_a_missing_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (file, gone) = (folder.path().join("sshd"), folder.path().join("gone"));
        fs::write(&file, "").unwrap();
        let files = [file.clone(), gone];
        let me = nix::unistd::geteuid().as_raw();
        let set = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let finding = |exposure| {
            let path = file.clone();
            let exposed = EnvironmentFinding::Exposed { path, exposure };
            [Finding::Environment(exposed)]
        };
        set(0o644);
        assert_eq!(exposed(&files, &[me]), []);
        assert_eq!(exposed(&files, &[me + 1]), finding(Exposure::Owner(me)));
        set(0o646);
        assert_eq!(exposed(&files, &[me]), finding(Exposure::Mode(0o646)));
    }

    #[test]
    fn files_of_sshd_and_their_folder_are_looked_at() {
        let files = roots_files();
        for path in ["/etc/ssh", "/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d"] {
            assert!(files.contains(&PathBuf::from(path)), "{path}");
        }
    }

    #[test]
    fn a_file_system_without_room_or_without_files_left_is_found() {
        let folder = Path::new("/store");
        let path = || folder.to_owned();
        assert_eq!(scarce(folder, 64, 1000, 64), []);
        // No limit.
        assert_eq!(scarce(folder, 64, 0, 0), []);
        let used_up = EnvironmentFinding::FilesNearlyUsedUp {
            path: path(),
            left: 0,
        };
        assert_eq!(scarce(folder, 64, 1000, 0), [used_up]);
        let full = EnvironmentFinding::DiskNearlyFull {
            path: path(),
            free: 63,
        };
        assert_eq!(scarce(folder, 63, 1000, 64), [full]);
    }

    #[test]
    fn a_folder_that_cannot_be_asked_for_its_room_is_not_fine() {
        let folder = tempfile::tempdir().unwrap();
        let looped = folder.path().join("loop");
        std::os::unix::fs::symlink(&looped, &looped).unwrap();
        let found = room(&looped.join("db/twofa.db"));
        assert!(
            matches!(found[..], [Finding::NotExamined { .. }]),
            "{found:?}"
        );
    }

    #[test]
    fn the_time_for_a_login_at_a_console_is_the_last_that_is_set() {
        assert_eq!(login_timeout("# LOGIN_TIMEOUT 5\n"), 60);
        let twice = "LOGIN_TIMEOUT 30\nLOGIN_RETRIES 3\nLOGIN_TIMEOUT\t\t90\n";
        assert_eq!(login_timeout(twice), 90);
    }
}
