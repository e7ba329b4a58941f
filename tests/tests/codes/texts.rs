//! Text messages, in both directions, and Signal.

use twofa_e2e::{MailServer, SignalApi, SmsProvider, add_mail, code_in, save_backup_codes};

use super::{MAIL, PHONE, SHELL, add_sms, at_the_prompt, builder, knows, mailed, ssh};

#[test]
fn a_text_message_brings_the_code_and_when_it_cannot_be_sent_a_mail_does() {
    let machine = builder().build();
    let (mail, sms) = (
        MailServer::start(&machine, &["alice"]),
        SmsProvider::start(&machine, 8080),
    );
    add_mail(&machine, &mail);
    add_sms(&machine, &sms);
    knows(&machine, &format!("phone={PHONE} email={MAIL} prefer=sms"));
    let mut terminal = ssh(&machine, "alice");
    let said = at_the_prompt(&mut terminal);
    assert!(
        said.contains("A code was sent by text message to **** 3456."),
        "{said}"
    );
    let message = sms.wait_for(1);
    assert!(
        message.starts_with(PHONE) && message.contains("vm"),
        "{message}"
    );
    terminal.type_line(&code_in(message.split('\t').nth(1).unwrap()));
    terminal.expect(SHELL);

    sms.goes_down();
    machine.run("twofa policy set methods=app,sms,backup").ok();
    let mut terminal = ssh(&machine, "alice");
    terminal.expect("The text message with your code could not be sent.");
    assert!(!terminal.expect_end().success());
    assert!(mail.mails("alice").is_empty(), "the policy allows no mail");

    let warned = machine
        .run("twofa policy set fallback.sms-to-email=on")
        .ok();
    assert!(
        warned
            .stderr
            .contains("although methods does not allow e-mail"),
        "{warned}"
    );
    let mut terminal = ssh(&machine, "alice");
    let said = at_the_prompt(&mut terminal);
    assert!(
        said.contains("The text message with your code could not be sent."),
        "{said}"
    );
    assert!(
        said.contains("A code was sent by e-mail to a***e@example.org."),
        "{said}"
    );
    terminal.type_line(&mailed(&mail, 1));
    terminal.expect(SHELL);
    // The provider's own error code and message are for the administrator.
    let log = machine.run("twofa log --user alice").ok().stdout;
    assert!(
        log.contains("20503") && log.contains("Service unavailable"),
        "{log}"
    );
    assert!(!said.contains("20503"), "{said}");
}

#[test]
fn somebody_who_texts_us_a_code_has_enrolled_their_number_once_another_code_came_back() {
    let machine = builder().build();
    let sms = SmsProvider::start(&machine, 8080);
    add_sms(&machine, &sms);
    let mut terminal = machine.terminal_as("alice", "twofa enrol sms");
    terminal.expect("or press Enter to verify it by sending us a text message: ");
    terminal.type_line("");
    let said = terminal.expect("Then press Enter here");
    assert!(said.contains(sms.number()), "{said}");
    sms.receives("+4930999999", "not a code");
    sms.receives(PHONE, &format!("Code {}", code_in(&said)));
    terminal.type_line("");
    terminal.expect("Your text message came from **** 3456.");
    terminal.expect("(r: new code): ");
    let message = sms.wait_for(1);
    assert!(message.starts_with(PHONE), "{message}");
    terminal.type_line(&code_in(message.split('\t').nth(1).unwrap()));
    save_backup_codes(&mut terminal);
    terminal.expect(&format!(
        "Codes can be sent by text message to {PHONE} from now on."
    ));
}

#[test]
fn codes_come_through_signal_once_the_account_is_one_of_the_program_that_sends_them() {
    let machine = builder().build();
    let signal = SignalApi::start(&machine);
    let wrong = machine.run("twofa provider add chat signal from=+4930999999");
    assert_ne!(wrong.code(), 0, "{wrong}");
    assert!(
        wrong.stderr.contains("Specified account does not exist")
            && wrong
                .stderr
                .contains("registered with the signal-cli-rest-api"),
        "{wrong}"
    );
    let add = format!("twofa provider add chat signal from={}", signal.account());
    machine.run(&add).ok();

    let test = |to: &str| machine.run(&format!("twofa provider test chat --to {to}"));
    test(PHONE).ok();
    assert!(signal.wait_for(1).starts_with(PHONE));
    let refused = test(signal.stranger());
    assert_ne!(refused.code(), 0, "{refused}");
    assert!(
        refused.stderr.contains("has no Signal account"),
        "{refused}"
    );

    knows(&machine, &format!("phone={PHONE}"));
    let mut terminal = ssh(&machine, "alice");
    at_the_prompt(&mut terminal);
    let message = signal.wait_for(2);
    terminal.type_line(&code_in(message.split('\t').nth(1).unwrap()));
    terminal.expect(SHELL);
}

#[test]
fn a_login_over_ssh_can_enrol_a_number_by_texting_from_it() {
    let machine = builder()
        .command("twofa policy set methods=sms,backup --yes")
        .build();
    let sms = SmsProvider::start(&machine, 8080);
    add_sms(&machine, &sms);
    let mut terminal = ssh(&machine, "alice");
    terminal.expect("or press Enter to verify it by sending us a text message: ");
    terminal.type_line("");
    let said = terminal.expect("Then press Enter here");
    sms.receives(PHONE, &code_in(&said));
    terminal.expect(": ");
    terminal.type_line("");
    terminal.expect("(r: new code): ");
    let message = sms.wait_for(1);
    terminal.type_line(&code_in(message.split('\t').nth(1).unwrap()));
    save_backup_codes(&mut terminal);
    terminal.expect(SHELL);
    let mut terminal = ssh(&machine, "alice");
    at_the_prompt(&mut terminal);
    terminal.type_line(&code_in(sms.wait_for(2).split('\t').nth(1).unwrap()));
    terminal.expect(SHELL);
}
