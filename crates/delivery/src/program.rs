//! Programs of this machine, run without a shell and held to a deadline.

use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use zeroize::Zeroizing;

/// What a program finds as its `PATH`, which is all of its environment.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Bytes that are kept of what a program writes.
const MOST_OUTPUT: usize = 64 * 1024;

/// A program and its arguments, as an administrator writes them: separated by spaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    path: String,
    arguments: Vec<String>,
}

/// How a program ended, and what it wrote.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Zeroizing<Vec<u8>>,
    pub(crate) stderr: Vec<u8>,
}

impl Program {
    /// Reads `line`; what is wrong with it, starting with a verb.
    pub(crate) fn parse(line: &str) -> Result<Self, String> {
        let mut words = line.split_whitespace().map(str::to_owned);
        match words.next() {
            Some(path) if path.starts_with('/') => Ok(Self {
                path,
                arguments: words.collect(),
            }),
            _ => Err("must begin with the path of a program, from / on".to_owned()),
        }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Runs it with `more` arguments, as [`run`] does.
    pub(crate) fn run(&self, more: &[&str], input: &[u8], deadline: Instant) -> io::Result<Ended> {
        let mut command = Command::new(&self.path);
        command
            .args(&self.arguments)
            .args(more)
            .env_clear()
            .env("PATH", PATH);
        run(command, input, deadline)
    }
}

/// Runs `command` with `input` on its standard input. When it has not ended by `deadline`, it and what it started are
/// killed, and the error is [`ErrorKind::TimedOut`].
pub(crate) fn run(mut command: Command, input: &[u8], deadline: Instant) -> io::Result<Ended> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // A group of its own, so that what it starts can be killed with it.
    let child = command.current_dir("/").process_group(0).spawn()?;
    let mut running = Running {
        child,
        status: None,
    };
    running.watch(input, deadline)
}

/// A child that does not outlive this value, and leaves no zombie.
struct Running {
    child: Child,
    status: Option<ExitStatus>,
}

impl Running {
    /// Feeds it and reads from it until it ends.
    fn watch(&mut self, mut input: &[u8], deadline: Instant) -> io::Result<Ended> {
        let end = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty())?;
        let mut stdin = self.child.stdin.take();
        let mut stdout = Output::new(self.child.stdout.take())?;
        let mut stderr = Output::new(self.child.stderr.take())?;
        if let Some(stdin) = &stdin {
            set_nonblocking(stdin)?;
        }
        loop {
            if input.is_empty() {
                stdin = None;
            }
            let [has_ended, takes_input] = wait(&end, stdin.as_ref(), &stdout, &stderr, deadline)?;
            stdout.read()?;
            stderr.read()?;
            if has_ended {
                let status = self.child.wait()?;
                self.status = Some(status);
                // All that it wrote is in the pipes now; a process it left behind may hold them open.
                stdout.read()?;
                stderr.read()?;
                return Ok(Ended {
                    status,
                    stdout: stdout.kept,
                    stderr: stderr.kept.to_vec(),
                });
            }
            if let Some(pipe) = stdin.as_mut().filter(|_| takes_input) {
                match pipe.write(input) {
                    Ok(count) => input = &input[count..],
                    Err(error) if is_not_now(&error) => (),
                    // One that has read enough is no mistake: how it ends says whether all went well.
                    Err(_) => stdin = None,
                }
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Until it is waited for, the number is its own.
        if self.status.is_none() {
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

/// A pipe out of a program, and what came out.
struct Output {
    pipe: Option<OwnedFd>,
    kept: Zeroizing<Vec<u8>>,
}

impl Output {
    fn new(pipe: Option<impl Into<OwnedFd>>) -> io::Result<Self> {
        let pipe = pipe.map(Into::into);
        if let Some(pipe) = &pipe {
            set_nonblocking(pipe)?;
        }
        // Never moved, so that no copy of a token stays behind.
        Ok(Self {
            pipe,
            kept: Zeroizing::new(Vec::with_capacity(MOST_OUTPUT)),
        })
    }

    /// Reads what is there.
    fn read(&mut self) -> io::Result<()> {
        let mut chunk = Zeroizing::new([0; 4096]);
        while let Some(pipe) = &self.pipe {
            match rustix::io::read(pipe, &mut *chunk).map_err(io::Error::from) {
                Ok(0) => self.pipe = None,
                Ok(count) => {
                    let room = MOST_OUTPUT - self.kept.len();
                    self.kept.extend_from_slice(&chunk[..count.min(room)]);
                }
                Err(error) if is_not_now(&error) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Waits until something can be done. Whether the program has ended, and whether it takes input.
fn wait(
    end: &OwnedFd,
    stdin: Option<&impl AsFd>,
    stdout: &Output,
    stderr: &Output,
    deadline: Instant,
) -> io::Result<[bool; 2]> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(ErrorKind::TimedOut.into());
    }
    let mut events = vec![PollFd::new(end, PollFlags::IN)];
    events.extend(stdin.map(|pipe| PollFd::new(pipe, PollFlags::OUT)));
    let outputs = [stdout, stderr]
        .into_iter()
        .filter_map(|output| output.pipe.as_ref());
    events.extend(outputs.map(|pipe| PollFd::new(pipe, PollFlags::IN)));
    // Rounded up, or the last part of a millisecond would be spent in a busy loop.
    let left = Timespec::try_from(left + Duration::from_micros(1)).map_err(io::Error::other)?;
    match poll(&mut events, Some(&left)) {
        Ok(0) => return Err(ErrorKind::TimedOut.into()),
        Ok(_) => (),
        Err(rustix::io::Errno::INTR) => return Ok([false, false]),
        Err(error) => return Err(error.into()),
    }
    let is_up = |i: usize| {
        events
            .get(i)
            .is_some_and(|event| !event.revents().is_empty())
    };
    Ok([is_up(0), stdin.is_some() && is_up(1)])
}

fn is_not_now(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

fn set_nonblocking(pipe: &impl AsFd) -> io::Result<()> {
    Ok(fcntl_setfl(pipe, fcntl_getfl(pipe)? | OFlags::NONBLOCK)?)
}
