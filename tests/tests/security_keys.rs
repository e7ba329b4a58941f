//! Security keys over ssh: a FIDO2 authenticator in software, and the real ssh-keygen, ssh and sshd.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use twofa_e2e::{Authenticator, KEY_OR_PASSWORD, Machine, Terminal, password_of};

const PASSWORD_TOO: &str = "\
auth requisite pam_unix.so
auth required pam_twofa.so
account required pam_twofa.so
account required pam_unix.so
session optional pam_twofa.so
session required pam_permit.so
";
const SSHD: &str = "\
AuthenticationMethods publickey,keyboard-interactive keyboard-interactive
TrustedUserCAKeys /etc/ssh/ca.pub
PubkeyAuthOptions touch-required
";
const CODE: &str = "Verification code for vm";

/// A machine on which alice logs in with the keys `one`, `two` (FIDO2) and `plain`.
fn machine(stack: &str) -> (Machine, Authenticator) {
    let machine = Machine::new()
        .policy("mandatory")
        .user("alice")
        .pam("sshd", stack)
        .pam(
            "common-auth",
            "auth [success=1 default=ignore] pam_unix.so\nauth requisite pam_deny.so\nauth required pam_permit.so\n",
        )
        .file("/root/sk.c", include_str!("sk_provider.c"))
        .command("ssh-keygen -q -t ed25519 -N '' -f /root/ca && mkdir -p /etc/ssh && cp /root/ca.pub /etc/ssh/ca.pub")
        .sshd(SSHD)
        .build();
    machine
        .run(
            "set -e
             cc -shared -fPIC -o /usr/local/lib/sk.so /root/sk.c -lcrypto
             cd /root
             for key in one two; do ssh-keygen -q -t ed25519-sk -w /usr/local/lib/sk.so -N '' -f $key; done
             ssh-keygen -q -t ecdsa-sk -w /usr/local/lib/sk.so -N '' -f ecdsa
             ssh-keygen -q -t ed25519-sk -w /usr/local/lib/sk.so -N '' -f no-touch -O no-touch-required
             ssh-keygen -q -t ed25519-sk -w /usr/local/lib/sk.so -N '' -f pin -O verify-required
             ssh-keygen -q -t ed25519 -N '' -f plain
             install -d -m 0700 -o alice -g alice /home/alice/.ssh
             cat one.pub two.pub ecdsa.pub pin.pub plain.pub >/home/alice/.ssh/authorized_keys
             printf 'no-touch-required %s\\n' \"$(cat no-touch.pub)\" >>/home/alice/.ssh/authorized_keys
             chown alice /home/alice/.ssh/authorized_keys
             for key in one plain; do cp $key.pub /home/alice/$key.pub; done",
        )
        .ok();
    let phone = machine.enrol("alice");
    (machine, phone)
}

fn allow(machine: &Machine) {
    let all = "twofa policy set methods=app,email,sms,backup,security-key";
    machine.run(all).ok();
}

fn enrol(machine: &Machine, key: &str) {
    machine
        .run(&format!(
            "twofa enrol security-key /root/{key}.pub --label {key} --user alice"
        ))
        .ok();
}

/// What sshd demands of security keys from now on, as its configuration has it.
fn demand(machine: &Machine, options: &str) {
    machine
        .run(&format!(
            "sed -i 's/^PubkeyAuthOptions.*/PubkeyAuthOptions {options}/' /etc/ssh/sshd_config && /usr/sbin/sshd -t &&
             kill -HUP $(cat /run/sshd.pid)"
        ))
        .ok();
    machine.wait_for_port(22);
}

fn ssh(machine: &Machine, key: &str) -> Terminal {
    machine.terminal(&format!(
        "ssh -o NumberOfPasswordPrompts=1 -o SecurityKeyProvider=/usr/local/lib/sk.so -o IdentitiesOnly=yes \
         -o IdentityFile=/root/{key} alice@vm"
    ))
}

fn with_password(machine: &Machine, key: &str) -> Terminal {
    let mut terminal = ssh(machine, key);
    terminal.expect("Password:");
    terminal.type_line(&password_of("alice"));
    terminal
}

/// The login leads to a shell, which is left, and no code is asked for.
fn gets_in(mut terminal: Terminal) {
    terminal.expect("alice@vm:~$");
    let screen = terminal.screen();
    assert!(!screen.contains(CODE), "{screen}");
    terminal.type_line("exit");
    terminal.expect_end();
}

#[test]
fn a_login_with_an_enrolled_security_key_and_the_password_is_asked_for_no_code() {
    let (machine, phone) = machine(PASSWORD_TOO);
    allow(&machine);
    with_password(&machine, "one").expect(CODE);
    enrol(&machine, "one");
    let status = |machine: &Machine| machine.run("twofa status --user alice").ok().stdout;
    assert!(
        status(&machine).contains("none yet"),
        "{}",
        status(&machine)
    );

    gets_in(with_password(&machine, "one"));
    assert!(!status(&machine).contains("none yet"));
    let list = "twofa user list --method security-key";
    assert!(machine.run(list).ok().stdout.contains("alice"));
    let log = machine.run("twofa log --user alice").ok().stdout;
    assert!(log.contains("security key 'one'"), "{log}");

    // Another key is not it, nor is one that lies in a file.
    with_password(&machine, "two").expect(CODE);
    with_password(&machine, "plain").expect(CODE);
    // The password is still required.
    let mut wrong = ssh(&machine, "one");
    wrong.expect("Password:");
    wrong.type_line("wrong");
    assert!(!wrong.expect_end().success());

    machine.run("twofa remove one --user alice").ok();
    let mut removed = with_password(&machine, "one");
    removed.expect(CODE);
    removed.expect(": ");
    removed.type_line(&phone.next_code());
    removed.expect("alice@vm:~$");
}

#[test]
fn a_certificate_of_an_enrolled_security_key_is_that_key() {
    let (machine, _) = machine(PASSWORD_TOO);
    allow(&machine);
    for key in ["one", "ecdsa"] {
        enrol(&machine, key);
    }
    gets_in(with_password(&machine, "ecdsa"));
    machine.run("rm /home/alice/.ssh/authorized_keys").ok();
    for (key, serial) in [("one", 1), ("one", 2), ("ecdsa", 1)] {
        machine
            .run(&format!(
                "cd /root && ssh-keygen -q -s ca -I alice -n alice -z {serial} {key}.pub"
            ))
            .ok();
        gets_in(with_password(&machine, key));
    }
    // sshd demands the touch of the one that a certificate frees from it, too.
    machine
        .run("cd /root && ssh-keygen -q -s ca -I alice -n alice -O no-touch-required no-touch.pub")
        .ok();
    enrol(&machine, "no-touch");
    with_password(&machine, "no-touch").expect(CODE);
}

#[test]
fn a_security_key_counts_only_while_sshd_demands_a_touch() {
    let (machine, _) = machine(PASSWORD_TOO);
    allow(&machine);
    enrol(&machine, "one");
    enrol(&machine, "no-touch");
    gets_in(with_password(&machine, "one"));

    let warns = || machine.run("twofa doctor").stdout.contains("security keys");
    assert!(!warns());
    demand(&machine, "none");
    assert!(warns());
    with_password(&machine, "one").expect(CODE);
    // Its owner does without the touch, which sshd allows and does not tell.
    with_password(&machine, "no-touch").expect(CODE);
    // A block that demands less than the rest may be the one that holds.
    demand(&machine, "touch-required");
    machine
        .run("printf 'Match User alice\\n    PubkeyAuthOptions none\\n' >>/etc/ssh/sshd_config")
        .ok();
    with_password(&machine, "one").expect(CODE);
    machine
        .run("sed -i '/^Match/,$d' /etc/ssh/sshd_config")
        .ok();
    gets_in(with_password(&machine, "one"));
    machine.run("chmod 0600 /etc/ssh/sshd_config").ok();
    assert!(warns(), "the broker cannot read it");
    with_password(&machine, "one").expect(CODE);
    machine.run("chmod 0644 /etc/ssh/sshd_config").ok();

    machine
        .run("twofa policy set methods=app,backup --yes")
        .ok();
    with_password(&machine, "one").expect(CODE);
}

/// The configuration that the broker reads is not always the one that sshd has.
#[test]
fn a_security_key_does_not_count_if_sshd_was_started_with_another_configuration() {
    let (machine, _) = machine(PASSWORD_TOO);
    allow(&machine);
    enrol(&machine, "no-touch");
    enrol(&machine, "one");
    machine
        .run("sed '/^PubkeyAuthOptions/d' /etc/ssh/sshd_config >/etc/ssh/other_config")
        .ok();
    let restart = |options: &str| {
        machine
            .run(&format!(
                "kill $(cat /run/sshd.pid) && while [ -e /run/sshd.pid ]; do sleep 0.02; done
                 /usr/sbin/sshd -E /var/log/sshd.log {options}"
            ))
            .ok();
        machine.wait_for_port(22);
    };
    for options in ["-o PubkeyAuthOptions=none", "-f /etc/ssh/other_config"] {
        restart(options);
        with_password(&machine, "one").expect(CODE);
        with_password(&machine, "no-touch").expect(CODE);
    }
    restart("-o Ciphers=aes256-ctr -f /etc/ssh/sshd_config");
    gets_in(with_password(&machine, "one"));
}

#[test]
fn where_a_key_skips_the_password_it_takes_a_pin_or_a_code() {
    let (machine, _) = machine(KEY_OR_PASSWORD);
    allow(&machine);
    enrol(&machine, "one");
    enrol(&machine, "pin");
    let mut touch = ssh(&machine, "one");
    touch.expect(CODE);
    assert!(!touch.screen().contains("Password:"));
    // A PIN for one key is not one for all: sshd must demand it.
    let mut lucky = ssh(&machine, "pin");
    lucky.expect("PIN");
    lucky.type_line("1234");
    lucky.expect(CODE);

    demand(&machine, "verify-required");
    let mut verified = ssh(&machine, "pin");
    verified.expect("PIN");
    verified.type_line("1234");
    gets_in(verified);
}

#[test]
fn a_security_key_is_set_up_after_a_code_and_beside_another_method() {
    let (machine, phone) = machine(PASSWORD_TOO);
    let root = |command: &str| machine.run(command).fails().to_string();
    let refused = root("twofa enrol security-key /root/one.pub --user alice");
    assert!(
        refused.contains("does not allow security keys"),
        "{refused}"
    );
    allow(&machine);
    for (file, words) in [
        ("/root/plain.pub", "of type ssh-ed25519"),
        ("/root/one", "is not a public key"),
        ("/etc/passwd", "not a public key"),
        ("/nonexistent", "No such file"),
    ] {
        let refused = root(&format!("twofa enrol security-key {file} --user alice"));
        assert!(refused.contains(words), "{refused}");
    }

    let enrol = || machine.terminal_as("alice", "twofa enrol security-key one.pub");
    let mut thief = enrol();
    thief.expect(": ");
    thief.type_line("");
    assert!(!thief.expect_end().success());
    let mut owner = enrol();
    owner.expect(": ");
    owner.type_line(&phone.next_code());
    owner.expect("The security key 'security-key' (SHA256:");
    assert!(owner.expect_end().success());
    gets_in(with_password(&machine, "one"));

    // It does not stand alone.
    machine.run("twofa user reset alice").ok();
    let refused = root("twofa enrol security-key /root/one.pub --user alice");
    assert!(
        refused.contains("needs another method beside it"),
        "{refused}"
    );
}

/// Logs in with the password, a key and a code, and stays.
fn stay(machine: &Machine, key: &str, code: &str) -> Terminal {
    let mut terminal = with_password(machine, key);
    terminal.expect(CODE);
    terminal.expect(": ");
    terminal.type_line(code);
    terminal.expect("alice@vm:~$");
    terminal
}

#[test]
fn a_user_chooses_among_the_keys_that_their_open_logins_proved() {
    let (machine, phone) = machine(PASSWORD_TOO);
    allow(&machine);
    let enrol = |terminal: &mut Terminal| {
        // What a user may write into their environment names no key.
        let forged = "SSH_USER_AUTH=/home/alice/forged SSH_AUTH_INFO_0='publickey '$(cat one.pub)";
        terminal.type_line(&format!("{forged} twofa enrol security-key"));
    };
    machine
        .run("(printf 'publickey '; cat /root/one.pub) >/home/alice/forged")
        .ok();

    let mut plain = stay(&machine, "plain", &phone.backup_codes[0]);
    enrol(&mut plain);
    plain.expect("this key is of type ssh-ed25519");
    let mut first = stay(&machine, "one", &phone.backup_codes[1]);
    let mut second = stay(&machine, "two", &phone.backup_codes[2]);
    enrol(&mut second);
    second.expect(CODE);
    second.expect(": ");
    second.type_line(&phone.backup_codes[3]);
    second.expect("Which one is to be set up (1-2): ");
    second.type_line("3");
    second.expect("That is not on the list.");
    second.expect("Which one is to be set up (1-2): ");
    second.type_line("1");
    second.expect("sshd verified it in a login that is still open");
    gets_in(with_password(&machine, "two"));
    let status = machine.run("twofa status --user alice").ok().stdout;
    assert!(!status.contains("none yet"), "{status}");

    // A login that has ended offers nothing.
    first.type_line("exit");
    first.expect_end();
    enrol(&mut plain);
    plain.expect("this security key is already enrolled");
    second.type_line("exit");
    second.expect_end();
    enrol(&mut plain);
    plain.expect("this key is of type ssh-ed25519");
    plain.type_line("exit");
    plain.expect_end();
    let nothing = machine.run_as("alice", "twofa enrol security-key");
    assert!(
        nothing.stderr.contains("no login of 'alice' that is open"),
        "{}",
        nothing.stderr
    );
    // Nobody else's key is offered, and a code is always wanted.
    machine.run("useradd -m carol").ok();
    let carol = "twofa enrol security-key --user alice";
    assert!(!machine.run_as("carol", carol).status.success());
    let mut third = stay(&machine, "one", &phone.backup_codes[4]);
    enrol(&mut third);
    third.expect(CODE);
    third.expect(": ");
    third.type_line("");
    third.expect("alice@vm:~$");
    with_password(&machine, "one").expect(CODE);
}
