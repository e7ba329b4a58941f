//! What of this machine, apart from PAM's files, would make logins fail or let somebody change the rules: owners and modes,
//! the disk, a broker that an upgrade has left running, SELinux, and how long programs let a login take.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;
use nix::unistd::User;
use twofa_core::Timestamp;
use twofa_proto::SERVICE_USER;

use super::finding::{EnvironmentFinding, Exposure, Hurry};
use super::sshd::Sshd;
use crate::admin::pam::{FOLDERS, Machine, PENDING_CHANGE, module_folders};
use crate::process::location::location;

/// A store with less than this many MiB of room may soon be unable to count attempts, and then refuses everybody.
const ROOM: u64 = 64;
/// How long it takes to install an app, scan a key and type a code, in seconds: sshd's own default.
const TO_ENROL: u64 = 120;
/// So much of the end of the audit log is read, in bytes.
const AUDIT_TAIL: usize = 8 << 20;
/// SELinux denials of so many seconds are looked at.
const RECENT: u64 = 86_400;

/// All findings about files, disk, broker and SELinux.
pub(super) fn findings(now: Timestamp) -> Vec<EnvironmentFinding> {
    let mut findings = exposed(&roots_files(), &[0]);
    findings.extend(exposed(&services_files(), &trusted_with_the_store()));
    findings.extend(room(&location().database));
    findings.extend(outdated_broker());
    if Path::new(PENDING_CHANGE).exists() {
        findings.push(EnvironmentFinding::PamChangePending);
    }
    if let Ok(log) = fs::read("/var/log/audit/audit.log") {
        let tail = &log[log.len().saturating_sub(AUDIT_TAIL)..];
        findings.extend(denials(&String::from_utf8_lossy(tail), now.before(RECENT)));
    }
    findings
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
    let folders =
        FOLDERS
            .into_iter()
            .chain(["/etc/twofa", "/etc/twofa/templates", "/etc/twofa/sms.d"]);
    let mut files: Vec<_> = folders
        .flat_map(|folder| {
            let files = fs::read_dir(folder).into_iter().flatten().flatten();
            let files = files.map(|file| file.path());
            [PathBuf::from(folder)].into_iter().chain(files)
        })
        .collect();
    let modules = module_folders().into_iter();
    files.extend(modules.map(|folder| folder.join("pam_twofa.so")));
    files.extend(["/usr/sbin/twofad", "/usr/bin/twofa", "/etc/ssh/sshd_config"].map(PathBuf::from));
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
    let service = User::from_name(SERVICE_USER).ok().flatten();
    let service = service.map(|user| user.uid.as_raw());
    [0].into_iter().chain(service).collect()
}

/// Those of `files` that others than the users `trusted` could change. What is not there is no finding here.
fn exposed(files: &[PathBuf], trusted: &[u32]) -> Vec<EnvironmentFinding> {
    let exposure = |path: &PathBuf| {
        let found = fs::metadata(path).ok()?;
        let exposure = if !trusted.contains(&found.uid()) {
            Exposure::Owner(found.uid())
        } else if found.mode() & 0o002 != 0 || (found.mode() & 0o020 != 0 && found.gid() != 0) {
            Exposure::Mode(found.mode() & 0o7777)
        } else {
            return None;
        };
        let path = path.clone();
        Some(EnvironmentFinding::Exposed { path, exposure })
    };
    files.iter().filter_map(exposure).collect()
}

fn room(database: &Path) -> Option<EnvironmentFinding> {
    let folder = database.parent()?;
    let disk = statvfs(folder).ok()?;
    // On some architectures these are 32 bits wide.
    #[allow(clippy::useless_conversion)]
    let (blocks, size) = (
        u64::from(disk.blocks_available()),
        u64::from(disk.fragment_size()),
    );
    let free = blocks.saturating_mul(size) >> 20;
    let path = folder.to_owned();
    (free < ROOM).then_some(EnvironmentFinding::DiskNearlyFull { path, free })
}

/// A broker whose program has been replaced since it was started: it runs without the changes of the upgrade.
fn outdated_broker() -> Option<EnvironmentFinding> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let is_outdated = |process: &PathBuf| {
        let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
        let program = fs::read_link(process.join("exe")).unwrap_or_default();
        name.trim_end() == "twofad" && program.to_string_lossy().ends_with(" (deleted)")
    };
    let mut outdated = processes.map(|process| process.path()).filter(is_outdated);
    outdated.next().map(|_| EnvironmentFinding::BrokerOutdated)
}

/// What SELinux has denied us since, from the lines of auditd's log.
fn denials(log: &str, since: Timestamp) -> Option<EnvironmentFinding> {
    let is_recent = |line: &&str| {
        let (_, rest) = line.split_once("msg=audit(")?;
        let seconds: i64 = rest.split('.').next()?.parse().ok()?;
        (Timestamp::from_unix(seconds) >= since).then_some(())
    };
    let denied: Vec<_> = log
        .lines()
        .filter(|line| line.starts_with("type=AVC ") && line.contains("denied"))
        .filter(|line| line.contains("twofa") && is_recent(line).is_some())
        .collect();
    let (_, latest) = denied.last()?.split_once("denied")?;
    Some(EnvironmentFinding::SelinuxDenials {
        count: denied.len(),
        latest: latest.trim().to_owned(),
    })
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
            [EnvironmentFinding::Exposed { path, exposure }]
        };
        set(0o644);
        assert_eq!(exposed(&files, &[me]), []);
        assert_eq!(exposed(&files, &[me + 1]), finding(Exposure::Owner(me)));
        set(0o646);
        assert_eq!(exposed(&files, &[me]), finding(Exposure::Mode(0o646)));
    }

    #[test]
    fn denials_of_the_last_day_that_concern_us_are_counted() {
        let line = |second: u32, permission: &str, program: &str| {
            format!(
                "type=AVC msg=audit({second}.243:24287): avc:  denied  {{ {permission} }} for  pid=7 comm=\"{program}\"\n"
            )
        };
        let log = line(90, "read", "twofad")
            + &line(100, "write", "twofad")
            + &line(101, "write", "httpd")
            + "type=AVC msg=audit(102.1:1): avc:  granted  { load_policy } for comm=\"twofa\"\n"
            + &line(103, "connectto", "twofad");
        let since = Timestamp::from_unix(100);
        assert_eq!(
            denials(&log, since),
            Some(EnvironmentFinding::SelinuxDenials {
                count: 2,
                latest: "{ connectto } for  pid=7 comm=\"twofad\"".into(),
            })
        );
        assert_eq!(denials(&log, Timestamp::from_unix(104)), None);
    }

    #[test]
    fn the_time_for_a_login_at_a_console_is_the_last_that_is_set() {
        assert_eq!(login_timeout("# LOGIN_TIMEOUT 5\n"), 60);
        let twice = "LOGIN_TIMEOUT 30\nLOGIN_RETRIES 3\nLOGIN_TIMEOUT\t\t90\n";
        assert_eq!(login_timeout(twice), 90);
    }
}
