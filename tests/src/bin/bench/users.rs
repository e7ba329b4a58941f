//! Who logs in.

use std::fmt::Write as _;
use std::process::Command;

use twofa_core::{Account, Key};

/// Users whose single logins are timed, in turn. The smallest store has no others.
pub const TIMED: usize = 60;

/// Users who log in at once, half with HOTP tokens and half with TOTP apps.
pub const CONCURRENT: usize = 512;

const FIRST_UID: usize = 20_000;

/// The group "users".
const GID: u32 = 100;

/// The users in the `/etc/passwd` of the machines, in addition to the system's own.
#[derive(Debug)]
pub struct Users {
    /// Users whose single logins are timed, [`TIMED`] of them.
    pub timed: Vec<User>,
    /// Users who log in at once, [`CONCURRENT`] of them.
    pub concurrent: Vec<User>,
}

/// A user with an account and an authenticator.
#[derive(Clone, Debug)]
pub struct User {
    /// Name and uid.
    pub account: Account,
    /// The key that the authenticator shares with the modules.
    pub key: Key,
}

impl Users {
    /// With fresh keys.
    pub fn make() -> Self {
        let user = |letter, number, uid| {
            let name = format!("{letter}{number:03}");
            User {
                account: Account {
                    name,
                    uid: u32::try_from(uid).unwrap(),
                },
                key: random_key(),
            }
        };
        Self {
            timed: (0..TIMED).map(|i| user('m', i, FIRST_UID + i)).collect(),
            concurrent: (0..CONCURRENT)
                .map(|i| user('t', i, FIRST_UID + TIMED + i))
                .collect(),
        }
    }

    /// Their lines of `/etc/passwd`.
    pub fn passwd(&self) -> String {
        let mut lines = String::new();
        for user in self.timed.iter().chain(&self.concurrent) {
            let Account { name, uid } = &user.account;
            let _ = writeln!(lines, "{name}:x:{uid}:{GID}::{}:/bin/sh", user.home());
        }
        lines
    }

    /// Their lines of `/etc/shadow`, without a password.
    pub fn shadow(&self) -> String {
        let mut lines = String::new();
        for user in self.timed.iter().chain(&self.concurrent) {
            let _ = writeln!(lines, "{}:*:20000::::::", user.account.name);
        }
        lines
    }
}

impl User {
    /// On the machine's disk; `/home` is in memory.
    pub fn home(&self) -> String {
        format!("/srv/bench/{}", self.account.name)
    }

    /// The key in hexadecimal digits.
    pub fn hex(&self) -> String {
        self.key
            .expose()
            .iter()
            .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }

    /// `count` codes in a row, from oathtool: of a token from counter `from` on, or of an app from the present step on.
    pub fn codes(&self, from: Option<usize>, count: usize) -> Vec<String> {
        let mut command = Command::new("oathtool");
        match from {
            Some(counter) => command.args(["--hotp", "--counter", &counter.to_string()]),
            None => command.arg("--totp"),
        };
        let output = command
            .args(["--window", &(count - 1).to_string(), &self.hex()])
            .output();
        let output = output.expect("oathtool is installed");
        assert!(
            output.status.success(),
            "oathtool: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

/// 160 random bits.
pub fn random_key() -> Key {
    let mut bytes = vec![0; twofa_core::key::KEY_BYTES];
    getrandom::fill(&mut bytes).expect("random bytes");
    Key::new(bytes).expect("20 bytes make a key")
}
