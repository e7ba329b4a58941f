//! What runs inside of the machines: this program, started there with `--inside`.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use twofa_proto::{
    ClientEnd, Done, FromBroker, FromClient, Login, Request, SOCKET, Stream, Verdict,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// For every line `SERVICE USER CODE` lets pamtester log in, and answers with the nanoseconds from its start to its
/// end, or with words when it failed.
pub fn stopwatch() -> ExitCode {
    for line in io::stdin().lines().map_while(Result::ok) {
        let words: Vec<&str> = line.split(' ').collect();
        let [service, user, code] = words.as_slice() else {
            return ExitCode::from(2);
        };
        match time(service, user, code) {
            Ok(time) => println!("{}", time.as_nanos()),
            Err(error) => println!("{}", error.to_string().replace('\n', " ")),
        }
    }
    ExitCode::SUCCESS
}

fn time(service: &str, user: &str, code: &str) -> io::Result<Duration> {
    let (typed, mut keyboard) = io::pipe()?;
    writeln!(keyboard, "{code}")?;
    drop(keyboard);
    let (mut shown, screen) = io::pipe()?;
    let mut pamtester = Command::new("/usr/bin/pamtester");
    pamtester.args([service, user, "authenticate"]).env_clear();
    pamtester
        .stdin(typed)
        .stdout(screen.try_clone()?)
        .stderr(screen);

    let start = Instant::now();
    let status = pamtester.status()?;
    let time = start.elapsed();

    // It holds the other end of the pipe.
    drop(pamtester);
    let mut text = String::new();
    shown.read_to_string(&mut text)?;
    if status.success() {
        Ok(time)
    } else {
        Err(io::Error::other(format!(
            "{service} {user}: {status}: {text}"
        )))
    }
}

/// Reads lines `USER CODE…`, lets all of them log in through the broker with each of their codes, `at_once` of them at a
/// time, and writes the nanoseconds that took altogether, and then those of each login.
pub fn concurrent(at_once: &str) -> ExitCode {
    in_a_crowd(at_once, log_in_by_turns)
}

/// Reads lines `USER`, lets all of them ask for a prompt, `at_once` of them at a time, and writes the nanoseconds likewise.
pub fn prompts(at_once: &str) -> ExitCode {
    in_a_crowd(at_once, |users| {
        let time = |user: &Vec<&str>| {
            let start = Instant::now();
            be_prompted(user[0]).unwrap_or_else(|error| panic!("{}: {error}", user[0]));
            start.elapsed()
        };
        users.iter().map(time).collect()
    })
}

fn in_a_crowd(at_once: &str, act: impl Fn(&[Vec<&str>]) -> Vec<Duration> + Sync) -> ExitCode {
    let lines: Vec<String> = io::stdin().lines().map_while(Result::ok).collect();
    let at_once: usize = at_once.parse().expect("a number");
    let (start, act) = (&Barrier::new(at_once + 1), &act);
    let (time, times) = thread::scope(|scope| {
        let clients: Vec<_> = (0..at_once)
            .map(|first| {
                // Nobody is in two places at once: codes of one user must come in their order.
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

/// Everybody with the first code, then everybody with the second, and so on.
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
    let stream = Stream::connect(Path::new(SOCKET), PATIENCE)?;
    stream.set_read_timeout(PATIENCE)?;
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
fn log_in(user: &str, code: &str) -> Result<(), Box<dyn std::error::Error>> {
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
