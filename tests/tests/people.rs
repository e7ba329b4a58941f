//! Who is asked for a second factor and who is not: a real login for every state that a user can be in.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use twofa_e2e::{Authenticator, Builder, Machine, Terminal, enrol_on, password_of};

const CODE_PROMPT: &str = "Verification code for vm";
const INTRO: &str = "vm requires a second factor, and you have not set one up yet.";
const IDENTITY_MISMATCH: &str = "A second factor is registered for a different account with this name or user ID. Ask an administrator.";
/// Eight digits, whereas the app has six, so never right by chance.
const WRONG: &str = "00000000";

/// A machine with sshd and alice, and `mode` for everyone.
fn builder(mode: &str) -> Builder {
    Machine::new().policy(mode).user("alice").with_sshd()
}

fn enrolled(mode: &str) -> (Machine, Authenticator) {
    let machine = builder(mode).build();
    let phone = machine.enrol("alice");
    (machine, phone)
}

/// A login after its password has been typed.
fn ssh(machine: &Machine, user: &str) -> Terminal {
    ssh_with_password(machine, user, &password_of(user))
}

fn ssh_with_password(machine: &Machine, user: &str, password: &str) -> Terminal {
    let mut terminal = machine.terminal(&format!(
        "LC_ALL=C.UTF-8 ssh -o NumberOfPasswordPrompts=1 {user}@vm"
    ));
    terminal.expect("Password:");
    terminal.type_line(password);
    terminal
}

fn answer(terminal: &mut Terminal, prompt: &str, answer: &str) {
    terminal.expect(prompt);
    terminal.expect(": ");
    terminal.type_line(answer);
}

/// A login that succeeds with the password alone.
fn is_asked_for_nothing(machine: &Machine, user: &str) {
    let mut terminal = ssh(machine, user);
    terminal.expect(&format!("{user}@vm:~$ "));
    let screen = terminal.screen();
    assert!(
        !screen.contains(CODE_PROMPT) && !screen.contains(INTRO),
        "{screen}"
    );
}

/// A login that asks for a code, receives this one, and succeeds.
fn is_asked_for_a_code(machine: &Machine, user: &str, code: &str) -> Terminal {
    let mut terminal = ssh(machine, user);
    answer(&mut terminal, CODE_PROMPT, code);
    terminal.expect(&format!("{user}@vm:~$ "));
    terminal
}

/// A login that guides through enrolment and succeeds.
fn is_led_through_enrolment(machine: &Machine, user: &str) -> Authenticator {
    let mut terminal = ssh(machine, user);
    terminal.expect(INTRO);
    let phone = enrol_on(&mut terminal);
    terminal.expect(&format!("{user}@vm:~$ "));
    phone
}

fn is_refused(mut terminal: Terminal, words: &str) {
    let status = terminal.expect_end();
    let screen = terminal.screen();
    assert_eq!(status.code(), Some(255), "{screen}");
    assert!(
        screen.contains(words) && !screen.contains("@vm:~$"),
        "{screen}"
    );
}

/// A login with this many wrong codes, abandoned at the next prompt or ended by the last of them.
fn fail(machine: &Machine, times: usize) {
    let mut terminal = ssh(machine, "alice");
    for _ in 0..times {
        answer(&mut terminal, CODE_PROMPT, WRONG);
    }
    terminal.expect(if times < 3 {
        "Wrong code."
    } else {
        "Too many wrong answers."
    });
    terminal.hang_up();
    terminal.expect_end();
}

fn output_of(machine: &Machine, command: &str) -> String {
    machine.run(command).ok().stdout
}

fn test_of(machine: &Machine, user: &str) -> String {
    output_of(machine, &format!("twofa class test {user}"))
}

#[test]
fn optional_and_not_enrolled_is_asked_for_nothing() {
    let machine = builder("optional").build();
    is_asked_for_nothing(&machine, "alice");
    assert!(
        output_of(&machine, "twofa status --user alice").contains("Second factor of alice: off")
    );
    let test = test_of(&machine, "alice");
    assert!(test.contains("Class of alice: everyone"), "{test}");
    let why = "A login needs no code: the mode is optional and nothing is enrolled.";
    assert!(test.contains(why), "{test}");
}

#[test]
fn optional_and_enrolled_is_asked_for_a_code() {
    let (machine, phone) = enrolled("optional");
    is_asked_for_a_code(&machine, "alice", &phone.next_code());
    let test = test_of(&machine, "alice");
    assert!(test.contains("A login needs a code: enrolled"), "{test}");
    // Nobody requires it: the mode is optional and they have enrolled.
    assert!(!test.contains("requires"), "{test}");
}

#[test]
fn mandatory_and_pending_must_enrol() {
    let machine = builder("mandatory").build();
    let test = test_of(&machine, "alice");
    let why = "A login goes through enrolment: the mode is mandatory and nothing is enrolled.";
    assert!(test.contains(why), "{test}");
    let status = output_of(&machine, "twofa status --user alice");
    assert!(
        status.contains("Second factor of alice: pending setup at next login"),
        "{status}"
    );

    is_led_through_enrolment(&machine, "alice");

    assert!(
        output_of(&machine, "twofa status --user alice")
            .contains("Second factor of alice: enabled")
    );
}

#[test]
fn mandatory_and_enrolled_is_asked_for_a_code() {
    let (machine, phone) = enrolled("mandatory");
    is_asked_for_a_code(&machine, "alice", &phone.next_code());
    let test = test_of(&machine, "alice");
    assert!(
        test.contains("A login needs a code: enrolled, and the mode is mandatory."),
        "{test}"
    );
}

#[test]
fn a_user_whom_an_administrator_requires_must_enrol_where_it_is_optional() {
    let machine = builder("optional").user("bob").build();
    machine.run("twofa user require alice").ok();
    let test = test_of(&machine, "alice");
    let why =
        "A login goes through enrolment: an administrator requires it and nothing is enrolled.";
    assert!(test.contains(why), "{test}");

    is_asked_for_nothing(&machine, "bob");
    let phone = is_led_through_enrolment(&machine, "alice");

    is_asked_for_a_code(&machine, "alice", &phone.next_code());
    let status = output_of(&machine, "twofa status --user alice");
    assert!(
        status.contains("enabled (required by an administrator)"),
        "{status}"
    );
    let test = test_of(&machine, "alice");
    assert!(
        test.contains("enrolled, and an administrator requires it."),
        "{test}"
    );
}

#[test]
fn where_it_is_disabled_nobody_is_asked_even_if_required() {
    let (machine, _) = enrolled("disabled");
    machine.run("twofa user require alice").ok();
    is_asked_for_nothing(&machine, "alice");
    let test = test_of(&machine, "alice");
    assert!(
        test.contains("A login needs no code: the mode is disabled."),
        "{test}"
    );
}

#[test]
fn an_exempt_user_is_asked_for_nothing_until_the_exemption_ends() {
    let machine = builder("mandatory").build();
    machine
        .run("twofa user exempt alice --reason 'nightly copies' --until 30d")
        .ok();

    is_asked_for_nothing(&machine, "alice");

    assert!(
        output_of(&machine, "twofa status --user alice")
            .contains("Second factor of alice: exempt until ")
    );
    let test = test_of(&machine, "alice");
    assert!(
        test.contains("A login needs no code: exempt: nightly copies."),
        "{test}"
    );

    machine.broker().set_clock("+31d");
    ssh(&machine, "alice").expect(INTRO);
}

#[test]
fn a_login_without_a_second_factor_for_an_exemption_is_in_the_log() {
    let machine = builder("mandatory").build();
    machine
        .run("twofa user exempt alice --reason 'nightly copies' --until 30d")
        .ok();
    is_asked_for_nothing(&machine, "alice");
    machine.wait_for_log("exempt: nightly copies");
}

#[test]
fn the_members_of_an_exempt_group_are_asked_for_nothing() {
    let machine = builder("mandatory").user_in("robot", &["robots"]).build();
    machine
        .run("twofa user exempt --group robots --reason 'no hands' --until never")
        .ok();
    is_asked_for_nothing(&machine, "robot");
    ssh(&machine, "alice").expect(INTRO);
    assert!(output_of(&machine, "twofa status --user robot").contains("exempt without end"));
}

#[test]
fn an_exemption_from_a_network_holds_there_alone() {
    let machine = builder("mandatory").user("bob").build();
    machine
        .run("twofa user exempt alice --reason here --until 30d --from 127.0.0.0/8")
        .ok();
    machine
        .run("twofa user exempt bob --reason elsewhere --until 30d --from 192.0.2.0/24")
        .ok();

    is_asked_for_nothing(&machine, "alice");
    ssh(&machine, "bob").expect(INTRO);

    let test = test_of(&machine, "bob");
    assert!(test.contains("A login goes through enrolment"), "{test}");
    assert!(
        test.contains("A login from 192.0.2.0/24 is exempt: elsewhere."),
        "{test}"
    );
    let status = output_of(&machine, "twofa status --user bob");
    assert!(
        status.contains("pending") && status.contains("only from 192.0.2.0/24: elsewhere"),
        "{status}"
    );
}

#[test]
fn an_exemption_at_a_service_holds_there_alone() {
    let machine = builder("mandatory").user("bob").build();
    machine
        .run("twofa user exempt alice --reason batch --until 30d --service su")
        .ok();

    let mut su = machine.terminal_as("bob", "su alice -c 'id -un'");
    su.expect("Password:");
    su.type_line(&password_of("alice"));
    su.expect("alice\n");
    assert!(
        su.expect_end().success() && !su.screen().contains(INTRO),
        "{}",
        su.screen()
    );

    ssh(&machine, "alice").expect(INTRO);
    let test = test_of(&machine, "alice");
    assert!(test.contains("A login at su is exempt: batch."), "{test}");
}

#[test]
fn a_locked_user_is_refused_and_told_until_when() {
    let (machine, phone) = enrolled("mandatory");
    machine.run("twofa policy set lockout.after=3").ok();
    fail(&machine, 3);

    is_refused(
        ssh(&machine, "alice"),
        "Too many wrong codes: locked until ",
    );
    let test = test_of(&machine, "alice");
    assert!(test.contains("A login is refused: locked until "), "{test}");
    assert!(output_of(&machine, "twofa user list --status locked").contains("locked until "));
    let log = output_of(&machine, "twofa log --user alice");
    assert!(log.contains("\tlocked\t"), "{log}");

    machine.run("twofa user unlock alice").ok();
    is_asked_for_a_code(&machine, "alice", &phone.next_code());
    assert!(output_of(&machine, "twofa log --user alice").contains("\tunlocked\t"));
}

#[test]
fn beforehand_and_not_enrolled_is_refused_and_told_what_to_do() {
    let machine = builder("optional")
        .command("twofa policy set mode=mandatory enrolment=beforehand --yes")
        .build();
    is_refused(ssh(&machine, "alice"), "'twofa enrol app --user alice'");
    let test = test_of(&machine, "alice");
    let why =
        "A login is refused: the mode is mandatory, nothing is enrolled, and enrolment=beforehand.";
    assert!(test.contains(why), "{test}");
}

#[test]
fn a_class_makes_it_mandatory_for_administrators_and_leaves_it_to_the_others() {
    let machine = builder("optional").administrator("carol").build();
    machine
        .run("twofa class set admins --group sudo mode=mandatory")
        .ok();

    is_asked_for_nothing(&machine, "alice");
    let test = test_of(&machine, "carol");
    assert!(test.contains("Class of carol: admins"), "{test}");
    let phone = is_led_through_enrolment(&machine, "carol");
    is_asked_for_a_code(&machine, "carol", &phone.next_code());
    let log = output_of(&machine, "twofa status --user carol");
    assert!(log.contains("Class: admins"), "{log}");
}

#[test]
fn of_several_classes_the_first_that_matches_applies() {
    let machine = builder("optional")
        .user_in("carol", &["sudo", "robots"])
        .build();
    machine
        .run("twofa class set admins --group sudo mode=mandatory")
        .ok();
    machine.run("twofa class set robots mode=disabled").ok();
    assert!(test_of(&machine, "carol").contains("Class of carol: admins"));
    ssh(&machine, "carol").expect(INTRO);

    machine.run("twofa class set robots --before admins").ok();
    assert!(test_of(&machine, "carol").contains("Class of carol: robots"));
    is_asked_for_nothing(&machine, "carol");
}

#[test]
fn a_class_is_that_of_the_primary_group_as_well() {
    let machine = builder("optional")
        .command("groupadd staff2 && usermod -g staff2 alice")
        .build();
    machine.run("twofa class set staff2 mode=mandatory").ok();
    ssh(&machine, "alice").expect(INTRO);
}

#[test]
fn a_user_who_joins_or_leaves_a_group_changes_class_at_the_next_login() {
    let machine = builder("optional").build();
    machine
        .run("twofa class set admins --group sudo mode=mandatory")
        .ok();
    is_asked_for_nothing(&machine, "alice");
    machine.run("usermod -aG sudo alice").ok();
    ssh(&machine, "alice").expect(INTRO);
    machine.run("gpasswd -d alice sudo").ok();
    is_asked_for_nothing(&machine, "alice");
}

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
fn the_next_login_says_how_often_it_failed_since_when_and_from_where() {
    let (machine, phone) = enrolled("mandatory");
    let mut first = is_asked_for_a_code(&machine, "alice", &phone.next_code());
    assert!(
        !first.screen().contains("failed attempt"),
        "{}",
        first.screen()
    );

    fail(&machine, 1);
    let mut second = is_asked_for_a_code(&machine, "alice", &phone.backup_codes[0]);
    let screen = second.screen();
    assert!(
        screen.contains("There was one failed attempt to log in as you since your last login, at "),
        "{screen}"
    );
    assert!(screen.contains(" from 127.0.0.1."), "{screen}");

    fail(&machine, 3);
    fail(&machine, 1);
    let mut third = is_asked_for_a_code(&machine, "alice", &phone.backup_codes[1]);
    let screen = third.screen();
    assert!(
        screen.contains("There were 4 failed attempts to log in as you"),
        "{screen}"
    );
    assert!(
        screen.contains("the last at ") && screen.contains(" from 127.0.0.1."),
        "{screen}"
    );

    let mut fourth = is_asked_for_a_code(&machine, "alice", &phone.backup_codes[2]);
    assert!(
        !fourth.screen().contains("failed attempt"),
        "{}",
        fourth.screen()
    );
}

#[test]
fn a_slip_at_a_change_of_ones_own_is_no_failed_login() {
    let (machine, phone) = enrolled("mandatory");
    let mut change = machine.terminal_as("alice", "twofa codes --new");
    answer(&mut change, "first prove it is you", WRONG);
    answer(&mut change, CODE_PROMPT, "");
    change.expect_end();

    let mut login = is_asked_for_a_code(&machine, "alice", &phone.next_code());
    assert!(
        !login.screen().contains("failed attempt"),
        "{}",
        login.screen()
    );
}

#[test]
fn a_slip_on_the_way_in_is_not_held_against_the_next_login() {
    let (machine, phone) = enrolled("mandatory");
    let mut first = ssh(&machine, "alice");
    answer(&mut first, CODE_PROMPT, WRONG);
    answer(&mut first, CODE_PROMPT, &phone.next_code());
    first.expect("alice@vm:~$ ");

    let mut second = is_asked_for_a_code(&machine, "alice", &phone.next_code());
    assert!(
        !second.screen().contains("failed attempt"),
        "{}",
        second.screen()
    );
}

#[test]
fn a_low_number_of_backup_codes_is_reported_at_every_login() {
    let (machine, phone) = enrolled("mandatory");
    for (code, words) in phone
        .backup_codes
        .iter()
        .zip(["4 backup codes are left.", "3 backup codes are left."])
    {
        let mut terminal = is_asked_for_a_code(&machine, "alice", code);
        assert!(terminal.screen().contains(words), "{}", terminal.screen());
    }
    let mut terminal = is_asked_for_a_code(&machine, "alice", &phone.next_code());
    assert!(
        !terminal.screen().contains("codes are left"),
        "{}",
        terminal.screen()
    );

    is_asked_for_a_code(&machine, "alice", &phone.backup_codes[2]);
    let mut terminal = is_asked_for_a_code(&machine, "alice", &phone.next_code());
    let words = "2 backup codes are left. Make new ones with 'twofa codes --new'.";
    assert!(terminal.screen().contains(words), "{}", terminal.screen());
    is_asked_for_a_code(&machine, "alice", &phone.backup_codes[3]);
    let mut terminal = is_asked_for_a_code(&machine, "alice", &phone.backup_codes[4]);
    assert!(
        terminal.screen().contains("No backup codes are left."),
        "{}",
        terminal.screen()
    );
}

#[test]
fn failures_and_the_lock_survive_a_restart_of_the_broker() {
    let (machine, phone) = enrolled("mandatory");
    machine.run("twofa policy set lockout.after=4").ok();
    fail(&machine, 3);
    machine.broker().restart();
    assert!(output_of(&machine, "twofa status --user alice").contains("Wrong codes in a row: 3"));
    let mut terminal = ssh(&machine, "alice");
    answer(&mut terminal, CODE_PROMPT, WRONG);
    answer(&mut terminal, CODE_PROMPT, &phone.next_code());
    is_refused(terminal, "Too many wrong codes: locked until ");

    machine.broker().kill();
    is_refused(
        ssh(&machine, "alice"),
        "Too many wrong codes: locked until ",
    );
    machine.broker().start();
    is_refused(
        ssh(&machine, "alice"),
        "Too many wrong codes: locked until ",
    );
}

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
