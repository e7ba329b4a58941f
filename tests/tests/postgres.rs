//! The store in a PostgreSQL database: it is moved there, people log in, and it is moved back.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use twofa_e2e::Machine;

const STACK: &str = "auth requisite pam_fprintd.so\nauth required pam_twofa.so\n";
const LOGIN: &str = "pamtester testapp alice authenticate";
/// Debian's PostgreSQL with a database for a store, behind a socket in /run/db.
const SERVER: &str = "install -d -o postgres /run/db && cd / &&
    as='setpriv --reuid=postgres --regid=postgres --clear-groups --' && bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1) &&
    $as $bin/initdb --auth=trust --no-sync --locale=C --encoding=UTF8 --username=postgres /run/db/data >/dev/null &&
    $as $bin/pg_ctl -D /run/db/data -o '-k /run/db -c listen_addresses=' -l /run/db/log -w start >/dev/null &&
    $bin/createdb -h /run/db -U postgres twofa";
const MOVE: &str = "twofa store move --to 'postgres://twofa_owner@%2Frun%2Fdb/twofa'";
const PSQL: &str = "psql -v ON_ERROR_STOP=1 -h /run/db -U postgres twofa -Atq";
const ROLES: &str = include_str!("../../packaging/postgresql/roles.sql");

/// The commands in `twofa-fleet(7)` behind the mark `test: NAME`, for that database.
fn commands(name: &str) -> String {
    let manual = include_str!("../../man/twofa-fleet.7");
    let block = manual.split(&format!(".\\\" test: {name}\n.EX\n")).nth(1);
    let block = block.unwrap().split(".EE").next().unwrap();
    let commands = block.replace("\\-", "-");
    format!("set -e\nexport PGHOST=/run/db PGUSER=postgres\ncd /\n{commands}")
}

/// Has the servers log in to the database as this role.
fn become_role(machine: &Machine, role: &str) {
    let change = format!("sed -i s,//.*@,//{role}@, /etc/twofa/database");
    machine.run(&change).ok();
}

fn log_in(machine: &Machine, code: &str) {
    let mut terminal = machine.terminal(LOGIN);
    terminal.expect("Verification code");
    terminal.type_line(code);
    terminal.expect("successfully authenticated");
    terminal.expect_end();
}

#[test]
fn people_log_in_from_a_store_on_postgresql_and_after_it_was_moved_back() {
    let machine = Machine::new()
        .policy("optional")
        .user("alice")
        .pam("testapp", STACK)
        .build();
    let phone = machine.enrol("alice");
    machine.run(SERVER).ok();
    machine.run_with_input(PSQL, ROLES).ok();
    let moved = machine.run(MOVE).ok().stdout;
    assert!(moved.contains("1 users"), "{moved}");
    machine.run_with_input(PSQL, ROLES).ok();
    become_role(&machine, "twofa");
    machine.broker().restart();

    // The code that enrolled may be that of this moment.
    let code = phone.next_code();
    log_in(&machine, &code);
    let mut terminal = machine.terminal(&format!("echo {code} | {LOGIN}"));
    assert!(!terminal.expect_end().success(), "a code works once");
    let used = machine.run(&format!(
        "{PSQL} -c 'SELECT count(*) FROM app WHERE used > 0'"
    ));
    assert_eq!(used.ok().stdout.trim(), "1");
    let log = machine.run("twofa log --user alice").ok().stdout;
    assert!(log.contains("passed"), "{log}");
    machine.run("twofa log verify").ok();
    // A login for which the module starts a broker.
    machine.broker().terminate();
    log_in(&machine, &phone.backup_codes[0]);
    let role = PSQL.replace("-U postgres", "-U twofa");
    for sql in [
        "DELETE FROM event",
        "UPDATE event SET kind = ''",
        "DROP TABLE event",
    ] {
        let refused = machine.run(&format!("{role} -c \"{sql}\"")).fails().stderr;
        assert!(
            refused.contains("permission denied") || refused.contains("must be owner"),
            "{refused}"
        );
    }
    machine.start_broker();
    fill_its_disk(&machine, &phone.backup_codes[1]);
    log_in(&machine, &phone.backup_codes[1]);
    machine.run("twofa log verify").ok();

    machine.broker().terminate();
    become_role(&machine, "twofa_owner");
    machine.run("twofa store move --to-file").ok();
    machine.start_broker();
    log_in(&machine, &phone.backup_codes[2]);
    machine.run("twofa log verify").ok();
    let closed = machine.run(MOVE).fails().stderr;
    assert!(closed.contains("there is a store in it"), "{closed}");
}

/// While the disk of the database is full, nobody gets in, and the log says why. Then it has room again.
fn fill_its_disk(machine: &Machine, code: &str) {
    machine
        .run("mkdir /run/small && mount -t tmpfs -o size=1m small /run/small && chown postgres /run/small")
        .ok();
    // Of a table without a page, each row needs one.
    for sql in [
        "CREATE TABLESPACE small LOCATION '/run/small'",
        "ALTER TABLE new_event SET TABLESPACE small",
        "TRUNCATE new_event",
    ] {
        machine.run(&format!("{PSQL} -c \"{sql}\"")).ok();
    }
    machine.run("head -c 2M /dev/zero >/run/small/fill").fails();
    let mut terminal = machine.terminal(LOGIN);
    terminal.expect("Verification code");
    terminal.type_line(code);
    assert!(!terminal.expect_end().success());
    machine.wait_for_log("the disk with the store is full");
    machine.run("rm /run/small/fill").ok();
}

#[test]
fn a_database_that_was_restored_from_a_dump_serves_nobody_until_it_is_resumed_and_then_no_used_code()
 {
    let machine = Machine::new()
        .policy("optional")
        .user("alice")
        .pam("testapp", STACK)
        // The machine has no systemd. The broker goes on during the restore, which is worse than what the manual says.
        .file("/usr/local/bin/systemctl", "#!/bin/sh\n")
        .command("chmod +x /usr/local/bin/systemctl")
        .build();
    let phone = machine.enrol("alice");
    machine.run(SERVER).ok();
    machine.run_with_input(PSQL, ROLES).ok();
    machine.run(MOVE).ok();
    machine.broker().restart();
    machine.run(&commands("backup")).ok();
    let code = phone.next_code();
    log_in(&machine, &code);
    // The server has given the database a mark since.
    machine
        .run("seen=$(cat /var/lib/twofa/fleet-mark); while [ \"$seen\" = \"$(cat /var/lib/twofa/fleet-mark)\" ]; do sleep 0.1; done")
        .ok();
    machine.run(&commands("restore")).ok();

    let mut terminal = machine.terminal(LOGIN);
    terminal.expect("cannot be checked");
    assert!(!terminal.expect_end().success());
    machine.wait_for_log("the database has gone back");
    // Without the daemon as well.
    machine.broker().terminate();
    let mut terminal = machine.terminal(LOGIN);
    assert!(!terminal.expect_end().success());
    let listed = machine.run("twofa user list").fails().stderr;
    assert!(listed.contains("twofa fleet resume"), "{listed}");

    let asked = machine.run("twofa fleet resume").fails().stderr;
    for part in [
        "what was written in between is lost",
        "backup codes",
        "alice",
        "--yes",
    ] {
        assert!(asked.contains(part), "{part}: {asked}");
    }
    machine.run("twofa fleet resume --yes").ok();
    let again = machine.run("twofa fleet resume").ok().stdout;
    assert!(again.contains("nothing to resume"), "{again}");
    machine.start_broker();
    let mut terminal = machine.terminal(LOGIN);
    terminal.expect("Verification code");
    terminal.type_line(&code);
    terminal.expect("used");
    drop(terminal);
    log_in(&machine, &phone.backup_codes[0]);
    let log = machine.run("twofa log").ok().stdout;
    assert!(log.contains("fleet-resumed"), "{log}");
}
