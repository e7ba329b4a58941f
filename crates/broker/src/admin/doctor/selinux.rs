//! What SELinux has denied: from auditd's log, by ausearch(8) where that is elsewhere, or from the journal.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use twofa_core::Timestamp;
use twofa_delivery::subprocess;

use super::finding::{EnvironmentFinding, Finding, Part};

const AUDIT_LOG: &str = "/var/log/audit/audit.log";
/// So many logs that were rotated away are read, after the one that is written; auditd.conf(5) keeps five by default.
const ROTATED: usize = 99;
/// Denials of so many seconds are looked at.
const RECENT: u64 = 86_400;
/// So much of a program's output is kept, in bytes.
const KEPT: usize = 64 << 10;
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
const JOURNALCTL: [&str; 8] = [
    "journalctl",
    "--quiet",
    "--no-pager",
    "--reverse",
    "--output=short-unix",
    "--since=-24h",
    "--grep=avc: +denied.*twofa",
    "_TRANSPORT=audit",
];

/// A finding if SELinux has denied us something in the last day, or if what it denied cannot be known although it is there.
pub(super) fn finding(now: Timestamp) -> Option<Finding> {
    let since = now.before(RECENT);
    match audit_log(Path::new(AUDIT_LOG), since) {
        Ok(log) => return denials(&log, since).map(Finding::Environment),
        Err((path, error))
            if error.kind() == ErrorKind::NotFound && path == Path::new(AUDIT_LOG) => {}
        Err((path, error)) => {
            let (part, error) = (Part::Path(path), error.to_string());
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

/// The lines about us of the log at `path`, and of those that were rotated away since then (`path.1`, `path.2` and so on).
/// The error is that of the file beside it.
fn audit_log(path: &Path, since: Timestamp) -> Result<String, (PathBuf, io::Error)> {
    let (mut all, _) = log_file(path, since).map_err(|error| (path.to_owned(), error))?;
    for number in 1..=ROTATED {
        let mut rotated = path.as_os_str().to_owned();
        rotated.push(format!(".{number}"));
        let rotated = PathBuf::from(rotated);
        match log_file(&rotated, since) {
            Ok((_, false)) => break,
            Ok((lines, true)) => all.push_str(&lines),
            Err(error) if error.kind() == ErrorKind::NotFound => break,
            Err(error) => return Err((rotated, error)),
        }
    }
    Ok(all)
}

/// The lines about us of one log, and whether any line of it is as late as `since`: then there may be some in an older one.
fn log_file(path: &Path, since: Timestamp) -> io::Result<(String, bool)> {
    let mut file = BufReader::new(File::open(path)?);
    let (mut kept, mut is_recent, mut line) = (String::new(), false, Vec::new());
    while file.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line);
        is_recent = is_recent || time(&text).is_some_and(|at| at >= since);
        if is_about_us(&text) {
            kept.push_str(&text);
        }
        line.clear();
    }
    Ok((kept, is_recent))
}

/// What the program prints; nothing if it finds nothing, which is a failure to it. Such a failure has no message, or that of
/// ausearch(8).
fn output(command: &[&str], more: &[&str]) -> Result<String, String> {
    let [program, arguments @ ..] = command else {
        return Err(String::new());
    };
    let mut command = Command::new(program);
    command.args(arguments).args(more).env_clear();
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let output = subprocess::run(command, &[], Instant::now() + TIMEOUT)
        .map_err(|error| format!("{program}: {error}"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    let is_empty = complaint.trim().is_empty() || complaint.contains("<no matches>");
    if !output.status.success() && !is_empty {
        return Err(format!("{program}: {}", complaint.trim()));
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.stdout.len() >= KEPT && !text.lines().any(is_about_us) {
        return Err(format!("{program}: it prints too much to be read here"));
    }
    Ok(text)
}

fn is_about_us(line: &str) -> bool {
    line.contains("avc:") && line.contains("denied") && line.contains("twofa")
}

/// What SELinux has denied us since, from lines of auditd, of ausearch or of the journal.
fn denials(log: &str, since: Timestamp) -> Option<EnvironmentFinding> {
    let denied: Vec<_> = log
        .lines()
        .filter(|line| is_about_us(line))
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
    fn a_denial_is_found_in_logs_that_were_rotated_away_as_far_as_they_are_recent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let line = |second: u32| {
            format!(
                "type=AVC msg=audit({second}.1:7): avc:  denied  {{ read }} for  comm=\"twofad\"\n"
            )
        };
        let other = |second: u32| format!("type=SERVICE_START msg=audit({second}.1:7): pid=1\n");
        std::fs::write(&path, other(300)).unwrap();
        for (number, text) in [(1, line(200)), (2, line(99) + &line(100)), (3, other(50))] {
            std::fs::write(folder.path().join(format!("audit.log.{number}")), text).unwrap();
        }
        // Not reached.
        std::fs::create_dir(folder.path().join("audit.log.4")).unwrap();
        let since = Timestamp::from_unix(100);
        let log = audit_log(&path, since).unwrap();
        let Some(EnvironmentFinding::SelinuxDenials { count, .. }) = denials(&log, since) else {
            panic!("{log}");
        };
        assert_eq!(count, 2);
        let early = audit_log(&path, Timestamp::from_unix(1)).unwrap_err();
        assert_eq!(early.0, folder.path().join("audit.log.4"));
    }

    #[test]
    fn a_program_that_fails_has_not_looked_and_one_that_finds_nothing_has() {
        let shell = |script: &str| output(&["sh", "-c", script], &[]);
        assert_eq!(shell("exit 1"), Ok(String::new()));
        assert_eq!(shell("echo '<no matches>' >&2; exit 1"), Ok(String::new()));
        assert!(shell("echo 'no logs' >&2; exit 1").is_err());
    }
}
