//! Enrolment during login: users who must have a second factor but have none are guided through it.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use twofa_e2e::{
    Authenticator, Builder, Client, Machine, Terminal, Theme, enrol_on, password_of,
    save_backup_codes,
};

const INTRO: &str = "vm requires a second factor, and you have not set one up yet.";
const QUESTION: &str = "Then type the 6-digit code it shows: ";
const QR_QUESTION: &str = "Then type the 6-digit code it shows (qr: inverted): ";
const BACKUP_QUESTION: &str = "type the last four characters of code ";
const CODE_PROMPT: &str = "Verification code for vm";
const SHELL: &str = "alice@vm:~$ ";
/// Eight digits, whereas the app has six, so never right by chance.
const WRONG: &str = "00000000";

fn builder() -> Builder {
    Machine::new().policy("mandatory").user("alice")
}

fn machine() -> Machine {
    builder().with_sshd().build()
}

/// A terminal on which `command` has received alice's password.
fn behind_password(machine: &Machine, command: &str) -> Terminal {
    let mut terminal = machine.terminal(command);
    terminal.expect("Password:");
    terminal.type_line(&password_of("alice"));
    terminal
}

fn ssh(machine: &Machine) -> Terminal {
    behind_password(
        machine,
        "LC_ALL=C.UTF-8 ssh -o NumberOfPasswordPrompts=1 alice@vm",
    )
}

/// The key that an enrolment shows, which then waits for the first code.
fn shown_key(terminal: &mut Terminal) -> String {
    terminal.expect("Key:");
    let key = terminal.expect("\n").replace(' ', "").trim().to_owned();
    terminal.expect(QUESTION);
    key
}

/// Types the right first code, and continues to the question whether the backup codes have been saved.
fn at_the_backup_codes(machine: &Machine) -> (Terminal, Authenticator) {
    let mut terminal = ssh(machine);
    let phone = Authenticator::new(&shown_key(&mut terminal));
    terminal.type_line(&phone.next_code());
    terminal.expect(BACKUP_QUESTION);
    terminal.expect(": ");
    (terminal, phone)
}

fn log_in_with(machine: &Machine, code: &str) -> Terminal {
    let mut terminal = ssh(machine);
    terminal.expect(CODE_PROMPT);
    terminal.expect(": ");
    terminal.type_line(code);
    terminal.expect(SHELL);
    terminal
}

fn assert_refused(mut terminal: Terminal) -> String {
    let status = terminal.expect_end();
    assert_eq!(status.code(), Some(255), "{}", terminal.screen());
    assert!(!terminal.screen().contains(SHELL), "{}", terminal.screen());
    terminal.screen()
}

fn has_nothing_enrolled(machine: &Machine) -> bool {
    machine
        .run("twofa user list --method app")
        .ok()
        .stdout
        .is_empty()
}

#[test]
fn a_user_who_must_enrol_is_led_through_it_and_logs_in_with_it_from_then_on() {
    let machine = machine();

    let mut terminal = ssh(&machine);
    terminal.expect(INTRO);
    let phone = enrol_on(&mut terminal);
    terminal.expect(SHELL);

    assert_eq!(phone.backup_codes.len(), 5);
    let status = machine.run_as("alice", "twofa status").ok().stdout;
    assert!(
        status.contains("Second factor of alice: enabled"),
        "{status}"
    );
    assert!(status.contains("Backup codes left: 5"), "{status}");
    drop(log_in_with(&machine, &phone.next_code()));
    drop(log_in_with(&machine, &phone.backup_codes[0]));
    let log = machine.run("twofa log --user alice").ok().stdout;
    assert!(log.contains("by enrolling 'app'"), "{log}");
}

/// Asks for the QR code of `link` and reads it from a window of 80×25, dark and then, inverted, light.
#[track_caller]
fn read_both_qr_codes(terminal: &mut Terminal, link: &str) {
    for (theme, other) in [(Theme::Dark, Theme::Light), (Theme::Light, Theme::Dark)] {
        terminal.type_line("qr");
        terminal.expect("Scan this with your app:");
        terminal.expect(QR_QUESTION);
        let window = terminal.window();
        assert_eq!(terminal.read_qr(theme).as_deref(), Some(link), "{window}");
        assert_eq!(terminal.read_qr(other), None);
        assert!(window.contains(QR_QUESTION.trim_end()), "{window}");
    }
}

#[test]
fn the_key_and_the_link_on_an_ssh_screen_come_first_and_the_qr_code_on_request() {
    let machine = machine();

    let mut terminal = ssh(&machine);
    let key = shown_key(&mut terminal);

    let screen = terminal.screen();
    let link = format!("otpauth://totp/vm:alice@vm?secret={key}");
    assert!(screen.contains(&format!("  Link: {link}\n")), "{screen}");
    assert!(screen.is_ascii(), "{screen}");
    // sshd puts a name before every prompt: the password's, and one for all of the enrolment.
    assert_eq!(screen.matches("(alice@vm) ").count(), 2, "{screen}");
    assert!(
        screen.contains(&format!("(alice@vm) {INTRO}\n")),
        "{screen}"
    );
    read_both_qr_codes(&mut terminal, &link);
    let phone = Authenticator::new(&key);
    terminal.type_line(&phone.next_code());
    save_backup_codes(&mut terminal);
    terminal.expect(SHELL);
}

#[test]
fn with_names_of_20_letters_the_qr_code_and_the_prompt_fit_in_80_by_25() {
    let (host, user) = ("server-twenty-letter", "alice-adams-of-sales");
    let machine = Machine::new()
        .policy("mandatory")
        .user(user)
        .command(&format!("hostname {host}"))
        .with_sshd()
        .build();
    let mut terminal = machine.terminal(&format!("LC_ALL=C.UTF-8 ssh {user}@vm"));
    terminal.expect("Password:");
    terminal.type_line(&password_of(user));

    let key = shown_key(&mut terminal);
    let link = format!("otpauth://totp/{host}:{user}@{host}?secret={key}");
    read_both_qr_codes(&mut terminal, &link);
}

#[test]
fn a_qr_code_that_is_higher_than_a_screen_says_how_to_see_it() {
    let host = "h".repeat(60);
    let machine = builder()
        .command(&format!("hostname {host}"))
        .with_sshd()
        .build();
    let mut terminal = ssh(&machine);
    let key = shown_key(&mut terminal);
    terminal.type_line("qr");
    terminal.expect("If you do not see all ");
    terminal.expect("enlarge the window and type qr twice.\n");
    terminal.expect(QR_QUESTION);
    assert_eq!(terminal.read_qr(Theme::Dark), None);
    let link = format!("otpauth://totp/{host}:alice@{host}?secret={key}");
    assert_eq!(terminal.read_qr_of(100, 50, Theme::Dark), Some(link));
}

#[test]
fn the_code_that_enrolled_does_not_log_in_again() {
    let machine = machine();
    let mut terminal = ssh(&machine);
    let phone = Authenticator::new(&shown_key(&mut terminal));
    let code = phone.next_code();
    terminal.type_line(&code);
    save_backup_codes(&mut terminal);
    terminal.expect(SHELL);

    let mut again = ssh(&machine);
    again.expect(CODE_PROMPT);
    again.type_line(&code);
    again.expect("already been used");
}

#[test]
fn five_wrong_codes_end_the_login_and_enrol_nothing() {
    let machine = machine();
    let mut terminal = ssh(&machine);
    shown_key(&mut terminal);

    for left in [
        "4 tries are left",
        "3 tries are left",
        "2 tries are left",
        "one try is left",
    ] {
        terminal.type_line(WRONG);
        terminal.expect(&format!("That is not the code for this key. ({left})"));
        terminal.expect("The code your app shows now: ");
    }
    terminal.type_line(WRONG);

    let screen = assert_refused(terminal);
    assert!(
        screen.contains("No second factor was set up, so this login is refused."),
        "{screen}"
    );
    assert!(has_nothing_enrolled(&machine));
    machine.wait_for_log("asked to enrol and did not");
}

#[test]
fn an_enrolment_that_was_refused_is_in_the_audit_log() {
    let machine = machine();
    let mut terminal = ssh(&machine);
    shown_key(&mut terminal);
    terminal.type_line("");
    assert_refused(terminal);

    let log = machine.run("twofa log --user alice").ok().stdout;
    assert!(
        log.contains("refused") && log.contains("asked to enrol and did not"),
        "{log}"
    );
}

#[test]
fn a_wrong_code_and_then_the_right_one_enrols() {
    let machine = machine();
    let mut terminal = ssh(&machine);
    let phone = Authenticator::new(&shown_key(&mut terminal));
    terminal.type_line(&phone.code_at(10));
    terminal.expect("correct the clock on your phone");
    terminal.expect("The code your app shows now: ");
    terminal.type_line(&password_of("alice"));
    terminal.expect("That is not the code for this key.");
    terminal.expect("The code your app shows now: ");
    terminal.type_line(&phone.next_code());
    save_backup_codes(&mut terminal);
    terminal.expect(SHELL);
    let everything = machine.log() + &machine.broker_log() + &machine.sshd_log();
    assert!(
        !everything.contains(&password_of("alice")) && !everything.contains(&phone.key),
        "{everything}"
    );
}

#[test]
fn a_user_cut_off_at_the_qr_code_sees_the_same_one_again() {
    let machine = machine();
    let mut terminal = ssh(&machine);
    let key = shown_key(&mut terminal);
    terminal.hang_up();
    terminal.expect_end();

    let mut terminal = ssh(&machine);
    assert_eq!(shown_key(&mut terminal), key);
    machine.run("pkill -KILL -x ssh").ok();
    terminal.expect_end();
    machine.wait_until("! pgrep -f '[s]shd: alice'");

    machine.broker().restart();
    let mut terminal = ssh(&machine);
    let phone = enrol_on(&mut terminal);
    assert_eq!(phone.key, key);
    terminal.expect(SHELL);
    drop(log_in_with(&machine, &phone.next_code()));
}

#[test]
fn a_user_who_takes_longer_than_the_login_may_sees_the_same_qr_code_again() {
    let machine = builder()
        .sshd("LoginGraceTime 3\n")
        .command("sed -i 's/^LOGIN_TIMEOUT.*/LOGIN_TIMEOUT 3/' /etc/login.defs")
        .build();
    let mut terminal = ssh(&machine);
    let key = shown_key(&mut terminal);
    machine.wait_until("! pgrep -f '[s]shd: alice'");
    drop(terminal);

    let mut terminal = ssh(&machine);
    assert_eq!(shown_key(&mut terminal), key);
    drop(terminal);

    // A key shown elsewhere is not shown here.
    let mut login = machine.terminal("exec login");
    login.expect("vm login: ");
    login.type_line("alice");
    login.expect("Password:");
    login.type_line(&password_of("alice"));
    assert_ne!(shown_key(&mut login), key);
    login.expect_end();
    assert!(
        login.screen().contains("timed out after 3 seconds"),
        "{}",
        login.screen()
    );
}

#[test]
fn a_key_that_was_not_confirmed_is_shown_again_for_a_quarter_of_an_hour() {
    let machine = machine();
    let mut terminal = ssh(&machine);
    let key = shown_key(&mut terminal);
    terminal.hang_up();
    terminal.expect_end();

    machine.broker().set_clock("+14m");
    let mut terminal = ssh(&machine);
    assert_eq!(shown_key(&mut terminal), key);
    terminal.hang_up();
    terminal.expect_end();

    machine.broker().set_clock("+16m");
    let mut terminal = ssh(&machine);
    assert_ne!(shown_key(&mut terminal), key);
}

#[test]
fn once_enrolled_the_key_that_was_shown_is_not_shown_again() {
    let machine = machine();
    let mut terminal = ssh(&machine);
    let phone = enrol_on(&mut terminal);
    terminal.expect(SHELL);
    machine.run("twofa user reset alice").ok();

    let mut terminal = ssh(&machine);
    assert_ne!(shown_key(&mut terminal), phone.key);
}

#[test]
fn two_logins_that_enrol_at_once_enrol_one_app() {
    let machine = machine();
    let (mut first, mut second) = (ssh(&machine), ssh(&machine));
    let phone = Authenticator::new(&shown_key(&mut first));
    assert_eq!(shown_key(&mut second), phone.key);
    first.type_line(&phone.next_code());
    let backup_codes = save_backup_codes(&mut first);
    first.expect(SHELL);

    second.type_line(&phone.next_code());
    let screen = assert_refused(second);

    assert!(
        !screen.contains("The second factor cannot be checked now"),
        "{screen}"
    );
    let status = machine.run("twofa status --user alice").ok().stdout;
    assert_eq!(status.matches("TOTP").count(), 1, "{status}");
    drop(log_in_with(&machine, &backup_codes[0]));
}

#[test]
fn an_ssh_client_without_utf_8_gets_key_and_link_without_octal_numbers_and_enrols() {
    let machine = machine();
    let mut terminal = behind_password(
        &machine,
        "LC_ALL=C ssh -o NumberOfPasswordPrompts=1 alice@vm",
    );
    terminal.expect(INTRO);
    let phone = enrol_on(&mut terminal);
    terminal.expect(SHELL);

    let screen = terminal.screen();
    let link = format!("otpauth://totp/vm:alice@vm?secret={}", phone.key);
    assert!(screen.contains(&format!("  Link: {link}\n")), "{screen}");
    assert!(!screen.contains('\\'), "{screen}");
    drop(log_in_with(&machine, &phone.next_code()));
}

fn another_client_enrols(client: Client) {
    let machine = machine();
    let mut terminal = client.connect(&machine, "alice");
    terminal.expect("vm requires a second factor, and you have not set one up yet.");
    let key = shown_key(&mut terminal);
    // PuTTY wraps lines at 80 columns, and marks those that the server sent and those that it wrapped.
    let screen = terminal.screen().replace("\n> ", "").replace("\n| ", "\n");
    let link = format!("otpauth://totp/vm:alice@vm?secret={key}");
    assert!(screen.contains(&link), "{client:?}: {screen}");
    // Dropbear's client shows nothing but ASCII.
    if client != Client::Dbclient {
        terminal.type_line("qr");
        terminal.expect(QR_QUESTION);
        assert_eq!(terminal.read_qr(Theme::Dark), Some(link), "{client:?}");
    }
    let mut phone = Authenticator::new(&key);
    terminal.type_line(&phone.next_code());
    phone.backup_codes = save_backup_codes(&mut terminal);
    client.expect_login(&mut terminal, "alice");
    drop(log_in_with(&machine, &phone.next_code()));
    drop(log_in_with(&machine, &phone.backup_codes[0]));
}

#[test]
fn putty_enrols() {
    another_client_enrols(Client::Plink);
}

#[test]
fn dropbear_enrols() {
    another_client_enrols(Client::Dbclient);
}

#[test]
fn paramiko_enrols() {
    another_client_enrols(Client::Paramiko);
}

#[test]
fn the_console_enrols() {
    let machine = builder().build();
    let mut login = machine.terminal("exec login");
    login.expect("vm login: ");
    login.type_line("alice");
    login.expect("Password:");
    login.type_line(&password_of("alice"));

    login.expect(INTRO);
    let key = shown_key(&mut login);
    let link = format!("otpauth://totp/vm:alice@vm?secret={key}");
    read_both_qr_codes(&mut login, &link);
    login.type_line(&Authenticator::new(&key).next_code());
    save_backup_codes(&mut login);
    login.expect(SHELL);
}

#[test]
fn su_and_sudo_enrol() {
    let machine = builder().user("bob").administrator("carol").build();

    let mut su = machine.terminal_as("bob", "su alice -c 'id -un'");
    su.expect("Password:");
    su.type_line(&password_of("alice"));
    su.expect(INTRO);
    let key = shown_key(&mut su);
    let link = format!("otpauth://totp/vm:alice@vm?secret={key}");
    read_both_qr_codes(&mut su, &link);
    su.type_line(&Authenticator::new(&key).next_code());
    save_backup_codes(&mut su);
    su.expect("alice\n");
    assert!(su.expect_end().success());

    let mut sudo = machine.terminal_as("carol", "sudo id -un");
    sudo.expect("password for carol");
    sudo.type_line(&password_of("carol"));
    sudo.expect(INTRO);
    enrol_on(&mut sudo);
    sudo.expect("root\n");
    assert!(sudo.expect_end().success());
}

#[test]
fn a_user_who_shows_no_backup_code_is_let_in_with_the_app_and_without_backup_codes() {
    for leave in ["wrong", "empty", "end of input"] {
        let machine = machine();
        let (mut terminal, phone) = at_the_backup_codes(&machine);
        match leave {
            "wrong" => {
                for _ in 0..4 {
                    terminal.type_line("0000");
                    terminal.expect("That is not correct. When you have saved them");
                    terminal.expect(": ");
                }
                terminal.type_line("0000");
            }
            "empty" => terminal.type_line(""),
            _ => terminal.press_ctrl('d'),
        }
        terminal.expect("The backup codes were not confirmed and do not work. Make new ones with 'twofa codes --new'.");
        terminal.expect(SHELL);

        let status = machine.run("twofa status --user alice").ok().stdout;
        assert!(
            status.contains("Second factor of alice: enabled"),
            "{leave}: {status}"
        );
        assert!(status.contains("Backup codes left: 0"), "{leave}: {status}");
        let mut again = log_in_with(&machine, &phone.next_code());
        assert!(
            again.screen().contains("No backup codes are left."),
            "{leave}: {}",
            again.screen()
        );
    }
}

#[test]
fn a_user_cut_off_at_the_backup_codes_has_the_app() {
    let machine = machine();
    let (mut terminal, phone) = at_the_backup_codes(&machine);
    terminal.hang_up();
    terminal.expect_end();
    machine.wait_until("! pgrep -f '[s]shd: alice'");

    let mut again = log_in_with(&machine, &phone.next_code());
    assert!(
        again.screen().contains("No backup codes are left."),
        "{}",
        again.screen()
    );
}

#[test]
fn without_backup_codes_in_the_policy_none_are_shown() {
    let machine = builder()
        .with_sshd()
        .command("twofa policy set methods=app --yes")
        .build();
    let mut terminal = ssh(&machine);
    let phone = Authenticator::new(&shown_key(&mut terminal));
    terminal.type_line(&phone.next_code());
    terminal.expect(SHELL);
    assert!(
        !terminal.screen().contains("Backup codes"),
        "{}",
        terminal.screen()
    );
    let again = log_in_with(&machine, &phone.next_code());
    drop(again);
}

#[test]
fn a_login_by_enrolment_counts_as_the_last_login() {
    let machine = builder()
        .with_sshd()
        .command("twofa policy set enrolment=beforehand --yes")
        .build();
    // Refused because there is no second factor, which is then set up.
    assert_refused(ssh(&machine));
    machine.run("twofa policy set enrolment=at-login").ok();
    let mut terminal = ssh(&machine);
    let phone = enrol_on(&mut terminal);
    terminal.expect(SHELL);

    assert!(
        machine
            .run("twofa user list --stale 1d")
            .ok()
            .stdout
            .is_empty()
    );
    let mut again = log_in_with(&machine, &phone.next_code());
    assert!(
        !again.screen().contains("failed attempt"),
        "{}",
        again.screen()
    );
}

#[test]
fn with_enrolment_beforehand_the_login_is_refused_and_says_what_to_do() {
    let machine = builder()
        .with_sshd()
        .command("twofa policy set enrolment=beforehand --yes")
        .build();

    let screen = assert_refused(ssh(&machine));

    assert!(
        screen.contains("vm requires a second factor, and none is set up for alice."),
        "{screen}"
    );
    assert!(
        screen.contains("'twofa enrol app --user alice'"),
        "{screen}"
    );
    assert!(!screen.contains("Key:"), "{screen}");
    machine.wait_for_log("nothing is enrolled, and enrolment=beforehand");
    let phone = machine.enrol("alice");
    drop(log_in_with(&machine, &phone.next_code()));
}

#[test]
fn the_password_method_of_sshd_cannot_enrol_and_is_refused() {
    let machine = builder()
        .sshd("KbdInteractiveAuthentication no\nPasswordAuthentication yes\n")
        .build();

    let mut terminal = machine.terminal("ssh -o NumberOfPasswordPrompts=1 alice@vm");
    terminal.expect("password:");
    terminal.type_line(&password_of("alice"));

    assert_refused(terminal);
    assert!(has_nothing_enrolled(&machine));
    machine.wait_for_log("KbdInteractiveAuthentication yes");
}

#[test]
fn a_client_with_one_prompt_is_refused_and_told_why() {
    let stack = "auth required pam_twofa.so forward_pass\nauth required pam_unix.so use_first_pass\n\
                 account required pam_twofa.so\naccount required pam_permit.so\n";
    let machine = builder().pam("testapp", stack).build();
    let login = |password: &str| {
        machine.run_with_input(
            "pamtester testapp alice authenticate acct_mgmt",
            &format!("{password}123456\n"),
        )
    };
    let stranger = login("wrong").fails();
    assert!(
        !stranger.to_string().contains("takes several questions"),
        "{stranger}"
    );
    let refused = login(&password_of("alice")).fails();

    assert!(
        refused.to_string().contains("takes several questions"),
        "{refused}"
    );
    assert!(
        refused
            .to_string()
            .contains("Log in once with ssh or on the console."),
        "{refused}"
    );
    assert!(has_nothing_enrolled(&machine));
    machine.wait_for_log("this client has only one prompt");
}

#[test]
fn without_a_broker_a_root_program_enrols_as_well() {
    let machine = builder().with_sshd().without_broker().build();
    let mut terminal = ssh(&machine);
    terminal.expect(INTRO);
    let phone = enrol_on(&mut terminal);
    terminal.expect(SHELL);
    drop(log_in_with(&machine, &phone.next_code()));
}
