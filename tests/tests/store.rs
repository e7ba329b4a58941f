//! A store that is missing, unreadable, exposed, read-only, corrupt or on a full disk: always a refusal that is explained
//! in the log and to the user, never a login, and never a lost enrolment.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use twofa_e2e::{Authenticator, Builder, Machine};

const STACK: &str = "auth requisite pam_fprintd.so\nauth required pam_twofa.so\n";
const LOGIN: &str = "pamtester testapp alice authenticate";
const STORE: &str = "/var/lib/twofa/twofa.db";

/// Who serves the login: the broker that was running when the store broke, or one started later.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Broker {
    Running,
    Restarted,
    Spawned,
}

const ALL: [Broker; 3] = [Broker::Running, Broker::Restarted, Broker::Spawned];
const FRESH: [Broker; 2] = [Broker::Restarted, Broker::Spawned];

fn builder() -> Builder {
    Machine::new()
        .policy("optional")
        .user("alice")
        .pam("testapp", STACK)
}

/// Breaks the store, checks that each of `brokers` refuses a login with a right code and logs `why`, repairs the store,
/// and logs in.
fn refuses_until_repaired(
    machine: &Machine,
    phone: &Authenticator,
    brokers: &[Broker],
    harm: &str,
    why: &str,
    repair: &str,
) {
    for (broker, backup_code) in brokers.iter().zip(&phone.backup_codes) {
        if *broker == Broker::Running {
            machine.run(harm).ok();
        } else {
            machine.broker().terminate();
            machine.run(harm).ok();
            if *broker == Broker::Restarted {
                machine.start_broker();
            }
        }

        let mut terminal = machine.terminal(&format!("echo {} | {LOGIN}", phone.code()));
        let status = terminal.expect_end();
        assert!(!status.success(), "{broker:?}: {}", terminal.screen());
        assert!(
            terminal
                .screen()
                .contains("The second factor cannot be checked now"),
            "{broker:?}: {}",
            terminal.screen()
        );
        // A broker that the module started logs it too; both lines arrive before this one.
        machine
            .run(&format!("logger '{broker:?} has refused'"))
            .ok();
        machine.wait_for_log(&format!("{broker:?} has refused"));
        let log = machine.log();
        let by_the_module =
            |line: &str| line.contains("pam_twofa(testapp:auth)") && line.contains(why);
        assert!(log.lines().any(by_the_module), "{broker:?}: {log}");

        machine.run(repair).ok();
        if *broker != Broker::Spawned {
            machine.broker().restart();
        }
        let mut terminal = machine.terminal(LOGIN);
        terminal.expect("Verification code");
        terminal.type_line(backup_code);
        terminal.expect("successfully authenticated");
        terminal.expect_end();
        if *broker == Broker::Spawned {
            machine.start_broker();
        }
    }
}

fn enrolled() -> (Machine, Authenticator) {
    let machine = builder().build();
    let phone = machine.enrol("alice");
    (machine, phone)
}

#[test]
fn a_missing_store_refuses() {
    let (machine, phone) = enrolled();
    let (away, back) = (
        "mv /var/lib/twofa /var/lib/away",
        "mv /var/lib/away /var/lib/twofa",
    );
    refuses_until_repaired(&machine, &phone, &ALL, away, "twofa.db is missing", back);
}

#[test]
fn a_missing_database_beside_its_key_refuses_and_is_not_recreated() {
    let (machine, phone) = enrolled();
    machine.broker().terminate();
    let (away, back) = (
        format!("mv {STORE} /root/away"),
        format!("mv /root/away {STORE}"),
    );
    machine.start_broker();
    refuses_until_repaired(
        &machine,
        &phone,
        &FRESH,
        &away,
        "exists without /var/lib/twofa/twofa.db",
        &back,
    );
    machine.broker().terminate();
    machine.run(&away).ok();
    let refused = machine.run("/usr/sbin/twofad --prepare").fails();
    assert!(
        refused
            .stderr
            .contains("refusing to create a new store over it"),
        "{refused}"
    );
}

#[test]
fn a_missing_key_refuses() {
    let (machine, phone) = enrolled();
    let (away, back) = (
        "mv /etc/twofa/secret.key /root/key",
        "mv /root/key /etc/twofa/secret.key",
    );
    refuses_until_repaired(
        &machine,
        &phone,
        &FRESH,
        away,
        "exists without /etc/twofa/secret.key",
        back,
    );
}

#[test]
fn another_key_refuses() {
    let (machine, phone) = enrolled();
    let swap =
        "cp -p /etc/twofa/secret.key /root/key && head -c 32 /dev/urandom >/etc/twofa/secret.key";
    let back = "cp -p /root/key /etc/twofa/secret.key";
    refuses_until_repaired(
        &machine,
        &phone,
        &FRESH,
        swap,
        "a sealed key does not open",
        back,
    );
}

#[test]
fn a_key_that_others_can_read_refuses() {
    let (machine, phone) = enrolled();
    let (harm, repair) = (
        "chmod o+r /etc/twofa/secret.key",
        "chmod o= /etc/twofa/secret.key",
    );
    refuses_until_repaired(&machine, &phone, &FRESH, harm, "others can read", repair);
}

#[test]
fn an_unreadable_store_refuses() {
    let (machine, phone) = enrolled();
    let harm = format!("chown root:root {STORE} && chmod 600 {STORE}");
    let repair = format!("chown twofa:twofa {STORE}");
    refuses_until_repaired(
        &machine,
        &phone,
        &FRESH,
        &harm,
        "pam_twofa(testapp:auth)",
        &repair,
    );
}

#[test]
fn a_store_that_others_can_read_refuses() {
    let (machine, phone) = enrolled();
    let (harm, repair) = (format!("chmod o+r {STORE}"), format!("chmod o= {STORE}"));
    refuses_until_repaired(&machine, &phone, &ALL, &harm, "others can read", &repair);
}

#[test]
fn a_corrupt_store_refuses() {
    let (machine, phone) = enrolled();
    let harm = format!(
        "cp -p {STORE} /root/good && cp -p {STORE}-wal /root/good-wal 2>/dev/null; \
         dd if=/dev/urandom of={STORE} bs=1024 count=44 conv=notrunc status=none"
    );
    let repair = format!("cp -p /root/good {STORE}");
    refuses_until_repaired(
        &machine,
        &phone,
        &FRESH,
        &harm,
        "the store is damaged",
        &repair,
    );
}

#[test]
fn a_truncated_store_refuses() {
    let (machine, phone) = enrolled();
    let harm = format!("cp -p {STORE} /root/good && truncate -s 8192 {STORE}");
    let repair = format!("cp -p /root/good {STORE}");
    refuses_until_repaired(
        &machine,
        &phone,
        &FRESH,
        &harm,
        "the store is damaged",
        &repair,
    );
}

#[test]
fn an_emptied_store_refuses() {
    let (machine, phone) = enrolled();
    let harm = format!("cp -p {STORE} /root/good && truncate -s 0 {STORE}");
    let repair = format!("cp -p /root/good {STORE}");
    refuses_until_repaired(
        &machine,
        &phone,
        &FRESH,
        &harm,
        "pam_twofa(testapp:auth)",
        &repair,
    );
}

#[test]
fn a_read_only_store_refuses() {
    let machine = builder().tiny_disk("/var/lib/twofa", "4M").build();
    let phone = machine.enrol("alice");
    let (harm, repair) = (
        "mount -o remount,ro /var/lib/twofa",
        "mount -o remount,rw /var/lib/twofa",
    );
    refuses_until_repaired(
        &machine,
        &phone,
        &FRESH,
        harm,
        "pam_twofa(testapp:auth)",
        repair,
    );
}

#[test]
fn a_full_disk_refuses() {
    let machine = builder().tiny_disk("/var/lib/twofa", "1M").build();
    let phone = machine.enrol("alice");
    // The store's log is written from its beginning again after a checkpoint, so what is left of it is filled too, with
    // changes that change nothing. Ending without a close leaves the log as it is.
    let fill = format!(
        "dd if=/dev/zero of=/var/lib/twofa/ballast bs=4k status=none
python3 -c \"
import os, sqlite3
try:
    store = sqlite3.connect('{STORE}', isolation_level=None)
    for attempt in range(100):
        store.execute('begin')
        store.execute('update event set at = at + 1')
        store.execute('update event set at = at - 1')
        store.execute('commit')
except sqlite3.OperationalError:
    os._exit(0)
\""
    );
    refuses_until_repaired(
        &machine,
        &phone,
        &ALL,
        &fill,
        "pam_twofa(testapp:auth)",
        "rm -f /var/lib/twofa/ballast",
    );
    let line = machine.log();
    assert!(line.contains("the disk with the store is full"), "{line}");
}

#[test]
fn a_broken_policy_refuses_until_it_is_corrected() {
    let (machine, phone) = enrolled();
    let sql = |value: &str| {
        format!(
            "python3 -c \"import sqlite3; d=sqlite3.connect('{STORE}'); d.execute(\\\"update setting set value='{value}' where key='mode'\\\"); d.commit()\""
        )
    };
    let harm = sql("of course");
    refuses_until_repaired(
        &machine,
        &phone,
        &ALL,
        &harm,
        "the stored policy is broken",
        "twofa policy set mode=mandatory",
    );
}

/// The commands in `twofa-admin(7)` behind the mark `test: NAME`.
fn commands(name: &str) -> String {
    let manual = include_str!("../../man/twofa-admin.7");
    let block = manual.split(&format!(".\\\" test: {name}\n.EX\n")).nth(1);
    let block = block.unwrap().split(".EE").next().unwrap();
    format!("set -e\n{}", block.replace("\\-", "-"))
}

#[test]
fn a_live_store_is_backed_up_and_restored_with_the_commands_of_the_manual() {
    let machine = builder()
        // The machine has no systemd: the test stops and starts the broker.
        .file("/usr/local/bin/systemctl", "#!/bin/sh\n")
        .command("chmod +x /usr/local/bin/systemctl")
        .build();
    let phone = machine.enrol("alice");
    machine.run(&commands("backup")).ok();
    let strange = "find /var/lib/twofa ! -user twofa";
    assert_eq!(machine.run(strange).ok().stdout, "");
    machine.run("twofa user reset alice").ok();

    machine.broker().terminate();
    machine.run(&commands("restore")).ok();
    machine.start_broker();
    let code = &phone.backup_codes[0];
    machine.run(&format!("echo {code} | {LOGIN}")).ok();
}
