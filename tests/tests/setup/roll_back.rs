//! A set-up that is skipped in part or rolled back.

use twofa_e2e::{Authenticator, Machine, Terminal, password_of};

use super::{DOWN, MENU, UP, machine, menu, next, setup};

/// The rules and PAM files, which a set-up changes.
fn rules(machine: &Machine) -> String {
    let files = "cd /etc && find pam.d ssh -type f | sort | xargs sha256sum";
    machine
        .run(&format!("twofa policy export; {files}"))
        .ok()
        .stdout
}

/// Who must: the administrators.
fn choose_administrators(terminal: &mut Terminal) {
    next(terminal, "Leave it as it is");
    terminal.type_line(DOWN);
    terminal.expect("Unix group of the administrators");
    terminal.type_line("");
    terminal.expect("mode=mandatory --dry-run");
    terminal.expect("Make this change?");
    terminal.type_line("y");
    terminal.expect("mode=optional --dry-run");
    terminal.expect("Make this change?");
    terminal.type_line("");
    menu(terminal);
}

fn switch_on(terminal: &mut Terminal, phone: &Authenticator) {
    next(terminal, "PAM services");
    next(terminal, "Logins with an ssh key");
    terminal.type_line("");
    terminal.expect("Password");
    terminal.type_line(&password_of("alice"));
    terminal.expect("The wrong code was refused.");
    terminal.expect("Verification code");
    terminal.type_line(&phone.next_code());
    terminal.expect("Changed. The old files are in");
    menu(terminal);
}

/// Waits for a login that does not come, and makes the choice that is `key` away.
fn without_login(terminal: &mut Terminal, key: &str) {
    terminal.type_line("");
    terminal.expect("Waiting for that login");
    terminal.type_line("");
    terminal.expect("No login was seen");
    terminal.expect("Roll back");
    terminal.type_line(key);
}

#[test]
fn a_roll_back_restores_what_was_before_the_set_up_even_if_it_was_left_in_between() {
    let machine = machine();
    let phone = machine.enrol("alice");
    machine
        .run("groupadd --force crew && twofa class set crew --group crew mode=mandatory methods=app,backup --yes")
        .ok();
    machine.run("twofa policy set services=ssh,elevation").ok();
    let before = rules(&machine);

    let mut terminal = setup(&machine);
    terminal.type_line(&UP.repeat(3));
    terminal.expect("Name:");
    terminal.type_line("Example");
    terminal.expect("application-name: '' → 'Example'");
    menu(&mut terminal);
    terminal.press_ctrl('c');
    terminal.expect("setup was left");
    terminal.expect_end();

    let mut terminal = setup(&machine);
    choose_administrators(&mut terminal);
    // The services stay.
    terminal.type_keys(DOWN);
    switch_on(&mut terminal, &phone);
    assert_ne!(rules(&machine), before);
    without_login(&mut terminal, &DOWN.repeat(2));
    terminal.expect("which began on 20");
    terminal.expect("class administrators: mode: 'mandatory' → nothing");
    terminal.expect("Roll back? [y/N]");
    terminal.type_line("y");
    terminal.expect("$ twofa pam disable --no-login");
    terminal.expect("Rolled back: rules and PAM are as they were before this set-up.");
    menu(&mut terminal);
    let screen = terminal.screen();
    // alice had it before.
    assert!(!screen.contains("Kept:"), "{screen}");
    assert_eq!(rules(&machine), before);
    terminal.press_ctrl('c');
    terminal.expect_end();
}

#[test]
fn a_roll_back_says_what_it_could_not_restore_and_what_is_kept() {
    let machine = machine();
    machine.run("twofa policy set mode=optional").ok();
    let mut terminal = setup(&machine);
    terminal.type_line("");
    terminal.expect("Name:");
    terminal.type_line("Example");
    menu(&mut terminal);
    terminal.press_ctrl('c');
    terminal.expect_end();
    let phone = machine.enrol("alice");

    let mut terminal = setup(&machine);
    terminal.type_keys(DOWN);
    switch_on(&mut terminal, &phone);
    machine
        .run("mount --bind /etc/pam.d /etc/pam.d && mount -o remount,bind,ro /etc/pam.d")
        .ok();
    without_login(&mut terminal, &DOWN.repeat(2));
    terminal.expect("Roll back? [y/N]");
    terminal.type_line("y");
    terminal.expect("Not as before this set-up:\n");
    terminal.expect("the services that ask: none before, ");
    terminal.expect("Kept: alice's app and backup codes ('twofa user reset alice'");
    menu(&mut terminal);

    // The way back is kept for when the reason is gone.
    machine.run("umount /etc/pam.d").ok();
    without_login(&mut terminal, &DOWN.repeat(2));
    terminal.expect("Roll back? [y/N]");
    terminal.type_line("y");
    terminal.expect("Rolled back: rules and PAM are as they were");
    menu(&mut terminal);
    assert!(!machine.file("/etc/pam.d/common-auth").contains("pam_twofa"));
}

#[test]
fn what_was_changed_outside_of_a_set_up_is_not_taken_back_unasked() {
    let machine = machine();
    machine.enrol("alice");
    let kept = "/var/backups/twofa-pam/before-setup.json";
    let mut terminal = setup(&machine);
    terminal.press_ctrl('c');
    terminal.expect_end();
    // Nothing was changed.
    machine.run(&format!("test ! -e {kept}")).ok();
    machine.run("twofa policy set mode=optional").ok();

    let mut terminal = setup(&machine);
    terminal.type_line(&UP.repeat(4));
    terminal.expect("Name:");
    terminal.type_line("Example");
    menu(&mut terminal);
    terminal.press_ctrl('c');
    terminal.expect_end();
    machine.run("twofa policy set services=ssh").ok();
    let before = rules(&machine);

    let mut terminal = setup(&machine);
    terminal.type_keys(DOWN);
    without_login(&mut terminal, &DOWN.repeat(2));
    terminal.expect("which began on 20");
    terminal.expect("Warning: rules or PAM files have been changed since");
    terminal.expect("services: 'ssh' → 'all'");
    terminal.expect("Roll back? [y/N]");
    terminal.type_line("");
    terminal.expect("Nothing was rolled back.");
    menu(&mut terminal);
    assert_eq!(rules(&machine), before);
    terminal.press_ctrl('c');
    terminal.expect_end();
}

#[test]
fn a_login_that_is_skipped_leaves_the_set_up_unfinished() {
    let machine = machine();
    let phone = machine.enrol("alice");
    machine.run("twofa policy set mode=optional").ok();
    let mut terminal = setup(&machine);
    terminal.type_keys(DOWN);
    switch_on(&mut terminal, &phone);
    without_login(&mut terminal, DOWN);
    terminal.expect(MENU);
    terminal.expect("❯ Leave");
    terminal.type_line("");
    terminal.expect("Not finished yet. 'sudo twofa setup' goes on from here.");
    assert!(terminal.expect_end().success());

    // sudo asks for a code by now.
    let mut terminal = machine.terminal("SUDO_UID=$(id -u alice) LANG=C.UTF-8 twofa setup");
    menu(&mut terminal);
    let window = terminal.window();
    assert!(window.contains("❯ · A login that works"), "{window}");
}
