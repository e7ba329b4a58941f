//! Login sessions on a machine without systemd-logind: recorded through real sshd and su, listed, and ended.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use twofa_e2e::{Authenticator, Machine, Terminal, password_of};

/// As README has it, with the session line.
const STACK: &str = "\
auth requisite pam_unix.so
auth required pam_twofa.so
account required pam_twofa.so
account required pam_unix.so
session optional pam_twofa.so
session required pam_permit.so
";

fn machine() -> (Machine, Authenticator) {
    let machine = Machine::new()
        .policy("mandatory")
        .user("alice")
        .user("bob")
        .pam("sshd", STACK)
        .pam("su", STACK)
        .with_sshd()
        .build();
    let phone = machine.enrol("alice");
    (machine, phone)
}

fn log_in(machine: &Machine, phone: &Authenticator) -> Terminal {
    let mut terminal = machine.terminal("ssh alice@vm");
    terminal.expect("Password:");
    terminal.type_line(&password_of("alice"));
    terminal.expect("Verification code");
    terminal.type_line(&phone.next_code());
    terminal.expect("alice@vm:~$");
    terminal
}

fn list(machine: &Machine) -> Vec<String> {
    let listed = machine.run("twofa session list").ok().stdout;
    listed.lines().skip(1).map(ToOwned::to_owned).collect()
}

#[test]
fn a_login_is_listed_with_what_was_proved_until_it_is_over() {
    let (machine, phone) = machine();
    let mut terminal = log_in(&machine, &phone);
    let sessions = list(&machine);
    assert_eq!(sessions.len(), 1, "{sessions:?}");
    for part in ["\talice\topen\t", "\tsshd\t", "app 'app'"] {
        assert!(sessions[0].contains(part), "{sessions:?}");
    }
    let own = machine.run_as("alice", "twofa session list").ok().stdout;
    assert!(own.contains("\tsshd\t"), "{own}");
    let others = machine.run_as("bob", "twofa session list --user alice");
    assert_eq!(others.code(), 3, "{others:?}");
    assert!(
        !machine
            .run_as("bob", "twofa session list")
            .ok()
            .stdout
            .contains("sshd")
    );
    terminal.type_line("exit");
    terminal.expect_end();
    machine.wait_until("[ -z \"$(twofa session list | tail -n +2)\" ]");
}
