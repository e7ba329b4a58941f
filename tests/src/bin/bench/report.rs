//! The report, in Markdown.

use std::fmt;
use std::time::Duration;

use crate::administration::Administration;
use crate::concurrent::Concurrent;
use crate::facts::Facts;
use crate::footprint::Footprint;
use crate::grants::OF_A_USER;
use crate::mail_bench::MailBench;
use crate::ssh_logins::SshLogins;
use crate::statistics::{grouped, median, percentile};
use crate::table::Table;
use crate::targets;
use crate::timing::Timings;
use crate::users;

const METHOD: &str = include_str!("method.md");

/// All that was measured.
#[derive(Debug)]
pub struct Report {
    /// The machine it was measured on.
    pub facts: Facts,
    /// One login at a time, by pamtester.
    pub timings: Timings,
    /// One login at a time with an account phase, by a code or from a trusted device.
    pub confirmed: Timings,
    /// Commands in the largest store.
    pub administration: Administration,
    /// One login at a time, by ssh.
    pub ssh: SshLogins,
    /// Many logins at once.
    pub concurrent: Concurrent,
    /// Files and memory, after the many logins.
    pub footprint: Footprint,
    /// Codes by mail.
    pub mail: MailBench,
    /// How long the whole run took.
    pub took: Duration,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# twofa: what a second factor costs a login\n")?;
        for (name, value) in &self.facts.0 {
            writeln!(f, "- {name}: {value}")?;
        }
        writeln!(f, "- this run: {} s\n", self.took.as_secs())?;
        let Administration { users, .. } = self.administration;
        let administration = format!(
            "Commands with {} users and {} grants, while somebody logs in",
            grouped(users),
            grouped(users * OF_A_USER)
        );
        let sections = [
            ("Targets", targets::table(self)),
            (
                "One login: `pamtester SERVICE USER authenticate`",
                one_login(&self.timings),
            ),
            (
                "One login by a code or from a trusted device: `pamtester SERVICE USER authenticate acct_mgmt open_session`",
                one_login(&self.confirmed),
            ),
            ("One login: `ssh USER@HOST true`", self.ssh_login()),
            ("Many logins through one broker", self.many_logins()),
            (
                "Codes by mail: from the request of a login to its prompt",
                self.mailed(),
            ),
            (&administration, self.administration()),
            ("Files and memory", self.size_and_memory()),
        ];
        for (title, table) in sections {
            writeln!(f, "## {title}\n\n{table}")?;
        }
        let method = METHOD
            .replace("{CONCURRENT}", &users::CONCURRENT.to_string())
            .replace("{GRANTS}", &OF_A_USER.to_string());
        writeln!(f, "## How this was measured\n\n{method}")
    }
}

impl Report {
    fn administration(&self) -> Table {
        let mut table = Table::new(&[
            "command",
            "ms",
            "logins",
            "median ms",
            "90 % ms",
            "longest ms",
        ]);
        for row in &self.administration.rows {
            table.row(vec![
                format!("`{}`", row.command),
                format!("{:.0}", row.took),
                grouped(row.logins.len()),
                format!("{:.2}", median(&row.logins)),
                format!("{:.2}", percentile(&row.logins, 90)),
                format!("{:.2}", percentile(&row.logins, 100)),
            ]);
        }
        table
    }

    fn ssh_login(&self) -> Table {
        let mut table = Table::new(&["login", "n", "median ms", "90 % ms", "ratio"]);
        for (second_factor, times) in &self.ssh.0 {
            table.row(vec![
                second_factor.name().to_owned(),
                times.len().to_string(),
                format!("{:.1}", median(times)),
                format!("{:.1}", percentile(times, 90)),
                format!("{:.3}", self.ssh.ratio(*second_factor)),
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

fn one_login(timings: &Timings) -> Table {
    let mut table = Table::new(&["stack", "n", "median ms", "90 % ms", "added ms", "syncs"]);
    for timing in &timings.0 {
        table.row(vec![
            timing.stack.to_string(),
            timing.times.len().to_string(),
            format!("{:.2}", median(&timing.times)),
            format!("{:.2}", percentile(&timing.times, 90)),
            timings
                .added(timing.stack)
                .map_or_else(String::new, |added| format!("{added:.2}")),
            timing.syncs.to_string(),
        ]);
    }
    table
}

/// KiB as text in MiB.
pub fn mebibytes(kibibytes: f64) -> String {
    format!("{:.1} MiB", kibibytes / 1024.0)
}
