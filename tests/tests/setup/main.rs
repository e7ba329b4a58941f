//! `twofa setup`: with questions on a terminal, and with a file of answers.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use twofa_e2e::{Machine, MailServer, Terminal, enrol_on, password_of};

const MENU: &str = "Next step";
const DOWN: &str = "\x1b[B";

/// A machine in which no stack names the module, and pam-auth-update has the profile.
fn machine() -> Machine {
    let profile = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../packaging/pam-configs/twofa"
    );
    let profile = std::fs::read_to_string(profile).unwrap();
    Machine::new()
        .administrator("alice")
        .user("bob")
        .command("sed -i /pam_twofa/d /etc/pam.d/*")
        .file("/usr/share/pam-configs/twofa", &profile)
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

/// Chooses the step that is offered, and waits for `text`, with which it begins.
fn next(terminal: &mut Terminal, text: &str) {
    terminal.type_line("");
    terminal.expect(text);
}

fn menu(terminal: &mut Terminal) {
    terminal.expect(MENU);
    terminal.expect("Leave");
}

/// The step in which a mail server is added and a test message arrives.
fn add_mail(terminal: &mut Terminal, server: &MailServer<&Machine>) {
    next(terminal, "What sends codes");
    terminal.expect("Add an SMS service");
    terminal.type_line(DOWN);
    terminal.expect("More settings");
    terminal.type_line(&format!("ca-file={}", server.ca_file()));
    terminal.expect("host (");
    terminal.type_line("localhost");
    terminal.expect("from (");
    terminal.type_line(server.username());
    terminal.expect("password (");
    terminal.expect(": ");
    terminal.type_line(server.password());
    terminal.expect("Added 'mail'.");
    terminal.expect("Send a test message to");
    terminal.type_line("alice@example.org");
    terminal.expect("Did the message arrive?");
    assert!(server.wait_for_mail("alice", 1)[0].contains("This is a test"));
    terminal.type_line("y");
}

#[test]
fn setup_leads_from_nothing_to_a_login_that_works_in_a_second_terminal() {
    let machine = machine();
    let server = MailServer::start(&machine, &["alice"]);
    let mut terminal = setup(&machine);

    next(&mut terminal, "application-name=NAME)");
    terminal.expect("Name");
    terminal.type_line("Example");
    terminal.expect("$ twofa policy set application-name=Example");
    menu(&mut terminal);
    add_mail(&mut terminal, &server);
    menu(&mut terminal);
    next(&mut terminal, "$ twofa enrol app --user alice");
    let phone = enrol_on(&mut terminal);

    menu(&mut terminal);
    next(&mut terminal, "Leave it as it is");
    // Offered is 'optional'.
    terminal.type_line(DOWN);
    terminal.expect("Unix group of the administrators");
    terminal.expect("sudo");
    terminal.type_line("");
    terminal.expect("--group sudo mode=mandatory --dry-run");
    terminal.expect("Make this change?");
    terminal.type_line("y");
    terminal.expect("$ twofa policy set mode=optional --dry-run");
    terminal.expect("Make this change?");
    terminal.type_line("y");
    terminal.expect("$ twofa policy set mode=optional --yes");

    menu(&mut terminal);
    next(&mut terminal, "Services");
    terminal.expect("all");
    terminal.type_line("");
    menu(&mut terminal);
    next(&mut terminal, "PAM services");
    terminal.expect("all");
    terminal.type_line("");
    terminal.expect("Password");
    terminal.type_line(&password_of("alice"));
    terminal.expect("The wrong code was refused.");
    terminal.expect("Verification code for Example");
    terminal.type_line(&phone.next_code());
    terminal.expect("Changed. The old files are in");
    menu(&mut terminal);
    terminal.type_line("");
    terminal.expect("Waiting for that login");

    let mut ssh = machine.terminal("ssh alice@vm");
    ssh.expect("Password:");
    ssh.type_line(&password_of("alice"));
    ssh.expect("Verification code for Example");
    ssh.type_line(&phone.next_code());
    ssh.expect("alice@vm:~$ ");
    terminal.expect("alice logged in at sshd.");
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
         pam = [\"all\"]\n\
         [[provider]]\n\
         name = \"mail\"\n\
         kind = \"smtp\"\n\
         settings = {{ host = \"localhost\", from = \"{from}\", ca-file = \"{ca}\" }}\n\
         secrets-file = \"/root/mail.secret\"\n"
    )
}

/// Everything that answers can change.
fn everything(machine: &Machine) -> String {
    let commands = "twofa policy export; twofa provider list; twofa log --json | wc -l; \
                    cat /etc/pam.d/* | sha256sum";
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
    assert!(machine.file("/etc/pam.d/common-auth").contains("pam_twofa"));
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
        ("name = \"mail\"", "name = 7", "7:8: invalid type"),
        ("[\"all\"]", "[\"nosuchservice\"]", "5:7: "),
        ("kind = \"smtp\"", "kind = \"smpt\"", "8:8: "),
        ("kind = \"smtp\"", "sort = \"smtp\"", "8:1: unknown field"),
        ("kind = \"smtp\"", "kind = 8", "8:8: invalid type"),
        ("\"administrators\"\n", "\"all\"\n", "2:12: unknown variant"),
        ("= \"sudo\"", "= \"nogroupofours\"", "3:18: "),
        ("\"elevation\"]", "\"two words\"]", "4:12: "),
        (
            "host =",
            "password = \"x\", host =",
            "9:25: 'password' is a secret",
        ),
        ("mail.secret", "none.secret", "10:16: cannot read"),
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
