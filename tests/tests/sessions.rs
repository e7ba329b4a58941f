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
    for part in ["\talice\t", "\tsshd\t", "app 'app'"] {
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

/// A machine whose root becomes anybody in a terminal, as a login each time.
fn machine_of_root() -> Machine {
    const ANYBODY: &str = "\
auth sufficient pam_permit.so
account required pam_permit.so
session optional pam_twofa.so
session required pam_permit.so
";
    Machine::new()
        .policy("optional")
        .user("alice")
        .user("bob")
        .user("carol")
        .pam("su-l", ANYBODY)
        .build()
}

/// A terminal in which root became `user`.
fn become_user(machine: &Machine, user: &str) -> Terminal {
    let mut terminal = machine.terminal(&format!("su - {user}"));
    terminal.expect(&format!("{user}@vm:~$"));
    terminal
}

/// The number of the only session of `user`.
fn number(machine: &Machine, user: &str) -> String {
    let sessions = list(machine);
    let of_user = |line: &&String| line.contains(&format!("\t{user}\t"));
    let line = sessions.iter().find(of_user);
    let line = line.unwrap_or_else(|| panic!("{sessions:?}"));
    line.split('\t').next().unwrap().to_owned()
}

/// The users who have a session.
fn users(machine: &Machine) -> Vec<String> {
    let sessions = list(machine);
    let user = |line: &String| line.split('\t').nth(1).unwrap().to_owned();
    sessions.iter().map(user).collect()
}

#[test]
fn a_list_fits_a_terminal_and_says_where_each_session_is() {
    let machine = machine_of_root();
    let _alice = become_user(&machine, "alice");
    let _bob = become_user(&machine, "bob");
    let screen = || {
        let mut own = machine.terminal("stty cols 80; twofa session list");
        own.expect_end();
        own.screen()
    };
    let screen_without_end = screen();
    machine.run("twofa policy set session.lifetime=8h").ok();
    let _carol = become_user(&machine, "alice");
    let with_end = screen();
    assert_eq!(with_end.trim_end().lines().count(), 4, "{with_end}");
    assert!(with_end.contains("UNTIL"), "{with_end}");
    let screen = screen_without_end;
    assert!(
        screen.starts_with("ID  USER   SINCE             FROM         SERVICE  PROVED"),
        "{screen}"
    );
    assert!(
        screen.contains("root, pts/0  su-l     not asked"),
        "{screen}"
    );
    assert_eq!(screen.trim_end().lines().count(), 3, "{screen}");
}

#[test]
fn the_end_of_a_session_is_told_at_a_terminal_only() {
    const NOTICE: &str = "This session ends at ";
    let (machine, phone) = machine();
    machine.run("twofa policy set session.lifetime=8h").ok();
    let mut codes = phone.backup_codes.iter();
    for (command, at_the_end) in [("", "alice@vm:~$"), ("echo over", "over")] {
        let mut terminal = machine.terminal(&format!("ssh alice@vm {command}"));
        terminal.expect("Password:");
        terminal.type_line(&password_of("alice"));
        terminal.expect("): ");
        terminal.type_line(codes.next().unwrap());
        terminal.expect(at_the_end);
        let screen = terminal.screen();
        assert_eq!(screen.contains(NOTICE), command.is_empty(), "{screen}");
        if command.is_empty() {
            assert_eq!(list(&machine).len(), 1);
        } else {
            machine.wait_until("[ -z \"$(twofa session list | tail -n +2)\" ]");
        }
    }
}

#[test]
fn what_sudo_runs_is_an_event_and_no_session() {
    let machine = Machine::new()
        .policy("mandatory")
        .administrator("alice")
        .pam("sudo", STACK)
        .build();
    let phone = machine.enrol("alice");
    let mut shell =
        machine.terminal_as("alice", "sudo sh -c 'twofa session list --json; echo over'");
    shell.expect("assword");
    shell.type_line(&password_of("alice"));
    shell.expect("): ");
    shell.type_line(&phone.next_code());
    shell.expect("[]");
    shell.expect("over");
    shell.expect_end();
    assert!(list(&machine).is_empty());
    let log = machine
        .run("twofa log --user alice --event passed")
        .ok()
        .stdout;
    assert!(log.contains("sudo"), "{log}");
}

#[test]
fn sessions_are_ended_by_number_and_a_number_that_nobody_has_ends_nothing() {
    let machine = machine_of_root();
    let mut alice = become_user(&machine, "alice");
    let bob = become_user(&machine, "bob");
    let refused = machine.run("twofa session end 1 99").fails();
    assert!(
        refused
            .stderr
            .contains("there is no open session with the number 99"),
        "{refused}"
    );
    assert_eq!(users(&machine), ["alice", "bob"]);
    let id = number(&machine, "alice");
    let ended = machine.run(&format!("twofa session end {id}")).ok();
    assert!(
        ended
            .stdout
            .starts_with(&format!("Ended session {id} of alice (su-l at ")),
        "{ended}"
    );
    assert_eq!(ended.stdout.lines().count(), 1, "{ended}");
    alice.expect_end();
    assert_eq!(users(&machine), ["bob"]);
    let log = machine.run("twofa log --event session-ended").ok().stdout;
    assert!(log.contains("alice") && !log.contains("bob"), "{log}");
    // It is not open for a second time.
    machine.run(&format!("twofa session end {id}")).fails();
    drop(bob);
}

#[test]
fn all_sessions_of_a_user_are_ended_and_no_others() {
    let machine = machine_of_root();
    let mut first = become_user(&machine, "alice");
    let mut second = become_user(&machine, "alice");
    let _bob = become_user(&machine, "bob");
    let ended = machine.run("twofa session end --user alice").ok();
    assert_eq!(
        ended.stdout.matches("of alice (su-l at ").count(),
        2,
        "{ended}"
    );
    first.expect_end();
    second.expect_end();
    assert_eq!(users(&machine), ["bob"]);
    let refused = machine.run_as("bob", "twofa session end --user bob");
    assert_eq!(refused.code(), 3, "{refused}");
    let again = machine.run("twofa session end --user alice").ok();
    assert_eq!(again.stdout, "No login session of alice is open.\n");
}

#[test]
fn an_administrators_own_session_is_ended_last_and_only_with_me() {
    let machine = machine_of_root();
    let mut alice = become_user(&machine, "alice");
    let mut own = become_user(&machine, "bob");
    own.type_line("su -");
    own.expect("root@vm:~#");
    assert_eq!(users(&machine), ["alice", "bob", "root"]);
    own.type_line("clear; twofa session end --all; echo $?");
    own.expect("Ended session 1 of alice");
    own.expect("Skipped session 2 of bob");
    own.expect("Skipped session 3 of root");
    own.expect("To end it too: 'twofa session end 3 --me'.");
    alice.expect_end();
    assert_eq!(users(&machine), ["bob", "root"]);

    let mut carol = become_user(&machine, "carol");
    own.type_line("clear; twofa session end --all --me");
    own.expect("Ended session 4 of carol");
    carol.expect_end();
    own.expect_end();
    assert!(users(&machine).is_empty());
    let log = machine.run("twofa log --event session-ended").ok().stdout;
    assert_eq!(
        log.lines()
            .filter(|line| line.contains("session-ended"))
            .count(),
        4,
        "{log}"
    );
}

#[test]
fn trust_ends_with_the_sessions_of_a_user_only_if_that_is_asked_for() {
    let stack = STACK.replace(
        "auth requisite",
        "auth sufficient pam_rootok.so\nauth requisite",
    );
    let machine = Machine::new()
        .policy("optional")
        .user("alice")
        .user("bob")
        .pam("su-l", &stack)
        .build();
    let phone = machine.enrol("bob");
    machine.run("twofa policy set trust.elevation=15m").ok();
    let mut shell = machine.terminal_as("alice", "PS1='ready> ' exec dash -i");
    shell.expect("ready> ");
    let become_bob = |shell: &mut Terminal| {
        // A shell that is being ended discards what has been typed.
        machine.wait_until("! pgrep -u bob");
        shell.type_line("clear; su - bob");
        shell.expect("Password: ");
        shell.type_line(&password_of("bob"));
    };
    become_bob(&mut shell);
    shell.expect("): ");
    shell.type_line(&format!("{}+", phone.next_code()));
    shell.expect("bob@vm:~$");
    let ended = machine.run("twofa session end --user bob").ok();
    assert_eq!(ended.stdout.lines().count(), 1, "{ended}");
    shell.expect("Terminated");
    shell.expect("ready> ");
    // Still trusted.
    become_bob(&mut shell);
    shell.expect("bob@vm:~$");
    let ended = machine.run("twofa session end --user bob --and-trust").ok();
    assert!(
        ended
            .stdout
            .starts_with("Ended the trust in 1 device.\nEnded session 2 of bob"),
        "{ended}"
    );
    shell.expect("Terminated");
    shell.expect("ready> ");
    become_bob(&mut shell);
    shell.expect("Verification code");

    // No session has to be open for it.
    let ended = machine.run("twofa session end --all --and-trust").ok();
    assert_eq!(
        ended.stdout,
        "No device was trusted.\nNo login session is open.\n"
    );
}

#[test]
fn a_change_of_users_can_end_their_sessions_but_not_the_one_it_is_made_in() {
    let machine = machine_of_root();
    machine.run("twofa user add alice bob carol").ok();
    let mut own = become_user(&machine, "carol");
    own.type_line("su -");
    own.expect("root@vm:~#");
    for change in ["unlock", "reset", "remove"] {
        let mut alice = become_user(&machine, "alice");
        let mut bob = become_user(&machine, "bob");
        own.type_line(&format!("clear; twofa user {change} alice"));
        own.expect("root@vm:~#");
        assert_eq!(users(&machine), ["carol", "root", "alice", "bob"]);
        own.type_line(&format!(
            "clear; twofa user {change} bob carol --end-sessions"
        ));
        own.expect("of bob (su-l at ");
        own.expect("Skipped session 1 of carol");
        own.expect("root@vm:~#");
        bob.expect_end();
        assert_eq!(users(&machine), ["carol", "root", "alice"], "{change}");
        alice.type_line("exit");
        alice.expect_end();
    }
}
