//! Many hosts in one process, which runs on the server's machine and does what it reads: `--inside hosts`.
//!
//! Each order is a line, and so is its answer:
//!
//! - `join`, then the tokens and an empty line: every token becomes a host. The answer is the number of hosts
//! - `log-in AT-ONCE`, then lines `USER UID CODE…` and an empty line: all users log in with each of their codes in turn, as
//!   many at once. Nanoseconds of all together, then the median of each
//! - `wait NUMBER FIRST`: so many people begin a login, and wait at the prompt
//! - `answer CODE`: all of them type this code. How many passed, and nanoseconds
//! - `burst NUMBER FIRST CODE`: so many people log in with this code, each on a thread, all at the same moment. How many were
//!   let in at the first try, how many tries the others took, and nanoseconds until the last was in

use std::io;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use twofa_fleet::certificate::{self, request_certificate};
use twofa_fleet::client::{self, Conversation, Servers};
use twofa_fleet::identity::Identity;
use twofa_fleet::tls::{self, HostCertificates};
use twofa_fleet::token::Token;
use twofa_fleet::wire::{FirstFactor, FromServer, HostLogin, JoinAnswer, JoinRequest, Verdict};

use super::people::person;
use crate::statistics::{median, milliseconds};

/// How long a host waits for a message.
const TIMEOUT: Duration = Duration::from_secs(20);
/// When people give up.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a person takes to try again.
const BETWEEN_TRIES: Duration = Duration::from_secs(1);
/// Enough for TLS and a frame.
const STACK_BYTES: usize = 256 * 1024;
/// Threads that begin and answer what waits.
const WORKERS: usize = 32;

type Failure = Box<dyn std::error::Error>;

/// Carries out orders until there are none.
pub fn serve() -> ExitCode {
    let mut hosts: &'static [Servers] = &[];
    let mut waiting = Vec::new();
    while let Some(order) = line() {
        let words: Vec<&str> = order.split(' ').collect();
        match words.as_slice() {
            ["join"] => {
                let joined = block().into_iter().enumerate();
                hosts = Vec::leak(joined.map(|(number, token)| join(&token, number)).collect());
                println!("{}", hosts.len());
            }
            ["log-in", at_once] => log_in_all(hosts, at_once.parse().unwrap(), &block()),
            ["wait", number, first] => {
                waiting = begin_all(hosts, number.parse().unwrap(), first.parse().unwrap());
                println!("{}", waiting.len());
            }
            ["answer", code] => answer_all(std::mem::take(&mut waiting), code),
            ["burst", number, first, code] => {
                burst(hosts, number.parse().unwrap(), first.parse().unwrap(), code);
            }
            _ => return ExitCode::from(2),
        }
    }
    ExitCode::SUCCESS
}

fn line() -> Option<String> {
    let mut line = String::new();
    let read = io::stdin().read_line(&mut line).unwrap();
    (read > 0).then(|| line.trim_end().to_owned())
}

fn block() -> Vec<String> {
    std::iter::from_fn(line)
        .take_while(|line| !line.is_empty())
        .collect()
}

/// A host with a key of its own, that has joined by `token`. Of several servers, each host prefers the next one.
fn join(token: &str, number: usize) -> Servers {
    let token: Token = token.parse().expect("a token");
    let joining = tls::joining_host(token.root).expect("the root's hash");
    let asked = request_certificate().expect("a key");
    let deadline = Instant::now() + TIMEOUT;
    let mut link = client::connect(&joining, &token.servers[0], deadline).expect("a server");
    let request = JoinRequest {
        secret: token.secret,
        request: asked.request,
    };
    link.send(&request).expect("the server reads");
    let answer = link.receive().expect("the server answers");
    let JoinAnswer::Joined { certificate, .. } = answer else {
        panic!("{answer:?}")
    };
    let authority = certificate::write_pem(&link.certificates()[1]);
    let own = certificate::read_pem(&certificate).expect("a certificate");
    let identity = Identity::of_certificate(&own[0]).expect("a host's certificate");
    let config = tls::host(&HostCertificates {
        certificate: &certificate,
        key: &asked.key,
        servers: &authority,
        fleet: &identity.fleet,
    });
    let mut servers = token.servers;
    let first = number % servers.len();
    servers.rotate_left(first);
    Servers::new(config.expect("certificates"), servers)
}

fn log_in_all(hosts: &[Servers], at_once: usize, users: &[String]) {
    let start = Barrier::new(at_once + 1);
    let (whole, times) = thread::scope(|scope| {
        let clients: Vec<_> = (0..at_once)
            .map(|client| {
                let own: Vec<Vec<&str>> = users
                    .iter()
                    .skip(client)
                    .step_by(at_once)
                    .map(|user| user.split(' ').collect())
                    .collect();
                let (start, host) = (&start, &hosts[client % hosts.len()]);
                scope.spawn(move || {
                    start.wait();
                    log_in_by_turns(host, &own)
                })
            })
            .collect();
        start.wait();
        let begun = Instant::now();
        let times = clients.into_iter().map(|client| client.join().unwrap());
        let times: Vec<f64> = times.flatten().collect();
        (begun.elapsed(), times)
    });
    println!("{} {:.3}", whole.as_nanos(), median(&times));
}

fn log_in_by_turns(host: &Servers, users: &[Vec<&str>]) -> Vec<f64> {
    let turns = users.iter().map(Vec::len).max().unwrap_or_default();
    let mut times = Vec::new();
    for turn in 2..turns {
        for user in users {
            let start = Instant::now();
            log_in(host, user[0], user[1].parse().unwrap(), user[turn])
                .unwrap_or_else(|error| panic!("{}: {error}", user[0]));
            times.push(milliseconds(start.elapsed()));
        }
    }
    times
}

fn log_in(host: &Servers, user: &str, uid: u32, code: &str) -> Result<(), Failure> {
    answer(begin(host, user, uid)?, code)
}

/// A login up to its prompt.
fn begin<'a>(host: &'a Servers, user: &str, uid: u32) -> Result<Conversation<'a>, Failure> {
    let login = HostLogin {
        user: user.to_owned(),
        uid,
        service: "sshd".to_owned(),
        is_sshd: true,
        remote_host: Some("192.0.2.7".to_owned()),
        first_factor: FirstFactor::Shown,
        ..HostLogin::default()
    };
    let mut conversation = host.open(&login, Instant::now() + TIMEOUT)?;
    loop {
        match conversation.receive(Instant::now() + TIMEOUT)? {
            FromServer::Accepted(_) | FromServer::Info(_) => {}
            FromServer::Prompt { .. } => return Ok(conversation),
            other => return Err(format!("{other:?}").into()),
        }
    }
}

fn answer(mut conversation: Conversation<'_>, code: &str) -> Result<(), Failure> {
    let deadline = Instant::now() + TIMEOUT;
    conversation.answer(Some(code.into()), deadline)?;
    loop {
        match conversation.receive(deadline)? {
            FromServer::Info(_) => {}
            FromServer::Done {
                verdict: Verdict::Passed,
                ..
            } => {
                conversation.finish();
                return Ok(());
            }
            other => return Err(format!("{other:?}").into()),
        }
    }
}

/// The conversations of `number` people, each at its prompt.
fn begin_all(hosts: &'static [Servers], number: usize, first: usize) -> Vec<Conversation<'static>> {
    let next = AtomicUsize::new(0);
    let waiting = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(index) = take(&next, number) {
                    let (user, uid) = person(first + index);
                    match begin(&hosts[index % hosts.len()], &user, uid) {
                        Ok(conversation) => waiting.lock().unwrap().push(conversation),
                        Err(error) => report(index, &*error),
                    }
                }
            });
        }
    });
    waiting.into_inner().unwrap()
}

fn answer_all(waiting: Vec<Conversation<'static>>, code: &str) {
    let number = waiting.len();
    let waiting = Mutex::new(waiting);
    let passed = AtomicUsize::new(0);
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let Some(conversation) = waiting.lock().unwrap().pop() else {
                        return;
                    };
                    match answer(conversation, code) {
                        Ok(()) => _ = passed.fetch_add(1, Ordering::Relaxed),
                        Err(error) => report(0, &*error),
                    }
                }
            });
        }
    });
    println!(
        "{} {} {}",
        passed.into_inner(),
        number,
        start.elapsed().as_nanos()
    );
}

fn burst(hosts: &'static [Servers], number: usize, first: usize, code: &str) {
    let code: Arc<str> = code.into();
    let start = Arc::new(Barrier::new(number + 1));
    let people: Vec<_> = (0..number)
        .map(|index| {
            let (start, code) = (start.clone(), code.clone());
            thread::Builder::new()
                .stack_size(STACK_BYTES)
                .spawn(move || {
                    start.wait();
                    try_until_in(&hosts[index % hosts.len()], first + index, &code)
                })
                .expect("a thread")
        })
        .collect();
    start.wait();
    let begun = Instant::now();
    let tries: Vec<Option<usize>> = people.into_iter().map(|it| it.join().unwrap()).collect();
    let time = begun.elapsed();
    let at_first = tries.iter().filter(|tries| **tries == Some(1)).count();
    let served = tries.iter().flatten().count();
    let all: usize = tries.iter().flatten().sum();
    println!("{at_first} {served} {all} {}", time.as_nanos());
}

/// How many tries a person took to get in; `None`: they gave up.
fn try_until_in(host: &Servers, number: usize, code: &str) -> Option<usize> {
    let (user, uid) = person(number);
    let start = Instant::now();
    for tries in 1.. {
        match log_in(host, &user, uid, code) {
            Ok(()) => return Some(tries),
            Err(error) if tries == 1 => report(number, &*error),
            Err(_) => {}
        }
        if start.elapsed() > PATIENCE {
            return None;
        }
        // Nobody types a password and a code in less.
        thread::sleep(BETWEEN_TRIES);
    }
    None
}

fn take(next: &AtomicUsize, number: usize) -> Option<usize> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    (index < number).then_some(index)
}

/// Says a few failures, not ten thousand.
fn report(number: usize, error: &dyn std::error::Error) {
    static SAID: AtomicUsize = AtomicUsize::new(0);
    if SAID.fetch_add(1, Ordering::Relaxed) < 5 {
        eprintln!("person {number}: {error}");
    }
}
