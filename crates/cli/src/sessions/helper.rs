//! The child that keeps root's rights while its parent reads the store without them.
//!
//! It takes orders on standard input and answers each on standard output, a line of JSON for either.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use nix::sys::signal::{SigSet, Signal};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use twofa_broker::Failure;

use super::end;
use super::machine::{Machine, Other, Seen, Target};
use crate::client;
use crate::error::CommandError;

/// What the helper is to do.
#[derive(Debug, Serialize, Deserialize)]
enum Order {
    /// See which sessions have processes, answered by [`Sight`].
    Look(Vec<Target>),
    /// End them, answered by the numbers of those that have ended.
    End(Vec<Target>),
}

/// What there is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Sight {
    /// What was seen of each session.
    pub(crate) seen: Vec<Seen>,
    /// The sessions of systemd-logind that are none of them.
    pub(crate) others: Vec<Other>,
}

/// The helper, for the parent.
pub(crate) struct Helper {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Helper {
    /// Starts it, with the rights that this process has now.
    pub(crate) fn start() -> Result<Self, CommandError> {
        let failed = |error: io::Error| {
            CommandError::new(
                Failure::Failed,
                format!("cannot start the process that ends sessions: {error}"),
            )
        };
        let mut command = Command::new("/proc/self/exe");
        command
            .args(["session", "helper"])
            .env_clear()
            .current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        let none = || failed(io::ErrorKind::BrokenPipe.into());
        let orders = child.stdin.take().ok_or_else(none)?;
        let answers = BufReader::new(child.stdout.take().ok_or_else(none)?);
        Ok(Self {
            child,
            orders: Some(orders),
            answers,
        })
    }

    /// Sees which sessions have processes.
    pub(crate) fn look(&mut self, targets: Vec<Target>) -> Result<Sight, CommandError> {
        self.give(&Order::Look(targets))
    }

    /// Ends sessions. Returns the numbers of those that have ended.
    pub(crate) fn end(&mut self, targets: Vec<Target>) -> Result<Vec<i64>, CommandError> {
        if targets.is_empty() {
            return Ok(Vec::new());
        }
        self.give(&Order::End(targets))
    }

    fn give<T: DeserializeOwned>(&mut self, order: &Order) -> Result<T, CommandError> {
        let mut give = || -> io::Result<T> {
            let orders = self.orders.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
            serde_json::to_writer(&mut *orders, order)?;
            orders.write_all(b"\n")?;
            let mut answer = String::new();
            self.answers.read_line(&mut answer)?;
            Ok(serde_json::from_str(&answer)?)
        };
        give().map_err(|error| {
            CommandError::new(
                Failure::Failed,
                format!("the process that ends sessions has failed: {error}"),
            )
        })
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.child.wait();
    }
}

/// Serves the parent until it closes the pipe.
pub(crate) fn serve() -> Result<(), CommandError> {
    if !client::is_root() {
        return Err(CommandError::only_root("end sessions"));
    }
    outlive_the_session();
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let order: Order = serde_json::from_str(&line?).map_err(io::Error::from)?;
        let answer = match order {
            Order::Look(targets) => {
                let machine = Machine::read();
                serde_json::to_string(&Sight {
                    seen: targets.iter().map(|target| machine.see(target)).collect(),
                    others: machine.others(&targets),
                })
            }
            Order::End(targets) => serde_json::to_string(&end::end(&targets)),
        };
        writeln!(out, "{}", answer.map_err(io::Error::from)?)?;
    }
    Ok(())
}

/// Has this process stay until all sessions are ended, though it may belong to one of them.
fn outlive_the_session() {
    let mut signals = SigSet::empty();
    for signal in [
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGTSTP,
        Signal::SIGPIPE,
    ] {
        signals.add(signal);
    }
    let _ = signals.thread_block();
}
