//! What runs inside of the machines: this program, started there with `--inside`.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use twofa_e2e::password_of;
use twofa_proto::{
    ClientEnd, Done, FromBroker, FromClient, Login, Request, SOCKET, Stream, Verdict,
};

use crate::confirmed;
use crate::ssh_logins::ASKPASS;

const TIMEOUT: Duration = Duration::from_secs(20);

/// For every line it reads, lets that user log in and answers with the nanoseconds from the start of the program to its
/// end, or with words when the login failed. The lines are `pamtester SERVICE PRELOAD USER CODE`, with `-` for nothing to
/// preload, `confirmed SHOWN SERVICE USER CODE` and `ssh USER CODE`.
pub fn stopwatch() -> ExitCode {
    for line in io::stdin().lines().map_while(Result::ok) {
        let words: Vec<&str> = line.split(' ').collect();
        let time = match words.as_slice() {
            ["pamtester", service, preload, user, code] => {
                time_pamtester(service, preload, user, code)
            }
            ["confirmed", shown, service, user, code] => {
                confirmed::time_login(shown, service, user, code)
            }
            ["ssh", user, code] => time_ssh(user, code),
            _ => return ExitCode::from(2),
        };
        match time {
            Ok(time) => println!("{}", time.as_nanos()),
            Err(error) => println!("{line}: {}", error.to_string().replace('\n', " ")),
        }
    }
    ExitCode::SUCCESS
}

fn time_pamtester(service: &str, preload: &str, user: &str, code: &str) -> io::Result<Duration> {
    let (typed, mut keyboard) = io::pipe()?;
    writeln!(keyboard, "{code}")?;
    drop(keyboard);
    let mut pamtester = Command::new("/usr/bin/pamtester");
    pamtester.args([service, user, "authenticate"]).env_clear();
    if preload != "-" {
        pamtester.env("LD_PRELOAD", preload);
    }
    pamtester.stdin(typed);
    time(pamtester)
}

fn time_ssh(user: &str, code: &str) -> io::Result<Duration> {
    let mut ssh = Command::new("/usr/bin/ssh");
    ssh.args(["-n", "-o", "PreferredAuthentications=keyboard-interactive"])
        .args(["-o", "LogLevel=ERROR", &format!("{user}@vm"), "true"])
        .env_clear();
    ssh.env("SSH_ASKPASS", ASKPASS)
        .env("SSH_ASKPASS_REQUIRE", "force")
        .env("BENCH_PASSWORD", password_of(user))
        .env("BENCH_CODE", code);
    time(ssh)
}

/// The time of a program that must succeed.
pub fn time(mut program: Command) -> io::Result<Duration> {
    let (mut shown, screen) = io::pipe()?;
    program.stdout(screen.try_clone()?).stderr(screen);

    let start = Instant::now();
    let status = program.status()?;
    let time = start.elapsed();

    // It holds the other end of the pipe.
    drop(program);
    let mut text = String::new();
    shown.read_to_string(&mut text)?;
    if status.success() {
        Ok(time)
    } else {
        Err(io::Error::other(format!("{status}: {text}")))
    }
}

/// Reads lines `USER CODE…`, lets all users log in through the broker with each of their codes, `at_once` of them at a
/// time, and writes the nanoseconds of all logins together, then those of each.
pub fn concurrent(at_once: &str) -> ExitCode {
    run_at_once(at_once, log_in_by_turns)
}

/// Reads lines `USER`, lets all users ask for a prompt, `at_once` of them at a time, and writes nanoseconds likewise.
pub fn prompts(at_once: &str) -> ExitCode {
    run_at_once(at_once, |users| {
        let time = |user: &Vec<&str>| {
            let start = Instant::now();
            be_prompted(user[0]).unwrap_or_else(|error| panic!("{}: {error}", user[0]));
            start.elapsed()
        };
        users.iter().map(time).collect()
    })
}

fn run_at_once(at_once: &str, act: impl Fn(&[Vec<&str>]) -> Vec<Duration> + Sync) -> ExitCode {
    let lines: Vec<String> = io::stdin().lines().map_while(Result::ok).collect();
    let at_once: usize = at_once.parse().expect("a number");
    let (start, act) = (&Barrier::new(at_once + 1), &act);
    let (time, times) = thread::scope(|scope| {
        let clients: Vec<_> = (0..at_once)
            .map(|first| {
                // One client for each user, whose codes must come in their order.
                let users: Vec<Vec<&str>> = lines
                    .iter()
                    .skip(first)
                    .step_by(at_once)
                    .map(|line| line.split(' ').collect())
                    .collect();
                scope.spawn(move || {
                    start.wait();
                    act(&users)
                })
            })
            .collect();
        start.wait();
        let begun = Instant::now();
        let times: Vec<_> = clients
            .into_iter()
            .map(|client| client.join().expect("a login failed"))
            .collect();
        (begun.elapsed(), times)
    });
    println!("{}", time.as_nanos());
    for time in times.into_iter().flatten() {
        println!("{}", time.as_nanos());
    }
    ExitCode::SUCCESS
}

/// All users with their first code, then all with their second, and so on.
fn log_in_by_turns(users: &[Vec<&str>]) -> Vec<Duration> {
    let turns = users.iter().map(Vec::len).max().unwrap_or_default();
    let mut times = Vec::new();
    for turn in 1..turns {
        for user in users {
            let start = Instant::now();
            log_in(user[0], user[turn]).unwrap_or_else(|error| panic!("{}: {error}", user[0]));
            times.push(start.elapsed());
        }
    }
    times
}

/// A login as the module begins it.
fn begin(user: &str) -> Result<ClientEnd<Stream>, Box<dyn std::error::Error>> {
    let stream = Stream::connect(Path::new(SOCKET), TIMEOUT)?;
    stream.set_read_timeout(TIMEOUT)?;
    // As the module says it, so that the stack is known to ask behind the first factor.
    let pam_folder = fs::metadata("/etc/pam.d")
        .ok()
        .map(|folder| (folder.dev(), folder.ino()));
    let login = Login {
        user: user.into(),
        service: "bench-twofa".into(),
        pam_folder,
        ..Login::default()
    };
    Ok(ClientEnd::open(stream, Request::Login(login))?)
}

/// A login up to a prompt that says that a code was mailed.
fn be_prompted(user: &str) -> Result<(), Box<dyn std::error::Error>> {
    let mut broker = begin(user)?;
    loop {
        match broker.receive()? {
            FromBroker::Accepted => {}
            FromBroker::Prompt(prompt) if prompt.text.expose().contains("sent by e-mail") => {
                return Ok(());
            }
            other => return Err(format!("{other:?}").into()),
        }
    }
}

/// A login as the module has it with the broker; anything but "passed" is an error.
pub fn log_in(user: &str, code: &str) -> Result<(), Box<dyn std::error::Error>> {
    let mut broker = begin(user)?;
    loop {
        match broker.receive()? {
            FromBroker::Accepted | FromBroker::Info(_) => {}
            FromBroker::Prompt(_) => broker.send(&FromClient::Answer(Some(code.into())))?,
            FromBroker::Done(Done::Login {
                verdict: Verdict::Passed,
                ..
            }) => return Ok(()),
            other => return Err(format!("{other:?}").into()),
        }
    }
}
