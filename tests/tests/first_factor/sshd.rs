//! The methods of sshd, and what its logins leave in the log.

use twofa_e2e::{Machine, carry_mail, password_of};

use super::{CHALLENGE, CODE_PROMPT, LOCAL, SHELL, el, el_sshd, failures, logs_in, ssh};

#[test]
fn the_password_method_of_sshd_sends_no_code_that_nobody_could_type() {
    let machine = Machine::new()
        .policy("mandatory")
        .user("carol")
        .sshd("PasswordAuthentication yes\nKbdInteractiveAuthentication yes\n")
        .build();
    let mail = carry_mail(&machine, &["carol"]);
    machine
        .run("twofa user set carol email=carol@example.org --verified")
        .ok();
    let mut terminal = machine
        .terminal("ssh -o PreferredAuthentications=password -o NumberOfPasswordPrompts=1 carol@vm");
    terminal.expect("assword:");
    terminal.type_line(&password_of("carol"));
    assert!(!terminal.expect_end().success());
    machine.wait_for_log("KbdInteractiveAuthentication yes");
    assert!(mail.mails("carol").is_empty());
    assert_eq!(failures(&machine, "carol"), "\"failures\": 0,");

    ssh(&machine, "carol", &password_of("carol")).expect("c***l@example.org");
    mail.wait_for_mail("carol", 1);
}

#[test]
fn key_then_password_is_asked_in_the_account_phase_and_a_key_alone_is_told_the_way_out() {
    let machine = el(LOCAL)
        .pam("sshd", &el_sshd("", CHALLENGE))
        .with_sshd()
        .build();
    let phone = machine.enrol("alice");
    machine
        .run(
            "mkdir -p /root/.ssh /home/alice/.ssh && ssh-keygen -q -N '' -t ed25519 -f /root/.ssh/id_ed25519 && \
             cp /root/.ssh/id_ed25519.pub /home/alice/.ssh/authorized_keys && chown -R alice /home/alice/.ssh",
        )
        .ok();
    let mut refused = machine.terminal("ssh alice@vm");
    assert!(!refused.expect_end().success());
    assert!(
        refused.screen().contains("-o PubkeyAuthentication=no"),
        "{}",
        refused.screen()
    );
    let log = machine.run("twofa log --user alice").ok().stdout;
    assert!(log.contains("after a key alone"), "{log}");

    let machine2 = el(LOCAL)
        .pam("sshd", &el_sshd("", CHALLENGE))
        .sshd("AuthenticationMethods publickey,keyboard-interactive\n")
        .build();
    let phone2 = machine2.enrol("alice");
    machine2
        .run(
            "mkdir -p /root/.ssh /home/alice/.ssh && ssh-keygen -q -N '' -t ed25519 -f /root/.ssh/id_ed25519 && \
             cp /root/.ssh/id_ed25519.pub /home/alice/.ssh/authorized_keys && chown -R alice /home/alice/.ssh",
        )
        .ok();
    logs_in(ssh(&machine2, "alice", &password_of("alice")), &phone2);
    drop(phone);
}

#[test]
fn a_login_that_is_abandoned_at_the_code_prompt_is_logged_and_reported_at_the_next_one() {
    let machine = Machine::new()
        .policy("mandatory")
        .user("alice")
        .with_sshd()
        .build();
    let phone = machine.enrol("alice");
    let mut thief = ssh(&machine, "alice", &password_of("alice"));
    thief.expect(CODE_PROMPT);
    thief.hang_up();
    thief.expect_end();
    // Either sshd ends its child at the prompt, or the child notices first that nobody answers.
    let line = machine.wait_for_log("event=\"refused\" from=\"127.0.0.1\" user=\"alice\"");
    assert!(
        ["reason=\"given-up\"", "reason=\"no-code-entered\""]
            .iter()
            .any(|how| line.contains(how)),
        "{line}"
    );
    let mut terminal = ssh(&machine, "alice", &password_of("alice"));
    terminal.expect(CODE_PROMPT);
    terminal.type_line(&phone.next_code());
    terminal.expect("one failed attempt");
    terminal.expect(SHELL);
}

#[test]
fn each_wrong_code_is_a_line_of_the_log_with_its_address_when_it_is_typed() {
    let machine = Machine::new()
        .policy("mandatory")
        .user("alice")
        .with_sshd()
        .build();
    machine.enrol("alice");
    let mut terminal = ssh(&machine, "alice", &password_of("alice"));
    terminal.expect(CODE_PROMPT);
    terminal.expect(": ");
    terminal.type_line("000000000");
    let line = machine.wait_for_log("reason=\"wrong-code\"");
    assert!(
        line.contains("event=\"refused\" from=\"127.0.0.1\" user=\"alice\" service=\"sshd\""),
        "{line}"
    );
    terminal.expect("Wrong code.");
    terminal.hang_up();
}
