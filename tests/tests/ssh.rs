//! Logins over real sshd, with real clients.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use std::time::Duration;

use twofa_e2e::{Authenticator, Machine, Terminal, password_of};

const CODE_PROMPT: &str = "Verification code for vm";

/// Key, then code: no password in the stack.
const KEY_THEN_CODE: &str = "\
PubkeyAuthentication yes
AuthenticationMethods publickey,keyboard-interactive
";
const CODE_ONLY_STACK: &str = "\
auth required pam_twofa.so
auth required pam_permit.so
account required pam_twofa.so
account required pam_unix.so
session required pam_permit.so
";

fn machine() -> (Machine, Authenticator) {
    let machine = Machine::new()
        .policy("mandatory")
        .user("alice")
        .with_sshd()
        .build();
    let phone = machine.enrol("alice");
    (machine, phone)
}

/// Gives root a key that alice accepts.
fn authorize_a_key(machine: &Machine) {
    machine
        .run(
            "ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519 && \
             install -d -o alice -m 700 ~alice/.ssh && \
             install -o alice -m 600 /root/.ssh/id_ed25519.pub ~alice/.ssh/authorized_keys",
        )
        .ok();
}

/// A login as a person does it, up to the code prompt.
fn at_the_code_prompt(machine: &Machine) -> Terminal {
    let mut terminal = machine.terminal("ssh -o NumberOfPasswordPrompts=1 alice@vm");
    terminal.expect("Password:");
    terminal.type_line(&password_of("alice"));
    terminal.expect(CODE_PROMPT);
    terminal.expect(": ");
    terminal
}

fn fail_three_times(machine: &Machine) {
    let mut terminal = at_the_code_prompt(machine);
    for next in [CODE_PROMPT, CODE_PROMPT, "Too many wrong answers."] {
        terminal.type_line("00000000");
        terminal.expect(next);
    }
    terminal.expect_end();
}

fn assert_refused(mut terminal: Terminal) -> String {
    let status = terminal.expect_end();
    assert_eq!(status.code(), Some(255), "{}", terminal.screen());
    assert!(
        !terminal.screen().contains("alice@vm:~$"),
        "{}",
        terminal.screen()
    );
    terminal.screen()
}

#[test]
fn a_person_logs_in_with_password_and_code() {
    let (machine, phone) = machine();

    let mut terminal = at_the_code_prompt(&machine);
    terminal.type_line(&phone.next_code());
    terminal.expect("alice@vm:~$ ");
    terminal.type_line("exit");

    assert!(terminal.expect_end().success());
    machine.wait_for_log("pam_twofa(sshd:auth)");
    let log = machine.run("twofa log --user alice --json").ok().stdout;
    assert!(
        log.contains(r#""event":"passed""#) && log.contains(r#""remote_host":"127.0.0.1""#),
        "{log}"
    );
}

#[test]
fn a_wrong_password_is_refused_without_a_code_being_asked_for() {
    let (machine, _) = machine();

    let mut terminal = machine.terminal("ssh -o NumberOfPasswordPrompts=1 alice@vm");
    terminal.expect("Password:");
    terminal.type_line("not the password");

    assert!(!assert_refused(terminal).contains(CODE_PROMPT));
}

#[test]
fn three_wrong_codes_end_the_login_and_are_counted() {
    let (machine, phone) = machine();
    let wrong = if phone.code() == "000000" {
        "000001"
    } else {
        "000000"
    };

    let mut terminal = at_the_code_prompt(&machine);
    terminal.type_line(wrong);
    terminal.expect("Wrong code. (2 tries are left)");
    terminal.expect(CODE_PROMPT);
    terminal.type_line(wrong);
    terminal.expect("Wrong code. (one try is left)");
    terminal.expect(CODE_PROMPT);
    terminal.type_line(wrong);

    let screen = assert_refused(terminal);
    assert!(screen.contains("Too many wrong answers."), "{screen}");
    assert!(
        machine
            .run("twofa status --user alice")
            .ok()
            .stdout
            .contains("Wrong codes in a row: 3")
    );
    machine.wait_for_log("all tries are used up, the last was a wrong code");
}

#[test]
fn a_replayed_code_is_refused_and_the_next_one_is_not() {
    let (machine, phone) = machine();
    let code = phone.next_code();
    let mut first = at_the_code_prompt(&machine);
    first.type_line(&code);
    first.expect("alice@vm:~$ ");

    let mut second = at_the_code_prompt(&machine);
    second.type_line(&code);
    second.expect("already been used: wait for the next one. (2 tries are left)");
    second.expect(CODE_PROMPT);
    second.type_line(&phone.next_code());
    second.expect("alice@vm:~$ ");
}

#[test]
fn a_code_two_minutes_old_is_refused_and_the_log_names_the_clock() {
    let (machine, phone) = machine();

    let mut terminal = at_the_code_prompt(&machine);
    // A code from the future: an old one precedes the enrolment's and counts as used, as below.
    terminal.type_line(&phone.code_at(4));
    terminal.expect("Wrong code.");
    terminal.expect(CODE_PROMPT);
    terminal.hang_up();
    let log = machine.run("twofa log --user alice").ok().stdout;
    assert!(
        log.contains("a code from 120 s ahead") || log.contains("a code from 90 s ahead"),
        "{log}"
    );
    let mut terminal = at_the_code_prompt(&machine);
    terminal.type_line(&phone.code_at(-4));
    terminal.expect("already been used");
}

#[test]
fn a_backup_code_lets_in_once() {
    let (machine, phone) = machine();
    let code = &phone.backup_codes[0];

    let mut terminal = at_the_code_prompt(&machine);
    terminal.type_line(code);
    terminal.expect("4 backup codes are left.");
    terminal.expect("alice@vm:~$ ");

    let mut again = at_the_code_prompt(&machine);
    again.type_line(code);
    again.expect("not one of your unused backup codes");
    again.expect(CODE_PROMPT);
    again.type_line(&phone.backup_codes[1].to_uppercase().replace('-', " "));
    again.expect("3 backup codes are left.");
    again.expect("alice@vm:~$ ");
}

#[test]
fn an_empty_answer_or_the_end_of_input_is_refused_and_counts_for_nothing() {
    let (machine, _) = machine();
    for leave in [
        |terminal: &mut Terminal| terminal.type_line(""),
        |terminal: &mut Terminal| terminal.press_ctrl('d'),
    ] {
        let mut terminal = at_the_code_prompt(&machine);
        leave(&mut terminal);
        let screen = assert_refused(terminal);
        assert!(screen.contains("No code was entered."), "{screen}");
    }
    assert!(
        machine
            .run("twofa status --user alice --json")
            .ok()
            .stdout
            .contains("\"failures\": 0")
    );
    machine.wait_for_log("no code was entered");
}

#[test]
fn an_interrupt_at_the_prompt_leaves_no_login_behind() {
    let (machine, phone) = machine();
    let mut terminal = at_the_code_prompt(&machine);

    // An interrupt between ssh's output of the prompt and its read of the answer is noticed only at the next key.
    machine.wait_until("grep -q '^State:.S' /proc/$(pgrep -x ssh)/status");
    terminal.press_ctrl('c');

    assert!(!terminal.expect_end().success());
    machine.wait_until("! pgrep -f '[s]shd: alice'");
    // The broker and the account are as before.
    let mut terminal = at_the_code_prompt(&machine);
    terminal.type_line(&phone.next_code());
    terminal.expect("alice@vm:~$ ");
}

#[test]
fn a_client_killed_at_the_prompt_leaves_nothing_behind() {
    let (machine, _) = machine();
    let _terminal = at_the_code_prompt(&machine);
    assert_eq!(conversations(&machine), 1);

    machine.run("pkill -KILL -x ssh").ok();

    machine.wait_until("[ $(ss -Hx state established src /run/twofa/twofad.sock | wc -l) = 0 ]");
    machine.wait_until("! pgrep -f '[s]shd: alice'");
}

fn conversations(machine: &Machine) -> usize {
    let count = machine
        .run("ss -Hx state established src /run/twofa/twofad.sock | wc -l")
        .ok()
        .stdout;
    count.trim().parse().unwrap()
}

#[test]
fn a_password_typed_at_the_code_prompt_is_neither_counted_nor_logged() {
    let (machine, phone) = machine();
    let mut terminal = at_the_code_prompt(&machine);

    terminal.type_line(&password_of("alice"));
    terminal.expect("That cannot be a code");
    terminal.expect(CODE_PROMPT);
    terminal.type_line(&phone.next_code());
    terminal.expect("alice@vm:~$ ");

    assert!(
        machine
            .run("twofa status --user alice --json")
            .ok()
            .stdout
            .contains("\"failures\": 0")
    );
    let everything = machine.log() + &machine.broker_log() + &machine.sshd_log();
    assert!(!everything.contains(&password_of("alice")), "{everything}");
}

#[test]
fn help_is_shown_on_request() {
    let (machine, phone) = machine();
    let mut terminal = at_the_code_prompt(&machine);
    terminal.type_line("?");
    terminal.expect("Open the authenticator app");
    terminal.expect(CODE_PROMPT);
    terminal.type_line(&phone.next_code());
    terminal.expect("alice@vm:~$ ");
}

#[test]
fn a_key_then_a_code_lets_in_and_a_key_alone_does_not() {
    let machine = Machine::new()
        .policy("mandatory")
        .user("alice")
        .pam("sshd", CODE_ONLY_STACK)
        .sshd(KEY_THEN_CODE)
        .build();
    let phone = machine.enrol("alice");
    authorize_a_key(&machine);

    let mut terminal = machine.terminal("ssh alice@vm");
    terminal.expect(CODE_PROMPT);
    terminal.type_line(&phone.next_code());
    terminal.expect("alice@vm:~$ ");

    let mut refused = machine.terminal("ssh alice@vm");
    refused.expect(CODE_PROMPT);
    refused.press_ctrl('d');
    refused.expect("No code was entered.");
    refused.press_ctrl('c');
    refused.expect_end();

    let stranger = machine.terminal("ssh -o IdentityFile=/nonexistent alice@vm");
    assert!(!assert_refused(stranger).contains(CODE_PROMPT));
}

#[test]
fn a_key_alone_is_refused_in_the_account_phase_and_the_log_tells_the_administrator_why() {
    let machine = Machine::new()
        .policy("mandatory")
        .user("alice")
        .pam("sshd", CODE_ONLY_STACK)
        .sshd("AuthenticationMethods publickey\n")
        .build();
    machine.enrol("alice");
    authorize_a_key(&machine);

    assert_refused(machine.terminal("ssh alice@vm"));
    machine.wait_for_log("sshd cannot ask for one after a key alone");
}

#[test]
fn a_key_does_not_bypass_the_code() {
    let (machine, phone) = machine();
    authorize_a_key(&machine);

    assert!(!assert_refused(machine.terminal("ssh alice@vm")).contains(CODE_PROMPT));
    let line = machine.wait_for_log("sshd cannot ask for one after a key alone");
    assert!(line.contains("pam_twofa(sshd:account)"), "{line}");

    // Without the key she logs in as before.
    let mut terminal =
        machine.terminal("ssh -o PubkeyAuthentication=no -o NumberOfPasswordPrompts=1 alice@vm");
    terminal.expect("Password:");
    terminal.type_line(&password_of("alice"));
    terminal.expect(CODE_PROMPT);
    terminal.type_line(&phone.next_code());
    terminal.expect("alice@vm:~$ ");
}

#[test]
fn a_key_does_not_bypass_the_code_when_the_password_has_expired() {
    let (machine, _) = machine();
    authorize_a_key(&machine);
    // pam_unix does not refuse then: sshd lets the user in and has the password changed.
    machine.run("chage --lastday 0 alice").ok();

    let screen = assert_refused(machine.terminal("ssh alice@vm"));

    assert!(
        !screen.contains("You must change your password"),
        "{screen}"
    );
    machine.wait_for_log("sshd cannot ask for one after a key alone");
}

#[test]
fn a_key_lets_in_who_needs_no_code() {
    let machine = Machine::new()
        .policy("optional")
        .user("alice")
        .with_sshd()
        .build();
    authorize_a_key(&machine);

    let mut terminal = machine.terminal("ssh alice@vm");
    terminal.expect("alice@vm:~$ ");
    assert!(!terminal.screen().contains(CODE_PROMPT));
}

#[test]
fn scp_sftp_and_rsync_ask_and_then_carry_files() {
    let (machine, phone) = machine();
    machine
        .run("echo cargo >/root/cargo && echo put /root/cargo sftp-cargo >/root/batch")
        .ok();
    let commands = [
        "scp /root/cargo alice@vm:scp-cargo",
        "sftp -o BatchMode=no -b /root/batch alice@vm",
        "rsync /root/cargo alice@vm:rsync-cargo",
    ];
    for (command, code) in commands.iter().zip(&phone.backup_codes) {
        let mut terminal = machine.terminal(command).timeout(Duration::from_secs(60));
        terminal.expect("Password:");
        terminal.type_line(&password_of("alice"));
        terminal.expect(CODE_PROMPT);
        terminal.type_line(code);
        assert!(
            terminal.expect_end().success(),
            "{command}: {}",
            terminal.screen()
        );
    }
    assert_eq!(
        machine.run("cat ~alice/*-cargo").ok().stdout,
        "cargo\n".repeat(3)
    );
}

#[test]
fn the_password_method_cannot_be_asked_for_a_code_and_is_refused() {
    let machine = Machine::new()
        .policy("mandatory")
        .user("alice")
        .sshd("KbdInteractiveAuthentication no\nPasswordAuthentication yes\n")
        .build();
    machine.enrol("alice");

    let mut terminal = machine.terminal("ssh -o NumberOfPasswordPrompts=1 alice@vm");
    terminal.expect("password:");
    terminal.type_line(&password_of("alice"));

    assert_refused(terminal);
    assert!(
        machine
            .run("twofa status --user alice --json")
            .ok()
            .stdout
            .contains("\"failures\": 0")
    );
}

#[test]
fn a_user_who_is_not_enrolled_is_not_asked_when_it_is_optional_or_disabled() {
    for mode in ["optional", "disabled"] {
        let machine = Machine::new()
            .policy(mode)
            .user("alice")
            .with_sshd()
            .build();
        let mut terminal = machine.terminal("ssh alice@vm");
        terminal.expect("Password:");
        terminal.type_line(&password_of("alice"));
        terminal.expect("alice@vm:~$ ");
        assert!(!terminal.screen().contains(CODE_PROMPT));
    }
}

#[test]
fn an_account_recreated_with_another_uid_is_not_the_old_one() {
    let (machine, phone) = machine();
    machine.run("userdel alice && useradd --uid 4242 --create-home --shell /bin/bash alice && chown -R alice ~alice").ok();
    machine
        .run_with_input("chpasswd", &format!("alice:{}\n", password_of("alice")))
        .ok();

    let mut terminal = machine.terminal("ssh -o NumberOfPasswordPrompts=1 alice@vm");
    terminal.expect("Password:");
    terminal.type_line(&password_of("alice"));

    assert!(assert_refused(terminal).contains("registered for a different account"));
    drop(phone);
}

#[test]
fn too_many_wrong_codes_lock_until_an_administrator_unlocks() {
    let (machine, phone) = machine();
    machine.run("twofa policy set lockout.after=3").ok();
    fail_three_times(&machine);

    let mut locked = machine.terminal("ssh -o NumberOfPasswordPrompts=1 alice@vm");
    locked.expect("Password:");
    locked.type_line(&password_of("alice"));
    assert!(assert_refused(locked).contains("Too many wrong codes: locked until "));
    assert!(
        machine
            .run("twofa log --user alice")
            .ok()
            .stdout
            .contains("locked")
    );

    machine.run("twofa user unlock alice").ok();
    let mut terminal = at_the_code_prompt(&machine);
    terminal.type_line(&phone.next_code());
    terminal.expect("alice@vm:~$ ");
}

#[test]
fn a_lock_ends_by_itself() {
    let (machine, phone) = machine();
    machine
        .run("twofa policy set lockout.after=3 lockout.for=10m")
        .ok();
    fail_three_times(&machine);

    machine.broker().set_clock("+11m");

    let mut terminal = at_the_code_prompt(&machine);
    terminal.type_line(&phone.code_at(22));
    terminal.expect("alice@vm:~$ ");
}
