//! `twofa setup`: with questions on a terminal, and with a file of answers.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use twofa_e2e::{Machine, MailServer, Terminal, enrol_on, password_of};

const MENU: &str = "Next step";
const DOWN: &str = "\x1b[B";

fn machine() -> Machine {
    Machine::new()
        .administrator("alice")
        .user("bob")
        .with_sshd()
        .build()
}

/// alice runs it with sudo, and the list of steps is shown.
fn setup(machine: &Machine) -> Terminal {
    let mut terminal = machine.terminal_as("alice", "sudo twofa setup");
    terminal.expect("password for alice: ");
    terminal.type_line(&password_of("alice"));
    terminal.expect(MENU);
    terminal.expect("Leave");
    terminal
}

/// Chooses the step that is offered, and waits until it says so with `text`.
fn next(terminal: &mut Terminal, text: &str) {
    terminal.type_line("");
    terminal.expect(text);
}

fn menu(terminal: &mut Terminal) {
    terminal.expect(MENU);
    terminal.expect("Leave");
}

#[test]
fn setup_leads_from_nothing_to_a_login_that_works_in_a_second_terminal() {
    let machine = machine();
    let mut terminal = setup(&machine);

    next(&mut terminal, "application-name=NAME)");
    terminal.expect("Name");
    terminal.type_line("Example");
    terminal.expect("$ twofa policy set application-name=Example");
    menu(&mut terminal);
    next(&mut terminal, "What sends codes");
    terminal.expect("Add an SMS service");
    terminal.type_line("");
    menu(&mut terminal);
    next(&mut terminal, "$ twofa enrol app --user alice");
    let phone = enrol_on(&mut terminal);

    menu(&mut terminal);
    next(&mut terminal, "Leave it as it is");
    terminal.type_line(DOWN);
    terminal.expect("Unix group of the administrators");
    terminal.expect("sudo");
    terminal.type_line("");
    terminal.expect("--group sudo mode=mandatory --dry-run");
    terminal.expect("Make this change?");
    terminal.type_keys("y");
    terminal.expect("$ twofa policy set mode=optional --dry-run");
    terminal.expect("Make this change?");
    terminal.type_keys("y");
    terminal.expect("$ twofa policy set mode=optional --yes");

    menu(&mut terminal);
    next(&mut terminal, "Services");
    terminal.expect("all");
    terminal.type_line("");
    menu(&mut terminal);
    // The machine's files have the line already.
    terminal.type_line(DOWN);
    terminal.expect("Waiting for that login");

    let mut ssh = machine.terminal("ssh alice@vm");
    ssh.expect("Password:");
    ssh.type_line(&password_of("alice"));
    ssh.expect("Verification code for Example");
    ssh.type_line(&phone.next_code());
    ssh.expect("alice@vm:~$ ");
    terminal.expect("alice logged in with a code at sshd.");
    menu(&mut terminal);
    next(&mut terminal, "Done. If somebody cannot get in");
    assert!(terminal.expect_end().success(), "{}", terminal.screen());

    let class = machine.run("twofa class test alice").ok().stdout;
    assert!(class.contains("Class of alice: administrators"), "{class}");
    let class = machine.run("twofa class test bob").ok().stdout;
    assert!(class.contains("Class of bob: everyone"), "{class}");
}

#[test]
fn a_setup_that_was_interrupted_goes_on_with_the_first_step_that_is_open() {
    let machine = machine();
    let mut terminal = setup(&machine);
    next(&mut terminal, "application-name=NAME)");
    terminal.type_line("Example");
    menu(&mut terminal);
    terminal.press_ctrl('c');
    terminal.expect("setup was left");
    assert_eq!(terminal.expect_end().code(), Some(1));

    let mut terminal = setup(&machine);
    let screen = terminal.screen();
    assert!(screen.contains("✓ Name"), "{screen}");
    terminal.type_line(DOWN);
    terminal.expect("$ twofa enrol app --user alice");
    enrol_on(&mut terminal);
    menu(&mut terminal);
    terminal.press_ctrl('c');
    terminal.expect_end();

    let mut terminal = setup(&machine);
    next(&mut terminal, "Who must have a second factor?");
    let screen = terminal.screen();
    assert!(screen.contains("alice: app, 5 backup codes"), "{screen}");
}

fn answers(server: &MailServer<&Machine>) -> String {
    let (ca, from) = (server.ca_file(), server.username());
    format!(
        "application-name = \"Example\"\n\
         who-must = \"administrators\"\n\
         administrators = \"sudo\"\n\
         services = [\"ssh\", \"elevation\"]\n\
         [[provider]]\n\
         name = \"mail\"\n\
         kind = \"smtp\"\n\
         settings = {{ host = \"localhost\", from = \"{from}\", ca-file = \"{ca}\" }}\n\
         secrets-file = \"/root/mail.secret\"\n"
    )
}

/// Everything that answers can change.
fn everything(machine: &Machine) -> String {
    let commands = "twofa policy export; twofa provider list; twofa log --json | wc -l";
    machine.run(commands).ok().stdout
}

#[test]
fn answers_set_the_machine_up_once_and_a_second_run_has_nothing_to_do() {
    let machine = machine();
    let server = MailServer::start(&machine, &["alice"]);
    machine.write_file("/root/answers.toml", &answers(&server));
    let secret = format!("password={}\n", server.password());
    machine.write_file("/root/mail.secret", &secret);
    let run = |options: &str| {
        let command = format!("twofa setup --answers /root/answers.toml {options} </dev/null");
        machine.run(&command).ok().stdout
    };

    let before = everything(&machine);
    let would = run("--dry-run");
    assert!(would.contains("$ twofa provider add mail smtp"), "{would}");
    assert!(would.contains("mode: 'disabled' → 'optional'"), "{would}");
    assert_eq!(everything(&machine), before);

    let done = run("");
    assert!(done.contains("Added 'mail'."), "{done}");
    assert!(!(would + &done).contains(server.password()));
    let policy = machine.run("twofa policy export").ok().stdout;
    for line in [
        "application-name = \"Example\"",
        "services = [\"ssh\", \"elevation\"]",
        "group = \"sudo\"",
        "mode = \"mandatory\"",
    ] {
        assert!(policy.contains(line), "{line}: {policy}");
    }

    let after = everything(&machine);
    assert_eq!(run(""), "Nothing to do: it is all set up that way.\n");
    assert_eq!(everything(&machine), after);
}

#[test]
fn a_mistake_in_the_answers_is_reported_with_its_line_and_nothing_is_changed() {
    let machine = machine();
    let server = MailServer::start(&machine, &["alice"]);
    machine.write_file("/root/mail.secret", "password=x\n");
    let right = answers(&server);
    let before = everything(&machine);
    for (was, is, place) in [
        ("kind = \"smtp\"", "kind = \"smpt\"", "7:8: "),
        ("kind = \"smtp\"", "sort = \"smtp\"", "7:1: unknown field"),
        ("kind = \"smtp\"", "kind = 7", "7:8: invalid type"),
        ("\"administrators\"\n", "\"all\"\n", "2:12: unknown variant"),
        ("= \"sudo\"", "= \"nogroupofours\"", "3:18: "),
        ("\"elevation\"]", "\"two words\"]", "4:12: "),
        (
            "host =",
            "password = \"x\", host =",
            "8:25: 'password' is a secret",
        ),
        ("mail.secret", "none.secret", "9:16: cannot read"),
    ] {
        let wrong = right.replacen(was, is, 1);
        assert_ne!(wrong, right);
        machine.write_file("/root/answers.toml", &wrong);
        let output = machine.run("twofa setup --answers /root/answers.toml </dev/null");
        assert_eq!(output.code(), 2, "{output}");
        let message = format!("/root/answers.toml:{place}");
        assert!(output.stderr.contains(&message), "{message}: {output}");
        assert_eq!(everything(&machine), before, "{is}");
    }
}

#[test]
fn setup_without_a_terminal_or_without_root_says_what_to_do() {
    let machine = machine();
    let output = machine.run("twofa setup </dev/null");
    assert_eq!(output.code(), 2, "{output}");
    assert!(output.stderr.contains("--answers FILE"), "{output}");
    let output = machine.run_as("bob", "twofa setup --answers /dev/null");
    assert_eq!(output.code(), 3, "{output}");
}
