//! Whole logins by ssh: a real sshd and a real client, with a password alone and with a code after it.

use std::fmt::Write as _;
use std::path::Path;

use twofa_e2e::{Builder, Machine, password_of};

use crate::machines::{self, install_google, install_oath};
use crate::stacks::{google_line, oath_line};
use crate::statistics::median;
use crate::stopwatch::{Codes, Stopwatch, run_rounds};
use crate::users::{TIMED, User, Users};
use crate::{concurrent, stores};

/// Answers the questions of ssh(1): the password where it is asked for, the code otherwise.
pub const ASKPASS: &str = "/run/askpass";
const ASKPASS_SCRIPT: &str = r#"#!/bin/sh
case $1 in
    *Password:*) echo "$BENCH_PASSWORD" ;;
    *) echo "$BENCH_CODE" ;;
esac
"#;

/// What is asked for after the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondFactor {
    /// Nothing: the login that the others are compared with.
    None,
    /// A code, which pam_google_authenticator checks.
    Google,
    /// A code, which pam_oath checks in a file of as many users as ours has.
    Oath,
    /// A code, which our running broker checks.
    Twofa,
}

impl SecondFactor {
    const ALL: [Self; 4] = [Self::None, Self::Google, Self::Oath, Self::Twofa];

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "password alone",
            Self::Google => "with pam_google_authenticator",
            Self::Oath => "with pam_oath",
            Self::Twofa => "with twofa",
        }
    }

    fn machine(self, disk: &Path, users: &Users) -> Machine {
        let builder = Machine::new().on_disk(disk).without_broker();
        match self {
            Self::None => finish(builder.bare(), users, ""),
            Self::Google => {
                let machine = finish(builder.bare(), users, &google_line());
                install_google(&machine, &users.timed);
                machine
            }
            Self::Oath => {
                let machine = finish(builder.bare(), users, &oath_line(TIMED));
                install_oath(&machine, TIMED, &users.timed);
                machine
            }
            Self::Twofa => {
                let folder = tempfile::tempdir_in(disk).expect("a folder for a store");
                let warm_up_user = &users.concurrent[0];
                let store = stores::fill(folder.path(), TIMED, &users.timed, warm_up_user);
                // Our line is in common-auth already.
                let machine = finish(machines::add_services(builder), users, "");
                machines::copy_store(&machine, &store);
                machine.start_broker();
                concurrent::warm_up(&machine, warm_up_user);
                machine
            }
        }
    }
}

/// Adds the users with their passwords, sshd, and `line` at the end of `common-auth`.
fn finish(builder: Builder, users: &Users, line: &str) -> Machine {
    let mut passwords = String::new();
    for User { account, .. } in &users.timed {
        let name = &account.name;
        let _ = writeln!(passwords, "{name}:{}", password_of(name));
    }
    let machine = machines::add_users(builder, users)
        .file("/etc/passwords.bench", &passwords)
        // Few rounds: the slower the password, the less a second factor shows.
        .command("chpasswd --crypt-method SHA512 --sha-rounds 1000 </etc/passwords.bench")
        .with_sshd()
        .build();
    machine
        .run_with_input("cat >>/etc/pam.d/common-auth", line)
        .ok();
    machine.write_file(ASKPASS, ASKPASS_SCRIPT);
    machine.run(&format!("chmod +x {ASKPASS}")).ok();
    make_homes(&machine, &users.timed);
    machine
}

fn make_homes(machine: &Machine, users: &[User]) {
    let mut script = String::new();
    for user in users {
        let (name, home) = (&user.account.name, user.home());
        let _ = writeln!(script, "install -d -m 0755 -o {name} -g users {home}");
    }
    machine.run_with_input("sh -eu", &script).ok();
}

/// The whole time of the client in milliseconds, one for each round.
#[derive(Debug)]
pub struct SshLogins(pub Vec<(SecondFactor, Vec<f64>)>);

impl SshLogins {
    /// The time of a login with `second_factor` to that of the same login without one: the median of what it adds in each
    /// round, and the median of those without.
    pub fn ratio(&self, second_factor: SecondFactor) -> f64 {
        let (without, with) = (self.times(SecondFactor::None), self.times(second_factor));
        let added: Vec<f64> = with
            .iter()
            .zip(without)
            .map(|(with, without)| with - without)
            .collect();
        1.0 + median(&added) / median(without)
    }

    /// The ratio of the faster peer.
    pub fn best_peer(&self) -> f64 {
        f64::min(
            self.ratio(SecondFactor::Google),
            self.ratio(SecondFactor::Oath),
        )
    }

    fn times(&self, second_factor: SecondFactor) -> &[f64] {
        self.0
            .iter()
            .find(|(measured, _)| *measured == second_factor)
            .map_or(&[], |(_, times)| times)
    }
}

/// Times logins with each second factor and without one, `rounds` times.
pub fn measure(disk: &Path, users: &Users, rounds: usize, progress: &dyn Fn(&str)) -> SshLogins {
    progress(&format!("logging in by ssh, {rounds} rounds"));
    let machines = SecondFactor::ALL.map(|second_factor| second_factor.machine(disk, users));
    let mut stopwatches: Vec<_> = machines
        .iter()
        .map(|machine| Stopwatch::start(machine, "ssh".into()))
        .collect();
    let mut codes = Codes::new(&users.timed);
    let times = run_rounds(&mut stopwatches, rounds, &mut codes, disk);
    SshLogins(SecondFactor::ALL.into_iter().zip(times).collect())
}
