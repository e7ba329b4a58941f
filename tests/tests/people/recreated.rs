//! Accounts that were recreated or renamed, and the records of the old ones.

use twofa_e2e::{Machine, password_of};

use super::{
    INTRO, enrolled, is_asked_for_nothing, is_led_through_enrolment, is_refused, ssh,
    ssh_with_password, test_of,
};

const IDENTITY_MISMATCH: &str = "A second factor is registered for a different account with this name or user ID. Ask an administrator.";

#[test]
fn a_recreated_account_is_refused_until_the_old_record_is_removed() {
    for (mode, requires) in [
        ("optional", false),
        ("optional", true),
        ("mandatory", false),
    ] {
        let (machine, _) = enrolled(mode);
        if requires {
            machine
                .run("twofa user reset alice && twofa user require alice")
                .ok();
        }
        machine
            .run("userdel alice && useradd --uid 4242 --shell /bin/bash alice && chown -R alice: ~alice")
            .ok();
        machine
            .run_with_input("chpasswd", &format!("alice:{}\n", password_of("alice")))
            .ok();

        is_refused(ssh(&machine, "alice"), IDENTITY_MISMATCH);
        machine.wait_for_log("registered for a different account");
        let test = test_of(&machine, "alice");
        assert!(
            test.contains(
                "A login is refused: a second factor is registered for a different account"
            ),
            "{test}"
        );

        machine.run("twofa user remove alice").ok();
        if mode == "mandatory" {
            is_led_through_enrolment(&machine, "alice");
        } else {
            is_asked_for_nothing(&machine, "alice");
        }
    }
}

#[test]
fn a_renamed_account_is_refused_until_the_old_record_is_removed() {
    for mode in ["optional", "mandatory"] {
        let (machine, _) = enrolled(mode);
        machine
            .run("usermod --login alicia --home /home/alicia --move-home alice")
            .ok();
        let renamed =
            |machine: &Machine| ssh_with_password(machine, "alicia", &password_of("alice"));

        is_refused(renamed(&machine), IDENTITY_MISMATCH);

        machine.run("twofa user remove alice").ok();
        renamed(&machine).expect(if mode == "mandatory" {
            INTRO
        } else {
            "alicia@vm:~$ "
        });
    }
}

#[test]
fn a_renamed_account_that_an_administrator_adds_is_a_new_user() {
    let (machine, _) = enrolled("optional");
    machine
        .run("usermod --login alicia --home /home/alicia --move-home alice")
        .ok();
    machine.run("twofa user add alicia").ok();
    ssh_with_password(&machine, "alicia", &password_of("alice")).expect("alicia@vm:~$ ");
}

#[test]
fn a_renamed_account_cannot_end_the_refusal_by_a_change_of_its_own() {
    for change in [
        "twofa set email=alicia@example.org",
        "twofa set verify=never",
        "twofa enrol app",
    ] {
        let (machine, _) = enrolled("optional");
        machine
            .run("usermod --login alicia --home /home/alicia --move-home alice")
            .ok();

        // No code can be asked for, because nothing is enrolled under this name.
        let refused = machine.run_as("alicia", change);

        is_refused(
            ssh_with_password(&machine, "alicia", &password_of("alice")),
            IDENTITY_MISMATCH,
        );
        assert_eq!(refused.code(), 3, "{refused}");
    }
}
