//! Many logins at once, with real programs.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use std::thread;

use twofa_e2e::{Authenticator, Machine, password_of};

const LOGINS: usize = 64;

/// A policy under which it takes more than [`LOGINS`] wrong codes to lock an account.
fn machine() -> (Machine, Authenticator) {
    machine_that("twofa policy set lockout.after=100")
}

fn machine_that(command: &str) -> (Machine, Authenticator) {
    let machine = Machine::new()
        .policy("mandatory")
        .command(command)
        .user("alice")
        .pam(
            "testapp",
            "auth requisite pam_fprintd.so\nauth required pam_twofa.so\n",
        )
        .with_sshd()
        .build();
    let phone = machine.enrol("alice");
    (machine, phone)
}

/// How many of [`LOGINS`] `pamtester`s, all at the prompt before the first one answers, get in with `code`.
fn let_in(machine: &Machine, code: &str) -> usize {
    all_at_once(machine, code).0
}

/// Like [`let_in`], with everything they printed, interleaved.
fn all_at_once(machine: &Machine, code: &str) -> (usize, String) {
    let each = format!(
        "(read go <&3; echo {code}) | pamtester testapp alice authenticate && echo in >>/tmp/in"
    );
    let all = format!(
        "mkfifo /tmp/go && : >/tmp/in && exec 4<>/tmp/go && for i in $(seq {LOGINS}); do ({each}) 3</tmp/go & done; \
         while [ $(ss -Hx state established src /run/twofa/twofad.sock | wc -l) -lt {LOGINS} ]; do :; done; \
         yes | head -n {LOGINS} >&4; wait; rm /tmp/go"
    );
    machine.write_file("/root/all", &all);
    let output = machine
        .run("bash /root/all 2>&1; echo; wc -l </tmp/in")
        .ok()
        .stdout;
    (output.lines().last().unwrap().parse().unwrap(), output)
}

fn failures(machine: &Machine) -> String {
    let status = machine.run("twofa status --user alice --json").ok().stdout;
    status
        .lines()
        .find(|line| line.contains("\"failures\""))
        .unwrap()
        .trim()
        .to_owned()
}

#[test]
fn of_64_logins_at_once_with_the_same_code_exactly_one_gets_in() {
    let (machine, phone) = machine();
    assert_eq!(let_in(&machine, &phone.next_code()), 1);
}

#[test]
fn of_64_logins_at_once_with_the_same_backup_code_exactly_one_gets_in() {
    let (machine, phone) = machine();
    assert_eq!(let_in(&machine, &phone.backup_codes[2]), 1);
    assert!(
        machine
            .run("twofa codes --user alice")
            .ok()
            .stdout
            .contains("left: 4")
    );
}

#[test]
fn of_64_logins_at_once_without_a_running_broker_exactly_one_gets_in() {
    let (machine, phone) = machine();
    machine.broker().terminate();
    let code = phone.next_code();
    let each =
        format!("(echo {code} | pamtester testapp alice authenticate && echo in >>/tmp/in) &");
    let all =
        format!(": >/tmp/in; for i in $(seq {LOGINS}); do {each} done; wait; echo; wc -l </tmp/in");
    assert_eq!(machine.run(&all).ok().stdout.lines().last(), Some("1"));
}

#[test]
fn of_64_ssh_logins_at_once_with_the_same_code_exactly_one_gets_in() {
    let (machine, phone) = machine();
    let code = phone.next_code();
    // A client that answers its two prompts from a file, as a script does.
    machine.write_file(
        "/root/answer",
        &format!(
            "#!/bin/sh\ncase \"$1\" in *assword*) echo '{}';; *) echo {code};; esac\n",
            password_of("alice")
        ),
    );
    machine.run("chmod +x /root/answer").ok();
    let ssh = "DISPLAY=: SSH_ASKPASS=/root/answer SSH_ASKPASS_REQUIRE=force setsid -w \
               ssh -o NumberOfPasswordPrompts=1 alice@vm true";
    let won = thread::scope(|scope| {
        let logins: Vec<_> = (0..LOGINS)
            .map(|_| scope.spawn(|| machine.run(ssh).status.success()))
            .collect();
        logins
            .into_iter()
            .map(|login| login.join().unwrap())
            .filter(|won| *won)
            .count()
    });
    assert_eq!(won, 1, "{}", machine.log());
}

#[test]
fn of_64_logins_at_once_with_wrong_codes_no_failure_is_lost() {
    let (machine, _) = machine();
    assert_eq!(let_in(&machine, "00000000"), 0);
    assert_eq!(failures(&machine), format!("\"failures\": {LOGINS},"));
}

#[test]
fn of_64_logins_at_once_with_wrong_codes_only_as_many_are_verified_as_it_takes_to_lock() {
    let (machine, phone) = machine_that("twofa policy show | grep -x lockout.after=10");

    let (won, told) = all_at_once(&machine, "00000000");

    assert_eq!(won, 0, "{told}");
    assert_eq!(told.matches("Wrong code.").count(), 10, "{told}");
    assert_eq!(
        told.matches("Too many wrong codes: locked until ").count(),
        LOGINS - 10,
        "{told}"
    );
    assert_eq!(failures(&machine), "\"failures\": 10,");
    for right in [phone.next_code(), phone.backup_codes[0].clone()] {
        let refused = machine
            .run(&format!(
                "echo {right} | pamtester testapp alice authenticate"
            ))
            .fails();
        assert!(
            refused
                .to_string()
                .contains("Too many wrong codes: locked until "),
            "{refused}"
        );
    }
    assert!(
        machine
            .run("twofa codes --user alice")
            .ok()
            .stdout
            .contains("left: 5")
    );
}
