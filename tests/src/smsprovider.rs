//! An SMS provider in a machine: it accepts and lists text messages as Twilio does, for one account.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::machine::{Machine, quote};
use crate::process::Process;
use crate::wait;

const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
const TOKEN: &str = "sms-token-7f3b9c";
/// Our number at this provider.
const NUMBER: &str = "+14155550100";
const DEADLINE: Duration = Duration::from_secs(20);
const FOLDER: &str = "/var/lib/smsprovider";

/// It serves until the machine ends.
#[derive(Debug)]
pub struct SmsProvider {
    folder: PathBuf,
    port: u16,
    _process: Process,
}

impl SmsProvider {
    /// Starts it on this port of the machine's loopback.
    pub fn start(machine: &Machine, port: u16) -> Self {
        let script = include_str!("smsprovider.py");
        machine.run(&format!("mkdir -m 700 {FOLDER}")).ok();
        let process = machine.spawn(&format!(
            "exec python3 -c {} {port} {ACCOUNT} {TOKEN} {NUMBER} {FOLDER}",
            quote(script)
        ));
        machine.wait_for_port(port);
        Self {
            folder: machine.host_path(FOLDER),
            port,
            _process: process,
        }
    }

    /// The number that people can text to.
    pub fn number(&self) -> &'static str {
        NUMBER
    }

    /// The secret that authenticates us.
    pub fn token(&self) -> &'static str {
        TOKEN
    }

    /// The command that adds it as a provider of this name; the token is its standard input.
    pub fn add(&self, name: &str) -> String {
        let port = self.port;
        format!(
            "twofa provider add {name} twilio base=http://127.0.0.1:{port} account-sid={ACCOUNT} from={NUMBER} \
             --secrets-from -"
        )
    }

    /// Makes it refuse everything from now on.
    pub fn goes_down(&self) {
        fs::write(self.folder.join("down"), "").unwrap();
    }

    /// The text messages it has accepted, oldest first: number, tab, text.
    pub fn sent(&self) -> Vec<String> {
        let sent = fs::read_to_string(self.folder.join("sent")).unwrap_or_default();
        sent.split('\0')
            .filter(|message| !message.is_empty())
            .map(ToOwned::to_owned)
            .collect()
    }

    /// Waits until it has accepted `n` messages, and returns the last.
    pub fn wait_for(&self, n: usize) -> String {
        wait::until(&format!("{n} text messages"), DEADLINE, || {
            self.sent().into_iter().nth(n - 1)
        })
    }

    /// Somebody with this number texts us.
    pub fn receives(&self, from: &str, text: &str) {
        let path = self.folder.join("received");
        let before = fs::read_to_string(&path).unwrap_or_default();
        let new = self.folder.join("received.new");
        fs::write(&new, format!("{before}{from}\t{text}\n")).unwrap();
        fs::rename(new, path).unwrap();
    }
}
