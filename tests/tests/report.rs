//! `mode=report`: nobody is asked or refused, and what `mode=mandatory` would do is recorded and comes true.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use twofa_e2e::{Machine, Terminal, password_of};

const SHELL: &str = "@vm:~$ ";

fn ssh(machine: &Machine, user: &str, password: &str) -> Terminal {
    let mut terminal = machine.terminal(&format!(
        "LC_ALL=C.UTF-8 ssh -o NumberOfPasswordPrompts=1 {user}@vm"
    ));
    terminal.expect("Password:");
    terminal.type_line(password);
    terminal
}

#[test]
fn logins_are_not_asked_and_what_is_reported_of_them_is_what_mandatory_then_does() {
    let machine = Machine::new()
        .policy("optional")
        .user("alice")
        .user("bob")
        .with_sshd()
        .build();
    let phone = machine.enrol("alice");
    machine
        .run("twofa policy set mode=report enrolment=beforehand --yes")
        .ok();

    for user in ["alice", "bob"] {
        let mut terminal = ssh(&machine, user, &password_of(user));
        terminal.expect(SHELL);
        let screen = terminal.screen();
        assert!(!screen.contains("erification code"), "{screen}");
    }
    // Who has not shown the first factor is not on record.
    ssh(&machine, "alice", "wrong").expect_end();

    let report = machine.run("twofa stats --report").ok().stdout;
    for line in [
        "mode=report not in any class, since 20",
        "1 user not in any class: will be asked for a code",
        "will be refused: no allowed method is enrolled (",
        "1 login of 1 user not in any class, sshd: would have been asked for a code",
        "1 login of 1 user not in any class, sshd: would have been refused: no allowed method is enrolled (bob)",
    ] {
        assert!(report.contains(line), "{line} in: {report}");
    }
    let json = machine.run("twofa stats --report --json").ok().stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["logins"].as_array().unwrap().len(), 2, "{json}");
    let doctor = machine.run("twofa doctor").stdout;
    assert!(
        doctor.contains("the mode has been report since 20"),
        "{doctor}"
    );

    machine.run("twofa policy set mode=mandatory --yes").ok();
    let mut terminal = ssh(&machine, "alice", &password_of("alice"));
    terminal.expect("Verification code");
    terminal.type_line(&phone.next_code());
    terminal.expect(SHELL);
    let mut terminal = ssh(&machine, "bob", &password_of("bob"));
    assert!(!terminal.expect_end().success());
    assert!(!terminal.screen().contains(SHELL), "{}", terminal.screen());
}

#[test]
fn a_login_goes_on_where_the_record_cannot_be_made() {
    let machine = Machine::new()
        .policy("report")
        .user("bob")
        .with_sshd()
        .build();
    machine
        .run(
            "mount --bind /var/lib/twofa /var/lib/twofa && mount -o remount,bind,ro /var/lib/twofa",
        )
        .ok();
    machine.broker().restart();
    let mut terminal = ssh(&machine, "bob", &password_of("bob"));
    terminal.expect(SHELL);
}
