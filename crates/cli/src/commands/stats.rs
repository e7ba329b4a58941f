//! `twofa stats`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{self, Command, Stdio};

use serde::Serialize;
use twofa_broker::Failure;
use twofa_broker::admin::stats::{Day, Sends, Statistics};

use super::stats_report;
use crate::client;
use crate::error::CommandError;
use crate::messages::fleet_metrics;
use crate::messages::stats;
use crate::output::{Output, terminal_width};

/// The days that are counted.
const DAYS: u16 = 30;

/// Statistics as JSON has them.
#[derive(Debug, Serialize)]
struct Report<'a> {
    users: Users<'a>,
    passed: &'a BTreeMap<String, u64>,
    refused: &'a BTreeMap<String, u64>,
    locked: u64,
    providers: BTreeMap<&'a str, Provider>,
    codes_limited: u64,
    codes_undelivered: u64,
    days: Vec<DayRow<'a>>,
}

#[derive(Debug, Serialize)]
#[allow(clippy::struct_field_names, reason = "as JSON has them")]
struct Users<'a> {
    by_status: &'a BTreeMap<&'static str, u64>,
    by_method: &'a BTreeMap<&'static str, u64>,
    by_class: &'a BTreeMap<String, u64>,
}

#[derive(Debug, Serialize)]
struct Provider {
    sent: u64,
    failed: u64,
    mean_milliseconds: Option<u64>,
}

#[derive(Debug, Serialize)]
struct DayRow<'a> {
    date: &'a str,
    passed: u64,
    trusted: u64,
    refused: u64,
}

pub(crate) fn run(
    prometheus: bool,
    is_forecast: bool,
    file: Option<&Path>,
    output: Output,
) -> Result<(), CommandError> {
    if !client::is_root() {
        return Err(CommandError::only_root("see the figures"));
    }
    if let Some(file) = file {
        return write_file(prometheus, file, output);
    }
    let admin = client::open()?;
    if is_forecast {
        return stats_report::run(&admin, output);
    }
    if prometheus {
        let mut text = fleet_metrics::text(&admin.fleet_figures()?, admin.now());
        text.push_str(&stats::prometheus(&admin.statistics(None)?, admin.now()));
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        return Ok(out.flush()?);
    }
    let statistics = admin.statistics(Some(DAYS))?;
    let bars = output.is_terminal().then(terminal_width);
    output.verbatim(&report(&statistics), |out| {
        write!(out, "{}", stats::text(&statistics, bars))
    })
}

/// Writes what a process of this program prints: this one stays root, which the folder may belong to, and does not touch the
/// store.
fn write_file(prometheus: bool, file: &Path, output: Output) -> Result<(), CommandError> {
    let failed = |error: io::Error| {
        let message = format!("cannot write {}: {error}", file.display());
        CommandError::new(Failure::Failed, message)
    };
    let form = if prometheus {
        &["--prometheus"][..]
    } else if output.is_json() {
        &["--json"][..]
    } else {
        &[]
    };
    let printed = Command::new("/proc/self/exe")
        .arg("stats")
        .args(form)
        .stderr(Stdio::inherit())
        .output()
        .map_err(failed)?;
    if !printed.status.success() {
        // It has said why.
        process::exit(printed.status.code().unwrap_or(1));
    }
    replace(file, &printed.stdout).map_err(failed)
}

/// Puts a new file in the place of `file`: who reads it finds the old one or the new one, complete.
fn replace(file: &Path, content: &[u8]) -> io::Result<()> {
    let name = file.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut temporary = name.to_owned();
    // node_exporter reads `*.prom` alone.
    temporary.push(format!(".{}", process::id()));
    let temporary = file.with_file_name(temporary);
    let written = (|| {
        let mut new = File::create_new(&temporary)?;
        new.set_permissions(fs::Permissions::from_mode(0o644))?;
        new.write_all(content)?;
        new.sync_all()?;
        fs::rename(&temporary, file)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn report(statistics: &Statistics) -> Report<'_> {
    let people = &statistics.people;
    let providers = statistics.providers.iter();
    Report {
        users: Users {
            by_status: &people.by_status,
            by_method: &people.by_method,
            by_class: &people.by_class,
        },
        passed: &statistics.passed,
        refused: &statistics.refused,
        locked: statistics.locked,
        providers: providers
            .map(|(name, sends)| (&**name, provider(*sends)))
            .collect(),
        codes_limited: statistics.limited,
        codes_undelivered: statistics.undelivered,
        days: statistics.days.iter().map(day).collect(),
    }
}

fn provider(sends: Sends) -> Provider {
    Provider {
        sent: sends.sent,
        failed: sends.failed,
        mean_milliseconds: sends.milliseconds.checked_div(sends.timed),
    }
}

fn day(day: &Day) -> DayRow<'_> {
    DayRow {
        date: &day.date,
        passed: day.passed,
        trusted: day.trusted,
        refused: day.refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_where_that_fails() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("twofa.prom");
        for content in ["first\n", "second\n"] {
            replace(&file, content.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), content);
        }
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
        let folder_in_its_place = folder.path().join("folder");
        fs::create_dir_all(folder_in_its_place.join("full")).unwrap();
        replace(&folder_in_its_place, b"x").unwrap_err();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
