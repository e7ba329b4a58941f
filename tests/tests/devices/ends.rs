//! What ends trust.

use super::{STACK, is_asked, log_in_from, machine, set, trust};
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
