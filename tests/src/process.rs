//! Programs that run in a machine, and what they leave behind.

use std::fs;
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::wait;

/// How long a command may take if the test does not expect it to wait.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How a command ended and what it wrote.
#[derive(Clone, Debug)]
pub struct Output {
    /// The command as the test gave it.
    pub command: String,
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output; bytes that are not UTF-8 are replaced.
    pub stdout: String,
    /// Its standard error; bytes that are not UTF-8 are replaced.
    pub stderr: String,
}

#[expect(
    clippy::return_self_not_must_use,
    reason = "that it went well is often all a test asks"
)]
impl Output {
    /// The output of a command that must succeed.
    ///
    /// # Panics
    ///
    /// If it failed; the message contains everything it wrote.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert!(self.status.success(), "this should succeed: {self}");
        self
    }

    /// The output of a command that must fail.
    ///
    /// # Panics
    ///
    /// If it succeeded; the message contains everything it wrote.
    #[track_caller]
    pub fn fails(self) -> Self {
        assert!(!self.status.success(), "this should fail: {self}");
        self
    }

    /// The exit code as a shell shows it: 128 plus the signal's number if a signal ended it.
    pub fn code(&self) -> i32 {
        code_of(self.status)
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            command,
            status,
            stdout,
            stderr,
        } = self;
        write!(
            f,
            "{command}\n{status}\n--- stdout\n{stdout}\n--- stderr\n{stderr}\n---"
        )
    }
}

/// A program that runs in a machine; it is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    command: String,
    /// nsenter, which waits for the program and exits with its status.
    child: Child,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
}

impl Process {
    /// Starts `program`, which is `command` to the reader, with pipes.
    pub(crate) fn piped(command: &str, mut program: Command, input: &str) -> Self {
        program
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = Self::start(command, program);
        let mut stdin = process.child.stdin.take().unwrap();
        let input = input.to_owned();
        // Written by a thread, because a program may write before it reads. One that reads nothing is no error.
        thread::spawn(move || stdin.write_all(input.as_bytes()));
        process.stdout = process.child.stdout.take().map(collect);
        process.stderr = process.child.stderr.take().map(collect);
        process
    }

    /// Starts `program` with the standard streams it has been given.
    pub(crate) fn start(command: &str, mut program: Command) -> Self {
        let child = program
            .spawn()
            .unwrap_or_else(|error| panic!("nsenter does not start: {error}"));
        Self {
            command: command.to_owned(),
            child,
            stdout: None,
            stderr: None,
        }
    }

    /// Waits until the program has ended.
    ///
    /// # Panics
    ///
    /// If it has not ended after a minute.
    #[must_use = "a command that failed is only noticed by ok()"]
    pub fn wait(mut self) -> Output {
        let status = wait::within(TIMEOUT, || self.ended());
        if status.is_none() {
            self.kill();
        }
        let text =
            |stream: &mut Option<JoinHandle<String>>| stream.take().map(|it| it.join().unwrap());
        let stdout = text(&mut self.stdout).unwrap_or_default();
        let stderr = text(&mut self.stderr).unwrap_or_default();
        let command = self.command.clone();
        let Some(status) = status else {
            panic!(
                "{command}\nhas not ended after {TIMEOUT:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}\n---"
            );
        };
        Output {
            command,
            status,
            stdout,
            stderr,
        }
    }

    /// Whether the program still runs.
    pub fn is_running(&mut self) -> bool {
        self.ended().is_none()
    }

    /// Kills the program, as `kill -9` does; what it started may live on in the machine.
    pub fn kill(&mut self) {
        if self.is_running() {
            for pid in self.inside() {
                let _ = kill_process(pid, Signal::KILL);
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    /// How the program ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("nsenter is our child")
    }

    /// The host's process ids of what nsenter has started.
    fn inside(&self) -> Vec<Pid> {
        let nsenter = self.child.id();
        let children = fs::read_to_string(format!("/proc/{nsenter}/task/{nsenter}/children"))
            .unwrap_or_default();
        children
            .split_whitespace()
            .filter_map(|pid| Pid::from_raw(pid.parse().ok()?))
            .collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The exit code, as a shell shows it.
pub(crate) fn code_of(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status
        .code()
        .or_else(|| Some(128 + status.signal()?))
        .unwrap()
}

/// Reads a pipe to its end in a thread, so that the program never waits for its reader.
fn collect(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
