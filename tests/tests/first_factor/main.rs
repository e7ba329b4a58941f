//! Nobody gets anything without the first factor.
//!
//! This file has EL's stacks, which continue after a wrong password, and the uniform prompt that such a stack leads
//! to in auth. [`account_phase`] asks after the right password only, [`one_field`] is clients with a single input
//! field, and [`sshd`] the methods of sshd and what its logins leave in the log.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

mod account_phase;
mod one_field;
mod sshd;

use twofa_e2e::{Authenticator, Builder, Machine, Terminal, carry_mail, password_of};

/// EL's `password-auth` and `system-auth`, as authselect writes them for the profile `local` with faillock, without the
/// session modules that Debian lacks.
const LOCAL: &str = "\
auth        required                                     pam_env.so
auth        required                                     pam_faildelay.so delay=20000
auth        required                                     pam_faillock.so preauth silent deny=50
auth        sufficient                                   pam_unix.so nullok
auth        required                                     pam_faillock.so authfail deny=50
auth        required                                     pam_deny.so
account     required                                     pam_faillock.so
account     required                                     pam_unix.so
session     required                                     pam_unix.so
";

const CHALLENGE: &str = "account    required     pam_twofa.so challenge\n";
const CODE_PROMPT: &str = "Verification code for vm";
const UNIFORM: &str = "Verification code for vm (press Enter if you have none): ";
const SHELL: &str = "alice@vm:~$ ";

/// EL's sshd with our lines after its `auth substack` and before its `account include`.
fn el_sshd(auth: &str, account: &str) -> String {
    format!(
        "auth       substack     password-auth\n{auth}auth       include      postlogin\n\
         account    required     pam_nologin.so\n{account}account    include      password-auth\n\
         session    include      password-auth\n"
    )
}

/// A machine with EL's shared stacks. Services that do not include them keep Debian's.
fn el(shared: &str) -> Builder {
    Machine::new()
        .policy("mandatory")
        .user("alice")
        .user("carol")
        .user("grace")
        .pam("password-auth", shared)
        .pam("system-auth", shared)
        .pam("postlogin", "session optional pam_umask.so silent\n")
        // There is no sssd here: it cannot be reached, or knows nobody.
        .command("cd $(dirname $(find /usr/lib /lib -name pam_deny.so -print -quit)) && ln -sf pam_deny.so pam_sss.so")
        .command("sed -i '/pam_twofa/d' /etc/pam.d/common-auth")
}

/// A login of `user` after the password has been typed.
fn ssh(machine: &Machine, user: &str, password: &str) -> Terminal {
    let command = format!("LC_ALL=C.UTF-8 ssh -o NumberOfPasswordPrompts=1 {user}@vm");
    let mut terminal = machine.terminal(&command);
    terminal.expect("Password:");
    terminal.type_line(password);
    terminal
}

fn logs_in(mut terminal: Terminal, phone: &Authenticator) {
    terminal.expect(CODE_PROMPT);
    terminal.type_line(&phone.next_code());
    terminal.expect(SHELL);
}

fn failures(machine: &Machine, user: &str) -> String {
    let status = machine
        .run(&format!("twofa status --user {user} --json"))
        .ok()
        .stdout;
    status
        .lines()
        .find(|line| line.contains("\"failures\""))
        .unwrap()
        .trim()
        .to_owned()
}

/// The final screen of `user`, with the name removed.
fn transcript(mut terminal: Terminal, user: &str) -> String {
    assert!(!terminal.expect_end().success());
    terminal.screen().replace(user, "USER")
}

#[test]
fn in_auth_of_a_stack_that_goes_on_after_a_wrong_password_everybody_sees_the_same() {
    let machine = el(LOCAL)
        .pam("sshd", &el_sshd("auth required pam_twofa.so\n", ""))
        .with_sshd()
        .build();
    let mail = carry_mail(&machine, &["carol"]);
    machine
        .run("twofa user set carol email=carol@example.org --verified")
        .ok();
    let phone = machine.enrol("alice");

    // alice has an app, carol gets mail, grace must enrol, and nobody knows the last one.
    let attempt = |user: &str, answer: &str| {
        let mut terminal = ssh(&machine, user, "wrong");
        terminal.expect(UNIFORM);
        terminal.type_line(answer);
        let screen = transcript(terminal, user);
        if answer.is_empty() {
            screen
        } else {
            screen.replace(&format!(": {answer}"), ": ANSWER")
        }
    };
    for answer in ["000000000", "", "r", "m"] {
        let screens: Vec<_> = ["alice", "carol", "grace", "nobody"]
            .map(|user| attempt(user, answer))
            .into();
        assert!(
            screens.iter().all(|screen| screen == &screens[0]),
            "{screens:#?}"
        );
    }
    // Neither a right code nor a lock shows.
    assert_eq!(
        attempt("alice", &phone.next_code()),
        attempt("grace", "123456")
    );
    for _ in 0..12 {
        attempt("alice", "000000000");
    }
    assert!(mail.mails("carol").is_empty());
    assert_eq!(failures(&machine, "alice"), "\"failures\": 0,");
    let status = machine.run("twofa status --user alice").ok().stdout;
    assert!(!status.contains("locked"), "{status}");
    machine.wait_for_log("account required pam_twofa.so challenge");
    // This includes carol, who has no code that would be right here.
    let line = machine.wait_for_log("user=\"carol\" service=\"sshd\" verdict=");
    assert!(
        line.contains("why=\"nothing shows that the first factor was right"),
        "{line}"
    );
}

#[test]
fn in_auth_of_such_a_stack_password_and_code_together_let_in() {
    let machine = el(LOCAL)
        .pam("sshd", &el_sshd("auth required pam_twofa.so\n", ""))
        .with_sshd()
        .build();
    let phone = machine.enrol("alice");
    logs_in(ssh(&machine, "alice", &password_of("alice")), &phone);
    // Guesses after the right password are limited nevertheless.
    for _ in 0..10 {
        let mut terminal = ssh(&machine, "alice", &password_of("alice"));
        terminal.expect(UNIFORM);
        terminal.type_line("000000000");
        terminal.expect_end();
    }
    let mut terminal = ssh(&machine, "alice", &password_of("alice"));
    terminal.expect(UNIFORM);
    terminal.type_line(&phone.next_code());
    assert!(!terminal.expect_end().success());
    machine.run("twofa user unlock alice").ok();
    logs_in(ssh(&machine, "alice", &password_of("alice")), &phone);
}

#[test]
fn where_the_stack_cannot_be_read_the_log_says_so() {
    let machine = Machine::new()
        .policy("mandatory")
        .user("alice")
        .user("grace")
        .with_sshd()
        .build();
    machine.run("chmod 600 /etc/pam.d/common-auth").ok();
    let phone = machine.enrol("alice");
    logs_in(ssh(&machine, "alice", &password_of("alice")), &phone);
    let mut grace = ssh(&machine, "grace", &password_of("grace"));
    grace.expect(UNIFORM);
    grace.type_line("");
    assert!(!grace.expect_end().success());
    machine.wait_for_log("/etc/pam.d/common-auth cannot be read");
}

#[test]
fn a_screen_locker_which_never_comes_to_account_is_asked_in_auth() {
    let stack = "auth substack password-auth\nauth required pam_twofa.so\n\
                account required pam_twofa.so challenge\naccount required pam_permit.so\n";
    let machine = el(LOCAL).pam("i3lock", stack).build();
    let phone = machine.enrol("alice");
    for code in ["000000000", &phone.next_code()] {
        let mut terminal = machine.terminal("pamtester i3lock alice authenticate");
        terminal.expect("Password:");
        terminal.type_line(&password_of("alice"));
        terminal.expect(UNIFORM);
        terminal.type_line(code);
        assert_eq!(terminal.expect_end().success(), code != "000000000");
    }
}

#[test]
fn the_module_twice_in_one_stack_asks_once() {
    let stack =
        "auth requisite pam_unix.so\nauth required pam_twofa.so\nauth required pam_twofa.so\n";
    let machine = Machine::new()
        .policy("mandatory")
        .user("alice")
        .pam("testapp", stack)
        .build();
    let phone = machine.enrol("alice");
    // Also twice on one handle: that is another login, and asks again.
    let mut terminal = machine.terminal("pamtester testapp alice authenticate authenticate");
    for _ in 0..2 {
        terminal.expect("Password:");
        terminal.type_line(&password_of("alice"));
        terminal.expect(CODE_PROMPT);
        terminal.type_line(&phone.next_code());
        terminal.expect("successfully authenticated");
    }
    assert!(terminal.expect_end().success());
    assert_eq!(
        terminal.screen().matches(CODE_PROMPT).count(),
        2,
        "{}",
        terminal.screen()
    );
}
