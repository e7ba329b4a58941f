//! The stacks in the README and `twofa-admin(7)`: the doctor reports nothing, and users can log in with them.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use twofa_e2e::{Authenticator, Builder, Machine, Terminal, password_of};

const CODE_PROMPT: &str = "Verification code for vm";
const SHELL: &str = "alice@vm:~$ ";
const DEBIAN: &str = "@include common-auth\nauth required pam_twofa.so\naccount required pam_nologin.so\n\
    @include common-account\n@include common-session\n";
const KEYS: &str = "auth required pam_twofa.so\nauth required pam_permit.so\naccount required pam_nologin.so\n\
    @include common-account\n@include common-session\n";
const CHALLENGE: &str = "@include common-auth\naccount required pam_nologin.so\n\
    account required pam_twofa.so challenge\n@include common-account\n@include common-session\n";
const MAKE_KEY: &str = "mkdir -p /root/.ssh /home/alice/.ssh && ssh-keygen -q -N '' -t ed25519 -f /root/.ssh/id_ed25519 \
    && cp /root/.ssh/id_ed25519.pub /home/alice/.ssh/authorized_keys && chown -R alice /home/alice/.ssh";

fn builder(stack: &str) -> Builder {
    Machine::new()
        .policy("optional")
        .user("alice")
        .user("bob")
        .command("sed -i /pam_twofa/d /etc/pam.d/common-auth")
        .pam("sshd", stack)
}

fn machine(stack: &str, methods: &str) -> (Machine, Authenticator) {
    let machine = builder(stack)
        .sshd(&format!("AuthenticationMethods {methods}\n"))
        .build();
    let phone = machine.enrol("alice");
    assert_eq!(diagnosis(&machine), "No problems found.\n");
    (machine, phone)
}

/// What the doctor finds, apart from what it says of the clock: that is the host's.
fn diagnosis(machine: &Machine) -> String {
    let found = machine.run("twofa doctor").ok().stdout;
    let mut lines: Vec<_> = found
        .lines()
        .filter(|line| !line.contains("clock is not synchronised"))
        .collect();
    if lines.is_empty() {
        lines.push("No problems found.");
    }
    lines.join("\n") + "\n"
}

fn password(terminal: &mut Terminal, user: &str) {
    terminal.expect("Password:");
    terminal.type_line(&password_of(user));
}

fn code(terminal: &mut Terminal, phone: &Authenticator) {
    terminal.expect(CODE_PROMPT);
    terminal.type_line(&phone.next_code());
    terminal.expect(SHELL);
}

#[test]
fn for_passwords_a_key_in_the_agent_neither_helps_nor_cuts_off() {
    for stack in [DEBIAN, CHALLENGE] {
        let (machine, phone) = machine(stack, "keyboard-interactive");
        machine.run(MAKE_KEY).ok();
        let mut ssh = machine.terminal("LC_ALL=C.UTF-8 ssh alice@vm");
        password(&mut ssh, "alice");
        code(&mut ssh, &phone);
        let mut ssh = machine.terminal("LC_ALL=C.UTF-8 ssh bob@vm");
        password(&mut ssh, "bob");
        ssh.expect("bob@vm:~$ ");
    }
}

#[test]
fn for_keys_a_key_and_a_code_let_in_and_no_password_is_asked_for() {
    let (machine, phone) = machine(KEYS, "publickey,keyboard-interactive");
    let mut without = machine.terminal("ssh alice@vm");
    assert!(!without.expect_end().success());
    machine.run(MAKE_KEY).ok();
    let mut ssh = machine.terminal("LC_ALL=C.UTF-8 ssh alice@vm");
    code(&mut ssh, &phone);
    assert!(!ssh.screen().contains("Password:"), "{}", ssh.screen());
}

#[test]
fn for_both_everybody_types_password_and_code_with_a_key_or_without() {
    for stack in [DEBIAN, CHALLENGE] {
        let (machine, phone) =
            machine(stack, "publickey,keyboard-interactive keyboard-interactive");
        for make in ["true", MAKE_KEY] {
            machine.run(make).ok();
            let mut ssh = machine.terminal("LC_ALL=C.UTF-8 ssh alice@vm");
            password(&mut ssh, "alice");
            code(&mut ssh, &phone);
        }
    }
}

#[test]
fn an_exempt_service_account_gets_in_by_its_key_alone_and_nobody_else_does() {
    let stack = DEBIAN.replacen("account", "account required pam_twofa.so\naccount", 1);
    let lines = "AuthenticationMethods keyboard-interactive\nMatch User alice,bob\n    AuthenticationMethods publickey\n";
    let machine = builder(&stack).sshd(lines).build();
    assert_eq!(diagnosis(&machine), "No problems found.\n");
    machine.run(MAKE_KEY).ok();
    machine
        .run("cp -r /home/alice/.ssh /home/bob && chown -R bob /home/bob/.ssh")
        .ok();
    for user in ["alice", "bob"] {
        machine.run(&format!("twofa user require {user}")).ok();
    }
    machine
        .run("twofa user exempt bob --reason 'nightly copies' --until never")
        .ok();
    assert_eq!(machine.run("ssh bob@vm id -un").ok().stdout, "bob\n");
    machine.run("ssh alice@vm id -un").fails();
}

#[test]
fn one_prompt_takes_password_and_code() {
    let stack = "auth required pam_twofa.so forward_pass\nauth requisite pam_unix.so use_first_pass\n\
                 auth required pam_twofa.so\n";
    let machine = builder(DEBIAN).pam("i3lock", stack).build();
    let phone = machine.enrol("alice");
    assert_eq!(diagnosis(&machine), "No problems found.\n");
    let lock = |user: &str, typed: &str| {
        machine.run_with_input(
            &format!("pamtester i3lock {user} authenticate"),
            &format!("{typed}\n"),
        )
    };
    lock(
        "alice",
        &format!("{}{}", password_of("alice"), phone.next_code()),
    )
    .ok();
    lock("alice", &password_of("alice")).fails();
    lock("alice", &format!("wrong{}", phone.next_code())).fails();
    lock("bob", &password_of("bob")).ok();
}
