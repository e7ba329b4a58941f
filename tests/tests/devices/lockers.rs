//! Screen lockers: within a session that a code opened, they ask for none for a time.

use twofa_e2e::{Machine, Terminal, password_of};

use super::set;

/// Lockers that show every prompt, and that have one input field. `pam_fprintd.so` stands for any first factor.
const LOCKER: &str = "\
auth requisite pam_fprintd.so
auth required pam_twofa.so
account required pam_permit.so
";
const ONE_FIELD: &str = "\
auth required pam_twofa.so forward_pass
auth requisite pam_unix.so use_first_pass
auth required pam_twofa.so
";
const LOGIN: &str = "\
auth requisite pam_unix.so
auth required pam_twofa.so
account required pam_twofa.so confirm
account required pam_unix.so
session optional pam_twofa.so
session required pam_permit.so
";

fn machine() -> Machine {
    Machine::new()
        .policy("mandatory")
        .user("alice")
        .pam("login", LOGIN)
        .pam("xscreensaver", LOCKER)
        .pam("wayvnc", LOCKER)
        .pam("swaylock", ONE_FIELD)
        .build()
}

/// A login of alice's at the console up to her shell, with this code.
fn log_in(machine: &Machine, code: &str) -> Terminal {
    let mut login = machine.terminal("exec login");
    login.expect("vm login: ");
    login.type_line("alice");
    login.expect("Password: ");
    login.type_line(&password_of("alice"));
    login.expect("Verification code for vm");
    login.expect(": ");
    login.type_line(code);
    login.expect("alice@vm:~$ ");
    login
}

/// Whether a locker that runs as alice asks for a code.
fn asks(machine: &Machine) -> bool {
    asks_at(machine, "xscreensaver")
}

/// Whether a program of this service that runs as alice asks for a code.
fn asks_at(machine: &Machine, service: &str) -> bool {
    let mut locker = machine.terminal_as(
        "alice",
        &format!("pamtester {service} alice authenticate acct_mgmt && echo Verified: in"),
    );
    locker.expect("Verif");
    locker.expect(" ") == "ication "
}

#[test]
fn a_screen_locker_asks_for_no_code_in_a_session_that_one_opened_until_that_ends() {
    let machine = machine();
    let phone = machine.enrol("alice");
    set(&machine, "trust.unlock=12h trust.offer=always");
    assert!(asks(&machine), "nobody is logged in");
    let mut login = log_in(&machine, &phone.next_code());
    assert!(!asks(&machine));
    assert!(asks_at(&machine, "wayvnc"), "a VNC server is no locker");
    machine.run("twofa set verify=always --user alice").ok();
    assert!(asks(&machine), "she wants to be asked");
    machine.run("twofa set verify=new-device --user alice").ok();
    assert!(!asks(&machine));
    let list = machine.run("twofa device list --user alice --json").ok();
    assert_eq!(list.stdout, "[]\n", "believed, and made no device trusted");

    set(&machine, "trust.unlock=0");
    assert!(asks(&machine));
    set(&machine, "trust.unlock=12h");
    login.type_line("exit");
    login.expect_end();
    assert!(asks(&machine), "she has logged out");
}

#[test]
fn a_session_that_was_asked_for_no_code_unlocks_no_screen() {
    let machine = machine();
    machine.run("twofa policy set trust.unlock=12h").ok();
    machine.enrol("alice");
    machine
        .run("twofa user exempt alice --reason test --until 1d")
        .ok();
    let mut login = machine.terminal("exec login");
    login.expect("vm login: ");
    login.type_line("alice");
    login.expect("Password: ");
    login.type_line(&password_of("alice"));
    login.expect("alice@vm:~$ ");
    let sessions = machine.run("twofa session list --user alice").ok().stdout;
    assert!(sessions.contains("\talice\t"), "{sessions}");
    machine.run("twofa exemption remove 1").ok();
    assert!(asks(&machine));
}

#[test]
fn the_time_of_a_screen_locker_counts_from_the_last_code_and_not_from_a_trusted_login() {
    let machine = machine();
    let phone = machine.enrol("alice");
    set(&machine, "trust.unlock=1h");
    machine.broker().set_clock("+0");
    let _login = log_in(&machine, &phone.backup_codes[0]);
    for (clock, asked) in [("+59m", false), ("+61m", true), ("-1m", true)] {
        machine.broker().set_clock(clock);
        assert_eq!(asks(&machine), asked, "{clock}");
    }
}

#[test]
fn a_locker_with_one_field_takes_the_password_alone_in_such_a_session() {
    let machine = machine();
    let phone = machine.enrol("alice");
    set(&machine, "trust.unlock=12h");
    let unlocks = |typed: &str| {
        let locker = format!("echo '{typed}' | pamtester swaylock alice authenticate");
        machine.run_as("alice", &locker).status.success()
    };
    let password = password_of("alice");
    assert!(!unlocks(&password));
    let _login = log_in(&machine, &phone.next_code());
    assert!(unlocks(&password));
    assert!(!unlocks("wrong"));
    let failures = machine.run("twofa status --user alice --json").ok().stdout;
    assert!(failures.contains("\"failures\": 0"), "{failures}");
}
