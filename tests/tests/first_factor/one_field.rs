//! Clients with a single input field: password and code in one line, and what only looks like it.

use twofa_e2e::{Machine, password_of};

use super::{LOCAL, UNIFORM, el, failures, transcript};

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
