//! Runs programs on this machine without a shell, within a deadline.

use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use zeroize::Zeroizing;

/// The value of `PATH` for a program, which is its whole environment.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The maximum number of bytes kept of each output stream.
const MAX_OUTPUT: usize = 64 * 1024;

/// A program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    path: String,
    arguments: Vec<String>,
}

/// The exit status and the output of a program.
#[derive(Debug)]
pub struct ProgramOutput {
    /// How it exited.
    pub status: ExitStatus,
    /// The first 64 KiB of its output.
    pub stdout: Zeroizing<Vec<u8>>,
    /// The first 64 KiB of its errors.
    pub stderr: Vec<u8>,
}

impl Program {
    /// Parses a command line: path and arguments, separated by spaces. The error says what is wrong with it, beginning
    /// with a verb.
    pub(crate) fn parse(line: &str) -> Result<Self, String> {
        let mut words = line.split_whitespace().map(str::to_owned);
        match words.next() {
            Some(path) if path.starts_with('/') => Ok(Self {
                path,
                arguments: words.collect(),
            }),
            _ => Err("must begin with the absolute path of a program".to_owned()),
        }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Runs it with additional arguments, as [`run`] does.
    pub(crate) fn run(
        &self,
        additional: &[&str],
        input: &[u8],
        deadline: Instant,
    ) -> io::Result<ProgramOutput> {
        let mut command = Command::new(&self.path);
        command
            .args(&self.arguments)
            .args(additional)
            .env_clear()
            .env("PATH", PATH);
        run(command, input, deadline)
    }
}

/// Runs `command` with `input` on its standard input. If it has not exited by `deadline`, it is killed together with
/// the processes it started, and the error is [`ErrorKind::TimedOut`].
pub fn run(mut command: Command, input: &[u8], deadline: Instant) -> io::Result<ProgramOutput> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // In a process group of its own, so that the processes it starts can be killed with it.
    let child = command.current_dir("/").process_group(0).spawn()?;
    let mut child = ChildGuard {
        child,
        status: None,
    };
    child.wait(input, deadline)
}

/// A child process that is killed and reaped on drop.
struct ChildGuard {
    child: Child,
    status: Option<ExitStatus>,
}

impl ChildGuard {
    /// Writes its input and reads its output until it exits.
    fn wait(&mut self, mut input: &[u8], deadline: Instant) -> io::Result<ProgramOutput> {
        let exit = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty())?;
        let mut stdin = self.child.stdin.take();
        let mut stdout = PipeReader::new(self.child.stdout.take())?;
        let mut stderr = PipeReader::new(self.child.stderr.take())?;
        if let Some(stdin) = &stdin {
            set_nonblocking(stdin)?;
        }
        loop {
            if input.is_empty() {
                stdin = None;
            }
            let [has_exited, takes_input] =
                wait_for_event(&exit, stdin.as_ref(), &stdout, &stderr, deadline)?;
            stdout.read()?;
            stderr.read()?;
            if has_exited {
                let status = self.child.wait()?;
                self.status = Some(status);
                // All its output is in the pipes by now. Not read to their end, because a process it left behind may
                // hold them open.
                stdout.read()?;
                stderr.read()?;
                return Ok(ProgramOutput {
                    status,
                    stdout: stdout.content,
                    stderr: stderr.content.to_vec(),
                });
            }
            if let Some(pipe) = stdin.as_mut().filter(|_| takes_input) {
                match pipe.write(input) {
                    Ok(count) => input = &input[count..],
                    Err(error) if would_block(&error) => (),
                    // A program may close its input early. Its exit status says whether it succeeded.
                    Err(_) => stdin = None,
                }
            }
        }
    }
}

impl Drop for ChildGuard {
    fn drop(&mut self) {
        // The PID cannot be reused before the child is reaped.
        if self.status.is_none() {
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

/// Reads an output stream of a program.
struct PipeReader {
    pipe: Option<OwnedFd>,
    content: Zeroizing<Vec<u8>>,
}

impl PipeReader {
    fn new(pipe: Option<impl Into<OwnedFd>>) -> io::Result<Self> {
        let pipe = pipe.map(Into::into);
        if let Some(pipe) = &pipe {
            set_nonblocking(pipe)?;
        }
        // Never reallocated, so that no copy of a token stays in memory.
        Ok(Self {
            pipe,
            content: Zeroizing::new(Vec::with_capacity(MAX_OUTPUT)),
        })
    }

    /// Reads what is available.
    fn read(&mut self) -> io::Result<()> {
        let mut chunk = Zeroizing::new([0; 4096]);
        while let Some(pipe) = &self.pipe {
            match rustix::io::read(pipe, &mut *chunk).map_err(io::Error::from) {
                Ok(0) => self.pipe = None,
                Ok(count) => {
                    let room = MAX_OUTPUT - self.content.len();
                    self.content.extend_from_slice(&chunk[..count.min(room)]);
                }
                Err(error) if would_block(&error) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Waits until the program exits, has written something or can take input. Returns whether it has exited and whether it
/// can take input.
fn wait_for_event(
    exit: &OwnedFd,
    stdin: Option<&impl AsFd>,
    stdout: &PipeReader,
    stderr: &PipeReader,
    deadline: Instant,
) -> io::Result<[bool; 2]> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(ErrorKind::TimedOut.into());
    }
    let mut events = vec![PollFd::new(exit, PollFlags::IN)];
    events.extend(stdin.map(|pipe| PollFd::new(pipe, PollFlags::OUT)));
    let outputs = [stdout, stderr]
        .into_iter()
        .filter_map(|output| output.pipe.as_ref());
    events.extend(outputs.map(|pipe| PollFd::new(pipe, PollFlags::IN)));
    // Rounded up: otherwise the last fraction of a millisecond would be a busy loop.
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

fn would_block(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

fn set_nonblocking(pipe: &impl AsFd) -> io::Result<()> {
    Ok(fcntl_setfl(pipe, fcntl_getfl(pipe)? | OFlags::NONBLOCK)?)
}
