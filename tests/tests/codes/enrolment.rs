//! How an address becomes verified, and who may change it.

use twofa_e2e::{Machine, MailServer, add_mail, save_backup_codes};

use super::{MAIL, SHELL, at_the_prompt, builder, knows, mailed, ssh};

#[test]
fn another_address_by_an_administrator_leaves_nobody_without_a_second_factor() {
    let machine = Machine::new()
        .policy("optional")
        .user("alice")
        .with_sshd()
        .build();
    knows(&machine, &format!("email={MAIL}"));
    let said = machine
        .run("twofa user set alice email=new@example.org")
        .ok();
    assert!(
        said.stdout
            .contains("a second factor must be set up at the next login"),
        "{said:?}"
    );
    let status = machine.run("twofa status --user alice").ok().stdout;
    assert!(status.contains("pending"), "{status}");
}

#[test]
fn a_user_who_must_enrol_can_choose_mail_and_gets_in_with_its_code() {
    let machine = builder().build();
    let mail = MailServer::start(&machine, &["alice"]);
    add_mail(&machine, &mail);
    let mut terminal = ssh(&machine, "alice");
    terminal.expect("2  a code by e-mail");
    terminal.expect(": ");
    terminal.type_line("2");
    terminal.expect("Your e-mail address: ");
    terminal.type_line("nonsense");
    terminal.expect("is not an e-mail address");
    terminal.expect("Your e-mail address: ");
    terminal.type_line(MAIL);
    terminal.expect("Type it here");
    terminal.expect(": ");
    terminal.type_line(&mailed(&mail, 1));
    let codes = save_backup_codes(&mut terminal);
    terminal.expect(SHELL);
    let status = machine.run("twofa status --user alice").ok().stdout;
    assert!(status.contains(MAIL), "{status}");
    // From then on it is asked for, and a backup code is accepted instead.
    let mut terminal = ssh(&machine, "alice");
    at_the_prompt(&mut terminal);
    terminal.type_line(&codes[0]);
    terminal.expect(SHELL);
    let notices = mail.wait_for_mail("alice", 3);
    let notice = notices
        .iter()
        .find(|mail| mail.contains("A backup code was used to log in."))
        .unwrap();
    assert!(
        !codes.iter().any(|code| notice.contains(code.as_str())),
        "{notice}"
    );
}

#[test]
fn an_address_that_an_administrator_set_is_the_one_that_enrolment_at_a_login_writes_to() {
    let machine = builder()
        .command("twofa policy set methods=email,backup --yes")
        .build();
    let mail = MailServer::start(&machine, &["alice"]);
    add_mail(&machine, &mail);
    machine
        .run(&format!("twofa user set alice email={MAIL}"))
        .ok();
    let mut terminal = ssh(&machine, "alice");
    let said = terminal.expect("Type it here");
    assert!(
        said.contains("a***e@example.org") && !said.contains("Your e-mail address"),
        "{said}"
    );
    terminal.expect(": ");
    terminal.type_line(&mailed(&mail, 1));
    save_backup_codes(&mut terminal);
    terminal.expect(SHELL);
}

#[test]
fn a_user_verifies_an_address_of_their_own_and_a_lost_code_is_sent_again() {
    let machine = builder().build();
    let mail = MailServer::start(&machine, &["alice"]);
    add_mail(&machine, &mail);
    let mut terminal = machine.terminal_as("alice", "twofa enrol email alice@example.org");
    terminal.expect("(r: new code): ");
    let first = mailed(&mail, 1);
    terminal.type_line("r");
    terminal.expect("(r: new code): ");
    let second = mailed(&mail, 2);
    terminal.type_line(&first);
    terminal.expect("That is not the code.");
    terminal.expect("(r: new code): ");
    assert!(
        machine
            .run("twofa status --user alice")
            .ok()
            .stdout
            .contains("Nothing is enrolled")
    );
    terminal.type_line(&second);
    save_backup_codes(&mut terminal);
    terminal.expect("Codes can be sent by e-mail to alice@example.org from now on.");
    assert!(terminal.expect_end().success());
}
