//! What ends trust.

use super::{STACK, expect_shell, is_asked, log_in_from, machine, set, trust};
use twofa_e2e::{Machine, password_of};

/// How many devices alice has in `twofa device list`.
fn listed(machine: &Machine) -> usize {
    let list = machine.run("twofa device list --user alice --json").ok();
    let list: serde_json::Value = serde_json::from_str(&list.stdout).unwrap();
    list.as_array().unwrap().len()
}

#[test]
fn trust_ends_by_time_and_is_not_believed_while_the_clock_is_wrong() {
    let (machine, phone) = machine(STACK);
    set(&machine, "trust.remote=30d trust.address=1h");
    machine.broker().set_clock("+0");
    trust(&machine, 7, &phone.next_code());
    for (clock, asked) in [
        ("-1d", true), // before the grant: a board without a battery has not asked for the time yet
        ("+1m", false),
        ("+30m", false),
        ("+10m", true), // before the last use
        ("+59m", false),
        ("+61m", true),
    ] {
        machine.broker().set_clock(clock);
        assert_eq!(is_asked(&machine, 7), asked, "{clock}");
    }
}

#[test]
fn a_shorter_duration_shortens_what_was_granted_and_a_longer_one_does_not_lengthen_it() {
    let (machine, phone) = machine(STACK);
    set(&machine, "trust.remote=30d trust.address=30d");
    machine.broker().set_clock("+0");
    trust(&machine, 7, &phone.next_code());
    machine.broker().set_clock("+2h");
    assert!(!is_asked(&machine, 7));

    set(&machine, "trust.remote=1h");
    assert!(
        is_asked(&machine, 7),
        "a key is trusted no longer than that, and an address neither"
    );
    assert_eq!(listed(&machine), 0);
    set(&machine, "trust.remote=30d");
    assert!(is_asked(&machine, 7));
}

#[test]
fn no_device_is_trusted_for_zero_minutes_or_where_the_user_wants_to_be_asked_always() {
    let (machine, phone) = machine(STACK);
    set(&machine, "trust.remote=30d trust.offer=always");
    machine.run("twofa set verify=always --user alice").ok();
    let mut login = log_in_from(&machine, 7, &password_of("alice"));
    login.expect("Verification code for vm (authenticator app or backup code");
    login.expect("): ");
    login.type_line(&format!("{}+", phone.next_code()));
    login.expect("alice@vm:~$");
    assert_eq!(listed(&machine), 0);
    assert!(is_asked(&machine, 7));

    // Overridden by the policy, `never` reads as `new-device`.
    machine.run("twofa set verify=never --user alice").ok();
    let mut login = log_in_from(&machine, 7, &password_of("alice"));
    login.expect("Verification code for vm");
    login.expect("): ");
    login.type_line(&phone.backup_codes[0]);
    login.expect("No code is asked for here until ");
    login.expect("alice@vm:~$");
    assert!(!is_asked(&machine, 7), "trust.offer=always");
    set(&machine, "trust.offer=ask");
    trust(&machine, 8, &phone.backup_codes[1]);
    assert!(!is_asked(&machine, 8), "offered, and taken up");

    set(&machine, "trust.remote=0");
    assert!(is_asked(&machine, 7));
}

#[test]
fn trust_ends_with_the_password_by_revocation_and_with_the_methods() {
    let (machine, phone) = machine(STACK);
    set(&machine, "trust.remote=30d");
    let ends: [(&str, &str); 4] = [
        // The same password with another salt.
        ("root", "echo 'alice:the password of alice' | chpasswd"),
        ("alice", "twofa device revoke --all"),
        ("root", "twofa device revoke --all --everybody"),
        (
            "root",
            "twofa enrol email a@example.org --user alice || twofa set email=a@example.org --verified --user alice",
        ),
    ];
    for ((who, end), code) in ends.iter().zip(&phone.backup_codes) {
        trust(&machine, 7, code);
        assert!(!is_asked(&machine, 7), "{end}");
        machine.run_as(who, end).ok();
        assert!(is_asked(&machine, 7), "{end}");
    }
}

/// Changes a password that the machine does not have, as the modules of a directory do.
const ELSEWHERE: &str = "password required pam_permit.so\n";

#[test]
fn a_password_that_is_changed_outside_of_shadow_ends_trust_if_the_module_is_told_and_never_fails() {
    let (machine, phone) = machine(STACK);
    set(&machine, "trust.remote=30d");
    let told = format!("{ELSEWHERE}password optional pam_twofa.so\n");
    let events = || {
        let log = machine
            .run("twofa log --event password-changed")
            .ok()
            .stdout;
        log.lines()
            .skip(1)
            .map(ToOwned::to_owned)
            .collect::<Vec<_>>()
    };
    trust(&machine, 7, &phone.backup_codes[0]);
    machine.write_file("/etc/pam.d/passwd", ELSEWHERE);
    machine.run_as("alice", "passwd").ok();
    assert!(!is_asked(&machine, 7), "nobody told of it");

    // passwd is setuid, so it is root that tells.
    machine.write_file("/etc/pam.d/passwd", &told);
    machine.run_as("bob", "passwd").ok();
    assert!(!is_asked(&machine, 7), "that was bob's");
    assert!(events().is_empty(), "nothing was ended: {:?}", events());
    machine.run_as("alice", "passwd").ok();
    assert_eq!(listed(&machine), 0);
    assert!(is_asked(&machine, 7));
    let event = events().concat();
    for part in ["alice", "passwd", "1 trusted before"] {
        assert!(event.contains(part), "{event}");
    }

    // No broker, and a line that cannot be obeyed: the password changes as ever, and the log says what did not happen.
    trust(&machine, 7, &phone.backup_codes[1]);
    machine.write_file(
        "/etc/pam.d/passwd",
        &format!("{told}password optional pam_twofa.so nonsense\n"),
    );
    machine.broker().terminate();
    let started = std::time::Instant::now();
    machine.run_as("alice", "passwd").ok();
    assert!(started.elapsed() < std::time::Duration::from_secs(5));
    machine.wait_for_log("could not be told of a new password");
    machine.wait_for_log("no new password ends the trust in devices until this is corrected");
}

#[test]
fn without_what_shadow_says_of_the_password_no_device_is_trusted() {
    let (machine, phone) = machine(STACK);
    set(&machine, "trust.remote=30d");
    trust(&machine, 7, &phone.backup_codes[0]);
    // Bytes of another line are nobody's business.
    machine
        .run(r"printf 'm\xfcller:!:1::::::\n' >>/etc/shadow")
        .ok();
    assert!(!is_asked(&machine, 7));

    // Another module knows the password, whatever the file has.
    machine
        .run("sed -i s/pam_unix.so/pam_permit.so/ /etc/pam.d/sshd && twofa device revoke --all --user alice")
        .ok();
    let trusts = |code: &str| {
        let mut login = machine.terminal("ip netns exec client7 ssh alice@192.0.2.1");
        login.expect("Verification code for vm (press Enter if you have none): ");
        login.type_line(&format!("{code}+"));
        expect_shell(login);
        listed(&machine) == 1
    };
    assert!(trusts(&phone.backup_codes[1]));
    machine
        .run("twofa device revoke --all --user alice && sed -i /^alice:/d /etc/shadow")
        .ok();
    assert!(!trusts(&phone.backup_codes[2]));
}

#[test]
fn an_account_with_another_uid_inherits_no_trust() {
    let (machine, phone) = machine(STACK);
    set(&machine, "trust.remote=30d");
    trust(&machine, 7, &phone.next_code());
    machine.run("usermod -u 4321 alice").ok();
    let mut login = log_in_from(&machine, 7, &password_of("alice"));
    login.expect_end();
    assert!(!login.screen().contains("alice@vm"), "{}", login.screen());

    machine
        .run("twofa user remove alice && twofa user add alice")
        .ok();
    let mut login = log_in_from(&machine, 7, &password_of("alice"));
    login.expect("Key:");
}

#[test]
fn a_reset_ends_trust() {
    let (machine, phone) = machine(STACK);
    set(&machine, "trust.remote=30d");
    trust(&machine, 7, &phone.next_code());
    machine.run("twofa user reset alice").ok();
    assert_eq!(listed(&machine), 0);
    let mut login = log_in_from(&machine, 7, &password_of("alice"));
    login.expect("Key:");
}

#[test]
fn where_the_mode_is_report_a_trusted_device_is_recorded_as_one_and_nobody_is_asked() {
    let (machine, phone) = machine(STACK);
    set(&machine, "trust.remote=30d");
    trust(&machine, 7, &phone.next_code());
    set(&machine, "mode=report --yes");
    for (host, outcome) in [(7, "from a trusted device"), (8, "would have been asked")] {
        assert!(!is_asked(&machine, host));
        machine.wait_until(&format!("twofa log --event reported | grep -q '{outcome}'"));
    }
}
