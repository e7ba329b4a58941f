//! Logins on the machine itself: su, sudo, login, and a PAM application that does not run as root.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use twofa_e2e::{Machine, Terminal, password_of};

const CODE_PROMPT: &str = "Verification code for vm";
/// A PAM application like a screen locker: it runs as the user.
const LOCK_SCREEN: &str = "\
auth requisite pam_fprintd.so
auth required pam_twofa.so
account required pam_permit.so
";
const AS_ALICE: &str = "pamtester lock-screen alice authenticate";

fn machine() -> Machine {
    Machine::new()
        .policy("optional")
        .user("alice")
        .user("bob")
        .administrator("carol")
        .build()
}

fn answer(terminal: &mut Terminal, prompt: &str, answer: &str) {
    terminal.expect(prompt);
    terminal.expect(": ");
    terminal.type_line(answer);
}

#[test]
fn su_asks_for_the_code_of_whom_it_becomes() {
    let machine = machine();
    let phone = machine.enrol("bob");

    let mut su = machine.terminal_as("alice", "su bob -c 'id -un'");
    answer(&mut su, "Password", &password_of("bob"));
    answer(&mut su, CODE_PROMPT, "00000000");
    answer(&mut su, CODE_PROMPT, &phone.next_code());
    su.expect("bob\n");
    assert!(su.expect_end().success());
}

#[test]
fn su_refuses_wrong_codes_and_the_end_of_input() {
    let machine = machine();
    machine.enrol("bob");

    let mut su = machine.terminal_as("alice", "su bob -c 'echo in'");
    answer(&mut su, "Password", &password_of("bob"));
    for _ in 0..3 {
        answer(&mut su, CODE_PROMPT, "00000000");
    }
    assert!(!su.expect_end().success());
    assert!(
        su.screen().contains("Too many wrong answers."),
        "{}",
        su.screen()
    );

    for leave in ['d', 'c'] {
        let mut su = machine.terminal_as("alice", "su bob -c 'echo in'");
        answer(&mut su, "Password", &password_of("bob"));
        su.expect(CODE_PROMPT);
        su.press_ctrl(leave);
        assert!(!su.expect_end().success());
        assert!(!su.screen().contains("\nin"), "{}", su.screen());
    }
}

#[test]
fn sudo_asks_for_ones_own_code() {
    let machine = machine();
    let phone = machine.enrol("carol");

    let mut sudo = machine.terminal_as("carol", "sudo id -un");
    answer(&mut sudo, "password for carol", &password_of("carol"));
    answer(&mut sudo, CODE_PROMPT, &phone.next_code());
    sudo.expect("root\n");
    assert!(sudo.expect_end().success());

    let mut sudo = machine.terminal_as("carol", "sudo -k id -un");
    answer(&mut sudo, "password for carol", &password_of("carol"));
    sudo.expect(CODE_PROMPT);
    sudo.press_ctrl('d');
    assert!(!sudo.expect_end().success());
    assert!(!sudo.screen().contains("\nroot"), "{}", sudo.screen());
}

#[test]
fn the_console_asks_and_lets_in() {
    let machine = machine();
    let phone = machine.enrol("alice");

    let mut login = machine.terminal("exec login");
    answer(&mut login, "vm login", "alice");
    answer(&mut login, "Password", &password_of("alice"));
    answer(&mut login, CODE_PROMPT, &phone.next_code());
    login.expect("alice@vm:~$ ");
}

#[test]
fn the_console_refuses_a_wrong_code() {
    let machine = machine();
    machine.enrol("alice");

    let mut login = machine.terminal("exec login");
    answer(&mut login, "vm login", "alice");
    answer(&mut login, "Password", &password_of("alice"));
    for _ in 0..3 {
        answer(&mut login, CODE_PROMPT, "00000000");
    }
    login.expect("Too many wrong answers.");
    login.hang_up();
    login.expect_end();
    assert!(
        !login.screen().contains("alice@vm:~$"),
        "{}",
        login.screen()
    );
}

#[test]
fn a_lock_screen_that_is_not_root_asks_through_the_socket() {
    let machine = Machine::new()
        .policy("mandatory")
        .user("alice")
        .pam("lock-screen", LOCK_SCREEN)
        .build();
    let phone = machine.enrol("alice");

    let mut screen = machine.terminal_as("alice", AS_ALICE);
    answer(&mut screen, CODE_PROMPT, &phone.next_code());
    screen.expect("successfully authenticated");

    let mut screen = machine.terminal_as("alice", AS_ALICE);
    answer(&mut screen, CODE_PROMPT, "00000000");
    screen.expect("Wrong code.");
    screen.press_ctrl('d');
    assert!(!screen.expect_end().success());
}

#[test]
fn a_lock_screen_without_a_broker_is_refused() {
    let machine = Machine::new()
        .policy("mandatory")
        .user("alice")
        .pam("lock-screen", LOCK_SCREEN)
        .build();
    machine.enrol("alice");
    machine.broker().kill();

    let refused = machine.run_as("alice", AS_ALICE).fails();

    assert!(
        refused
            .to_string()
            .contains("The second factor cannot be checked now"),
        "{refused}"
    );
    machine.wait_for_log("pam_twofa(lock-screen:auth)");
}

#[test]
fn a_user_cannot_be_asked_about_by_another_user() {
    let machine = Machine::new()
        .policy("mandatory")
        .user("alice")
        .user("mallory")
        .pam("lock-screen", LOCK_SCREEN)
        .build();
    let phone = machine.enrol("alice");

    let refused = machine
        .run_as(
            "mallory",
            &format!("echo {} | {AS_ALICE}", phone.next_code()),
        )
        .fails();

    assert!(!refused.to_string().contains(CODE_PROMPT), "{refused}");
    machine.wait_for_log("may not ask about alice");
    assert!(
        machine
            .run("twofa status --user alice --json")
            .ok()
            .stdout
            .contains("\"failures\": 0")
    );
}

#[test]
fn a_user_who_asks_about_themselves_again_and_again_does_not_fill_the_log() {
    let machine = Machine::new()
        .policy("mandatory")
        .command("twofa policy set enrolment=beforehand --yes")
        .user("alice")
        .pam("lock-screen", LOCK_SCREEN)
        .build();

    let refused = machine
        .run_as("alice", &format!("for i in $(seq 20); do {AS_ALICE}; done"))
        .fails();

    assert_eq!(
        refused
            .to_string()
            .matches("none is set up for alice")
            .count(),
        20,
        "{refused}"
    );
    assert_eq!(machine.run("twofa log --user alice").ok().stdout, "");
}
