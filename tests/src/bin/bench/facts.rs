//! The machine the benchmark ran on.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::thread::{self, available_parallelism};
use std::time::{Duration, Instant};

use crate::statistics::{median, milliseconds};

/// The machine this ran on, as names and values.
#[derive(Debug)]
pub struct Facts(pub Vec<(&'static str, String)>);

impl Facts {
    /// Collects them; `disk` is where the disks of the machines are, `load` the load average before the benchmark.
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
                    output_of("findmnt", &findmnt),
                    sync_time(disk, Duration::ZERO),
                    sync_time(disk, Duration::from_millis(20))
                ),
            ),
            (
                "peers",
                output_of(
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

/// The load average of the last minute.
pub fn load() -> String {
    let averages = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    averages.split(' ').next().unwrap_or_default().to_owned()
}

/// The standard output of a program, with single spaces.
fn output_of(program: &str, arguments: &[&str]) -> String {
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
