//! `pam_twofa.so proved`: one stack for key and code, and for password and code, through the real sshd.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use twofa_e2e::{Authenticator, KEY_OR_PASSWORD, Machine, Terminal, password_of};

/// Debian's, without our line.
const COMMON_AUTH: &str = "\
auth [success=1 default=ignore] pam_unix.so nullok
auth requisite pam_deny.so
auth required pam_permit.so
";
const REST: &str = "\
account required pam_twofa.so
account required pam_unix.so
session required pam_permit.so
";
const BOTH: &str =
    "AuthenticationMethods publickey,keyboard-interactive keyboard-interactive\nLogLevel DEBUG1\n";

/// A machine on which alice and bob have the key that the client uses.
fn machine(policy: &str, sshd: &str) -> Machine {
    let machine = Machine::new()
        .policy(policy)
        .user("alice")
        .user("bob")
        .pam("common-auth", COMMON_AUTH)
        .pam("sshd", KEY_OR_PASSWORD)
        .sshd(sshd)
        .build();
    machine
        .run(
            "ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519
             for user in alice bob; do
                 install -d -m 0700 -o $user -g $user /home/$user/.ssh &&
                 install -m 0600 -o $user -g $user /root/.ssh/id_ed25519.pub /home/$user/.ssh/authorized_keys
             done",
        )
        .ok();
    machine
}

fn with_key(machine: &Machine, user: &str) -> Terminal {
    machine.terminal(&format!("ssh -o NumberOfPasswordPrompts=1 {user}@vm"))
}

fn with_password(machine: &Machine, user: &str, password: &str) -> Terminal {
    let mut terminal = machine.terminal(&format!(
        "ssh -o NumberOfPasswordPrompts=1 -o PubkeyAuthentication=no {user}@vm"
    ));
    terminal.expect("Password:");
    terminal.type_line(password);
    terminal
}

/// The screen of a login that led to a shell, which is left.
fn gets_in(mut terminal: Terminal, user: &str) -> String {
    terminal.expect(&format!("{user}@vm:~$"));
    let screen = terminal.screen();
    terminal.type_line("exit");
    terminal.expect_end();
    screen
}

/// Stacks below a line with `proved`; whether a key leads in where the second factor answers `PAM_IGNORE`, and where it
/// answers `PAM_SUCCESS`.
fn stacks() -> [(String, bool, bool); 6] {
    let one = "auth [success=1 default=ignore] pam_twofa.so proved\n";
    let two = "auth [success=2 default=ignore] pam_twofa.so proved\n";
    let (asks, permit) = (
        "auth required pam_twofa.so\n",
        "auth required pam_permit.so\n",
    );
    [
        (format!("{one}@include common-auth\n{asks}"), false, false),
        (
            format!("{one}auth include common-auth\n{asks}"),
            false,
            false,
        ),
        (format!("{two}@include common-auth\n{asks}"), true, true),
        (
            format!("{one}auth substack common-auth\n{asks}{permit}"),
            true,
            true,
        ),
        (
            format!("{one}auth requisite pam_unix.so\n{asks}"),
            false,
            true,
        ),
        (
            format!("{one}auth requisite pam_unix.so\n{asks}{permit}"),
            true,
            true,
        ),
    ]
}

#[test]
fn in_every_stack_a_code_is_wanted_of_those_who_have_one_behind_the_key_and_behind_the_password() {
    let machine = machine("optional", BOTH);
    let phone = machine.enrol("alice");
    let mut backup_codes = phone.backup_codes.iter().cloned();
    let mut code = || backup_codes.next().unwrap_or_else(|| phone.next_code());
    let answer = |mut terminal: Terminal, code: &str| {
        terminal.expect("Verification code for vm");
        terminal.expect(": ");
        terminal.type_line(code);
        terminal
    };
    for (stack, _, key_gets_in) in stacks() {
        machine
            .run_with_input("cat >/etc/pam.d/sshd", &format!("{stack}{REST}"))
            .ok();
        let mut key = with_key(&machine, "alice");
        if key_gets_in {
            gets_in(answer(key, &code()), "alice");
            let mut without = answer(with_key(&machine, "alice"), "");
            assert!(!without.expect_end().success(), "{stack}");
        } else {
            assert!(!key.expect_end().success(), "{stack}");
        }
        let password = || with_password(&machine, "alice", &password_of("alice"));
        gets_in(answer(password(), &code()), "alice");
        assert!(!answer(password(), "").expect_end().success(), "{stack}");
    }
}

#[test]
fn where_the_jump_lands_decides_about_keys_and_nobody_with_a_password_is_kept_out() {
    let machine = machine("optional", BOTH);
    // What the second factor answers to bob is PAM_IGNORE: he has none, and need not have one.
    for (stack, key_gets_in, _) in stacks() {
        machine
            .run_with_input("cat >/etc/pam.d/sshd", &format!("{stack}{REST}"))
            .ok();

        let mut key = with_key(&machine, "bob");
        if key_gets_in {
            let screen = gets_in(key, "bob");
            assert!(!screen.contains("assword"), "{stack}{screen}");
        } else {
            assert!(!key.expect_end().success(), "{stack}");
        }
        let asks_everyone = stack.contains("substack");
        let answer = |mut terminal: Terminal| {
            if asks_everyone {
                terminal.expect("(press Enter if you have none): ");
                terminal.type_line("");
            }
            terminal
        };
        gets_in(
            answer(with_password(&machine, "bob", &password_of("bob"))),
            "bob",
        );
        let mut wrong = answer(with_password(&machine, "bob", "wrong"));
        assert!(!wrong.expect_end().success(), "{stack}");
    }
}

#[test]
fn key_and_code_or_password_and_code_lead_in_and_neither_one_alone() {
    let machine = machine("mandatory", BOTH);
    let phone: Authenticator = machine.enrol("alice");
    let code = |mut terminal: Terminal, code: &str| {
        terminal.expect("Verification code for vm");
        terminal.expect(": ");
        terminal.type_line(code);
        terminal
    };

    let screen = gets_in(
        code(with_key(&machine, "alice"), &phone.next_code()),
        "alice",
    );
    assert!(!screen.contains("assword"), "{screen}");
    let password = with_password(&machine, "alice", &password_of("alice"));
    gets_in(code(password, &phone.next_code()), "alice");

    assert!(!code(with_key(&machine, "alice"), "").expect_end().success());
    let password = with_password(&machine, "alice", &password_of("alice"));
    assert!(!code(password, "").expect_end().success());
    let mut wrong = with_password(&machine, "alice", "wrong");
    assert!(!wrong.expect_end().success());
    assert!(!wrong.screen().contains("Verification"));

    let doctor = machine.run("twofa doctor").stdout;
    assert!(!doctor.contains("sshd"), "{doctor}");
}

#[test]
fn a_key_that_is_trusted_logs_in_without_any_question() {
    let machine = machine("mandatory", BOTH);
    let phone = machine.enrol("alice");
    machine.run("twofa policy set trust.remote=30d").ok();

    let mut first = with_key(&machine, "alice");
    first.expect("(+ at its end: trust this key for 30 days");
    first.expect(": ");
    first.type_line(&format!("{}+", phone.next_code()));
    gets_in(first, "alice");

    let screen = gets_in(with_key(&machine, "alice"), "alice");
    assert!(
        !screen.contains("code for vm") && !screen.contains("assword"),
        "{screen}"
    );
    // The password has no part in that.
    let mut password = with_password(&machine, "alice", &password_of("alice"));
    password.expect("Verification code for vm");
}

#[test]
fn a_host_key_does_not_replace_the_password() {
    let hostbased = "AuthenticationMethods hostbased,keyboard-interactive\nHostbasedAuthentication yes\n\
                     HostbasedUsesNameFromPacketOnly yes\n";
    let machine = machine("optional", hostbased);
    machine
        .run(
            "cp /etc/ssh/vm_host_key /etc/ssh/ssh_host_ed25519_key
             ssh-keygen -y -f /etc/ssh/vm_host_key >/etc/ssh/ssh_host_ed25519_key.pub
             printf 'EnableSSHKeysign yes\\nHostbasedAuthentication yes\\n' >>/etc/ssh/ssh_config
             printf 'vm\\nlocalhost\\n' >/etc/ssh/shosts.equiv",
        )
        .ok();
    let log_in = |password: &str| {
        let mut terminal = machine.terminal_as("bob", "ssh -o NumberOfPasswordPrompts=1 bob@vm");
        terminal.expect("Password:");
        terminal.type_line(password);
        terminal
    };
    assert!(!log_in("wrong").expect_end().success());
    gets_in(log_in(&password_of("bob")), "bob");
    machine.wait_until("grep -q 'hostbased for bob' /var/log/sshd.log");
}

#[test]
fn a_program_that_only_calls_itself_sshd_proves_no_key() {
    let machine = machine("optional", BOTH);
    machine
        .run(
            "mkdir /opt/others && cp $(command -v pamtester) /opt/sshd && cp /opt/sshd /opt/others/sshd &&
             cp /opt/sshd /opt/pamtester && chown bob /opt/others/sshd",
        )
        .ok();
    let log_in = |program: &str| {
        machine.run_with_input(
            &format!(
                "{program} -E SSH_CONNECTION='192.0.2.7 1 192.0.2.1 22' \
                 -E SSH_AUTH_INFO_0=\"publickey $(cat /root/.ssh/id_ed25519.pub)\" sshd bob authenticate"
            ),
            "wrong\n\n",
        )
    };
    // Root's own program can do that: so the others are refused for being what they are.
    log_in("/opt/sshd").ok();
    log_in("/opt/others/sshd").fails();
    log_in("/opt/pamtester").fails();
}
