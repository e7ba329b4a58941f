//! `make bench`: what a second factor of ours adds to a login, beside pam_google_authenticator and pam_oath.
//!
//! Everything runs in throwaway machines whose disks are real, so that a sync is one. [`machines`] makes them, [`users`]
//! are who logs in, [`stores`] fills our stores and pam_oath's files.
//!
//! - [`timing`]: one login with pamtester through each of the [`stacks`]; [`sync_renames`] makes our peers as durable as
//!   we are, and [`null_broker`] is a broker that checks nothing
//! - [`confirmed`]: one login with an account phase, by a code or from a trusted device ([`grants`])
//! - [`ssh_logins`]: one login with ssh
//! - [`administration`]: what an administrator does in the largest store while somebody logs in
//! - [`concurrent`]: many logins at once through one broker
//! - [`mail_bench`]: codes by mail
//! - [`footprint`]: size and memory
//!
//! A [`stopwatch`] inside each machine ([`inside`]) times single logins; rounds go through all machines one after the
//! other, in an order that changes, so that noise hits all alike. [`report`] and [`targets`] present what was measured.
//!
//! `--quick` measures fewer rounds and leaves out the million. `--fleet`, which is `make bench-fleet`, measures a [`fleet`] over
//! PostgreSQL and nothing else, and with `--many` only its many hosts.

#![forbid(unsafe_code)]
// A benchmark talks to the terminal, what breaks ends it, and none of its numbers is large.
#![allow(
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used
)]

mod administration;
mod concurrent;
mod confirmed;
mod facts;
mod fleet;
mod footprint;
mod grants;
mod inside;
mod machines;
mod mail_bench;
mod null_broker;
mod report;
mod ssh_logins;
mod stacks;
mod statistics;
mod stopwatch;
mod stores;
mod sync_renames;
mod table;
mod targets;
mod timing;
mod users;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use std::{env, fs, panic};

use crate::facts::Facts;
use crate::machines::Machines;
use crate::report::Report;
use crate::stopwatch::Codes;
use crate::users::Users;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Users enrolled in our stores.
    sizes: &'static [usize],
    /// How often each stack is timed.
    rounds: usize,
    /// How often each login by ssh is timed.
    ssh_rounds: usize,
    /// How often each number of concurrent logins is tried.
    attempts: usize,
}

const FULL: Plan = Plan {
    sizes: &[60, 100_000, 1_000_000],
    rounds: 110,
    ssh_rounds: 40,
    attempts: 3,
};
const QUICK: Plan = Plan {
    sizes: &[60, 100_000],
    rounds: 20,
    ssh_rounds: 10,
    attempts: 1,
};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let plan = match arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        [] => FULL,
        ["--quick"] => QUICK,
        ["--fleet"] => return finish(|| measure_fleet(measure_all_of_fleet)),
        ["--fleet", "--quick"] => return finish(|| measure_fleet(measure_rates_of_fleet)),
        ["--fleet", "--many"] => return finish(|| measure_fleet(fleet::measure_many)),
        ["--inside", "hosts"] => return fleet::hosts::serve(),
        ["--inside", "stopwatch"] => return inside::stopwatch(),
        ["--inside", "null-broker"] => return null_broker::serve(),
        ["--inside", "concurrent", at_once] => return inside::concurrent(at_once),
        ["--inside", "during", command] => return administration::log_in_during(command),
        ["--inside", "prompts", at_once] => return inside::prompts(at_once),
        _ => {
            eprintln!("usage: bench [--quick | --fleet [--quick | --many]]");
            return ExitCode::from(2);
        }
    };
    finish(|| measure(plan))
}

/// The exit code of `measure`. A panic has been reported by then, and the machines are gone.
fn finish(measure: impl FnOnce() + panic::UnwindSafe) -> ExitCode {
    panic::catch_unwind(measure).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

fn measure_all_of_fleet(disk: &Path, progress: &dyn Fn(&str)) -> String {
    fleet::measure(disk, FULL.rounds, false, progress)
}

fn measure_rates_of_fleet(disk: &Path, progress: &dyn Fn(&str)) -> String {
    fleet::measure(disk, FULL.rounds, true, progress)
}

fn measure_fleet(measure: impl FnOnce(&Path, &dyn Fn(&str)) -> String) {
    let folder = folder();
    fs::create_dir_all(&folder).expect("the folder of the report");
    let disk = tempfile::tempdir_in(&folder).expect("a folder for the disks of the machines");
    let start = Instant::now();
    let progress = |what: &str| eprintln!("[{:3} s] {what}", start.elapsed().as_secs());
    let report = measure(disk.path(), &progress);
    save(&folder.join("fleet.md"), &report);
}

fn save(path: &Path, report: &str) {
    fs::write(path, report).expect("the report can be written");
    println!("{report}");
    eprintln!("This is in {} too.", path.display());
}

fn measure(plan: Plan) {
    let folder = folder();
    fs::create_dir_all(&folder).expect("the folder of the report");
    let disk = tempfile::tempdir_in(&folder).expect("a folder for the disks of the machines");
    let start = Instant::now();
    let progress = |what: &str| eprintln!("[{:3} s] {what}", start.elapsed().as_secs());

    let load = facts::load();
    let users = Users::make();
    let machines = Machines::make(plan.sizes, disk.path(), &users, &progress);
    let mut codes = Codes::new(&users.timed);
    let mut time =
        |stacks: Vec<_>| timing::measure(&stacks, &mut codes, plan.rounds, disk.path(), &progress);
    let timings = time(machines.stacks());
    let confirmed = time(machines.confirmed_stacks());
    let administration = administration::measure(&machines, &users, &progress);
    let ssh = ssh_logins::measure(disk.path(), &users, plan.ssh_rounds, &progress);
    let facts = Facts::gather(disk.path(), &load);
    let concurrent = concurrent::measure(
        &machines.concurrent,
        &users.concurrent,
        plan.attempts,
        &progress,
    );
    let footprint = footprint::measure(&machines.concurrent);
    let mail = mail_bench::measure(disk.path(), &users.passwd(), &users.concurrent, &progress);
    progress("done");

    let report = Report {
        facts,
        timings,
        confirmed,
        administration,
        ssh,
        concurrent,
        footprint,
        mail,
        took: start.elapsed(),
    }
    .to_string();
    save(&folder.join("report.md"), &report);
}

/// `target/bench`, beside the folder of the profile this was built with.
fn folder() -> PathBuf {
    let program = env::current_exe().expect("a program is a file");
    program.ancestors().nth(2).map_or_else(
        || Path::new("bench").to_owned(),
        |target| target.join("bench"),
    )
}
