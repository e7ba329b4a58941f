//! The log proves what was changed in it: through real logins, the system log, and an intruder who writes to the database.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use twofa_e2e::{Authenticator, Machine, Output};

const STACK: &str =
    "auth requisite pam_fprintd.so\nauth required pam_twofa.so\naccount required pam_permit.so\n";
const LOGIN: &str = "pamtester testapp alice authenticate acct_mgmt";

fn machine() -> (Machine, Authenticator) {
    let machine = Machine::new()
        .policy("optional")
        .user("alice")
        .pam("testapp", STACK)
        .build();
    let phone = machine.enrol("alice");
    (machine, phone)
}

fn log_in(machine: &Machine, code: &str) {
    machine.run(&format!("echo {code} | {LOGIN}")).ok();
}

/// Runs `sql` as an intruder who can write to the database but has no key.
fn tamper(machine: &Machine, sql: &str) {
    machine.write_file("/root/tamper.sql", sql);
    let python = "import sqlite3; db = sqlite3.connect('/var/lib/twofa/twofa.db'); \
                  db.executescript(open('/root/tamper.sql').read()); db.commit()";
    machine.run(&format!("python3 -c \"{python}\"")).ok();
}

fn verify_with_anchors(machine: &Machine) -> Output {
    machine.run_with_input("twofa log verify --anchors -", &machine.log())
}

#[test]
fn a_login_is_in_a_checkpoint_whose_anchor_is_in_the_system_log() {
    let (machine, phone) = machine();
    log_in(&machine, &phone.next_code());
    machine.broker().terminate();
    let line = machine.wait_for_log("event=\"log-checkpoint\"");
    assert!(line.starts_with("<86>twofad["), "authpriv.info: {line}");

    let whole = verify_with_anchors(&machine).ok().stdout;
    assert!(
        whole.contains("Events that are what was logged: ")
            && whole.contains("Anchors that agree: "),
        "{whole}"
    );
    machine.run("twofa log verify").ok();

    tamper(
        &machine,
        "UPDATE event SET remote_host = '198.51.100.1' WHERE kind = 'passed'",
    );
    let altered = verify_with_anchors(&machine).fails();
    assert_eq!(altered.code(), 1, "{altered}");
    assert!(altered.stdout.contains("altered: event "), "{altered}");
    let json = machine.run("twofa --json log verify").fails().stdout;
    assert!(
        json.contains("\"whole\": false") && json.contains("altered: event"),
        "{json}"
    );
}

#[test]
fn what_is_deleted_cut_off_or_put_back_is_named() {
    let (machine, phone) = machine();
    log_in(&machine, &phone.next_code());
    machine.broker().terminate();
    machine.run("cp -a /var/lib/twofa /root/older").ok();
    machine.start_broker();
    log_in(&machine, &phone.backup_codes[0]);
    machine.broker().terminate();
    machine.run("cp -a /var/lib/twofa /root/newest").ok();
    verify_with_anchors(&machine).ok();

    let put_back = |folder: &str| {
        let command = format!("rm -r /var/lib/twofa && cp -a /root/{folder} /var/lib/twofa");
        machine.run(&command).ok();
    };
    put_back("older");
    let older = verify_with_anchors(&machine).fails().stdout;
    assert!(
        older.contains("cut since anchor") && older.contains("not here: the system log has event"),
        "{older}"
    );
    machine.run("twofa log verify").ok();

    put_back("newest");
    let cut = "DELETE FROM event WHERE id = (SELECT max(id) FROM event)";
    tamper(&machine, cut);
    let cut = machine.run("twofa log verify").fails().stdout;
    assert!(
        cut.contains("missing: event") && cut.contains("cut: the log ends"),
        "{cut}"
    );

    put_back("newest");
    tamper(&machine, "DELETE FROM event WHERE id = 2");
    let missing = machine.run("twofa log verify").fails().stdout;
    assert!(missing.contains("missing: event 2"), "{missing}");

    put_back("newest");
    tamper(
        &machine,
        "INSERT INTO event (at, kind, actor) VALUES (1, 'passed', 0)",
    );
    let inserted = machine.run("twofa log verify").fails().stdout;
    assert!(
        inserted.contains("inserted: event") && inserted.contains("was never logged"),
        "{inserted}"
    );
}

/// What a power failure leaves: the store as it was at the last commit that waited for the disk.
#[test]
fn a_tail_that_a_power_failure_took_is_named_by_the_system_log() {
    let stack = STACK.replace(
        "account required",
        "account required pam_twofa.so\naccount required",
    );
    let machine = Machine::new()
        .policy("optional")
        .user("alice")
        .pam("testapp", &stack)
        .build();
    let phone = machine.enrol("alice");
    machine
        .run("twofa policy set trust.remote=30d trust.address=12h")
        .ok();
    let log_in = |answer: &str| {
        let command = "pamtester -I rhost=192.0.2.7 testapp alice authenticate acct_mgmt";
        let output = machine.run_with_input(command, &format!("{answer}\n"));
        assert!(output.status.success(), "{output}\n{}", machine.log());
    };
    log_in(&format!("{}+", phone.next_code()));
    machine.run("twofa user require alice").ok();
    machine.run("cp -a /var/lib/twofa /root/on-disk").ok();
    log_in("");
    let lost = machine.wait_for_log("method=\"trusted-device\"");
    assert!(lost.ends_with(":unsynced\""), "{lost}");
    verify_with_anchors(&machine).ok();
    machine.broker().kill();
    machine
        .run("rm -r /var/lib/twofa && mv /root/on-disk /var/lib/twofa")
        .ok();

    let found = verify_with_anchors(&machine).fails().stdout;
    assert!(
        found.starts_with("lost: the system log has event"),
        "{found}"
    );
    assert!(
        !found.contains("not here") && !found.contains("cut"),
        "{found}"
    );
    machine.run("twofa log verify").ok();
    // Their numbers are given again.
    machine.start_broker();
    machine.run("twofa user release alice").ok();
    machine.run("twofa user require alice").ok();
    let later = verify_with_anchors(&machine).fails().stdout;
    assert!(
        later.starts_with("lost: the system log has event"),
        "{later}"
    );
}

#[test]
fn root_who_writes_everything_again_is_found_with_the_key_that_was_kept_elsewhere() {
    let (machine, phone) = machine();
    let shown = machine.run("twofa log make-key").ok().stdout;
    let key = shown
        .lines()
        .find(|line| line.contains('/'))
        .unwrap()
        .trim()
        .to_owned();
    machine.run("twofa log make-key").fails();
    let mode = machine
        .run("stat -c '%a %U' /var/lib/twofa/journal.key")
        .ok()
        .stdout;
    assert_eq!(mode.trim(), "600 twofa");

    log_in(&machine, &phone.next_code());
    machine.broker().terminate();
    let verify = || machine.run_with_input("twofa log verify --key", &key);
    let whole = verify().ok().stdout;
    assert!(whole.contains("Seals that are right: "), "{whole}");

    // With the keys of the store, and of now, the last checkpoint is recomputed without the login.
    tamper(
        &machine,
        "DELETE FROM checkpoint WHERE number = (SELECT max(number) FROM checkpoint);
         DELETE FROM event WHERE kind = 'passed'; UPDATE user SET passed_event = 0",
    );
    machine.start_broker();
    machine.run("twofa set verify=always --user alice").ok();
    machine.broker().terminate();
    machine.run("twofa log verify").fails();
    let forged = verify().fails().stdout;
    assert!(forged.contains("missing: checkpoint"), "{forged}");
    let mistyped = machine.run_with_input("twofa log verify --key", &key.replace('a', "b"));
    assert_eq!(mistyped.code(), 2, "{mistyped}");
}

/// The number of the last checkpoint in the store: the system log may have its line a moment later.
fn last_checkpoint(machine: &Machine) -> u64 {
    let python = "import sqlite3; db = sqlite3.connect('/var/lib/twofa/twofa.db'); \
                  print(db.execute('SELECT max(number) FROM checkpoint').fetchone()[0])";
    let said = machine.run(&format!("python3 -c \"{python}\"")).ok().stdout;
    said.trim().parse().unwrap()
}

/// As if the last event had been two minutes ago.
fn make_older(machine: &Machine) {
    let last = "(SELECT max(id) FROM event)";
    tamper(
        machine,
        &format!("UPDATE event SET at = at - 120 WHERE id = {last}"),
    );
}

#[test]
fn without_a_daemon_the_program_that_logs_the_next_event_writes_the_checkpoint_that_is_due() {
    let (machine, _) = machine();
    machine.broker().terminate();
    let before = last_checkpoint(&machine);
    machine.run("twofa user require alice").ok();
    assert_eq!(last_checkpoint(&machine), before, "not a minute old");
    make_older(&machine);
    machine.run("twofa user release alice").ok();
    assert_eq!(last_checkpoint(&machine), before + 1);

    // A broker that is started for one login has another process do it.
    machine.run("twofa user require alice").ok();
    make_older(&machine);
    machine.run(&format!("echo 000000 | {LOGIN}")).fails();
    let after = format!(":{}:", before + 2);
    machine.wait_for_log(&after);
}
