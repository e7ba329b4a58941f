//! Who is asked for a second factor and who is not: a real login for every state that a user can be in.
//!
//! This file has the logins, and the modes of the policy. [`exemptions`] and [`classes`] change whom the mode applies
//! to, [`settings`] is what users change themselves, [`reports`] what a login says of earlier ones, and [`recreated`]
//! accounts that are no longer those on record.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

mod classes;
mod exemptions;
mod recreated;
mod reports;
mod settings;

use twofa_e2e::{Authenticator, Builder, Machine, Terminal, enrol_on, password_of};

const CODE_PROMPT: &str = "Verification code for vm";
const INTRO: &str = "vm requires a second factor, and you have not set one up yet.";

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
