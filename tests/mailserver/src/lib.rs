//! A real mail server with mailboxes: Postfix, with Dovecot to check passwords and tokens.
//!
//! [`MailServer::start`] starts one on a [`Host`]: on this host's loopback interface, or in a throwaway machine. It
//! needs root.
//!
//! The server has a port for each [`Listener`], and one login. Without a login it accepts mail only for the users it is
//! started with. Some addresses are special, so that a test can have any refusal:
//!
//! | address | reply to mail for it, or from it |
//! |---|---|
//! | `grey@example.org` | deferred with 450, as by greylisting |
//! | `full@example.org` | refused with 552 |
//! | `banned@example.org` as sender | refused with 550 5.7.1 |
//! | `spam@example.org` | accepted as a recipient, refused with 550 after the mail |

#![forbid(unsafe_code)]
// A library for tests: it reports a failure by panicking in the test that uses it.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::missing_panics_doc
)]

mod authority;
mod host;
mod setup;

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

pub use authority::{Authority, Identity};
pub use host::{Host, LocalHost, Ports};

/// The time limit for waiting for a mail or a line in the log.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The interval at which a condition is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// The domain of its mailboxes.
pub const DOMAIN: &str = "example.org";

/// A port of the server, by how its connections are encrypted and authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// TLS from the start, with a login; port 465 in a machine.
    Implicit,
    /// STARTTLS, and nothing without it; then with a login. Port 587 in a machine.
    Starttls,
    /// No TLS and no login; port 25 in a machine.
    Plain,
    /// Like [`Implicit`](Self::Implicit), with a certificate for another name.
    OtherName,
    /// Like [`Implicit`](Self::Implicit), with a certificate that has expired.
    Expired,
    /// Like [`Plain`](Self::Plain). It wants a fully qualified name or an address in EHLO, and says so where Postfix does
    /// by default: when the recipient is named.
    Strict,
}

/// All listeners, in the order of their ports in [`MailServer`].
const LISTENERS: [Listener; 6] = [
    Listener::Implicit,
    Listener::Starttls,
    Listener::Plain,
    Listener::OtherName,
    Listener::Expired,
    Listener::Strict,
];

/// A running mail server. It is stopped on drop.
#[derive(Debug)]
pub struct MailServer<H: Host> {
    machine: H,
    folder: String,
    ports: Ports,
    /// The main processes of Postfix and Dovecot, by their PIDs on that host.
    pids: Vec<u32>,
}

impl<H: Host> MailServer<H> {
    /// Starts it on `machine`, with mailboxes for `users` at [`DOMAIN`].
    pub fn start(machine: H, users: &[&str]) -> Self {
        let (folder, ports) = (machine.folder(), machine.ports());
        machine.run(&setup::files(&folder, &ports, users));
        let mut server = Self {
            machine,
            folder,
            ports,
            pids: Vec::new(),
        };
        server.restart();
        server
    }

    /// Stops the server and closes its connections. Its mails are kept.
    pub fn stop(&mut self) {
        let pids = std::mem::take(&mut self.pids);
        if !pids.is_empty() {
            self.machine.run(&setup::stop(&pids, &self.ports));
        }
    }

    /// Starts a server that was stopped.
    pub fn restart(&mut self) {
        let pids = self.machine.run(&setup::start(&self.folder, &self.ports));
        self.pids = pids
            .split_whitespace()
            .map(|pid| pid.parse().expect("a PID"))
            .collect();
    }

    /// The host name in its certificate.
    pub fn host(&self) -> &'static str {
        "localhost"
    }

    /// The port for TLS from the start.
    pub fn port(&self) -> u16 {
        self.port_of(Listener::Implicit)
    }

    /// The port of `listener`.
    pub fn port_of(&self, listener: Listener) -> u16 {
        let i = LISTENERS
            .iter()
            .position(|it| *it == listener)
            .expect("each listener has a port");
        self.ports[i]
    }

    /// The CA that issued its certificates: a PEM file that everybody may read.
    pub fn ca_file(&self) -> String {
        format!("{}/ca.pem", self.folder)
    }

    /// The sendmail command that hands mail to this server.
    pub fn sendmail(&self) -> String {
        format!("/usr/sbin/sendmail -C {}/etc", self.folder)
    }

    /// The user name of the login, which is also an address.
    pub fn username(&self) -> &'static str {
        setup::LOGIN
    }

    /// The password of the login.
    pub fn password(&self) -> &'static str {
        setup::PASSWORD
    }

    /// An access token for a login with XOAUTH2, valid for years.
    pub fn token(&self) -> String {
        authority::token(setup::LOGIN, setup::TOKEN_KEY)
    }

    /// The mails in the mailbox of `user`, oldest first, with their headers.
    pub fn mails(&self, user: &str) -> Vec<String> {
        let mut mails = Vec::new();
        for folder in ["new", "cur"] {
            let Ok(files) = fs::read_dir(self.path(&format!("mail/{user}/{folder}"))) else {
                continue;
            };
            for file in files.flatten() {
                let Ok(content) = fs::read(file.path()) else {
                    continue;
                };
                let age = file.metadata().and_then(|it| it.modified()).ok();
                mails.push((
                    age,
                    file.file_name(),
                    String::from_utf8_lossy(&content).into_owned(),
                ));
            }
        }
        mails.sort();
        mails.into_iter().map(|(_, _, mail)| mail).collect()
    }

    /// Waits until `user` has `n` mails, and returns all of them.
    ///
    /// # Panics
    ///
    /// After 20 seconds, with the server's log.
    pub fn wait_for_mail(&self, user: &str, n: usize) -> Vec<String> {
        let mut mails = Vec::new();
        let has_mails = holds_in_time(|| {
            mails = self.mails(user);
            mails.len() >= n
        });
        assert!(
            has_mails,
            "{user} has not {n} mails but {mails:?}\n{}",
            self.log()
        );
        mails
    }

    /// Waits until the server's log contains `needle`: the log is written a little later than the answer is sent.
    ///
    /// # Panics
    ///
    /// After 20 seconds, with the log.
    pub fn wait_for_log(&self, needle: &str) {
        let is_logged = holds_in_time(|| self.log().contains(needle));
        assert!(is_logged, "{needle:?} is not in the log:\n{}", self.log());
    }

    /// The server's log.
    pub fn log(&self) -> String {
        let log = |name| fs::read_to_string(self.path(name)).unwrap_or_default();
        format!("{}{}", log("mail.log"), log("dovecot/log"))
    }

    /// The path of the server's file `name`, as seen from this host.
    fn path(&self, name: &str) -> PathBuf {
        self.machine.local_path(&format!("{}/{name}", self.folder))
    }
}

impl<H: Host> Drop for MailServer<H> {
    fn drop(&mut self) {
        if !self.machine.stops_its_processes() {
            self.stop();
        }
    }
}

/// Waits for `condition`. Returns whether it holds within the time limit.
fn holds_in_time(mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if condition() {
            return true;
        }
        if start.elapsed() > TIMEOUT {
            return false;
        }
        thread::sleep(POLL_INTERVAL);
    }
}
