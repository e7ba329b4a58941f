//! `twofa setup`: with questions on a terminal, and with a file of answers.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

mod answers;
mod leaving;
mod look;
mod roll_back;

use twofa_e2e::{Builder, Machine, MailServer, SmsProvider, Terminal, enrol_on, password_of};

const MENU: &str = "Next step";
const DOWN: &str = "\x1b[B";
const UP: &str = "\x1b[A";

/// A machine in which no stack names the module, and pam-auth-update has the profile.
fn builder() -> Builder {
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
}

fn machine() -> Machine {
    builder().with_sshd().build()
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
    next(&mut terminal, "Logins with an ssh key");
    next(&mut terminal, "--login-as alice --ssh-keys trust");
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
fn an_sms_service_sends_a_test_message_and_one_that_refuses_is_removed_again() {
    let machine = machine();
    let sms = SmsProvider::start(&machine, 8080);
    let mut terminal = setup(&machine);
    next(&mut terminal, "application-name=NAME)");
    terminal.type_line("Example");
    menu(&mut terminal);
    next(&mut terminal, "Add an SMS service");
    terminal.type_line(&DOWN.repeat(2));
    terminal.expect("SMS service");
    let kinds = machine.run("twofa provider kinds").ok().stdout;
    let kinds = kinds.lines().filter(|kind| kind.contains("\tsms\t"));
    let before = kinds.take_while(|kind| !kind.starts_with("twilio\t"));
    terminal.type_line(&DOWN.repeat(before.count()));
    terminal.expect("✔ SMS service · Twilio");
    terminal.expect("More settings (Enter for none): ");
    let add = sms.add("x").replace(" --secrets-from -", "");
    terminal.type_line(add.trim_start_matches("twofa provider add x twilio "));
    terminal.expect("auth-token (");
    terminal.expect(": ");
    terminal.type_line(sms.token());
    terminal.expect("Added 'twilio'.");
    terminal.expect("Send a test message to");
    terminal.type_line("+4917612345678");
    terminal.expect("Did the message arrive?");
    assert!(sms.wait_for(1).contains("This is a test"));
    terminal.type_line("n");
    terminal.expect("Remove 'twilio'");
    terminal.type_line("");
    menu(&mut terminal);

    // The fourth item tests it once more.
    sms.goes_down();
    next(&mut terminal, "Test 'twilio' with a message");
    terminal.type_line(&DOWN.repeat(3));
    terminal.expect("Send a test message to");
    terminal.type_line("+4917612345678");
    terminal.expect("error: ");
    terminal.expect("Remove 'twilio', to add it with other settings?");
    terminal.type_line("y");
    terminal.expect("Removed 'twilio'.");
    menu(&mut terminal);
    let screen = terminal.window();
    assert!(screen.contains("none: authenticator app only"), "{screen}");
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

#[test]
fn setup_without_a_terminal_or_without_root_says_what_to_do() {
    let machine = machine();
    let output = machine.run("twofa setup </dev/null");
    assert_eq!(output.code(), 2, "{output}");
    assert!(output.stderr.contains("--answers FILE"), "{output}");
    let output = machine.run_as("bob", "twofa setup --answers /dev/null");
    assert_eq!(output.code(), 3, "{output}");
}
