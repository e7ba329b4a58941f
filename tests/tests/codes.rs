//! Codes by e-mail and text message: sent by a real login through a real mail server, read there and typed.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use std::time::{Duration, Instant};

use twofa_e2e::{
    Builder, HangingServer, Machine, MailServer, SignalApi, SmsProvider, Terminal, code_in,
    password_of, save_backup_codes,
};

const CODE_PROMPT: &str = "Verification code for vm";
const SHELL: &str = "alice@vm:~$ ";
/// Nine digits, whereas codes have six, so never right by chance.
const WRONG: &str = "000000000";
const MAIL: &str = "alice@example.org";
const PHONE: &str = "+4930123456";

fn builder() -> Builder {
    let settings = "twofa policy set resend.cooldown=0 phone.country=DE";
    Machine::new()
        .policy("mandatory")
        .user("alice")
        .with_sshd()
        .command(settings)
}

/// Sets up the mail server as the provider `mail`.
fn add_mail(machine: &Machine, mail: &MailServer<&Machine>) {
    let command = format!(
        "twofa provider add mail smtp host={} port={} from=it@example.org username={} ca-file={} --secrets-from -",
        mail.host(),
        mail.port(),
        mail.username(),
        mail.ca_file(),
    );
    machine
        .run_with_input(&command, &format!("password={}\n", mail.password()))
        .ok();
}

fn add_sms(machine: &Machine, sms: &SmsProvider) {
    machine
        .run_with_input(&sms.add("sms"), &format!("auth-token={}\n", sms.token()))
        .ok();
}

/// Alice has this address, attested by an administrator.
fn knows(machine: &Machine, settings: &str) {
    machine
        .run(&format!("twofa user set alice {settings} --verified"))
        .ok();
}

/// A login after its password has been typed.
fn ssh(machine: &Machine, user: &str) -> Terminal {
    let mut terminal = machine.terminal(&format!(
        "LC_ALL=C.UTF-8 ssh -o NumberOfPasswordPrompts=1 {user}@vm"
    ));
    terminal.expect("Password:");
    terminal.type_line(&password_of(user));
    terminal
}

/// Waits for the code prompt, and returns the text before it.
fn at_the_prompt(terminal: &mut Terminal) -> String {
    let before = terminal.expect(CODE_PROMPT);
    terminal.expect(": ");
    before
}

/// The code in the plain text of the `n`th mail to alice.
fn mailed(mail: &MailServer<&Machine>, n: usize) -> String {
    let mails = mail.wait_for_mail("alice", n);
    code_in(
        mails[n - 1]
            .split("\n\n")
            .nth(1)
            .map_or("", |_| body(&mails[n - 1])),
    )
}

/// A mail without its headers, because IDs and dates contain digits too.
fn body(mail: &str) -> &str {
    mail.split_once("text/plain").map_or(mail, |(_, rest)| {
        rest.split_once("\n\n").map_or(rest, |(_, text)| text)
    })
}

#[test]
fn a_login_is_asked_for_the_code_that_was_mailed_and_it_works_once() {
    let machine = builder().build();
    let mail = MailServer::start(&machine, &["alice"]);
    add_mail(&machine, &mail);
    knows(&machine, &format!("email={MAIL}"));
    let mut terminal = ssh(&machine, "alice");
    let said = at_the_prompt(&mut terminal);
    assert!(
        said.contains(
            "A code was sent by e-mail to a***e@example.org. It is valid for 10 minutes."
        ),
        "{said}"
    );
    let code = mailed(&mail, 1);
    terminal.type_line(WRONG);
    terminal.expect("Wrong code. (2 tries are left)");
    at_the_prompt(&mut terminal);
    terminal.type_line(&code);
    terminal.expect(SHELL);
    // Another login, another code.
    let mut terminal = ssh(&machine, "alice");
    at_the_prompt(&mut terminal);
    terminal.type_line(&code);
    terminal.expect("Wrong code.");
    at_the_prompt(&mut terminal);
    terminal.type_line(&mailed(&mail, 2));
    terminal.expect(SHELL);
    machine.wait_for_log("why=\"by e-mail code\"");
}

#[test]
fn a_mail_says_who_asks_from_where_and_what_to_do() {
    let machine = builder()
        .command("twofa policy set application-name='Bücherei \"Nord\"'")
        .build();
    let mail = MailServer::start(&machine, &["alice"]);
    add_mail(&machine, &mail);
    knows(&machine, &format!("email={MAIL}"));
    let mut terminal = ssh(&machine, "alice");
    at_the_prompt_of(&mut terminal, "Bücherei \"Nord\"");
    let mails = mail.wait_for_mail("alice", 1);
    machine.write_file("/root/mail", &mails[0]);
    let read = "import email, email.policy; \
                m = email.message_from_binary_file(open('/root/mail', 'rb'), policy=email.policy.default); \
                print(m['subject']); print(m['from'], m['to'], m['auto-submitted']); \
                print([p.get_content_type() for p in m.walk()]); print(m.get_body(('plain',)).get_content())";
    let shown = machine
        .run(&format!("python3 -c {}", quoted(read)))
        .ok()
        .stdout;
    for part in [
        "Bücherei \"Nord\"",
        "it@example.org",
        "alice@example.org auto-generated",
        "['multipart/alternative', 'text/plain', 'text/html']",
        "alice",
        "127.0.0.1",
        "sshd",
        "10 minutes",
    ] {
        assert!(shown.contains(part), "no {part} in\n{shown}");
    }
    assert!(!shown.contains("http"), "{shown}");
}

fn at_the_prompt_of(terminal: &mut Terminal, application: &str) {
    terminal.expect(&format!("Verification code for {application}"));
    terminal.expect(": ");
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[test]
fn r_sends_another_code_and_invalidates_the_previous_one() {
    let machine = builder().build();
    let mail = MailServer::start(&machine, &["alice"]);
    add_mail(&machine, &mail);
    knows(&machine, &format!("email={MAIL}"));
    let mut terminal = ssh(&machine, "alice");
    at_the_prompt(&mut terminal);
    let first = mailed(&mail, 1);
    terminal.type_line("r");
    at_the_prompt(&mut terminal);
    let second = mailed(&mail, 2);
    assert_ne!(first, second);
    terminal.type_line(&first);
    terminal.expect("Wrong code.");
    at_the_prompt(&mut terminal);
    terminal.type_line(&second);
    terminal.expect(SHELL);
}

#[test]
fn another_code_is_not_sent_at_once() {
    let machine = builder()
        .command("twofa policy set resend.cooldown=30s")
        .build();
    let mail = MailServer::start(&machine, &["alice"]);
    add_mail(&machine, &mail);
    knows(&machine, &format!("email={MAIL}"));
    let mut terminal = ssh(&machine, "alice");
    at_the_prompt(&mut terminal);
    terminal.type_line("r");
    terminal.expect("A code is already on its way. Another one can be sent in ");
    at_the_prompt(&mut terminal);
    terminal.type_line(&mailed(&mail, 1));
    terminal.expect(SHELL);
    assert_eq!(mail.mails("alice").len(), 1);
}

#[test]
fn a_template_that_is_changed_is_in_the_next_mail() {
    let machine = builder().build();
    let mail = MailServer::start(&machine, &["alice"]);
    add_mail(&machine, &mail);
    knows(&machine, &format!("email={MAIL}"));
    at_the_prompt(&mut ssh(&machine, "alice"));
    mail.wait_for_mail("alice", 1);
    machine.run("mkdir -p /etc/twofa/templates").ok();
    machine.write_file(
        "/etc/twofa/templates/code.subject",
        "Login to {{ application }}\n",
    );
    at_the_prompt(&mut ssh(&machine, "alice"));
    let mails = mail.wait_for_mail("alice", 2);
    assert!(
        mails
            .iter()
            .any(|mail| mail.contains("Subject: Login to vm")),
        "{mails:?}"
    );
}

#[test]
fn what_the_policy_no_longer_allows_is_not_removed_without_a_code() {
    let machine = builder().build();
    let mail = MailServer::start(&machine, &["alice"]);
    add_mail(&machine, &mail);
    let phone = machine.enrol("alice");
    machine
        .run("twofa policy set methods=email,backup --yes")
        .ok();
    let refused = machine.run_as("alice", "twofa remove app").fails();
    assert!(
        refused.stderr.contains("no longer allows the method"),
        "{refused:?}"
    );
    let status = machine.run("twofa status --user alice --json").ok().stdout;
    assert!(status.contains("\"label\""), "{status}");
    drop(phone);
}

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
fn m_offers_the_other_methods() {
    let machine = builder().build();
    let (mail, sms) = (
        MailServer::start(&machine, &["alice"]),
        SmsProvider::start(&machine, 8080),
    );
    add_mail(&machine, &mail);
    add_sms(&machine, &sms);
    let phone = machine.enrol("alice");
    knows(&machine, &format!("phone={PHONE} email={MAIL}"));
    let mut terminal = ssh(&machine, "alice");
    at_the_prompt(&mut terminal);
    terminal.type_line("m");
    terminal.expect("3  a code by text message to **** 3456");
    terminal.expect(": ");
    terminal.type_line("3");
    at_the_prompt(&mut terminal);
    sms.wait_for(1);
    // Any valid code will do, whatever was sent.
    terminal.type_line(&phone.next_code());
    terminal.expect(SHELL);
    assert!(mail.mails("alice").is_empty());
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

#[test]
fn while_one_login_waits_for_a_server_that_hangs_another_passes_at_once_and_the_first_is_asked_in_time()
 {
    let machine = builder().user("bob").build();
    let _hanging = HangingServer::start(&machine, 2525);
    let add = "twofa provider add hanging smtp host=localhost port=2525 from=it@example.org tls=none --no-test";
    machine.run(add).ok();
    knows(&machine, &format!("email={MAIL}"));
    let phone = machine.enrol("bob");
    let mut alice = ssh(&machine, "alice").timeout(Duration::from_secs(30));
    // A condition, not a length of time: her code is on its way once the server has a connection.
    machine.wait_until("ss -Htn state established 'dport = :2525' | grep -q .");
    let begun = Instant::now();
    // A backup code, because that need not wait for the clock.
    let mut bob = ssh(&machine, "bob");
    at_the_prompt(&mut bob);
    bob.type_line(&phone.backup_codes[0]);
    bob.expect("bob@vm:~$ ");
    assert!(
        !alice.screen().contains("could not be sent"),
        "bob is in while alice still waits"
    );

    alice.expect("The e-mail with your code could not be sent.");
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
    assert!(!alice.expect_end().success());
    machine.wait_for_log("no code could be sent and there is no other method");
}

#[test]
fn a_provider_that_hangs_or_refuses_stops_no_code_while_there_is_another() {
    let machine = builder().build();
    let mail = MailServer::start(&machine, &["alice"]);
    let _hanging = HangingServer::start(&machine, 2525);
    machine
        .run(
            "twofa provider add hanging smtp host=localhost port=2525 from=it@example.org tls=none --no-test",
        )
        .ok();
    // Nobody listens there.
    machine
        .run("twofa provider add dead smtp host=localhost port=2526 from=it@example.org tls=none --no-test")
        .ok();
    add_mail(&machine, &mail);
    knows(&machine, &format!("email={MAIL}"));
    for n in 1..=2 {
        let begun = Instant::now();
        let mut terminal = ssh(&machine, "alice").timeout(Duration::from_secs(30));
        at_the_prompt(&mut terminal);
        assert!(
            begun.elapsed() < Duration::from_secs(18),
            "{:?}",
            begun.elapsed()
        );
        terminal.type_line(&mailed(&mail, n));
        terminal.expect(SHELL);
    }
    let log = machine.run("twofa log --user alice").ok().stdout;
    assert!(log.contains("by 'mail'"), "{log}");
}

#[test]
fn with_every_provider_down_a_backup_code_still_gets_in() {
    let machine = builder().build();
    let mut mail = MailServer::start(&machine, &["alice"]);
    add_mail(&machine, &mail);
    let phone = machine.enrol("alice");
    knows(&machine, &format!("email={MAIL} prefer=email"));
    mail.stop();
    let mut terminal = ssh(&machine, "alice");
    terminal.expect("The e-mail with your code could not be sent.");
    terminal.expect(": ");
    terminal.type_line(&phone.backup_codes[0]);
    terminal.expect(SHELL);
}

#[test]
fn without_a_broker_a_code_is_mailed_as_well_and_so_is_the_notice() {
    let machine = builder().without_broker().build();
    let mail = MailServer::start(&machine, &["alice"]);
    add_mail(&machine, &mail);
    let phone = machine.enrol("alice");
    knows(&machine, &format!("email={MAIL} prefer=email"));
    let mut terminal = ssh(&machine, "alice");
    at_the_prompt(&mut terminal);
    mailed(&mail, 1);
    terminal.type_line(&phone.backup_codes[0]);
    terminal.expect(SHELL);
    let mails = mail.wait_for_mail("alice", 2);
    assert!(
        mails
            .iter()
            .any(|mail| mail.contains("A backup code was used to log in.")),
        "{mails:?}"
    );
}

#[test]
fn the_limit_on_codes_holds_over_logins_and_says_when_the_next_is_possible() {
    let machine = builder()
        .command("twofa policy set send.user-hourly=1")
        .build();
    let mail = MailServer::start(&machine, &["alice"]);
    add_mail(&machine, &mail);
    let phone = machine.enrol("alice");
    knows(&machine, &format!("email={MAIL} prefer=email"));
    let mut terminal = ssh(&machine, "alice");
    at_the_prompt(&mut terminal);
    terminal.type_line("r");
    terminal.expect("Too many codes have been sent to you. The next can be sent at ");
    terminal.expect(": ");
    terminal.type_line(&phone.next_code());
    terminal.expect(SHELL);
    assert_eq!(mail.mails("alice").len(), 1);
}

#[test]
fn no_code_key_or_password_is_in_anything_that_the_machine_wrote() {
    let machine = builder().build();
    let (mail, sms) = (
        MailServer::start(&machine, &["alice"]),
        SmsProvider::start(&machine, 8080),
    );
    add_mail(&machine, &mail);
    add_sms(&machine, &sms);
    let phone = machine.enrol("alice");
    knows(
        &machine,
        &format!("phone={PHONE} email={MAIL} prefer=email"),
    );
    let mut secrets = vec![
        mail.password().to_owned(),
        sms.token().to_owned(),
        phone.key.clone(),
    ];
    secrets.extend(phone.backup_codes.iter().cloned());
    let mut terminal = ssh(&machine, "alice");
    at_the_prompt(&mut terminal);
    let code = mailed(&mail, 1);
    terminal.type_line("m");
    terminal.expect("Type a number");
    terminal.expect(": ");
    terminal.type_line("3");
    at_the_prompt(&mut terminal);
    let message = sms.wait_for(1);
    secrets.push(code.clone());
    secrets.push(code_in(message.split('\t').nth(1).unwrap()));
    terminal.type_line(secrets.last().unwrap());
    terminal.expect(SHELL);
    let mut terminal = ssh(&machine, "alice");
    at_the_prompt(&mut terminal);
    terminal.type_line(&phone.backup_codes[0]);
    terminal.expect(SHELL);
    mail.wait_for_mail("alice", 3);
    drop(terminal);

    // Everything except what the two providers store by design, and the stack of this machine's own tools.
    let patterns: Vec<_> = secrets
        .iter()
        .map(|secret| format!("-e {}", quoted(secret)))
        .collect();
    let found = machine.run(&format!(
        "grep -raF {} /var/log /var/lib/twofa /etc/twofa /run /tmp /var/tmp /var/spool /root /home 2>/dev/null",
        patterns.join(" ")
    ));
    assert_eq!(found.stdout, "", "{found:?}");
    let audit = machine.run("twofa log --json").ok().stdout;
    assert!(!audit.is_empty() && !machine.log().is_empty());
    for text in [machine.log(), machine.broker_log(), audit] {
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "{text}");
        }
    }
}
