//! How long a login waits for its code to be mailed, through a real mail server with TLS and a password.

use std::path::Path;
use std::time::Duration;

use twofa_e2e::{FIRST_FACTOR, Machine, carry_mail};

use crate::footprint;
use crate::statistics::milliseconds;
use crate::stopwatch::copy_into;
use crate::users::User;

/// Users who log in one after the other, and then at once.
const PEOPLE: usize = 64;
/// Times that each of the two is measured.
const ROUNDS: usize = 3;

/// Milliseconds from the request of a login to its prompt, when the mail server has accepted the mail.
#[derive(Debug)]
pub struct MailBench {
    /// Of logins one after the other, over a connection that is open.
    pub alone: Vec<f64>,
    /// Of logins at once.
    pub at_once: Vec<f64>,
    /// Until all concurrent logins had their prompt, one number for each round.
    pub all: Vec<f64>,
    /// Resident memory of the broker afterwards (`VmRSS`), in KiB.
    pub resident: f64,
}

/// Lets some of `users` ask for a code by mail.
pub fn measure(disk: &Path, passwd: &str, users: &[User], progress: &dyn Fn(&str)) -> MailBench {
    progress(&format!(
        "mailing codes to {PEOPLE} users, one after the other and at once"
    ));
    let users = &users[..PEOPLE];
    let machine = Machine::new()
        .on_disk(disk)
        .policy("mandatory")
        .pam("bench-twofa", &format!("{FIRST_FACTOR}auth required pam_twofa.so\n"))
        .file("/etc/passwd.bench", passwd)
        .command("twofa policy set resend.cooldown=0 send.user-hourly=1000 send.address-daily=1000 send.machine-hourly=100000")
        .build();
    machine.run("cat /etc/passwd.bench >>/etc/passwd").ok();
    let names: Vec<&str> = users
        .iter()
        .map(|user| user.account.name.as_str())
        .collect();
    let _mail = carry_mail(&machine, &names);
    for name in &names {
        machine
            .run(&format!(
                "twofa user set {name} email={name}@example.org --verified"
            ))
            .ok();
    }
    let ask = |at_once: usize| {
        let command = format!("{} --inside prompts {at_once}", copy_into(&machine));
        let output = machine.run_with_input(&command, &names.join("\n")).ok();
        let mut times = output
            .stdout
            .lines()
            .map(|line| milliseconds(Duration::from_nanos(line.parse().expect("nanoseconds"))));
        (
            times.next().expect("the time of all"),
            times.collect::<Vec<_>>(),
        )
    };
    // Opens the connection.
    ask(1);
    let mut mail = MailBench {
        alone: Vec::new(),
        at_once: Vec::new(),
        all: Vec::new(),
        resident: 0.0,
    };
    for _ in 0..ROUNDS {
        mail.alone.extend(ask(1).1);
        let (all, times) = ask(PEOPLE);
        mail.all.push(all);
        mail.at_once.extend(times);
    }
    mail.resident = footprint::measure(&machine).resident;
    mail
}
