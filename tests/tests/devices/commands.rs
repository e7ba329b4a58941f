//! `twofa device`, `twofa status` and `twofa class test`.

use super::{STACK, is_asked, machine, set, trust};
use twofa_e2e::carry_mail;

#[test]
fn users_see_and_revoke_their_own_devices_without_a_code_and_nobody_elses() {
    let (machine, phone) = machine(STACK);
    set(&machine, "trust.remote=30d trust.address=12h");
    trust(&machine, 7, &phone.next_code());
    trust(&machine, 8, &phone.backup_codes[0]);
    let list = machine.run_as("alice", "twofa device list").ok().stdout;
    assert!(
        list.starts_with("ID\tKIND\tDEVICE\tSERVICE\tSINCE\tLAST USED\tUNTIL\tHOST\tNOTE\n"),
        "{list}"
    );
    assert!(list.contains("\taddress\t192.0.2.7\tsshd\t"), "{list}");
    let json = machine.run_as("alice", "twofa device list --json").ok();
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let first = json[0]["id"].as_i64().unwrap();
    assert_eq!(json.as_array().unwrap().len(), 2);

    let id = first.to_string();
    for (command, status) in [
        (format!("twofa device revoke {id}"), 4), // bob has none of this number
        (format!("twofa device revoke {id} --user alice"), 3),
        ("twofa device list --user alice".to_owned(), 3),
        ("twofa device list --everybody".to_owned(), 3),
        ("twofa device revoke --all --everybody".to_owned(), 3),
        ("twofa device revoke".to_owned(), 2),
        (format!("twofa device revoke {id} --everybody"), 2),
        ("twofa device revoke --everybody".to_owned(), 2),
        ("twofa device revoke x".to_owned(), 2),
    ] {
        let refused = machine.run_as("bob", &command).fails();
        assert_eq!(refused.code(), status, "{refused}");
    }
    let refused = machine.run_as("bob", &format!("twofa device revoke {id}"));
    assert!(
        refused
            .stderr
            .contains(&format!("bob trusts no device with the number {id}")),
        "{refused}"
    );
    assert!(!is_asked(&machine, 7));

    let revoked = machine.run_as("alice", &format!("twofa device revoke {id}"));
    assert_eq!(revoked.ok().stdout, "One device is no longer trusted.\n");
    assert!(is_asked(&machine, 7));
    assert!(!is_asked(&machine, 8));

    let everybodys = machine.run("twofa device list --everybody").ok().stdout;
    assert!(
        everybodys.contains("\talice\taddress\t192.0.2.8\tsshd\t"),
        "{everybodys}"
    );
    let revoked = machine.run("twofa device revoke --all --everybody").ok();
    assert_eq!(revoked.stdout, "One device is no longer trusted.\n");
    let log = machine.run("twofa log --user alice").ok().stdout;
    assert!(log.contains("device-revoked"), "{log}");
    assert!(is_asked(&machine, 8));
}

#[test]
fn a_revocation_without_a_usable_number_says_what_it_needs() {
    let (machine, _phone) = machine(STACK);
    for (command, says) in [
        ("--everybody", "twofa device revoke --everybody <ID|--all>"),
        (
            "-1",
            "'-1' for '[ID]': a device has a number, which 'twofa device list' shows",
        ),
    ] {
        let refused = machine.run(&format!("twofa device revoke {command}"));
        assert!(refused.fails().stderr.contains(says), "{says}");
    }
}

#[test]
fn status_and_class_test_say_what_a_code_makes_trusted_and_for_how_long() {
    let (machine, _phone) = machine(STACK);
    machine
        .run("twofa class set staff --group users trust.remote=90d")
        .ok();
    set(&machine, "trust.remote=30d trust.elevation=15m");
    let says = "A code can make trusted: SSH keys and client machines for 30 days, addresses for 12 hours, sessions (su, sudo) \
                and terminals (su, sudo) for 15 minutes.";
    for command in ["status --user alice", "class test alice"] {
        let text = machine.run(&format!("twofa {command}")).ok().stdout;
        assert!(text.contains(says), "{text}");
    }
    let json = machine.run_as("alice", "twofa status --json").ok().stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["trust"]["key"], 30 * 86_400);
    assert_eq!(json["trust"]["address"], 43_200);

    machine.run("usermod -aG users alice").ok();
    let text = machine.run("twofa class test alice").ok().stdout;
    assert!(
        text.contains("SSH keys and client machines for 90 days"),
        "{text}"
    );
    machine.run("twofa set verify=always --user alice").ok();
    let text = machine.run("twofa status --user alice").ok().stdout;
    assert!(!text.contains("A code can make trusted"), "{text}");
}

#[test]
fn users_hear_of_a_new_device_by_mail_and_of_a_second_new_address_only_the_next_day() {
    let (machine, phone) = machine(STACK);
    let mail = carry_mail(&machine, &["alice"]);
    machine
        .run("twofa user set alice email=alice@example.org --verified")
        .ok();
    set(&machine, "trust.remote=30d");
    let before = mail.mails("alice").len();
    trust(&machine, 7, &phone.next_code());
    let of_device = |mails: &[String]| {
        let about = |mail: &&String| mail.contains("no code is asked for from now on from address");
        mails.iter().filter(about).count()
    };
    let mut count = before + 1;
    while of_device(&mail.wait_for_mail("alice", count)) == 0 {
        count += 1;
    }
    // A code from 8 as well, and then a reset: the next mails are about the backup code and the reset.
    trust(&machine, 8, &phone.backup_codes[0]);
    machine
        .run("twofa user reset alice && runuser -u twofa -- /usr/sbin/twofad --notices")
        .ok();
    let mails = mail.wait_for_mail("alice", count + 2);
    assert!(
        mails
            .iter()
            .any(|mail| mail.contains("An administrator reset")),
        "{mails:?}"
    );
    assert_eq!(of_device(&mails), 1, "{mails:?}");
}
