//! A stopwatch inside a machine, and rounds that go through all of them.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::Duration;

use twofa_e2e::{Authenticator, Machine};

use crate::statistics::milliseconds;
use crate::users::User;

/// Rounds that are not counted: everything is read from disk for the first time.
const WARM_UP: usize = 4;

/// Where this program is in the machines.
const PROGRAM: &str = "/run/bench";

/// This program in a machine, waiting for logins to time ([`crate::inside::stopwatch`]). It ends when its standard input
/// does.
pub struct Stopwatch {
    /// What it times: the words before user and code.
    login: String,
    nsenter: Child,
    orders: Option<ChildStdin>,
    times: BufReader<ChildStdout>,
}

impl Stopwatch {
    /// One in `machine` for this kind of login.
    pub fn start(machine: &Machine, login: String) -> Self {
        let mut program = machine.program(copy_into(machine));
        program
            .args(["--inside", "stopwatch"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut nsenter = program.spawn().expect("nsenter starts");
        let times = BufReader::new(nsenter.stdout.take().unwrap());
        Self {
            login,
            orders: nsenter.stdin.take(),
            nsenter,
            times,
        }
    }

    fn time(&mut self, user: &str, code: &str) -> Duration {
        let orders = self.orders.as_mut().expect("open until dropped");
        writeln!(orders, "{} {user} {code}", self.login).expect("the stopwatch reads");
        let mut answer = String::new();
        self.times
            .read_line(&mut answer)
            .expect("the stopwatch answers");
        Duration::from_nanos(
            answer
                .trim()
                .parse()
                .unwrap_or_else(|_| panic!("a login failed: {answer}")),
        )
    }
}

impl Drop for Stopwatch {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.nsenter.wait();
    }
}

/// Puts this program into a machine and returns its path there.
pub fn copy_into(machine: &Machine) -> &'static str {
    let path = machine.host_path(PROGRAM);
    if !path.exists() {
        fs::copy("/proc/self/exe", path).expect("this program can be copied");
    }
    PROGRAM
}

/// Times the login of every stopwatch once a round, in an order that changes from round to round, each round with one
/// code of one user for all of them. Returns milliseconds, for each stopwatch one number a round.
pub fn run_rounds(
    stopwatches: &mut [Stopwatch],
    rounds: usize,
    codes: &mut Codes,
    disk: &Path,
) -> Vec<Vec<f64>> {
    let disk = File::open(disk).expect("the folder of the machines' disks");
    let mut times = vec![Vec::new(); stopwatches.len()];
    let mut order = Order::new(stopwatches.len());
    for round in 0..WARM_UP + rounds {
        let (user, code) = codes.next();
        for &i in order.shuffled() {
            // No login pays for what the one before left unwritten.
            rustix::fs::syncfs(&disk).expect("the disk can be synced");
            let time = stopwatches[i].time(&user, &code);
            if round >= WARM_UP {
                times[i].push(milliseconds(time));
            }
        }
    }
    times
}

/// Codes of each user in turn.
pub struct Codes {
    apps: Vec<(String, Authenticator)>,
    given: usize,
}

impl Codes {
    /// Codes of these users, none of which has been used.
    pub fn new(users: &[User]) -> Self {
        let apps = users
            .iter()
            .map(|it| {
                let app = Authenticator::new(&it.key.base32());
                (it.account.name.clone(), app)
            })
            .collect();
        Self { apps, given: 0 }
    }

    /// The next user's name and code.
    pub fn next(&mut self) -> (String, String) {
        let (user, app) = &self.apps[self.given % self.apps.len()];
        self.given += 1;
        (user.clone(), app.next_code())
    }
}

/// An order that differs from round to round and is the same in every run.
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
