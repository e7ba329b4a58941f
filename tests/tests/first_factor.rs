//! Nobody gets anything without the first factor: stacks that continue after a wrong password, as EL's do, and clients
//! with a single input field.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use twofa_e2e::{Authenticator, Builder, Machine, Terminal, carry_mail, code_in, password_of};

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
    // As cron does: without authentication, and with nobody to ask.
    let cron = "account required pam_twofa.so challenge\naccount include password-auth\n";
    let machine = el(LOCAL).pam("crond", cron).build();
    machine.enrol("alice");
    machine.run("twofa policy set mode=optional").ok();
    machine
        .run("pamtester crond grace acct_mgmt </dev/null")
        .ok();
    machine
        .run("pamtester crond alice acct_mgmt </dev/null")
        .fails();
    let log = machine.run("twofa log --user alice").ok().stdout;
    assert!(log.contains("refused") && log.contains("crond"), "{log}");
    machine
        .run("twofa user exempt alice --service crond --reason jobs --until 2099-01-01")
        .ok();
    machine
        .run("pamtester crond alice acct_mgmt </dev/null")
        .ok();
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

#[test]
fn a_code_behind_a_wrong_password_is_not_used_up_and_locks_nobody() {
    let stack = "auth required pam_twofa.so forward_pass\nauth required pam_unix.so try_first_pass\n\
                 account required pam_twofa.so\naccount required pam_permit.so\n";
    let machine = Machine::new()
        .policy("mandatory")
        .user("alice")
        .user("grace")
        .pam("testapp", stack)
        .build();
    let phone = machine.enrol("alice");
    let login = |user: &str, typed: &str| {
        machine.run_with_input(
            &format!("pamtester testapp {user} authenticate acct_mgmt"),
            &format!("{typed}\n"),
        )
    };
    let code = phone.next_code();
    let mut told = Vec::new();
    for user in ["alice", "grace", "nobody"] {
        let refused = login(user, &format!("wrong{code}")).fails();
        told.push(refused.to_string().replace(user, "USER"));
    }
    assert!(told.iter().all(|said| said == &told[0]), "{told:#?}");
    for _ in 0..12 {
        login("alice", "wrong000000").fails();
    }
    assert_eq!(failures(&machine, "alice"), "\"failures\": 0,");
    login("alice", &format!("{}{code}", password_of("alice"))).ok();
    // Asked once, and counted only if the password is right.
    login("alice", &format!("{}{code}", password_of("alice"))).fails();
    login("alice", &format!("{}000000", password_of("alice"))).fails();
    assert_eq!(failures(&machine, "alice"), "\"failures\": 2,");
    login("alice", &password_of("alice")).fails();
}

/// A client such as `OpenVPN`'s has one prompt and cannot know whether a code is wanted today.
#[test]
fn at_a_trusted_device_a_client_with_one_prompt_may_append_a_code_or_not() {
    let stack = "auth required pam_twofa.so forward_pass\nauth required pam_unix.so use_first_pass\n\
                 account required pam_twofa.so\naccount required pam_permit.so\n";
    let machine = Machine::new()
        .policy("mandatory")
        .user("alice")
        .user("bob")
        .pam("vpn", stack)
        .build();
    machine.run("echo bob:secret123456 | chpasswd").ok();
    machine.run("twofa policy set trust.remote=30d").ok();
    let (alice, bob) = (machine.enrol("alice"), machine.enrol("bob"));
    let login = |user: &str, typed: &str| {
        machine.run_with_input(
            &format!("pamtester -I rhost=192.0.2.7 vpn {user} authenticate acct_mgmt"),
            &format!("{typed}\n"),
        )
    };
    let password = password_of("alice");
    login("alice", &password).fails();
    login("bob", &format!("secret123456{}+", bob.next_code())).ok();
    login("alice", &format!("{password}{}+", alice.next_code())).ok();

    // Trusted: neither client is kept out, and what is no code is counted nowhere.
    login("alice", &password).ok();
    let code = alice.next_code();
    login("alice", &format!("{password}{code}")).ok();
    login("alice", &format!("{password}{code}")).fails();
    for _ in 0..2 {
        login("bob", "secret123456").ok();
        login("alice", &format!("{password}000000")).fails();
    }
    login("alice", "wrong").fails();
    for user in ["alice", "bob"] {
        assert_eq!(failures(&machine, user), "\"failures\": 0,");
    }

    // The trust ends: a code is wanted again, and is still what it was.
    machine.run("twofa policy set trust.remote=0m").ok();
    login("alice", &password).fails();
    login("alice", &format!("{password}{}", alice.next_code())).ok();
    login("bob", "secret123456").fails();
    login("bob", &format!("secret123456{}", bob.next_code())).ok();
}

#[test]
fn a_code_behind_a_password_can_be_checked_by_a_second_line_behind_it() {
    let stack = "auth requisite pam_twofa.so forward_pass\nauth requisite pam_unix.so use_first_pass\n\
                 auth required pam_twofa.so\naccount required pam_permit.so\n";
    // The first line is not `requisite`: nothing is decided there yet.
    let stack = stack.replacen("requisite", "required", 1);
    let machine = Machine::new()
        .policy("optional")
        .user("alice")
        .user("grace")
        .pam("testapp", &stack)
        .build();
    let phone = machine.enrol("alice");
    let login = |user: &str, typed: &str| {
        machine.run_with_input(
            &format!("pamtester testapp {user} authenticate"),
            &format!("{typed}\n"),
        )
    };
    let code = phone.next_code();
    login("alice", &format!("wrong{code}")).fails();
    login("alice", &format!("{}{code}", password_of("alice"))).ok();
    login("alice", &password_of("alice")).fails();
    // Grace is not asked for a code, and types only her password.
    login("grace", &password_of("grace")).ok();
    login("grace", "wrong").fails();
}

#[test]
fn a_password_that_looks_like_one_with_a_code_tells_nobody_who_is_asked() {
    let stack = "auth substack password-auth\nauth required pam_twofa.so try_first_pass\naccount required pam_permit.so\n";
    let machine = el(LOCAL).pam("testapp", stack).build();
    machine.run("twofa policy set mode=optional").ok();
    machine.run("echo grace:secret123456 | chpasswd").ok();
    machine.enrol("alice");
    let attempt = |user: &str, password: &str| {
        let mut terminal = machine.terminal(&format!("pamtester testapp {user} authenticate"));
        terminal.expect("Password:");
        terminal.type_line(password);
        terminal.expect(UNIFORM);
        terminal.type_line("000000000");
        terminal
    };
    let screens: Vec<_> = ["alice", "grace", "nobody-of-that-name"]
        .map(|user| transcript(attempt(user, "wrong123456"), user))
        .into();
    assert!(
        screens.iter().all(|screen| screen == &screens[0]),
        "{screens:#?}"
    );
    assert!(attempt("grace", "secret123456").expect_end().success());
}

#[test]
fn a_password_that_looks_like_one_with_a_code_lets_nobody_in_where_no_later_line_checks_it() {
    for option in ["try_first_pass", "use_first_pass", "forward_pass"] {
        let stack = format!(
            "auth substack password-auth\nauth required pam_twofa.so {option}\naccount required pam_permit.so\n"
        );
        let machine = el(LOCAL).pam("testapp", &stack).build();
        machine.run("echo alice:secret123456 | chpasswd").ok();
        machine.enrol("alice");
        let typed = "secret123456\nsecret123456\n";
        machine
            .run_with_input("pamtester testapp alice authenticate acct_mgmt", typed)
            .fails();
    }
}

#[test]
fn of_two_lines_that_a_wrong_password_reaches_the_first_checks_the_code() {
    let stack = "auth required pam_twofa.so forward_pass\nauth required pam_unix.so use_first_pass\n\
                auth required pam_twofa.so\naccount required pam_permit.so\n";
    let machine = Machine::new()
        .policy("mandatory")
        .user("alice")
        .pam("testapp", stack)
        .build();
    let phone = machine.enrol("alice");
    let login = |code: &str| {
        let typed = format!("{}{code}\n", password_of("alice"));
        machine.run_with_input("pamtester testapp alice authenticate acct_mgmt", &typed)
    };
    login("000000").fails();
    login(&phone.next_code()).ok();
}

#[test]
fn a_user_of_whom_nothing_is_asked_needs_no_code_behind_the_password_for_a_later_line() {
    let stack = "auth substack password-auth\nauth required pam_twofa.so use_first_pass\n\
                account required pam_twofa.so\naccount required pam_permit.so\n";
    let machine = el(LOCAL).pam("testapp", stack).build();
    machine.run("twofa policy set mode=optional").ok();
    machine.enrol("alice");
    let login = |user: &str, typed: &str| {
        machine.run_with_input(
            &format!("pamtester testapp {user} authenticate acct_mgmt"),
            &format!("{typed}\n"),
        )
    };
    login("grace", &password_of("grace")).ok();
    login("grace", "wrong").fails();
    login("alice", &password_of("alice")).fails();
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
