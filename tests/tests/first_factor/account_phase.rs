//! The challenge in the account phase, which only a right password reaches.

use twofa_e2e::{carry_mail, code_in, password_of};

use super::{
    CHALLENGE, CODE_PROMPT, LOCAL, SHELL, el, el_sshd, failures, logs_in, ssh, transcript,
};

/// The same for the profile `sssd`.
const SSSD: &str = "\
auth        required                                     pam_env.so
auth        required                                     pam_faildelay.so delay=20000
auth        required                                     pam_faillock.so preauth silent deny=50
auth        [default=1 ignore=ignore success=ok]         pam_usertype.so isregular
auth        [default=1 ignore=ignore success=ok]         pam_localuser.so
auth        sufficient                                   pam_unix.so nullok
auth        [default=1 ignore=ignore success=ok]         pam_usertype.so isregular
auth        sufficient                                   pam_sss.so forward_pass
auth        required                                     pam_faillock.so authfail deny=50
auth        required                                     pam_deny.so
account     required                                     pam_faillock.so
account     required                                     pam_unix.so
account     sufficient                                   pam_localuser.so
account     sufficient                                   pam_usertype.so issystem
account     [default=bad success=ok user_unknown=ignore] pam_sss.so
account     required                                     pam_permit.so
session     required                                     pam_unix.so
";

#[test]
fn on_el_a_code_is_asked_for_in_the_account_phase_behind_the_right_password_only() {
    for shared in [LOCAL, SSSD] {
        let machine = el(shared)
            .pam("sshd", &el_sshd("", CHALLENGE))
            .with_sshd()
            .build();
        let mail = carry_mail(&machine, &["carol"]);
        machine
            .run("twofa user set carol email=carol@example.org --verified")
            .ok();
        let phone = machine.enrol("alice");

        logs_in(ssh(&machine, "alice", &password_of("alice")), &phone);

        let wrong: Vec<_> = ["alice", "carol", "grace", "nobody-of-that-name"]
            .map(|user| transcript(ssh(&machine, user, "wrong"), user))
            .into();
        assert!(
            wrong
                .iter()
                .all(|screen| screen == &wrong[0] && !screen.contains("code")),
            "{wrong:#?}"
        );
        assert!(mail.mails("carol").is_empty());
        assert_eq!(failures(&machine, "alice"), "\"failures\": 0,");

        // After the right password, codes are sent, and users who must enrol are guided through it.
        let mut carol = ssh(&machine, "carol", &password_of("carol"));
        carol.expect("c***l@example.org");
        carol.expect(CODE_PROMPT);
        carol.type_line(&code_in(mail.wait_for_mail("carol", 1).last().unwrap()));
        carol.expect("carol@vm:~$ ");
        let mut grace = ssh(&machine, "grace", &password_of("grace"));
        grace.expect("vm requires a second factor, and you have not set one up yet.");
    }
}

#[test]
fn on_el_su_login_and_sudo_ask_in_the_account_phase_and_roots_own_su_does_not() {
    let su = "auth sufficient pam_rootok.so\nauth substack system-auth\n\
              account sufficient pam_succeed_if.so uid = 0 use_uid quiet\n\
              account required pam_twofa.so challenge\naccount include system-auth\nsession include system-auth\n";
    let sudo = "auth include system-auth\naccount required pam_twofa.so challenge\naccount include system-auth\n\
                session include system-auth\n";
    let login = "auth substack system-auth\naccount required pam_nologin.so\n\
                 account required pam_twofa.so challenge\naccount include system-auth\nsession include system-auth\n";
    let machine = el(LOCAL)
        .pam("su", su)
        .pam("sudo", sudo)
        .pam("login", login)
        .administrator("admin")
        .build();
    let (alice, admin) = (machine.enrol("alice"), machine.enrol("admin"));

    assert_eq!(machine.run("su alice -c whoami").ok().stdout, "alice\n");

    let su = |password: &str| {
        let mut terminal = machine.terminal_as("carol", "su alice -c whoami");
        terminal.expect("Password:");
        terminal.type_line(password);
        terminal
    };
    let mut terminal = su(&password_of("alice"));
    terminal.expect(CODE_PROMPT);
    terminal.type_line(&alice.next_code());
    terminal.expect("alice");
    assert!(terminal.expect_end().success());
    let mut terminal = su(&password_of("alice"));
    terminal.expect(CODE_PROMPT);
    terminal.type_line("");
    assert!(!terminal.expect_end().success());
    let log = machine.run("twofa log --user alice --json").ok().stdout;
    assert!(
        log.contains("\"remote_user\":\"carol\""),
        "who tried is named: {log}"
    );
    let mut terminal = su("wrong");
    assert!(!terminal.expect_end().success());
    assert!(!terminal.screen().contains("code"), "{}", terminal.screen());

    let mut terminal = machine.terminal_as("admin", "sudo whoami");
    terminal.expect("password for admin:");
    terminal.type_line(&password_of("admin"));
    terminal.expect(CODE_PROMPT);
    terminal.type_line(&admin.next_code());
    terminal.expect("root");

    let mut terminal = machine.terminal("exec login alice");
    terminal.expect("Password:");
    terminal.type_line(&password_of("alice"));
    logs_in(terminal, &alice);
    assert_eq!(failures(&machine, "alice"), "\"failures\": 0,");
}

#[test]
fn services_of_display_managers_polkit_and_cockpit_ask_in_the_account_phase_too() {
    let gdm = "auth substack password-auth\nauth include postlogin\naccount required pam_nologin.so\n\
               account required pam_twofa.so challenge\naccount include password-auth\n";
    let polkit = "auth include system-auth\naccount required pam_twofa.so challenge\naccount include system-auth\n";
    let machine = el(SSSD)
        .pam("gdm-password", gdm)
        .pam("cockpit", &el_sshd("", CHALLENGE))
        .pam("polkit-1", polkit)
        .build();
    let phone = machine.enrol("alice");
    for service in ["gdm-password", "cockpit", "polkit-1"] {
        let start = |password: &str| {
            let mut terminal =
                machine.terminal(&format!("pamtester {service} alice authenticate acct_mgmt"));
            terminal.expect("Password:");
            terminal.type_line(password);
            terminal
        };
        let mut terminal = start(&password_of("alice"));
        terminal.expect(CODE_PROMPT);
        terminal.type_line(&phone.next_code());
        terminal.expect("account management done");
        assert!(terminal.expect_end().success());
        let mut terminal = start("wrong");
        assert!(!terminal.expect_end().success());
        assert!(
            !terminal.screen().contains("code"),
            "{service}: {}",
            terminal.screen()
        );
    }
    assert_eq!(failures(&machine, "alice"), "\"failures\": 0,");
}

#[test]
fn an_account_line_that_nobody_can_answer_refuses_whom_the_policy_asks_and_nobody_else() {
    // A program that runs jobs: without authentication, and with nobody to ask.
    let job = "account required pam_twofa.so challenge\naccount include password-auth\n";
    let machine = el(LOCAL).pam("fcron", job).pam("crond", job).build();
    machine.enrol("alice");
    machine.run("twofa policy set mode=optional").ok();
    machine
        .run("pamtester fcron grace acct_mgmt </dev/null")
        .ok();
    machine
        .run("pamtester fcron alice acct_mgmt </dev/null")
        .fails();
    machine
        .run("pamtester crond alice acct_mgmt </dev/null")
        .ok();
    let log = machine.run("twofa log --user alice").ok().stdout;
    assert!(log.contains("refused") && log.contains("fcron"), "{log}");
    machine
        .run("twofa user exempt alice --service fcron --reason jobs --until 2099-01-01")
        .ok();
    machine
        .run("pamtester fcron alice acct_mgmt </dev/null")
        .ok();
}

#[test]
fn with_challenge_in_account_a_line_in_auth_asks_nothing_and_the_login_asks_once() {
    let stack = el_sshd("auth required pam_twofa.so\n", CHALLENGE);
    let machine = el(LOCAL).pam("sshd", &stack).with_sshd().build();
    let phone = machine.enrol("alice");
    let wrong = transcript(ssh(&machine, "alice", "wrong"), "alice");
    assert!(!wrong.contains("code"), "{wrong}");
    let mut terminal = ssh(&machine, "alice", &password_of("alice"));
    terminal.expect(CODE_PROMPT);
    terminal.type_line(&phone.next_code());
    terminal.expect(SHELL);
    assert_eq!(
        terminal.screen().matches(CODE_PROMPT).count(),
        1,
        "{}",
        terminal.screen()
    );
}
