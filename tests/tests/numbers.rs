//! Phone numbers: where a code is sent, which numbers are allowed, and how many text messages are sent.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use twofa_e2e::{Builder, Machine, SmsProvider, Terminal, password_of, save_backup_codes};

const PHONE: &str = "+4917612345678";

fn builder(settings: &str) -> Builder {
    let settings =
        format!("twofa policy set --yes methods=sms,backup resend.cooldown=0 {settings}");
    Machine::new()
        .policy("mandatory")
        .user("alice")
        .user("bob")
        .with_sshd()
        .command(&settings)
}

fn sms(machine: &Machine) -> SmsProvider {
    let sms = SmsProvider::start(machine, 8080);
    machine
        .run_with_input(&sms.add("sms"), &format!("auth-token={}\n", sms.token()))
        .ok();
    sms
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

/// The code in a text message to `number`.
fn code_to(number: &str, message: &str) -> String {
    let (to, text) = message.split_once('\t').unwrap();
    assert_eq!(to, number, "{text}");
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let mut codes =
        words.filter(|word| word.len() == 6 && word.bytes().all(|b| b.is_ascii_digit()));
    codes
        .next()
        .unwrap_or_else(|| panic!("there is no code in {text}"))
        .to_owned()
}

#[test]
fn a_code_goes_to_the_number_of_the_country_that_was_written_and_the_prompt_shows_it() {
    let machine = builder("phone.country=US phone.countries=US,DE").build();
    let sms = sms(&machine);
    let mut terminal = ssh(&machine, "alice");
    terminal.expect("Your phone number with its country code");
    terminal.expect(": ");
    terminal.type_line("+49 176 1234567O");
    terminal.expect("'O' (U+004F) does not belong to a phone number");
    terminal.expect("Your phone number with its country code");
    terminal.expect(": ");
    terminal.type_line("\u{202a}011\u{a0}49\u{2011}176 12345678\u{202c}");
    terminal.expect("A code was sent by text message to +49 176 12345678.");
    terminal.expect("(r: new code): ");
    terminal.type_line(&code_to(PHONE, &sms.wait_for(1)));
    save_backup_codes(&mut terminal);
    terminal.expect("alice@vm:~$ ");
    for typed in [
        "+49 176 12345678",
        "0049 176 12345678",
        "011 49 176 12345678",
        "\u{202d}+49\u{2011}176\u{a0}12345678\u{202c}",
        "tel:+49-176-12345678",
        "＋４９（０）１７６\t１２３４５６７８",
    ] {
        machine
            .run(&format!("twofa user set bob phone='{typed}'"))
            .ok();
        let status = machine.run("twofa user show bob").ok().stdout;
        assert!(
            status.contains(&format!("Phone: {PHONE} (not verified)")),
            "{typed}: {status}"
        );
        machine.run("twofa user set bob phone=").ok();
    }
}

#[test]
fn a_number_of_a_country_that_is_not_named_gets_no_code_until_an_administrator_puts_it_in() {
    let machine = builder("phone.country=US").build();
    let sms = sms(&machine);
    let mut terminal = ssh(&machine, "alice");
    // Jamaica has the calling code of the United States.
    for (typed, country) in [("+86 131 2345 6789", "CN"), ("+1 876 210 1234", "JM")] {
        terminal.expect("Your phone number with its country code");
        terminal.expect(": ");
        terminal.type_line(typed);
        terminal.expect(&format!(
            "is a number from {country}, and users can enrol only numbers from US"
        ));
    }
    let refused = machine.run_as("alice", "twofa enrol sms '+86 131 2345 6789'");
    assert_eq!(refused.code(), 3, "{refused}");
    assert!(
        refused
            .stderr
            .contains("twofa user set NAME phone=+8613123456789"),
        "{refused}"
    );
    assert!(sms.sent().is_empty(), "{:?}", sms.sent());

    machine
        .run("twofa user set alice phone='+86 131 2345 6789'")
        .ok();
    let mut terminal = ssh(&machine, "alice");
    terminal.expect("A code was sent by text message to **** 6789.");
    terminal.expect("(r: new code): ");
    terminal.type_line(&code_to("+8613123456789", &sms.wait_for(1)));
    save_backup_codes(&mut terminal);
    terminal.expect("alice@vm:~$ ");
}

#[test]
fn where_no_country_is_named_the_message_says_who_can_help() {
    let machine = builder("").build();
    let sms = sms(&machine);
    let mut terminal = ssh(&machine, "alice");
    terminal.expect("Users cannot enrol phone numbers on this machine.");
    assert!(!terminal.expect_end().success());
    assert!(sms.sent().is_empty());
    let doctor = machine.run("twofa doctor").stdout;
    assert!(
        doctor.contains("users cannot enrol phone numbers themselves"),
        "{doctor}"
    );
}

#[test]
fn a_number_that_is_not_verified_gets_few_codes_and_leaves_the_others_theirs() {
    let machine = builder("phone.country=DE send.sms-daily=10").build();
    let sms = sms(&machine);
    machine
        .run(&format!("twofa user set bob phone={PHONE} --verified"))
        .ok();
    for n in 1..=2 {
        let mut terminal = machine.terminal_as("alice", "twofa enrol sms '0176 11111111'");
        terminal.expect("Your number was read as +49 176 11111111.");
        terminal.expect("(r: new code): ");
        sms.wait_for(n);
        terminal.type_line("");
    }
    // A fifth of ten is for unverified numbers.
    let refused = machine.run_as("alice", "twofa enrol sms '0176 22222222'");
    refused.clone().fails();
    assert!(
        refused
            .stderr
            .contains("to numbers that are not verified yet"),
        "{refused}"
    );
    assert_eq!(sms.sent().len(), 2);
    let mut terminal = ssh(&machine, "bob");
    terminal.expect("A code was sent by text message to **** 5678.");
    terminal.expect(": ");
    terminal.type_line(&code_to(PHONE, &sms.wait_for(3)));
    terminal.expect("bob@vm:~$ ");
}

#[test]
fn the_administrator_is_warned_that_the_text_messages_of_a_day_are_used_up() {
    let machine = builder("phone.country=DE send.sms-daily=1").build();
    let sms = sms(&machine);
    machine
        .run(&format!("twofa user set bob phone={PHONE} --verified"))
        .ok();
    let mut terminal = ssh(&machine, "bob");
    terminal.expect("A code was sent by text message");
    terminal.expect(": ");
    terminal.hang_up();
    let mut terminal = ssh(&machine, "bob");
    terminal.expect(
        "This machine has sent as many text messages as it may in a day. The next can be sent at ",
    );
    assert!(!terminal.expect_end().success());
    assert_eq!(sms.sent().len(), 1);

    let words = "send.sms-daily=1 allows no more";
    assert_eq!(
        machine.broker_log().matches(words).count(),
        1,
        "{}",
        machine.broker_log()
    );
    let log = machine.run("twofa log").ok().stdout;
    assert!(
        log.contains("sms-limit") && log.matches(words).count() == 1,
        "{log}"
    );
    let doctor = machine.run("twofa doctor");
    assert!(
        doctor.stdout.contains(&format!(
            "problem: text messages with codes in the last 24 hours: 1, and {words}"
        )),
        "{doctor}"
    );
}

#[test]
fn mail_that_is_not_allowed_and_is_sent_anyway_gets_a_warning() {
    let machine = builder("").build();
    let shown = |command: &str| machine.run(command).ok();
    let quiet = shown("twofa policy set methods=app,sms,backup");
    assert_eq!(quiet.stderr, "", "{quiet}");
    let warned = shown("twofa policy set fallback.sms-to-email=on");
    assert!(
        warned
            .stderr
            .starts_with("warning: fallback.sms-to-email is on"),
        "{warned}"
    );
    let typo = shown("twofa policy set phone.country=XX");
    assert!(typo.stderr.contains("'XX' is not a country code"), "{typo}");
}

#[test]
fn an_address_is_read_as_it_looks_and_is_one_mailbox_in_every_form() {
    let machine = builder("addresses.unique=on").build();
    for typed in [
        "a..b@docomo.ne.jp",
        "\"a..b\"@docomo.ne.jp",
        "\u{feff}a..b@docomo.ne.jp.\u{a0}",
        "mailto:a..b@docomo.ne.jp",
        "Bob <a..b@docomo.ne.jp>",
    ] {
        machine
            .run(&format!("twofa user set bob email='{typed}' --verified"))
            .ok();
        let status = machine.run("twofa user show bob").ok().stdout;
        assert!(
            status.contains("E-mail: a..b@docomo.ne.jp"),
            "{typed}: {status}"
        );
        let other = machine.run(&format!("twofa user set alice email='{typed}' --verified"));
        assert!(
            other.stderr.contains("already belongs to another user"),
            "{other}"
        );
        machine.run("twofa user set bob email=").ok();
    }
    let refused = machine.run("twofa user set bob email='bob\u{202e}@example.org'");
    assert_eq!(refused.code(), 2, "{refused}");
    let words = "U+202E (shows text backwards) does not belong there";
    assert!(refused.stderr.contains(words), "{refused}");
}
