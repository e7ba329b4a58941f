//! A signal-cli-rest-api in a machine, with one account.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::machine::{Machine, quote};
use crate::process::Process;
use crate::wait;

/// The account's number.
const ACCOUNT: &str = "+14155550100";
/// A number without an account at Signal.
const STRANGER: &str = "+4930123499";
/// The port that the real program listens on.
const PORT: u16 = 8080;
const DEADLINE: Duration = Duration::from_secs(20);
const FOLDER: &str = "/var/lib/signalapi";

/// It serves until the machine ends.
#[derive(Debug)]
pub struct SignalApi {
    folder: PathBuf,
    _process: Process,
}

impl SignalApi {
    /// Starts it on the machine's loopback, on its usual port.
    pub fn start(machine: &Machine) -> Self {
        let script = include_str!("signalapi.py");
        machine.run(&format!("mkdir -m 700 {FOLDER}")).ok();
        let process = machine.spawn(&format!(
            "exec python3 -c {} {PORT} {ACCOUNT} {STRANGER} {FOLDER}",
            quote(script)
        ));
        machine.wait_for_port(PORT);
        Self {
            folder: machine.host_path(FOLDER),
            _process: process,
        }
    }

    /// The number of its account.
    pub fn account(&self) -> &'static str {
        ACCOUNT
    }

    /// A number to which it cannot send.
    pub fn stranger(&self) -> &'static str {
        STRANGER
    }

    /// Waits until it has sent `n` messages, and returns the last: number, tab, text.
    pub fn wait_for(&self, n: usize) -> String {
        wait::until(&format!("{n} messages"), DEADLINE, || {
            let sent = fs::read_to_string(self.folder.join("sent")).unwrap_or_default();
            let mut messages = sent.split('\0').filter(|message| !message.is_empty());
            messages.nth(n - 1).map(ToOwned::to_owned)
        })
    }
}
