//! `mode=report`: nobody is asked or refused, and what `mode=mandatory` would do is recorded and comes true.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use std::time::{Duration, Instant};

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
        "mode=report for users in no class since 20",
        "1 user in no class: will be asked for a code",
        "will be refused: no allowed method is enrolled (",
        "1 login of 1 user in no class, sshd: would have been asked for a code",
        "1 login of 1 user in no class, sshd: would have been refused: no allowed method is enrolled (bob)",
    ] {
        assert!(report.contains(line), "{line} in: {report}");
    }
    let status = machine.run_as("alice", "twofa status").ok().stdout;
    for words in [
        "Second factor of alice: not asked, logins are only recorded (mode=report)",
        "A login would ask for: app",
    ] {
        assert!(status.contains(words), "{words} in: {status}");
    }
    let list = machine.run("twofa user list --status report").ok().stdout;
    assert!(
        list.contains("alice") && list.contains("not asked, logins are only recorded"),
        "{list}"
    );
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
    wait_for_broker_log(&machine, "a login could not be recorded in twofa's log: ");
    let doctor = machine.run("twofa doctor").stdout;
    assert!(
        doctor.contains("problem: the store can only be read"),
        "{doctor}"
    );
}

#[test]
fn logins_that_could_not_be_recorded_are_counted() {
    let machine = Machine::new()
        .policy("report")
        .user("bob")
        .pam(
            "testapp",
            "account required pam_twofa.so\naccount required pam_permit.so\n",
        )
        .build();
    let full = machine.broker().inject("pwrite64:error=ENOSPC");
    machine.run("pamtester testapp bob acct_mgmt").ok();
    wait_for_broker_log(&machine, "a login could not be recorded in twofa's log: ");
    drop(full);
    machine.broker().terminate();
    let log = machine.run("twofa log --event reports-missed").ok().stdout;
    assert!(log.contains("1 since "), "{log}");
    let doctor = machine.run("twofa doctor").stdout;
    assert!(
        doctor.contains("notice: logins of the last seven days that are missing"),
        "{doctor}"
    );
}

fn wait_for_broker_log(machine: &Machine, needle: &str) {
    let until = Instant::now() + Duration::from_secs(20);
    while !machine.broker_log().contains(needle) {
        assert!(Instant::now() < until, "{}", machine.broker_log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_report_knows_who_gets_no_codes() {
    let machine = Machine::new().policy("optional").user("alice").build();
    machine
        .run("twofa user set alice email=alice@example.org --verified && twofa policy set mode=report methods=email,backup --yes")
        .ok();
    let report = machine.run("twofa stats --report").ok().stdout;
    assert!(
        report.contains("will be refused: no provider delivers codes"),
        "{report}"
    );
}

#[test]
fn a_login_waits_for_no_name_service_because_of_its_record() {
    let machine = Machine::new()
        .policy("report")
        .user("bob")
        .file("/etc/directory/nss.c", include_str!("directory/nss.c"))
        .file("/etc/directory/how", "works")
        .file("/etc/directory/passwd", "")
        .file("/etc/directory/group", "")
        .pam(
            "testapp",
            "account required pam_twofa.so\naccount required pam_permit.so\n",
        )
        .command("cc -shared -fPIC -o /usr/lib/libnss_directory.so.2 /etc/directory/nss.c")
        .build();
    machine.write_file("/etc/directory/how", "hangs 600");
    machine.write_file(
        "/etc/nsswitch.conf",
        "passwd: directory files\ngroup: files\n",
    );
    let log_in = || {
        let begun = Instant::now();
        machine.run("pamtester testapp bob acct_mgmt").ok();
        begun.elapsed()
    };
    assert!(log_in() < Duration::from_secs(4));
    machine.broker().terminate();
    // One that is started for the login gives up after a second.
    assert!(log_in() < Duration::from_secs(4));
    machine.wait_for_log("a login could not be recorded in twofa's log: it took too long");
}

#[test]
fn refusals_of_strangers_are_in_the_log_and_their_number_is_limited() {
    let stack = "auth optional pam_unix.so\nauth required pam_twofa.so\n";
    let machine = Machine::new()
        .policy("mandatory")
        .user("bob")
        .pam("testapp", stack)
        .build();
    for number in 0..23 {
        machine
            .run_with_input(
                &format!("pamtester testapp no-such-{number} authenticate"),
                "wrong\n123456\n",
            )
            .fails();
    }
    machine.broker().terminate();
    let log = machine
        .run("twofa log --event unproved-refused")
        .ok()
        .stdout;
    assert_eq!(log.matches("there is no such account").count(), 21, "{log}");
    assert!(log.contains("there is no such account (×3 since "), "{log}");
    assert!(!log.contains("no-such-"), "{log}");
}
