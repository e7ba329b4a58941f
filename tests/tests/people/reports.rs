//! What a login says of failed ones, locks and backup codes.

use twofa_e2e::Machine;

use super::{
    CODE_PROMPT, answer, enrolled, is_asked_for_a_code, is_refused, output_of, ssh, test_of,
};

/// Eight digits, whereas the app has six, so never right by chance.
const WRONG: &str = "00000000";

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
