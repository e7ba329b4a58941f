//! The time of one login through each stack, side by side.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::Duration;

use twofa_e2e::{Authenticator, Machine};

use crate::machines::{Machines, Stack};
use crate::statistics::{median, milliseconds};
use crate::users::Users;

/// Rounds that are not counted: everything is read from disk for the first time.
const WARM_UP: usize = 4;

/// Where this program is in the machines.
const PROGRAM: &str = "/run/bench";

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
    /// The times of `stack`, if it was measured.
    pub fn of(&self, stack: Stack) -> Option<&Timing> {
        self.0.iter().find(|timing| timing.stack == stack)
    }

    /// What `stack` adds to the empty stack in milliseconds: the median of the differences in each round.
    pub fn added(&self, stack: Stack) -> Option<f64> {
        let (empty, whole) = (self.of(Stack::Empty)?, self.of(stack)?);
        let differences: Vec<f64> = whole
            .times
            .iter()
            .zip(&empty.times)
            .map(|(it, empty)| it - empty)
            .collect();
        Some(median(&differences))
    }
}

/// Times all stacks, `rounds` times, each round with one code of one user for all of them.
pub fn measure(
    machines: &Machines,
    users: &Users,
    rounds: usize,
    disk: &Path,
    progress: &dyn Fn(&str),
) -> Timings {
    let stacks = machines.stacks();
    let mut stopwatches: Vec<_> = stacks
        .iter()
        .map(|(_, machine)| Stopwatch::start(machine))
        .collect();
    let mut timings: Vec<_> = stacks
        .iter()
        .map(|(stack, _)| Timing {
            stack: *stack,
            times: Vec::new(),
            syncs: 0,
        })
        .collect();
    let disk = File::open(disk).expect("the folder of the machines' disks");
    progress("writing everything to disk");
    rustix::fs::syncfs(&disk).expect("the disk can be synced");

    progress(&format!("timing {} stacks, {rounds} rounds", stacks.len()));
    let mut codes = Codes::of(users);
    let mut order = Order::new(stacks.len());
    for round in 0..WARM_UP + rounds {
        let (user, code) = codes.next();
        for &i in order.shuffled() {
            // Nobody pays for what the one before left unwritten.
            rustix::fs::syncfs(&disk).expect("the disk can be synced");
            let time = stopwatches[i].time(&stacks[i].0.service(), &user, &code);
            if round >= WARM_UP {
                timings[i].times.push(milliseconds(time));
            }
        }
    }
    let (user, code) = codes.next();
    for ((stack, machine), timing) in stacks.iter().zip(&mut timings) {
        timing.syncs = count_syncs(*stack, machine, &user, &code);
    }
    Timings(timings)
}

/// Counts how often a login makes something durable, with strace.
fn count_syncs(stack: Stack, machine: &Machine, user: &str, code: &str) -> usize {
    let traced =
        "strace -f -q -o /run/syncs -e trace=fsync,fdatasync,sync_file_range,msync,sync,syncfs";
    let login = format!("pamtester {} {user} authenticate", stack.service());
    let script = if let Stack::Warm(_) = stack {
        let broker = machine.broker().pid();
        format!(
            "{traced} -p {broker} & tracer=$!
             until grep -q 'TracerPid:.*[1-9]' /proc/{broker}/status; do :; done
             echo {code} | {login}
             kill -INT $tracer; wait $tracer"
        )
    } else {
        format!("echo {code} | {traced} {login}")
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

/// Somebody's next code, everybody in turn.
struct Codes {
    apps: Vec<(String, Authenticator)>,
    given: usize,
}

impl Codes {
    fn of(users: &Users) -> Self {
        let app = |key: &str| Authenticator::new(key);
        let apps = users
            .timed
            .iter()
            .map(|it| (it.account.name.clone(), app(&it.key.base32())))
            .collect();
        Self { apps, given: 0 }
    }

    fn next(&mut self) -> (String, String) {
        let (user, app) = &self.apps[self.given % self.apps.len()];
        self.given += 1;
        (user.clone(), app.next_code())
    }
}

/// An order that is another in every round, and the same in every run.
struct Order {
    order: Vec<usize>,
    state: u64,
}

impl Order {
    fn new(length: usize) -> Self {
        Self {
            order: (0..length).collect(),
            state: 1,
        }
    }

    /// Fisher and Yates' shuffle, with Marsaglia's xorshift64.
    fn shuffled(&mut self) -> &[usize] {
        for i in (1..self.order.len()).rev() {
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            let j = usize::try_from(self.state % (i as u64 + 1)).unwrap();
            self.order.swap(i, j);
        }
        &self.order
    }
}

/// This program in a machine, waiting for logins to time. It ends when its standard input does.
struct Stopwatch {
    nsenter: Child,
    orders: Option<ChildStdin>,
    times: BufReader<ChildStdout>,
}

impl Stopwatch {
    fn start(machine: &Machine) -> Self {
        put_into(machine);
        let mut program = machine.program(PROGRAM);
        program
            .args(["--inside", "stopwatch"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut nsenter = program.spawn().expect("nsenter starts");
        let times = BufReader::new(nsenter.stdout.take().unwrap());
        Self {
            orders: nsenter.stdin.take(),
            nsenter,
            times,
        }
    }

    fn time(&mut self, service: &str, user: &str, code: &str) -> Duration {
        let orders = self.orders.as_mut().expect("open until dropped");
        writeln!(orders, "{service} {user} {code}").expect("the stopwatch reads");
        let mut said = String::new();
        self.times
            .read_line(&mut said)
            .expect("the stopwatch answers");
        Duration::from_nanos(
            said.trim()
                .parse()
                .unwrap_or_else(|_| panic!("a login failed: {said}")),
        )
    }
}

impl Drop for Stopwatch {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.nsenter.wait();
    }
}

/// Puts this program into a machine and says where it is.
pub fn put_into(machine: &Machine) -> &'static str {
    let place = machine.host_path(PROGRAM);
    if !place.exists() {
        fs::copy("/proc/self/exe", place).expect("this program can be copied");
    }
    PROGRAM
}
