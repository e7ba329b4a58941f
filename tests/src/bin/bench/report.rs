//! The report, in Markdown.

use std::fmt::{self, Write as _};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::thread::{self, available_parallelism};
use std::time::{Duration, Instant};

use crate::concurrent::Concurrent;
use crate::footprint::{ALLOWED, Footprint};
use crate::machines::{Stack, grouped};
use crate::mail_bench::MailBench;
use crate::statistics::{median, milliseconds, percentile};
use crate::timing::Timings;
use crate::users;

/// All that was measured.
#[derive(Debug)]
pub struct Report {
    /// Where.
    pub facts: Facts,
    /// One login by itself.
    pub timings: Timings,
    /// Many at once.
    pub concurrent: Concurrent,
    /// Files and memory, after the concurrent.
    pub footprint: Footprint,
    /// Codes by mail.
    pub mail: MailBench,
    /// The whole run.
    pub took: Duration,
}

/// The machine this ran on, a pair of words a line.
#[derive(Debug)]
pub struct Facts(Vec<(&'static str, String)>);

impl Facts {
    /// Looks around; `disk` is where the machines' disks are, and `load` was the load of the machine at the beginning.
    pub fn gather(disk: &Path, load: &str) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let processor = read("/proc/cpuinfo").lines().find_map(|line| {
            Some(
                line.strip_prefix("model name")?
                    .split_once(':')?
                    .1
                    .trim()
                    .to_owned(),
            )
        });
        let cores = available_parallelism().map_or(1, usize::from);
        let findmnt = [
            "--noheadings",
            "--output",
            "FSTYPE,SOURCE",
            "--target",
            &disk.to_string_lossy(),
        ];
        let versions = ["libpam-google-authenticator", "libpam-oath", "pamtester"];
        Self(vec![
            (
                "processor",
                format!(
                    "{}, {cores} cores",
                    processor.unwrap_or_else(|| "unknown".into())
                ),
            ),
            ("load before", load.to_owned()),
            (
                "kernel",
                read("/proc/sys/kernel/osrelease").trim().to_owned(),
            ),
            (
                "disk",
                format!(
                    "{}, overlayfs on it; 4 KiB appended and synced in {:.3} ms again and again, {:.3} ms every 20 ms",
                    said("findmnt", &findmnt),
                    sync_time(disk, Duration::ZERO),
                    sync_time(disk, Duration::from_millis(20))
                ),
            ),
            (
                "peers",
                said(
                    "dpkg-query",
                    &[
                        &["--show", "--showformat=${Package} ${Version}  "],
                        versions.as_slice(),
                    ]
                    .concat(),
                ),
            ),
        ])
    }
}

/// How many processes have been running at once of late, ours or others'.
pub fn load() -> String {
    let averages = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    averages.split(' ').next().unwrap_or_default().to_owned()
}

/// What a program says, with single spaces.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map(|output| output.stdout)
        .unwrap_or_default();
    String::from_utf8_lossy(&output)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// The median time in milliseconds in which this disk makes an appended page durable, `pause` after the last.
fn sync_time(disk: &Path, pause: Duration) -> f64 {
    let mut file = File::create(disk.join("sync")).expect("a file on the disk");
    let mut append = || {
        thread::sleep(pause);
        let start = Instant::now();
        file.write_all(&[1; 4096])
            .and_then(|()| file.sync_data())
            .expect("the disk can be written");
        milliseconds(start.elapsed())
    };
    median(
        &std::iter::repeat_with(&mut append)
            .take(50)
            .collect::<Vec<_>>(),
    )
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# twofa: what a second factor costs a login\n")?;
        for (name, value) in &self.facts.0 {
            writeln!(f, "- {name}: {value}")?;
        }
        writeln!(f, "- this run: {} s\n", self.took.as_secs())?;
        writeln!(f, "## Targets\n\n{}", self.targets())?;
        writeln!(
            f,
            "## One login: `pamtester SERVICE USER authenticate`\n\n{}",
            self.one_login()
        )?;
        writeln!(
            f,
            "## Many logins through one broker\n\n{}",
            self.many_logins()
        )?;
        writeln!(
            f,
            "## Codes by mail: from the request of a login to its prompt\n\n{}",
            self.mailed()
        )?;
        writeln!(f, "## Files and memory\n\n{}", self.size_and_memory())?;
        writeln!(
            f,
            "## How this was measured\n\n{}",
            METHOD.replace("{CONCURRENT}", &users::CONCURRENT.to_string())
        )
    }
}

impl Report {
    fn targets(&self) -> Table {
        let mut table = Table::new(&["target", "measured", "wanted", ""]);
        let added = |stack| self.timings.added(stack);
        let mut ratio = |what: &str, of: Stack, to: Stack, most: f64| {
            if let (Some(of), Some(to)) = (added(of), added(to)) {
                let ratio = of / to;
                table.target(
                    what,
                    format!("{ratio:.3}"),
                    format!("≤ {most}"),
                    ratio <= most,
                );
            }
        };
        let (small, large, huge) = (60, 100_000, 1_000_000);
        ratio(
            "added, warm, to pam_google_authenticator's",
            Stack::Warm(small),
            Stack::Google,
            0.5,
        );
        ratio(
            "added, warm, to pam_oath's at 60 users",
            Stack::Warm(small),
            Stack::Oath(small),
            1.0,
        );
        ratio(
            "added, warm, to pam_oath's at 100 000 users",
            Stack::Warm(large),
            Stack::Oath(large),
            0.05,
        );
        ratio(
            "added, warm, at 1 000 000 users to at 60",
            Stack::Warm(huge),
            Stack::Warm(small),
            1.2,
        );

        let synced = self
            .timings
            .0
            .iter()
            .filter(|it| matches!(it.stack, Stack::Warm(_) | Stack::Spawned(_)));
        let syncs = synced.map(|timing| timing.syncs).min().unwrap_or_default();
        table.target(
            "writes made durable before a login passes",
            syncs.to_string(),
            "≥ 1".into(),
            syncs >= 1,
        );
        for row in self.concurrent.rows.iter().filter(|row| row.at_once == 64) {
            let rate = median(&row.rates);
            let what = format!("verified logins a second, 64 at once, {}", row.codes);
            table.target(&what, format!("{rate:.0}"), "≥ 1000".into(), rate >= 1000.0);
        }
        let alone = median(&self.mail.alone);
        table.target(
            "mailed to the prompt, median ms",
            format!("{alone:.1}"),
            "≤ 100".into(),
            alone <= 100.0,
        );
        let all = percentile(&self.mail.all, 100);
        table.target(
            "64 mailed at once, all prompted, ms",
            format!("{all:.0}"),
            "≤ 3000".into(),
            all <= 3000.0,
        );
        let Footprint {
            module,
            needed,
            resident,
            ..
        } = &self.footprint;
        table.target(
            "module, stripped",
            format!("{module:.0} KiB"),
            "≤ 512 KiB".into(),
            *module <= 512.0,
        );
        let allowed = needed
            .iter()
            .all(|library| ALLOWED.iter().any(|allowed| library.starts_with(allowed)));
        table.target(
            "it links",
            needed.join(" "),
            "libpam, libc, libgcc_s".into(),
            allowed,
        );
        let what = format!(
            "broker resident after {} logins",
            grouped(self.concurrent.logins)
        );
        table.target(
            &what,
            mebibytes(*resident),
            "≤ 20 MiB".into(),
            *resident <= 20.0 * 1024.0,
        );
        table
    }

    fn one_login(&self) -> Table {
        let mut table = Table::new(&["stack", "n", "median ms", "90 % ms", "added ms", "syncs"]);
        for timing in &self.timings.0 {
            table.row(vec![
                timing.stack.to_string(),
                timing.times.len().to_string(),
                format!("{:.2}", median(&timing.times)),
                format!("{:.2}", percentile(&timing.times, 90)),
                self.timings
                    .added(timing.stack)
                    .map_or_else(String::new, |added| format!("{added:.2}")),
                timing.syncs.to_string(),
            ]);
        }
        table
    }

    fn many_logins(&self) -> Table {
        let mut table = Table::new(&[
            "at once",
            "codes",
            "logins",
            "a second",
            "median ms",
            "90 % ms",
            "longest ms",
        ]);
        for row in &self.concurrent.rows {
            table.row(vec![
                row.at_once.to_string(),
                row.codes.to_owned(),
                grouped(row.times.len()),
                format!("{:.0}", median(&row.rates)),
                format!("{:.2}", median(&row.times)),
                format!("{:.2}", percentile(&row.times, 90)),
                format!("{:.2}", percentile(&row.times, 100)),
            ]);
        }
        table
    }

    fn mailed(&self) -> Table {
        let MailBench {
            alone,
            at_once,
            all,
            ..
        } = &self.mail;
        let mut table = Table::new(&[
            "at once",
            "logins",
            "median ms",
            "90 % ms",
            "longest ms",
            "all, longest ms",
        ]);
        for (many, times, all) in [
            ("1", alone, None),
            ("64", at_once, Some(percentile(all, 100))),
        ] {
            table.row(vec![
                many.to_owned(),
                grouped(times.len()),
                format!("{:.1}", median(times)),
                format!("{:.1}", percentile(times, 90)),
                format!("{:.1}", percentile(times, 100)),
                all.map_or_else(String::new, |all| format!("{all:.1}")),
            ]);
        }
        table
    }

    fn size_and_memory(&self) -> Table {
        let Footprint {
            module,
            program,
            resident,
            peak,
            own,
            ..
        } = &self.footprint;
        let mut table = Table::new(&["what", "how much"]);
        let mut row = |what: &str, much: String| table.row(vec![what.to_owned(), much]);
        row("pam_twofa.so, stripped", format!("{module:.0} KiB"));
        row("twofad, stripped", mebibytes(*program));
        row("twofad, resident", mebibytes(*resident));
        row("of that its own, not files", mebibytes(*own));
        row("twofad, resident at its most", mebibytes(*peak));
        row(
            "another, resident after mailing codes to 64 at once",
            mebibytes(self.mail.resident),
        );
        table
    }
}

fn mebibytes(kibibytes: f64) -> String {
    format!("{:.1} MiB", kibibytes / 1024.0)
}

const METHOD: &str = "\
- Each stack is its module and `pam_permit`; the empty stack is `pam_permit` alone. The stack `other`, which libpam
  loads as well, is `pam_deny`: with Debian's every login would load every module. `added` is the median, over the rounds,
  of the difference to the empty stack in the same round.
- A round times every stack once, in an order that changes, with the same code of the same user. No code is used
  twice in a stack; before each login the disk is synced, so that nobody pays for what another left unwritten.
- Machines are namespaces with an overlay on the disk named above; accounts, `/etc/passwd` and services are the same in
  all. pam_google_authenticator has a file in each home with the options its own program writes (DISALLOW_REUSE,
  RATE_LIMIT 3 30, WINDOW_SIZE 3), pam_oath a `usersfile` with TOTP lines (`window=5 digits=6`), ours one store.
- `added` is mostly waiting: for the disk, which for one login after a pause takes the longer of the two times above and
  for many the shorter, and for processes to be woken.
- `syncs` are the fsync, fdatasync and similar calls of one login, counted with strace in a login of its own. Our peers
  sync a new file and then rename it over the old one without syncing the folder, so that after a power cut the old one
  may be back, and with it the code.
- A broker that checks nothing asks for a code and lets everybody in: no store, no sync. What it adds is what our module,
  the way to any broker and back, and the module's line in the log take by themselves.
- A broker is warm when 300 logins have gone through it. What a spawned one costs is a whole process for each login.
- Everybody in the stores has a key of their own; the users who log in stand at even distances between the others.
- Many at once are threads of one process that speak to the broker as the module does, on the same cores as the
  broker; {CONCURRENT} users, each login verified and its use durable, one that is refused ends the benchmark. Those with HOTP
  tokens log in again and again, as their codes need not wait for the clock; those with TOTP apps log in twice.
- Codes by mail go to a Postfix in the machine by TLS with a password, over connections that the broker keeps. The time
  runs until the prompt is there; by then the server has accepted the mail.
";

/// A table in Markdown, its columns as wide as they have to be.
struct Table(Vec<Vec<String>>);

impl Table {
    fn new(head: &[&str]) -> Self {
        Self(vec![head.iter().map(ToString::to_string).collect()])
    }

    fn row(&mut self, row: Vec<String>) {
        self.0.push(row);
    }

    fn target(&mut self, what: &str, measured: String, wanted: String, met: bool) {
        self.row(vec![
            what.to_owned(),
            measured,
            wanted,
            if met { "PASS" } else { "MISS" }.to_owned(),
        ]);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.0.first().map_or(0, Vec::len);
        let width = |column: usize| {
            self.0
                .iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or_default()
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for (i, row) in self.0.iter().enumerate() {
            let mut line = String::from("|");
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                // Words to the left, numbers to the right.
                let _ = if column == 0 {
                    write!(line, " {cell:<width$} |")
                } else {
                    write!(line, " {cell:>width$} |")
                };
            }
            writeln!(f, "{line}")?;
            if i == 0 {
                let rule = |(column, width): (usize, &usize)| {
                    if column == 0 {
                        format!(" {} |", "-".repeat(*width))
                    } else {
                        format!(" {}: |", "-".repeat(width.saturating_sub(1)))
                    }
                };
                writeln!(
                    f,
                    "|{}",
                    widths.iter().enumerate().map(rule).collect::<String>()
                )?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn columns_stand_below_each_other() {
        let mut table = Table::new(&["stack", "ms"]);
        table.row(vec!["täglich ≤".into(), "1.25".into()]);
        assert_eq!(
            table.to_string(),
            "| stack     |   ms |\n| --------- | ---: |\n| täglich ≤ | 1.25 |\n"
        );
    }
}
