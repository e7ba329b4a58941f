//! Trusted devices: a code that ends in + is asked for again when the trust ends, through real sshd, su and sudo.
//!
//! This file has the machine that is reached from two others, and what a code with a + does. [`ends`] ends trust, [`proofs`]
//! tells devices apart, [`elevation`] is su and sudo, [`lockers`] are screen lockers, [`processes`] a program of the tests'
//! own, [`commands`] `twofa device`, and [`input`] what must not work.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

mod commands;
mod elevation;
mod ends;
mod input;
mod lockers;
mod processes;
mod proofs;

use twofa_e2e::{Authenticator, Machine, Terminal, password_of, save_backup_codes};

/// As README has it, with our line in the account phase too.
const STACK: &str = "\
auth requisite pam_unix.so
auth required pam_twofa.so
account required pam_twofa.so
account required pam_unix.so
session required pam_permit.so
";

/// A stack that goes on after a wrong password, as EL's does.
const SUBSTACK: &str = "\
auth substack password-auth
auth required pam_twofa.so
account required pam_twofa.so
account required pam_unix.so
session required pam_permit.so
";
const PASSWORD_AUTH: &str = "\
auth required pam_env.so
auth sufficient pam_unix.so
auth required pam_deny.so
";

/// A machine that is reached from two client machines of its own network, 192.0.2.7 and 192.0.2.8.
fn machine(stack: &str) -> (Machine, Authenticator) {
    let machine = machine_with_sshd(stack, "");
    let phone = machine.enrol("alice");
    (machine, phone)
}

/// The same with further lines of `sshd_config`, and with bob; nobody has enrolled.
fn machine_with_sshd(stack: &str, lines: &str) -> Machine {
    let machine = Machine::new()
        .policy("mandatory")
        .user("alice")
        .user("bob")
        .pam("sshd", stack)
        .pam("password-auth", PASSWORD_AUTH)
        .sshd(lines)
        .build();
    machine
        .run(
            "ip link add lan type bridge && ip addr add 192.0.2.1/24 dev lan && ip link set lan up
             for host in 7 8; do
                 ip netns add client$host && ip link add lan$host type veth peer name eth0 netns client$host &&
                 ip link set lan$host master lan up &&
                 ip -n client$host addr add 192.0.2.$host/24 dev eth0 && ip -n client$host link set eth0 up
             done
             sed -i 's/^vm,/192.0.2.1,vm,/' /etc/ssh/ssh_known_hosts",
        )
        .ok();
    machine
}

fn set(machine: &Machine, settings: &str) {
    machine.run(&format!("twofa policy set {settings}")).ok();
}

/// A login from this client machine, after the password.
fn log_in_from(machine: &Machine, host: u8, password: &str) -> Terminal {
    let mut terminal = machine.terminal(&format!(
        "ip netns exec client{host} ssh -o NumberOfPasswordPrompts=1 alice@192.0.2.1"
    ));
    terminal.expect("Password:");
    terminal.type_line(password);
    terminal
}

/// Whether a login from this client machine with these options of ssh needs a code, after the password where one is asked
/// for.
fn needs_code(machine: &Machine, host: u8, user: &str, options: &str, has_password: bool) -> bool {
    let mut terminal = machine.terminal(&format!(
        "ip netns exec client{host} ssh -o NumberOfPasswordPrompts=1 {options} {user}@192.0.2.1 'echo Verified: in'"
    ));
    if has_password {
        terminal.expect("Password:");
        terminal.type_line(&password_of(user));
    }
    terminal.expect("Verif");
    match terminal.expect(" ").as_str() {
        "ication " => true,
        "ied: " => {
            assert!(terminal.expect_end().success());
            false
        }
        other => panic!("{other}: {}", terminal.screen()),
    }
}

/// Whether alice's login from this client machine needs a code after the password.
fn is_asked(machine: &Machine, host: u8) -> bool {
    needs_code(machine, host, "alice", "", true)
}

/// Logs alice in from this client machine with a `code`, and trusts the machine's address.
fn trust(machine: &Machine, host: u8, code: &str) {
    let mut terminal = log_in_from(machine, host, &password_of("alice"));
    terminal.expect("Verification code for vm");
    terminal.expect("): ");
    terminal.type_line(&format!("{code}+"));
    let screen = expect_shell(terminal);
    assert!(
        screen.contains("No code is asked for here until "),
        "{screen}"
    );
}

fn expect_shell(mut terminal: Terminal) -> String {
    terminal.expect("alice@vm:~$");
    let screen = terminal.screen();
    terminal.type_line("exit");
    terminal.expect_end();
    screen
}

#[test]
fn a_code_with_a_plus_is_not_asked_for_again_from_that_address_and_from_no_other() {
    let (machine, phone) = machine(STACK);
    set(&machine, "trust.remote=30d");

    let mut first = log_in_from(&machine, 7, &password_of("alice"));
    first.expect("Verification code for vm (+ at its end: trust 192.0.2.7 for 12 hours; ");
    first.expect("): ");
    first.type_line(&format!("{}+", phone.next_code()));
    let screen = expect_shell(first);
    assert!(
        screen.contains("No code is asked for here until "),
        "{screen}"
    );

    let screen = expect_shell(log_in_from(&machine, 7, &password_of("alice")));
    assert!(!screen.contains("Verification code"), "{screen}");

    let mut other = log_in_from(&machine, 8, &password_of("alice"));
    other.expect("Verification code for vm (+ at its end: trust 192.0.2.8");

    let log = machine.run("twofa log --user alice").ok();
    assert!(
        log.stdout.contains("trusted address 192.0.2.7"),
        "{}",
        log.stdout
    );
}

#[test]
fn a_right_code_with_a_plus_and_a_wrong_password_trusts_nothing_where_the_stack_goes_on() {
    let (machine, phone) = machine(SUBSTACK);
    set(&machine, "trust.remote=30d");

    let mut thief = log_in_from(&machine, 7, "wrong");
    thief.expect("Verification code for vm");
    thief.expect(": ");
    thief.type_line(&format!("{}+", phone.next_code()));
    thief.expect_end();

    let mut next = log_in_from(&machine, 7, &password_of("alice"));
    next.expect("Verification code for vm");
    next.expect(": ");
    next.type_line(&format!("{}+", phone.next_code()));
    expect_shell(next);
    let log = machine.run("twofa log --user alice").ok().stdout;
    assert_eq!(log.matches("passed").count(), 1, "{log}");

    // Trusted: the one question for everybody is asked, and any answer will do.
    let mut trusted = log_in_from(&machine, 7, &password_of("alice"));
    trusted.expect(": ");
    trusted.type_line("");
    expect_shell(trusted);
}

#[test]
fn a_wrong_password_at_a_trusted_address_is_no_login_where_the_stack_goes_on() {
    let (machine, phone) = machine(SUBSTACK);
    set(&machine, "trust.remote=30d");
    trust(&machine, 7, &phone.next_code());
    let log = || machine.run("twofa log --user alice").ok().stdout;
    let before = log();
    let mut stranger = log_in_from(&machine, 7, "wrong");
    stranger.expect(": ");
    stranger.type_line("");
    stranger.expect_end();
    assert_eq!(log(), before);
}

#[test]
fn the_first_code_of_an_enrolment_trusts_the_device_with_a_plus_or_always() {
    let machine = machine_with_sshd(STACK, "");
    set(&machine, "trust.remote=30d");
    for (host, user, plus) in [(7, "alice", "+"), (8, "bob", "")] {
        if plus.is_empty() {
            set(&machine, "trust.offer=always");
        }
        let mut login =
            machine.terminal(&format!("ip netns exec client{host} ssh {user}@192.0.2.1"));
        login.expect("Password:");
        login.type_line(&password_of(user));
        if !plus.is_empty() {
            login.expect("A + at the end of its first code: trust 192.0.2.7 for 12 hours.");
        }
        login.expect("Key:");
        let key = login.expect("\n");
        login.expect("code it shows: ");
        login.type_line(&format!("{}{plus}", Authenticator::new(&key).next_code()));
        save_backup_codes(&mut login);
        login.expect("No code is asked for here until ");
        login.expect(&format!("{user}@vm:~$"));
        assert!(!needs_code(&machine, host, user, "", true), "{user}");
    }
}
