//! What an administrator does in the largest store, and how long logins take meanwhile.

use std::io;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use twofa_e2e::Machine;

use crate::concurrent::WARM_UP;
use crate::inside::log_in;
use crate::machines::Machines;
use crate::statistics::milliseconds;
use crate::stopwatch::copy_into;
use crate::users::{User, Users};

/// The commands, in this order: what comes later may take away what an earlier one needs.
const COMMANDS: [&str; 8] = [
    "twofa device list --user m001",
    "twofa device list --everybody",
    "twofa log --user m001 --since 1d",
    "twofa stats",
    "twofa policy set trust.remote=7d",
    "twofa user reset m002",
    "twofa device revoke --all --everybody",
    // Prunes the log: everybody was enrolled before that.
    "twofa policy set log.keep=100d",
];

/// The longest command may take so many logins.
const CODES: usize = 20_000;

/// Between two logins, so that the command has most of the machine to itself.
const PAUSE: Duration = Duration::from_millis(10);

/// What was measured with one command.
#[derive(Debug)]
pub struct Row {
    /// As it is typed.
    pub command: &'static str,
    /// How long it took, in milliseconds.
    pub took: f64,
    /// How long each of the logins meanwhile took, in milliseconds.
    pub logins: Vec<f64>,
}

/// What was measured with all commands.
#[derive(Debug)]
pub struct Administration {
    /// The users in the store.
    pub users: usize,
    /// One for each command.
    pub rows: Vec<Row>,
}

/// Runs all commands in the machine with the largest store. The user who made its broker warm logs in meanwhile.
pub fn measure(machines: &Machines, users: &Users, progress: &dyn Fn(&str)) -> Administration {
    let (size, machine) = machines.largest();
    let user = &users.concurrent[0];
    let mut used = WARM_UP;
    let rows = COMMANDS.map(|command| {
        progress(&format!("{command}, while somebody logs in"));
        let row = run(machine, command, user, used);
        used += row.logins.len();
        row
    });
    Administration {
        users: size,
        rows: rows.into(),
    }
}

fn run(machine: &Machine, command: &'static str, user: &User, used: usize) -> Row {
    let line = format!(
        "{} {}",
        user.account.name,
        user.codes(Some(used), CODES).join(" ")
    );
    let inside = format!("{} --inside during '{command}'", copy_into(machine));
    let output = machine.run_with_input(&inside, &line).ok();
    let mut times = output
        .stdout
        .lines()
        .map(|line| milliseconds(Duration::from_nanos(line.parse().expect("nanoseconds"))));
    Row {
        command,
        took: times.next().expect("the time of the command"),
        logins: times.collect(),
    }
}

/// Inside a machine: reads a line `USER CODE…`, lets that user log in again and again while `command` runs, and writes
/// nanoseconds: of the command, then of each login.
pub fn log_in_during(command: &str) -> ExitCode {
    let line = io::read_to_string(io::stdin()).expect("a line");
    let (user, codes) = line.split_once(' ').expect("a user and codes");
    let start = Instant::now();
    let mut words = command.split(' ');
    let mut child = Command::new(words.next().unwrap_or_default())
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("the command starts");
    let mut logins = Vec::new();
    let took = thread::scope(|scope| {
        // Waited for apart, so that its end is not noticed only after a login.
        let command = scope.spawn(|| (child.wait(), start.elapsed()));
        for code in codes.split(' ') {
            let begun = Instant::now();
            log_in(user, code).unwrap_or_else(|error| panic!("{user}: {error}"));
            logins.push(begun.elapsed());
            if command.is_finished() {
                break;
            }
            thread::sleep(PAUSE);
        }
        let (status, took) = command.join().expect("a thread that waits");
        let status = status.expect("a command that was started");
        assert!(status.success(), "{status}");
        took
    });
    println!("{}", took.as_nanos());
    for login in logins {
        println!("{}", login.as_nanos());
    }
    ExitCode::SUCCESS
}
