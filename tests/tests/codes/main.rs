//! Codes by e-mail and text message: sent by a real login through a real mail server, read there and typed.
//!
//! This file has the servers, and logins with a code by e-mail. [`enrolment`] verifies addresses, [`texts`] is text
//! messages and Signal, and [`outages`] servers that hang or refuse, limits, and a login without a broker.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

mod enrolment;
mod outages;
mod texts;

use twofa_e2e::{
    Builder, Machine, MailServer, SmsProvider, Terminal, add_mail, code_in, password_of,
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
