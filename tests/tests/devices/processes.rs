//! Programs that are not sshd: a login is recognised in the account phase by what the module keeps of it, whichever process
//! gets there, and whatever became of it meanwhile.

use super::set;
use twofa_e2e::{Authenticator, Machine, password_of};

/// The same order as EL's, with the account phase last.
const STACK: &str = "\
auth requisite pam_unix.so
auth required pam_twofa.so
account required pam_twofa.so
account required pam_unix.so
";

fn machine() -> (Machine, Authenticator) {
    let machine = Machine::new()
        .policy("mandatory")
        .user("alice")
        .file("/root/login.c", include_str!("login.c"))
        .command("cc -o /usr/local/bin/login-program /root/login.c -lpam -lpam_misc")
        .pam("remote-app", STACK)
        .pam(
            "passwd",
            "password required pam_permit.so\npassword optional pam_twofa.so\n",
        )
        .without_sshd()
        .build();
    let phone = machine.enrol("alice");
    set(&machine, "trust.remote=30d");
    (machine, phone)
}

/// What becomes of a login of alice by the program with these arguments, and which of these codes it asked for.
fn log_in(machine: &Machine, arguments: &str, codes: &[&str]) -> String {
    let mut terminal = machine.terminal(&format!("login-program {arguments}"));
    for code in codes {
        terminal.expect("Password:");
        terminal.type_line(&password_of("alice"));
        terminal.expect("Verification code");
        terminal.expect("): ");
        terminal.type_line(code);
    }
    if codes.is_empty() {
        terminal.expect("Password:");
        terminal.type_line(&password_of("alice"));
    }
    terminal.expect("result: ");
    terminal.expect_end();
    let screen = terminal.screen();
    assert_eq!(
        screen.matches("Verification code").count(),
        codes.len(),
        "{screen}"
    );
    let (_, result) = screen.rsplit_once("result: ").unwrap();
    result.trim().to_owned()
}

fn count(machine: &Machine, command: &str) -> usize {
    machine.run(command).ok().stdout.lines().skip(1).count()
}

const TRUSTED: &str = "twofa device list --user alice";
const PASSED: &str = "twofa log --user alice --event passed";

#[test]
fn a_login_is_confirmed_and_trusted_though_another_process_comes_to_the_account_phase() {
    let (machine, phone) = machine();
    let code = format!("{}+", phone.backup_codes[0]);
    let login = "fork alice 192.0.2.7";
    assert_eq!(log_in(&machine, login, &[&code]), "in");
    assert_eq!(count(&machine, PASSED), 1);
    assert_eq!(log_in(&machine, login, &[]), "in", "by trust");
    assert_eq!(count(&machine, PASSED), 2);
}

#[test]
fn of_two_logins_in_one_process_each_makes_its_own_device_trusted() {
    let (machine, phone) = machine();
    let codes: Vec<_> = phone.backup_codes[..2]
        .iter()
        .map(|code| format!("{code}+"))
        .collect();
    let result = log_in(
        &machine,
        "two alice 192.0.2.7 192.0.2.8",
        &[&codes[0], &codes[1]],
    );
    assert_eq!(result, "in");
    let list = machine.run(TRUSTED).ok().stdout;
    assert!(list.contains("192.0.2.7"), "{list}");
    assert!(!list.contains("192.0.2.8"), "{list}");
}

#[test]
fn a_login_that_the_broker_no_longer_knows_passes_by_a_right_code_and_never_by_trust() {
    let (machine, phone) = machine();
    let [first, second, ..] = &phone.backup_codes[..] else {
        panic!("no codes");
    };
    let login = |command: &str| format!("same alice 192.0.2.7 '{command}'");
    // A new password takes away what unconfirmed logins left.
    let result = log_in(&machine, &login("passwd alice"), &[&format!("{first}+")]);
    assert_eq!(result, "in");
    assert_eq!(count(&machine, TRUSTED), 0);
    assert_eq!(count(&machine, PASSED), 0);
    machine.wait_for_log("not-recorded");

    assert_eq!(
        log_in(&machine, &login("true"), &[&format!("{second}+")]),
        "in"
    );
    assert_eq!(log_in(&machine, &login("true"), &[]), "in", "by trust");
    assert_eq!(log_in(&machine, &login("passwd alice"), &[]), "out");
    assert_eq!(count(&machine, TRUSTED), 0);

    // A code of methods that are gone is worth nothing.
    let third = format!("{}+", phone.backup_codes[2]);
    let result = log_in(&machine, &login("twofa user remove alice"), &[&third]);
    assert_eq!(result, "out");
}

#[test]
fn a_code_that_is_appended_at_a_trusted_address_is_no_more_than_trust_to_a_careless_stack() {
    let (machine, phone) = machine();
    let login = "same alice 192.0.2.7 true";
    let code = format!("{}+", phone.backup_codes[0]);
    assert_eq!(log_in(&machine, login, &[&code]), "in");

    let careless = STACK.replace(
        "auth requisite pam_unix.so\nauth required pam_twofa.so\n",
        "auth sufficient pam_twofa.so forward_pass\nauth requisite pam_unix.so try_first_pass\n",
    );
    machine.write_file("/etc/pam.d/remote-app", &careless);
    // Codes can be guessed there without limit. A right one must not replace the password.
    for (password, result) in [
        ("not the password".to_owned(), "not authenticated"),
        (password_of("alice"), "in"),
    ] {
        let mut terminal = machine.terminal(&format!("login-program {login}"));
        terminal.expect(": ");
        terminal.type_line(&format!("{password}{}", phone.next_code()));
        terminal.expect(&format!("result: {result}"));
        terminal.expect_end();
    }
}
