//! Adding mail servers and SMS accounts, and enrolling the codes that they send, on the command line.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use twofa_e2e::{Listener, Machine, MailServer, Output, SmsProvider, Terminal, save_backup_codes};

fn machine() -> Machine {
    Machine::new()
        .policy("optional")
        .user("alice")
        .user("bob")
        .build()
}

fn output_of(machine: &Machine, command: &str) -> String {
    machine.run(command).ok().stdout
}

/// A command that fails with this exit code and this message on standard error.
#[track_caller]
fn refused(machine: &Machine, command: &str, code: i32, words: &str) -> Output {
    let output = machine.run(&format!("{command} </dev/null"));
    assert_eq!(output.code(), code, "{output}");
    assert!(output.stderr.contains(words), "{output}");
    output
}

/// The value that Python finds at `path` in the JSON that `command` prints.
fn json(machine: &Machine, command: &str, path: &str) -> String {
    let python = format!("python3 -c 'import json,sys; it = json.load(sys.stdin); print({path})'");
    output_of(machine, &format!("{command} --json | {python}"))
        .trim()
        .to_owned()
}

/// The command that adds the mail server under this name, without the password.
fn add(server: &MailServer<&Machine>, name: &str) -> String {
    let (ca, from) = (server.ca_file(), server.username());
    format!("twofa provider add {name} smtp host=localhost from={from} ca-file={ca}")
}

fn connect(machine: &Machine, server: &MailServer<&Machine>, name: &str) {
    let secrets = format!("password={}\n", server.password());
    machine
        .run_with_input(&format!("{} --secrets-from -", add(server, name)), &secrets)
        .ok();
}

/// The code in a mail.
fn code(mail: &str) -> String {
    let line = mail
        .lines()
        .find_map(|line| line.split_once(" is your code for "));
    let (code, _) = line.unwrap_or_else(|| panic!("no code in {mail}"));
    code.to_owned()
}

fn ends_well(mut terminal: Terminal) {
    let status = terminal.expect_end();
    assert!(status.success(), "{}", terminal.screen());
}

#[test]
fn a_mail_server_is_connected_in_two_commands_and_a_test_message_arrives() {
    let machine = machine();
    let server = MailServer::start(&machine, &["alice"]);

    let mut terminal = machine.terminal(&add(&server, "mail"));
    terminal.expect("password (The password to log in with");
    terminal.expect(": ");
    terminal.type_line(server.password());
    terminal.expect("Added 'mail'. Codes by e-mail are sent through: mail.");
    terminal.expect("Test it: twofa provider test mail --to you@example.org");
    assert!(!terminal.screen().contains(server.password()));
    ends_well(terminal);

    let tested = output_of(&machine, "twofa provider test mail --to alice@example.org");
    assert!(
        tested.contains("Connect and log in: done after "),
        "{tested}"
    );
    assert!(
        tested.contains("Send a test message to alice@example.org: done after "),
        "{tested}"
    );
    assert!(
        tested.contains("The provider accepted the message as "),
        "{tested}"
    );
    assert!(server.wait_for_mail("alice", 1)[0].contains("This is a test"));
    let id = json(
        &machine,
        "twofa provider test mail --to alice@example.org",
        "it[\"id\"]",
    );
    assert_ne!(id, "None");
}

#[test]
fn what_a_provider_cannot_do_without_is_asked_for_with_its_help() {
    let machine = machine();
    let server = MailServer::start(&machine, &[]);
    let ca = server.ca_file();
    let mut terminal = machine.terminal(&format!("twofa provider add mail smtp ca-file={ca}"));
    terminal.expect("host (The mail server's name");
    terminal.type_line("localhost");
    terminal.expect("from (The address to send from");
    terminal.type_line(server.username());
    terminal.expect("password (");
    terminal.type_line(server.password());
    terminal.expect("Added 'mail'.");
    ends_well(terminal);

    let words = "smtp needs 'host' (The mail server's name, as in its certificate), 'from' (";
    refused(&machine, "twofa provider add other smtp", 2, words);
}

#[test]
fn nothing_is_kept_of_a_provider_that_fails_and_the_step_is_named() {
    let machine = machine();
    let server = MailServer::start(&machine, &[]);
    let add = add(&server, "mail");
    let other = server.port_of(Listener::OtherName);
    machine.write_file(
        "/root/right",
        &format!("# of the mail server\npassword={}\n", server.password()),
    );
    machine.write_file("/root/wrong", "password=swordfish\n");
    for (how, words) in [
        (
            "--secrets-from /root/wrong".to_owned(),
            "'mail' failed at login: ",
        ),
        (
            format!("port={other} --secrets-from /root/right"),
            "'mail' failed at TLS: ",
        ),
        (
            "port=4711 --secrets-from /root/right".to_owned(),
            "'mail' failed at connect: ",
        ),
    ] {
        let output = refused(&machine, &format!("{add} {how}"), 1, words);
        assert!(
            output.stderr.contains("; nothing was saved") && output.stderr.contains("--no-test"),
            "{output}"
        );
        assert!(!output.stderr.contains("swordfish"), "{output}");
        assert_eq!(output_of(&machine, "twofa provider list"), "");
    }
    let untested = format!("{add} port=4711 --secrets-from /root/right --no-test");
    assert!(output_of(&machine, &untested).contains("Added 'mail'."));
    let doctor = machine.run("twofa doctor").stdout;
    assert!(
        doctor.contains("problem: provider 'mail' failed at connect: "),
        "{doctor}"
    );
    assert!(
        output_of(&machine, "twofa provider set mail --unset port")
            .contains("Changed 'mail': port.")
    );
    let doctor = machine.run("twofa doctor").stdout;
    assert!(!doctor.contains("provider 'mail'"), "{doctor}");
}

#[test]
fn a_secret_never_stands_in_a_command_line_or_a_listing() {
    let machine = machine();
    let server = MailServer::start(&machine, &[]);
    let hint = "write 'password' alone to be asked for it, or give it with --secrets-from FILE";
    let output = refused(
        &machine,
        &format!("{} password=swordfish", add(&server, "mail")),
        2,
        hint,
    );
    assert!(!output.stderr.contains("swordfish"), "{output}");
    connect(&machine, &server, "mail");
    refused(
        &machine,
        "twofa provider set mail password=swordfish",
        2,
        "'password' is secret",
    );
    refused(
        &machine,
        "twofa provider set mail password",
        2,
        "can only be asked for on a terminal",
    );

    for command in [
        "twofa provider show mail",
        "twofa provider show mail --json",
        "twofa log",
    ] {
        assert!(
            !output_of(&machine, command).contains(server.password()),
            "{command}"
        );
    }
    assert!(output_of(&machine, "twofa provider show mail").contains("password\t••••\n"));
    let shown = output_of(&machine, "twofa provider show mail --reveal");
    assert!(
        shown.contains(&format!("password\t{}\n", server.password())),
        "{shown}"
    );
    assert!(
        machine
            .run(&format!("grep -r '{}' /var/lib/twofa", server.password()))
            .code()
            == 1
    );
}

#[test]
fn a_secret_is_changed_by_a_question_and_only_if_it_works() {
    let machine = machine();
    let server = MailServer::start(&machine, &[]);
    connect(&machine, &server, "mail");
    for (password, words) in [
        ("swordfish", "; nothing was changed"),
        (server.password(), "Nothing to change"),
    ] {
        let mut terminal = machine.terminal("twofa provider set mail password");
        terminal.expect("password (");
        terminal.type_line(password);
        terminal.expect(words);
        terminal.expect_end();
        let kept = json(
            &machine,
            "twofa provider show mail --reveal",
            "it[\"settings\"][\"password\"]",
        );
        assert_eq!(kept, server.password());
    }
    assert!(
        output_of(&machine, "twofa provider set mail --title Post")
            .contains("Changed 'mail': title.")
    );
    assert!(
        output_of(&machine, "twofa provider list").contains("mail\tsmtp\temail\t1\tPost\tready\n")
    );
}

#[test]
fn the_next_provider_in_the_order_takes_over_from_one_that_fails() {
    let machine = machine();
    let server = MailServer::start(&machine, &["alice"]);
    let phones = SmsProvider::start(&machine, 8801);
    connect(&machine, &server, "mail");
    connect(&machine, &server, "relay");
    let token = format!("auth-token={}\n", phones.token());
    let added = machine
        .run_with_input(&phones.add("texts"), &token)
        .ok()
        .stdout;
    assert!(
        added.contains("Added 'texts'. Codes by text message are sent through: texts."),
        "{added}"
    );

    let order = output_of(
        &machine,
        "twofa method set email --provider relay --provider mail",
    );
    assert_eq!(
        order,
        "Codes by e-mail are sent through: relay, then mail.\n"
    );
    let methods = output_of(&machine, "twofa method list");
    assert!(
        methods.contains("email\tyes\trelay, mail\n") && methods.contains("app\tyes\t-\n"),
        "{methods}"
    );
    assert_eq!(
        json(
            &machine,
            "twofa provider list",
            "[p[\"provider\"] for p in it]"
        ),
        "['relay', 'mail', 'texts']"
    );
    no_other_order_can_be_set(&machine);
    assert_eq!(
        output_of(&machine, "twofa method set sms --none"),
        "No codes are sent by text message.\n"
    );
    assert!(
        machine
            .run("twofa doctor")
            .stdout
            .contains("notice: provider 'texts' is not used")
    );
}

fn no_other_order_can_be_set(machine: &Machine) {
    refused(
        machine,
        "twofa method set email --provider texts",
        2,
        "'texts' carries sms, not email",
    );
    refused(
        machine,
        "twofa method set sms --provider ghost",
        4,
        "there is no provider called 'ghost'",
    );
    refused(
        machine,
        "twofa method set sms --provider texts --provider texts",
        2,
        "'texts' is named twice",
    );
}

#[test]
fn what_would_take_codes_from_users_needs_confirmation() {
    let machine = machine();
    let server = MailServer::start(&machine, &["alice"]);
    connect(&machine, &server, "mail");
    output_of(
        &machine,
        "twofa user set alice email=alice@example.org --verified",
    );
    let words = "1 user gets codes by e-mail, and no provider would send them";
    refused(&machine, "twofa provider remove mail", 1, words);
    refused(&machine, "twofa method set email --none", 1, words);
    assert!(output_of(&machine, "twofa method list").contains("email\tyes\tmail\n"));

    let removed = machine
        .run("twofa provider remove mail --yes </dev/null")
        .ok();
    assert_eq!(
        removed.stdout,
        "Removed 'mail'.\nNo codes are sent by e-mail.\n"
    );
    let doctor = machine.run("twofa doctor").stdout;
    assert!(
        doctor.contains("problem: 1 user gets codes by e-mail, and no provider sends them"),
        "{doctor}"
    );
    refused(
        &machine,
        "twofa provider remove mail",
        4,
        "there is no provider called 'mail'",
    );
}

#[test]
fn a_policy_of_codes_that_no_provider_carries_gets_a_warning() {
    let machine = machine();
    let words = "class 'everyone' allows only codes by e-mail, and no provider sends them";
    refused(&machine, "twofa policy set methods=email,backup", 1, words);
    machine
        .run("twofa policy set methods=email,backup --yes")
        .ok();
    assert!(
        machine
            .run("twofa doctor")
            .stdout
            .contains(&format!("problem: {words}"))
    );
    machine
        .run("twofa policy set methods=app,email,backup </dev/null")
        .ok();

    let server = MailServer::start(&machine, &[]);
    connect(&machine, &server, "mail");
    let output = machine
        .run("twofa policy set methods=email,backup </dev/null")
        .ok();
    assert_eq!(output.stderr, "");
    refused(&machine, "twofa provider remove mail", 1, words);
}

#[test]
fn a_user_sets_up_codes_by_mail_with_the_one_that_comes() {
    let machine = machine();
    let server = MailServer::start(&machine, &["alice"]);
    connect(&machine, &server, "mail");
    let mut terminal = machine.terminal_as("alice", "twofa enrol email alice@example.org");
    let mail = server.wait_for_mail("alice", 1).remove(0);
    terminal.expect(": ");
    terminal.type_line(&code(&mail));
    save_backup_codes(&mut terminal);
    terminal.expect("Codes can be sent by e-mail to alice@example.org from now on.");
    ends_well(terminal);

    let status = output_of(&machine, "twofa user show alice");
    assert!(
        status.contains("E-mail: alice@example.org (verified)\n"),
        "{status}"
    );
    assert!(status.contains("A login asks for: email\n"), "{status}");
    assert_eq!(
        json(&machine, "twofa user show alice", "it[\"methods\"]"),
        "['email']"
    );
    let listed = output_of(&machine, "twofa user list --method email");
    assert!(
        listed.contains("alice\t") && listed.contains("\temail\t"),
        "{listed}"
    );
    assert_eq!(output_of(&machine, "twofa user list --method sms"), "");
}

#[test]
fn an_administrator_attests_addresses_and_a_user_chooses_which_comes_first() {
    let machine = machine();
    output_of(
        &machine,
        "twofa user set alice email=alice@example.org phone=+4930123456",
    );
    let status = output_of(&machine, "twofa user show alice");
    let unproved =
        "Phone: +4930123456 (not verified)\n  To verify it: twofa enrol sms --user alice\n";
    assert!(status.contains(unproved), "{status}");
    output_of(
        &machine,
        "twofa user set alice email=alice@example.org phone=+4930123456 --verified",
    );
    output_of(&machine, "twofa set --user alice prefer=sms");
    let status = output_of(&machine, "twofa user show alice");
    assert!(
        status.contains("A login asks for: sms, or email\n"),
        "{status}"
    );
    refused(
        &machine,
        "twofa user set alice verify=always --verified",
        2,
        "none is given",
    );
    let own = machine.run_as("bob", "twofa set email=bob@example.org --verified");
    assert_eq!(own.code(), 3, "{own}");
    output_of(&machine, "twofa remove sms --user alice");
    assert!(output_of(&machine, "twofa user show alice").contains("A login asks for: email\n"));
}

#[test]
fn anyone_may_read_kinds_and_data_files_and_only_root_providers() {
    let machine = machine();
    let kinds = machine.run_as("alice", "twofa provider kinds").ok().stdout;
    assert!(
        kinds.contains("smtp\temail\tA mail server (SMTP)\t-\t-\t-\n")
            && kinds.contains("twilio\tsms\tTwilio\tyes\tyes\tyes\n")
            && kinds.contains("unifonic\tsms\tUnifonic\tno\tno\tyes\n"),
        "{kinds}"
    );
    let smtp = machine
        .run_as("alice", "twofa provider kinds smtp")
        .ok()
        .stdout;
    assert!(
        smtp.contains("host\trequired\t\t") && smtp.contains("password\tsecret\t\t"),
        "{smtp}"
    );
    assert!(smtp.contains("tls\t\timplicit\t"), "{smtp}");
    refused(
        &machine,
        "twofa provider kinds carrier-pigeon",
        4,
        "there is no kind of provider",
    );
    for command in [
        "provider list",
        "provider show mail",
        "provider test mail",
        "method list",
    ] {
        let output = machine.run_as("alice", &format!("twofa {command}"));
        assert_eq!(output.code(), 3, "{output}");
    }
    machine.write_file("/root/broken.toml", "name = ");
    refused(
        &machine,
        "twofa provider check /root/broken.toml",
        1,
        "/root/broken.toml",
    );
    machine
        .run("install -D -m 644 /root/broken.toml /etc/twofa/sms.d/broken.toml")
        .ok();
    let doctor = machine.run("twofa doctor").stdout;
    assert!(
        doctor.contains("problem: a kind of provider is ignored: /etc/twofa/sms.d/broken.toml"),
        "{doctor}"
    );
}

#[test]
fn a_data_file_of_an_administrators_is_checked_and_makes_a_kind() {
    let machine = machine();
    let twilio = include_str!("../../crates/delivery/src/sms/providers/twilio.toml");
    machine.write_file(
        "/root/acme.toml",
        &twilio.replace("twilio", "acme").replace("Twilio", "Acme"),
    );
    machine
        .run("install -D -m 644 /root/acme.toml /etc/twofa/sms.d/acme.toml")
        .ok();
    let checked = machine
        .run_as("alice", "twofa provider check /etc/twofa/sms.d/acme.toml")
        .ok()
        .stdout;
    assert!(
        checked.contains("/etc/twofa/sms.d/acme.toml is valid: acme, Acme."),
        "{checked}"
    );
    assert!(
        checked.contains("The request it makes:\n\nPOST "),
        "{checked}"
    );
    assert!(
        output_of(&machine, "twofa provider kinds").contains("acme\tsms\tAcme\tyes\tyes\tyes\n")
    );
    output_of(
        &machine,
        "printf 'auth-token=x' | twofa provider add texts acme account-sid=AC1 from=+14155550100 \
                    --no-test --secrets-from -",
    );
    machine.run("rm /etc/twofa/sms.d/acme.toml").ok();
    let listed = output_of(&machine, "twofa provider list");
    assert!(
        listed.contains("texts\tacme\tsms\t1\t-\tthere is no kind of provider called 'acme'"),
        "{listed}"
    );
}

#[test]
fn a_provider_whose_secret_does_not_open_is_reported_and_can_be_removed() {
    let machine = machine();
    let server = MailServer::start(&machine, &[]);
    connect(&machine, &server, "mail");
    let tamper = "import sqlite3; db = sqlite3.connect(\"/var/lib/twofa/twofa.db\"); \
                  db.execute(\"update provider_setting set sealed = zeroblob(60) where sealed is not null\"); \
                  db.commit()";
    machine
        .run(&format!(
            "setpriv --reuid twofa --regid twofa --clear-groups python3 -c '{tamper}'"
        ))
        .ok();
    let words = "'password' of the provider 'mail' does not open";
    assert!(
        output_of(&machine, "twofa provider list")
            .contains(&format!("\nmail\t-\temail\t1\t-\t{words}"))
    );
    refused(&machine, "twofa provider show mail", 6, words);
    assert!(
        machine
            .run("twofa doctor")
            .stdout
            .contains(&format!("problem: {words}"))
    );
    assert!(output_of(&machine, "twofa provider remove mail").starts_with("Removed 'mail'."));
    connect(&machine, &server, "mail");
}

#[test]
fn the_doctor_reports_an_invalid_template() {
    let machine = machine();
    machine
        .run("mkdir -p /etc/twofa/templates; echo 'no code' >/etc/twofa/templates/code.txt")
        .ok();
    let doctor = machine.run("twofa doctor").stdout;
    assert!(
        doctor.contains("problem: /etc/twofa/templates/code.txt: it does not contain the code"),
        "{doctor}"
    );
}

#[test]
fn an_account_string_is_split_into_settings() {
    let machine = machine();
    let account = "AC0123456789abcdef0123456789abcdef;sms-token-7f3b9c;+14155550100";
    let mut terminal = machine.terminal("twofa provider add texts twilio account --no-test");
    terminal
        .expect("account (the whole account in one value, its parts separated by semicolons): ");
    terminal.type_line(account);
    terminal.expect("Added 'texts'.");
    ends_well(terminal);
    let shown = output_of(&machine, "twofa provider show texts");
    assert!(
        shown.contains("from\t+14155550100\n") && !shown.contains("7f3b9c"),
        "{shown}"
    );
    refused(
        &machine,
        &format!("twofa provider add more twilio 'account={account}'"),
        2,
        "'account' is secret",
    );
}

#[test]
fn a_provider_is_added_checked_and_used_through_a_proxy_whose_password_is_asked_for() {
    let machine = machine();
    let sms = SmsProvider::start(&machine, 8025);
    machine.write_file(
        "/root/proxy.conf",
        "Port 3128\nListen 127.0.0.1\nLogLevel Connect\nBasicAuth ann proxy-swordfish\n",
    );
    let proxy = machine.spawn("exec tinyproxy -d -c /root/proxy.conf >/root/proxy.log 2>&1");
    machine.wait_for_port(3128);

    let add = sms.add("sms").replace("--secrets-from -", "");
    let mut terminal = machine.terminal(&format!("{add} proxy=http://ann@127.0.0.1:3128"));
    terminal.expect("auth-token (");
    terminal.type_line(sms.token());
    terminal.expect("proxy-password (");
    terminal.type_line("proxy-swordfish");
    terminal.expect("Added 'sms'.");
    assert!(!terminal.screen().contains("swordfish"));
    ends_well(terminal);
    output_of(&machine, "twofa provider test sms --to '+14155550123'");
    assert_eq!(sms.sent().len(), 1);
    // One connection for the check of 'add', one for the test's check and message.
    let log = output_of(&machine, "cat /root/proxy.log");
    assert!(log.matches("http://127.0.0.1:8025/").count() >= 3, "{log}");
    for command in [
        "twofa provider show sms",
        "twofa provider show sms --json",
        "twofa log",
    ] {
        let shown = output_of(&machine, command);
        assert!(!shown.contains("swordfish"), "{shown}");
    }
    assert!(output_of(&machine, "twofa provider show sms").contains("http://ann@127.0.0.1:3128"));

    drop(proxy);
    let words = "'sms' failed at connect: the proxy 127.0.0.1:3128: ";
    refused(
        &machine,
        "twofa provider test sms --to '+14155550123'",
        1,
        words,
    );
    let doctor = machine.run("twofa doctor").stdout;
    assert!(doctor.contains(words), "{doctor}");
    let shown = "proxy=http://ann:proxy-swordfish@127.0.0.1:3128";
    let output = refused(
        &machine,
        &format!("twofa provider set sms {shown}"),
        2,
        "'proxy' must not contain the password",
    );
    assert!(!output.stderr.contains("swordfish"), "{output}");
}

#[test]
fn a_mail_server_that_refuses_the_name_of_this_machine_is_found_before_a_code_is_sent() {
    let machine = machine();
    let server = MailServer::start(&machine, &["alice"]);
    let port = server.port_of(Listener::Strict);
    let add = format!(
        "twofa provider add mail smtp host=localhost port={port} tls=none from=login@example.org"
    );
    let words = "'mail' failed at greeting: 504 5.5.2 <server01>: Helo command rejected";
    let output = refused(&machine, &format!("{add} hello=server01"), 1, words);
    assert!(output.stderr.contains("set 'hello'"), "{output}");
    // The machine's own name is as short, so that it gives its address.
    output_of(&machine, &add);
    output_of(&machine, "twofa provider test mail --to alice@example.org");
    server.wait_for_mail("alice", 1);
    output_of(&machine, "twofa provider set mail hello=server01 --no-test");
    let doctor = machine.run("twofa doctor").stdout;
    assert!(doctor.contains(words), "{doctor}");
}
