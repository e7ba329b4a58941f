//! What users change themselves, what only root changes, and what `sudo` says of it.

use twofa_e2e::{Machine, password_of};

use super::{
    CODE_PROMPT, answer, builder, enrolled, is_asked_for_a_code, is_asked_for_nothing, output_of,
    test_of,
};

#[test]
fn where_it_is_optional_one_can_choose_not_to_be_asked() {
    let (machine, phone) = enrolled("optional");
    let mut set = machine.terminal_as("alice", "twofa set verify=never");
    answer(&mut set, "first prove it is you", &phone.next_code());
    set.expect("alice: verify is never.");
    assert!(set.expect_end().success());

    is_asked_for_nothing(&machine, "alice");
    let test = test_of(&machine, "alice");
    let why = "A login needs no code: the mode is optional and the user chose verify=never.";
    assert!(test.contains(why), "{test}");

    // An administrator's requirement takes precedence.
    machine.run("twofa user require alice").ok();
    is_asked_for_a_code(&machine, "alice", &phone.next_code());
}

#[test]
fn where_it_is_mandatory_one_cannot_choose_not_to_be_asked() {
    let (machine, phone) = enrolled("mandatory");
    for (choice, words, code) in [
        (
            "never",
            "a second factor is required of you, so it cannot be 'never'",
            3,
        ),
        ("always", "alice: verify is always.", 0),
        ("new-device", "alice: verify is new-device.", 0),
        (
            "sometimes",
            "verify: it must be never, new-device or always",
            2,
        ),
    ] {
        let mut set = machine.terminal_as("alice", &format!("twofa set verify={choice}"));
        let code_of_phone = if code == 2 {
            &phone.backup_codes[0]
        } else {
            &phone.next_code()
        };
        answer(&mut set, CODE_PROMPT, code_of_phone);
        set.expect(words);
        assert_eq!(
            set.expect_end().code(),
            Some(code),
            "{choice}: {}",
            set.screen()
        );
    }
    is_asked_for_a_code(&machine, "alice", &phone.backup_codes[1]);
}

#[test]
fn addresses_are_kept_as_not_verified_and_bad_ones_are_refused() {
    let machine = builder("optional")
        .command("twofa policy set phone.countries=DE")
        .build();
    let set = machine
        .run_as(
            "alice",
            "twofa set email=alice@example.org phone='+49 (176) 123-45678'",
        )
        .ok();
    assert!(
        set.stdout
            .contains("email is alice@example.org, not verified yet"),
        "{set}"
    );
    let status = machine.run_as("alice", "twofa status").ok().stdout;
    assert!(
        status.contains("E-mail: alice@example.org (not verified)"),
        "{status}"
    );
    assert!(
        status.contains("Phone: +4917612345678 (not verified)"),
        "{status}"
    );

    for bad in [
        "email=alice",
        "email='a b@example.org'",
        "phone=030123456",
        "phone=+49x",
        "mail=a@example.org",
    ] {
        let refused = machine.run_as("alice", &format!("twofa set {bad}"));
        assert_eq!(refused.code(), 2, "{refused}");
    }
    // All or nothing.
    assert_eq!(
        machine
            .run_as("alice", "twofa set email=other@example.org phone=0")
            .code(),
        2
    );
    assert!(
        machine
            .run_as("alice", "twofa status")
            .ok()
            .stdout
            .contains("alice@example.org")
    );
}

#[test]
fn addresses_are_changed_by_their_owner_and_by_root_alone() {
    let machine = builder("optional")
        .user("mallory")
        .command("twofa policy set phone.countries=DE")
        .build();
    machine
        .run_as("alice", "twofa set phone='+49 (176) 123-45678'")
        .ok();
    let refused = machine.run_as(
        "mallory",
        "twofa set email=mallory@example.org --user alice",
    );
    assert_eq!(refused.code(), 3, "{refused}");
    machine
        .run_as("mallory", "twofa user set alice email=mallory@example.org")
        .fails();
    machine.run_as("alice", "twofa set phone=").ok();
    assert!(
        !machine
            .run_as("alice", "twofa status")
            .ok()
            .stdout
            .contains("Phone")
    );
    machine
        .run("twofa user set alice email=root@example.org")
        .ok();
    assert!(
        output_of(&machine, "twofa user show alice").contains("root@example.org (not verified)")
    );
}

#[test]
fn with_sudo_a_change_says_whose_it_is_and_what_is_shown_says_so() {
    let machine = Machine::new()
        .policy("disabled")
        .administrator("carol")
        .build();
    for command in [
        "enrol app",
        "set verify=always",
        "remove app",
        "codes --new",
    ] {
        for caller in [
            "SUDO_USER=carol",
            "DOAS_USER=carol",
            "PKEXEC_UID=$(id -u carol)",
        ] {
            let refused = machine.run(&format!("{caller} twofa {command} </dev/null"));
            assert_eq!(refused.status.code(), Some(2), "{refused:?}");
            let stderr = refused.stderr;
            for named in ["carol", "root"] {
                let spelled = format!("'twofa {command} --user {named}'");
                assert!(stderr.contains(&spelled), "{stderr}");
            }
        }
    }
    let shown = machine.run("SUDO_USER=carol twofa status").ok();
    assert!(shown.stdout.contains("Second factor of root"), "{shown:?}");
    assert!(shown.stderr.contains("--user carol"), "{shown:?}");

    // On a terminal it is asked; no answer is no answer.
    let start = |answer: &str| {
        let mut sudo = machine.terminal_as("carol", "sudo twofa set email=carol@example.org");
        sudo.expect("password for carol");
        sudo.expect(": ");
        sudo.type_line(&password_of("carol"));
        sudo.expect("carol or root? ");
        sudo.type_line(answer);
        sudo
    };
    let mut sudo = start("");
    sudo.expect("so nothing was changed");
    assert!(!sudo.expect_end().success());
    let mut sudo = start("carol");
    sudo.expect("carol: ");
    assert!(sudo.expect_end().success());
    let status = machine.run("twofa status --user carol").ok().stdout;
    assert!(status.contains("carol@example.org"), "{status}");
    let status = machine.run("twofa status --user root").ok().stdout;
    assert!(!status.contains("carol@example.org"), "{status}");
}
