//! What SELinux has denied: from auditd's log, by ausearch(8) where that is elsewhere, or from the journal.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use twofa_core::Timestamp;
use twofa_delivery::subprocess;

use super::finding::{EnvironmentFinding, Finding, Part};

const AUDIT_LOG: &str = "/var/log/audit/audit.log";
/// So much of the end of the audit log is read, in bytes.
const AUDIT_TAIL: u64 = 8 << 20;
/// Denials of so many seconds are looked at.
const RECENT: u64 = 86_400;
/// How long each of the programs may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// ausearch(8) reads the log that auditd.conf names; the date is a word, because its format is that of the locale.
const AUSEARCH: [&str; 6] = [
    "ausearch",
    "--input-logs",
    "-m",
    "AVC,USER_AVC",
    "--raw",
    "-ts",
];
/// Newest first: only the beginning of the output is kept.
const JOURNALCTL: [&str; 7] = [
    "journalctl",
    "--quiet",
    "--no-pager",
    "--reverse",
    "--output=short-unix",
    "--grep=avc: +denied",
    "_TRANSPORT=audit",
];

/// A finding if SELinux has denied us something in the last day, or if what it denied cannot be known although it is there.
pub(super) fn finding(now: Timestamp) -> Option<Finding> {
    let since = now.before(RECENT);
    match tail(Path::new(AUDIT_LOG)) {
        Ok(log) => return denials(&log, since).map(Finding::Environment),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => {
            let part = Part::Path(AUDIT_LOG.into());
            let error = error.to_string();
            return Some(Finding::NotExamined { part, error });
        }
    }
    let ausearch = output(&AUSEARCH, &["yesterday"]);
    let journal = output(&JOURNALCTL, &["+", "_TRANSPORT=kernel"]);
    let logs = [&ausearch, &journal];
    if let Some(found) = logs
        .iter()
        .find_map(|log| denials(log.as_ref().ok()?, since))
    {
        return Some(Finding::Environment(found));
    }
    // Without SELinux there is nothing to know.
    let is_on = Path::new("/sys/fs/selinux/enforce").exists();
    match (ausearch, journal) {
        (Err(_), Err(error)) if is_on => Some(Finding::NotExamined {
            part: Part::Selinux,
            error,
        }),
        _ => None,
    }
}

/// The end of a log, which can be long.
fn tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(AUDIT_TAIL)))?;
    let mut tail = Vec::new();
    file.take(AUDIT_TAIL).read_to_end(&mut tail)?;
    Ok(String::from_utf8_lossy(&tail).into_owned())
}

/// What the program prints; nothing if it finds nothing, which is a failure to it.
fn output(command: &[&str], more: &[&str]) -> Result<String, String> {
    let [program, arguments @ ..] = command else {
        return Err(String::new());
    };
    let mut command = Command::new(program);
    command.args(arguments).args(more).env_clear();
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let output = subprocess::run(command, &[], Instant::now() + TIMEOUT)
        .map_err(|error| format!("{program}: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What SELinux has denied us since, from lines of auditd, of ausearch or of the journal.
fn denials(log: &str, since: Timestamp) -> Option<EnvironmentFinding> {
    let denied: Vec<_> = log
        .lines()
        .filter(|line| line.contains("avc:") && line.contains("denied") && line.contains("twofa"))
        .filter_map(|line| Some((time(line)?, line.split_once("denied")?.1.trim())))
        .filter(|(at, _)| *at >= since)
        .collect();
    let (_, latest) = denied.iter().max_by_key(|(at, _)| *at)?;
    Some(EnvironmentFinding::SelinuxDenials {
        count: denied.len(),
        latest: (*latest).to_owned(),
    })
}

/// When it was denied: the kernel's own time, or the journal's at the beginning of the line.
fn time(line: &str) -> Option<Timestamp> {
    let of_kernel = line.split_once("audit(").map(|(_, rest)| rest);
    let seconds = of_kernel.unwrap_or(line).split('.').next()?;
    seconds.parse().ok().map(Timestamp::from_unix)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn what_the_journal_has_of_auditd_and_of_the_kernel_is_read() {
        let journal = "105.5 vm audit[7]: AVC avc:  denied  { read } for  pid=7 comm=\"twofad\"\n\
                       104.5 vm kernel: audit: type=1400 audit(103.1:2): avc:  denied  { open } for  comm=\"twofad\"\n";
        let found = |since| denials(journal, Timestamp::from_unix(since));
        let latest = "{ read } for  pid=7 comm=\"twofad\"".to_owned();
        let denied = |count| {
            let latest = latest.clone();
            Some(EnvironmentFinding::SelinuxDenials { count, latest })
        };
        assert_eq!(found(100), denied(2));
        assert_eq!(found(104), denied(1));
        assert_eq!(found(106), None);
    }

    #[test]
    fn of_a_long_log_the_end_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        std::fs::write(&path, format!("{}end", "x".repeat(8 << 20))).unwrap();
        let tail = tail(&path).unwrap();
        assert_eq!(tail.len() as u64, AUDIT_TAIL);
        assert!(tail.ends_with("xend"));
    }
}
