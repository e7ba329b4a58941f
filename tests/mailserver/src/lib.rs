//! A real mail server with mailboxes: Postfix, with Dovecot to check passwords and tokens.
//!
//! [`MailServer::start`] starts one in a [`Place`]: on this host's loopback, or in a throwaway machine. It needs root.
//!
//! It has a [`Door`] for each way in, and a login of its own. It takes mail for the users it is started with, and for
//! nobody else without a login. Some addresses are special, so that a test can have any refusal:
//!
//! | address | what happens to mail for it, or from it |
//! |---|---|
//! | `grey@example.org` | put off with 450, as greylisting does |
//! | `full@example.org` | refused with 552 |
//! | `banned@example.org` as sender | refused with 550 5.7.1 |
//! | `spam@example.org` | taken as a recipient, refused with 550 after the mail |

#![forbid(unsafe_code)]
// A test-support library: it says what went wrong by failing the test that uses it.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::missing_panics_doc
)]

mod authority;
mod place;
mod setup;

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

pub use authority::{Authority, Identity};
pub use place::{Place, ThisHost};

/// How long what should come at once may take.
const DEADLINE: Duration = Duration::from_secs(20);

/// How often a condition is looked at.
const INTERVAL: Duration = Duration::from_millis(2);

/// The domain of its mailboxes.
pub const DOMAIN: &str = "example.org";

/// A way into the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// TLS from the start, a login is possible; port 465 on a machine.
    Implicit,
    /// STARTTLS, and nothing without it; a login is possible then. Port 587 on a machine.
    Starttls,
    /// No TLS and no login; port 25 on a machine.
    Plain,
    /// Like [`Implicit`](Self::Implicit), with a certificate for another name.
    OtherName,
    /// Like [`Implicit`](Self::Implicit), with a certificate that has expired.
    Expired,
}

/// All of them, in the order of their ports in [`MailServer`].
const DOORS: [Door; 5] = [
    Door::Implicit,
    Door::Starttls,
    Door::Plain,
    Door::OtherName,
    Door::Expired,
];

/// A running mail server; it ends when this is dropped.
#[derive(Debug)]
pub struct MailServer<P: Place> {
    place: P,
    folder: String,
    ports: [u16; 5],
    /// Their main processes, as the place numbers them.
    pids: Vec<u32>,
}

impl<P: Place> MailServer<P> {
    /// Starts it in `place`, with mailboxes for `users` at [`DOMAIN`].
    pub fn start(place: P, users: &[&str]) -> Self {
        let (folder, ports) = (place.folder(), place.ports());
        place.run(&setup::files(&folder, &ports, users));
        let mut server = Self {
            place,
            folder,
            ports,
            pids: Vec::new(),
        };
        server.start_again();
        server
    }

    /// Ends the server and closes its connections; its mails stay.
    pub fn stop(&mut self) {
        let pids = std::mem::take(&mut self.pids);
        if !pids.is_empty() {
            self.place.run(&setup::stop(&pids, &self.ports));
        }
    }

    /// Starts a server that was stopped.
    pub fn start_again(&mut self) {
        let pids = self.place.run(&setup::start(&self.folder, &self.ports));
        self.pids = pids
            .split_whitespace()
            .map(|pid| pid.parse().expect("a process's number"))
            .collect();
    }

    /// The name that its certificate has.
    pub fn host(&self) -> &'static str {
        "localhost"
    }

    /// The port for TLS from the start.
    pub fn port(&self) -> u16 {
        self.port_of(Door::Implicit)
    }

    /// The port of a door.
    pub fn port_of(&self, door: Door) -> u16 {
        let i = DOORS
            .iter()
            .position(|it| *it == door)
            .expect("each door has a port");
        self.ports[i]
    }

    /// The CA that its certificates are from, a PEM file that everybody may read.
    pub fn ca_file(&self) -> String {
        format!("{}/ca.pem", self.folder)
    }

    /// A command that hands it mail as `/usr/sbin/sendmail` does, with its arguments.
    pub fn sendmail(&self) -> String {
        format!("/usr/sbin/sendmail -C {}/etc", self.folder)
    }

    /// The name to log in with, an address as well.
    pub fn username(&self) -> &'static str {
        setup::LOGIN
    }

    /// The password to log in with.
    pub fn password(&self) -> &'static str {
        setup::PASSWORD
    }

    /// A token to log in with by XOAUTH2, good for years.
    pub fn token(&self) -> String {
        authority::token(setup::LOGIN, setup::TOKEN_KEY)
    }

    /// What has come for `user`, oldest first, as it lies in the mailbox.
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

    /// Waits until `n` mails have come for `user`, and returns all there are.
    ///
    /// # Panics
    ///
    /// When they have not after 20 seconds, with the server's log.
    pub fn wait_for_mail(&self, user: &str, n: usize) -> Vec<String> {
        let mut mails = Vec::new();
        let have_come = within_deadline(|| {
            mails = self.mails(user);
            mails.len() >= n
        });
        assert!(
            have_come,
            "waited in vain for {n} mails for {user}, there are {mails:?}\n{}",
            self.log()
        );
        mails
    }

    /// Waits until the server has logged `needle`; it does so a little later than it answers.
    ///
    /// # Panics
    ///
    /// When it has not after 20 seconds, with its log.
    pub fn wait_for_log(&self, needle: &str) {
        let is_there = within_deadline(|| self.log().contains(needle));
        assert!(is_there, "waited in vain for {needle:?} in\n{}", self.log());
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        let log = |name| fs::read_to_string(self.path(name)).unwrap_or_default();
        format!("{}{}", log("mail.log"), log("dovecot/log"))
    }

    /// A path in the server's folder, as this host reaches it.
    fn path(&self, name: &str) -> PathBuf {
        self.place.reach(&format!("{}/{name}", self.folder))
    }
}

impl<P: Place> Drop for MailServer<P> {
    fn drop(&mut self) {
        if !self.place.ends_by_itself() {
            self.stop();
        }
    }
}

/// Whether `condition` comes to hold.
fn within_deadline(mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if condition() {
            return true;
        }
        if start.elapsed() > DEADLINE {
            return false;
        }
        thread::sleep(INTERVAL);
    }
}
