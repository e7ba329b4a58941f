//! Servers that hang or refuse, a login without a broker, and the limit on codes.

use std::time::{Duration, Instant};

use twofa_e2e::{HangingServer, MailServer, add_mail};

use super::{MAIL, SHELL, at_the_prompt, builder, knows, mailed, ssh};

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
