//! The time of one login through each stack, side by side, and how often it syncs.

use std::fs::File;
use std::path::Path;

use twofa_e2e::Machine;

use crate::stacks::Stack;
use crate::statistics::median;
use crate::stopwatch::{Codes, Stopwatch, run_rounds};

/// What was measured of one stack.
#[derive(Debug)]
pub struct Timing {
    /// The stack.
    pub stack: Stack,
    /// The whole time of pamtester in milliseconds, one for each round.
    pub times: Vec<f64>,
    /// How often a login makes a file or folder durable.
    pub syncs: usize,
}

/// What was measured of all stacks, round by round.
#[derive(Debug)]
pub struct Timings(pub Vec<Timing>);

impl Timings {
    /// What was measured of `stack`, if it was.
    pub fn find(&self, stack: Stack) -> Option<&Timing> {
        self.0.iter().find(|timing| timing.stack == stack)
    }

    /// What `stack` adds to the same stack without a second factor in milliseconds: the median of the differences in each
    /// round.
    pub fn added(&self, stack: Stack) -> Option<f64> {
        let (without, with) = (self.find(stack.baseline())?, self.find(stack)?);
        let differences: Vec<f64> = with
            .times
            .iter()
            .zip(&without.times)
            .map(|(with, without)| with - without)
            .collect();
        Some(median(&differences))
    }
}

/// Times all of `stacks`, `rounds` times, each round with one code of one user for all of them.
pub fn measure(
    stacks: &[(Stack, &Machine)],
    codes: &mut Codes,
    rounds: usize,
    disk: &Path,
    progress: &dyn Fn(&str),
) -> Timings {
    let mut stopwatches: Vec<_> = stacks
        .iter()
        .map(|(stack, machine)| Stopwatch::start(machine, stack.order()))
        .collect();
    progress("writing everything to disk");
    File::open(disk)
        .and_then(|disk| Ok(rustix::fs::syncfs(disk)?))
        .expect("the disk can be synced");

    progress(&format!("timing {} stacks, {rounds} rounds", stacks.len()));
    let times = run_rounds(&mut stopwatches, rounds, codes, disk);
    let logins = [codes.next(), codes.next()];
    let timing = |((stack, machine), times): (&(Stack, &Machine), _)| {
        // After one login in a hundred SQLite copies its log back, with syncs of its own; not after two in a row.
        let syncs = logins
            .iter()
            .map(|(user, code)| count_syncs(*stack, machine, user, code));
        Timing {
            stack: *stack,
            times,
            syncs: syncs.min().unwrap_or_default(),
        }
    };
    Timings(stacks.iter().zip(times).map(timing).collect())
}

/// Counts with strace how often a login makes something durable.
fn count_syncs(stack: Stack, machine: &Machine, user: &str, code: &str) -> usize {
    let strace =
        "strace -f -q -o /run/syncs -e trace=fsync,fdatasync,sync_file_range,msync,sync,syncfs";
    let preload = stack
        .preload()
        .map_or_else(String::new, |library| format!("env LD_PRELOAD={library} "));
    let service = stack.service();
    let login = stack.shown().map_or_else(
        || format!("{preload}pamtester {service} {user} authenticate"),
        |shown| shown.command(&service, user),
    );
    let script = if stack.has_broker() {
        let broker = machine.broker().pid();
        format!(
            "{strace} -p {broker} & tracer=$!
             until grep -q 'TracerPid:.*[1-9]' /proc/{broker}/status; do :; done
             echo {code} | {login}
             kill -INT $tracer; wait $tracer"
        )
    } else {
        format!("echo {code} | {strace} {login}")
    };
    let output = machine.run(&format!("{script}\ngrep -c 'sync.*= 0' /run/syncs"));
    assert!(
        output.stdout.contains("successfully authenticated"),
        "{output}"
    );
    output
        .stdout
        .lines()
        .last()
        .and_then(|line| line.parse().ok())
        .expect("grep counts")
}
