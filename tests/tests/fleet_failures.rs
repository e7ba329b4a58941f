//! A fleet whose database fails: its store is on a PostgreSQL primary with a synchronous standby.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use std::collections::HashMap;
use std::fmt::Write as _;

use twofa_e2e::{FIRST_FACTOR, Machine, Postgres, Process, Terminal};

const LOGIN: &str = "pamtester testapp alice authenticate";
/// The commit of a login waits for the standby.
const WAITS: &str = "SELECT count(*) > 0 FROM pg_stat_activity JOIN pg_locks USING (pid)
    WHERE wait_event = 'SyncRep' AND relation = '\\\"user\\\"'::regclass";
const CANCEL: &str =
    "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
const TERMINATE: &str =
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
/// A login waits for the row of a person.
const AT_THE_ROW: &str = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
/// Codes of alice's token.
const TOKEN_CODES: usize = 5;

/// A server on which alice has a token, and its codes.
fn server() -> (Machine, impl Iterator<Item = String>) {
    let server = Machine::new()
        .policy("optional")
        .command("twofa policy set fleet.accounts=alice")
        .user("alice")
        .build();
    let codes = server.enrol_token("alice", TOKEN_CODES);
    (server, codes.into_iter())
}

/// Moves the store of `server` to a primary with a synchronous standby, and serves hosts from there.
fn serve(server: &Machine) -> [Postgres<'_>; 2] {
    server.broker().terminate();
    let primary = server.postgres("/run/db1");
    let standby = primary.synchronous_standby("/run/db2");
    let address = Postgres::address(&[primary, standby]);
    server
        .run(&format!("twofa store move --to '{address}'"))
        .ok();
    server.become_fleet_server();
    [primary, standby]
}

/// A host, on which alice's account is shared.
fn host() -> Machine {
    host_of(&["alice"])
}

fn host_of(users: &[&str]) -> Machine {
    let stack = format!("{FIRST_FACTOR}auth required pam_twofa.so\n");
    let machine = Machine::new()
        .policy("optional")
        .command("echo 'root:the password of root' | chpasswd")
        .pam("testapp", &stack);
    users
        .iter()
        .fold(machine, |machine, user| machine.user(user))
        .build()
}

fn at_the_prompt(host: &Machine) -> Terminal {
    let mut terminal = host.terminal(LOGIN);
    terminal.expect("Verification code");
    terminal.expect(": ");
    terminal
}

fn assert_in(mut terminal: Terminal) {
    terminal.expect("successfully authenticated");
    terminal.expect_end();
}

/// What the refused person reads.
fn assert_refused(mut terminal: Terminal) -> String {
    let status = terminal.expect_end();
    let screen = terminal.screen();
    assert!(!status.success(), "{screen}");
    screen
}

/// The person reads that this code has been used, and may try another one.
fn assert_used(mut terminal: Terminal) {
    terminal.expect("already been used");
    terminal.expect(": ");
    terminal.press_ctrl('c');
    terminal.expect_end();
}

fn log_in(host: &Machine, code: &str) -> Terminal {
    let mut terminal = at_the_prompt(host);
    terminal.type_line(code);
    terminal
}

/// Waits until the server's marks are confirmed again, without which it serves nobody.
fn wait_until_served(primary: Postgres<'_>) {
    let last = primary.query("SELECT coalesce(max(number), 0) FROM mark");
    // The second one is given after the first was confirmed.
    primary.wait_for(&format!("SELECT max(number) >= {last} + 2 FROM mark"));
}

#[test]
fn without_the_standby_nobody_gets_in_and_is_told_so_and_the_console_works() {
    let (server, mut codes) = server();
    let [primary, standby] = serve(&server);
    let web1 = host();
    let _cable = server.take_in(&web1, "web1", 1);
    assert_in(log_in(&web1, &codes.next().unwrap()));

    let code = codes.next().unwrap();
    let mut terminal = at_the_prompt(&web1);
    standby.stop();
    terminal.type_line(&code);
    let screen = assert_refused(terminal);
    assert!(screen.contains("cannot be checked"), "{screen}");
    // By now no mark of the server's has been confirmed for five seconds: nobody is asked in vain.
    let screen = assert_refused(web1.terminal(LOGIN));
    assert!(screen.contains("cannot be checked"), "{screen}");
    web1.assert_console_works();

    standby.start();
    primary.wait_for("SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'");
    wait_until_served(primary);
    // The commit that was waiting is there by now: that code was used.
    assert_used(log_in(&web1, &code));
    assert_in(log_in(&web1, &codes.next().unwrap()));
    demands_a_standby(&server, primary, &web1, &codes.next().unwrap());
}

/// The policy demands a standby, and the database waits for none: the server lets nobody in, until the policy is changed.
fn demands_a_standby(server: &Machine, primary: Postgres<'_>, web1: &Machine, code: &str) {
    let set = |value: &str| server.run(&format!("twofa policy set fleet.durability={value} --yes"));
    set("replicated").ok();
    primary.set("synchronous_standby_names = ''");
    let screen = assert_refused(web1.terminal(LOGIN));
    assert!(screen.contains("cannot be checked"), "{screen}");
    server.wait_until(
        "grep -q 'no synchronous standby, and the policy says fleet.durability=replicated' /var/log/twofad-server.log",
    );
    set("local").ok();
    wait_until_served(primary);
    assert_in(log_in(web1, code));
}

/// Locks the rows of all people.
fn hold_rows(server: &Machine, primary: Postgres<'_>) -> Process {
    let holds = "psql -qAt -h /run/db1 -U twofa twofa -c \
        'BEGIN; SELECT id FROM \"user\" FOR UPDATE; SELECT pg_sleep(50)'";
    let holder = server.spawn(holds);
    primary.wait_for("SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
    holder
}

fn release_rows(primary: Postgres<'_>, mut holder: Process) {
    primary.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'",
    );
    holder.kill();
}

#[test]
fn a_commit_that_is_cancelled_or_whose_backend_is_ended_lets_nobody_in_and_a_frozen_one_nobody_twice()
 {
    let (server, mut codes) = server();
    let [primary, standby] = serve(&server);
    let web1 = host();
    let _cable = server.take_in(&web1, "web1", 1);
    for interruption in [CANCEL, TERMINATE] {
        let mut terminal = at_the_prompt(&web1);
        // As if the cable between the two had been pulled: the connection stays.
        standby.freeze();
        terminal.type_line(&codes.next().unwrap());
        primary.wait_for(WAITS);
        primary.query(interruption);
        let screen = assert_refused(terminal);
        assert!(screen.contains("cannot be checked"), "{screen}");
        standby.thaw();
        wait_until_served(primary);
    }

    let mut terminal = at_the_prompt(&web1);
    let holder = hold_rows(&server, primary);
    let code = codes.next().unwrap();
    terminal.type_line(&code);
    primary.wait_for(AT_THE_ROW);
    let backend = primary.query("SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'");
    server.run(&format!("kill -STOP {backend}")).ok();
    release_rows(primary, holder);
    // Nothing has been written there: the login goes on over another connection.
    assert_in(terminal);
    server.run(&format!("kill -CONT {backend}")).ok();
    assert_used(log_in(&web1, &code));
    // The two that waited for the standby were committed, and are on record although nobody got in.
    let log = server.run("twofa log --event passed --json").ok().stdout;
    assert_eq!(log.matches(r#""event":"passed""#).count(), 3, "{log}");
}

#[test]
fn a_frozen_primary_lets_nobody_in_and_the_code_is_good_when_it_goes_on() {
    let (server, mut codes) = server();
    let [primary, _] = serve(&server);
    let web1 = host();
    let _cable = server.take_in(&web1, "web1", 1);

    let code = codes.next().unwrap();
    let mut terminal = at_the_prompt(&web1);
    primary.freeze();
    terminal.type_line(&code);
    assert_refused(terminal);
    web1.assert_console_works();
    primary.thaw();
    wait_until_served(primary);
    assert_in(log_in(&web1, &code));
}

#[test]
fn a_server_that_is_killed_while_it_verifies_has_used_no_code_up() {
    let (server, mut codes) = server();
    let [primary, _] = serve(&server);
    let web1 = host();
    let _cable = server.take_in(&web1, "web1", 1);

    let mut terminal = at_the_prompt(&web1);
    let holder = hold_rows(&server, primary);
    let code = codes.next().unwrap();
    terminal.type_line(&code);
    primary.wait_for(AT_THE_ROW);
    server.kill_fleet_server();
    assert_refused(terminal);
    release_rows(primary, holder);
    server.start_fleet_server();
    assert_in(log_in(&web1, &code));
    assert_used(log_in(&web1, &code));
}

#[test]
fn a_server_that_is_killed_between_commit_and_answer_lets_nobody_in_and_nobody_twice() {
    let (server, mut codes) = server();
    let [primary, standby] = serve(&server);
    let web1 = host();
    let _cable = server.take_in(&web1, "web1", 1);

    standby.stop();
    let code = codes.next().unwrap();
    let terminal = log_in(&web1, &code);
    primary.wait_for(WAITS);
    server.kill_fleet_server();
    assert_refused(terminal);
    standby.start();
    primary.wait_for("SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'");
    server.start_fleet_server();
    assert_used(log_in(&web1, &code));
    assert_in(log_in(&web1, &codes.next().unwrap()));
}

/// What a database can be that is not the fleet's: how it becomes that, how the fleet's again, and what the server says.
const OTHERS: [[&str; 3]; 3] = [
    [
        "ALTER TABLE twofa_schema RENAME TO other",
        "ALTER TABLE other RENAME TO twofa_schema",
        "it is empty, or a database of another program",
    ],
    [
        "UPDATE twofa_schema SET version = version + 1000, oldest = oldest + 1000",
        "UPDATE twofa_schema SET version = version - 1000, oldest = oldest - 1000",
        "was written by a newer twofa",
    ],
    [
        "UPDATE twofa_schema SET version = version - 1",
        "UPDATE twofa_schema SET version = version + 1",
        "its tables are those of an older twofa: run 'twofa store upgrade' on one server",
    ],
];
/// Puts a table that each login writes to on a disk that is full.
const FILL: [&str; 3] = [
    "CREATE TABLESPACE small LOCATION '/run/small'",
    "ALTER TABLE new_event SET TABLESPACE small",
    // Of a table without a page, each row needs one.
    "TRUNCATE new_event",
];

#[test]
fn with_a_database_that_is_not_the_fleet_s_or_whose_disk_is_full_a_server_lets_nobody_in_and_says_why()
 {
    let (server, mut codes) = server();
    server.broker().terminate();
    let primary = server.postgres("/run/db1");
    let address = Postgres::address(&[primary]);
    server
        .run(&format!("twofa store move --to '{address}'"))
        .ok();
    server.become_fleet_server();
    let web1 = host();
    let _cable = server.take_in(&web1, "web1", 1);
    let says = |words: &str| {
        server.wait_until(&format!("grep -q \"{words}\" /var/log/twofad-server.log"));
    };
    for [harm, undo, words] in OTHERS {
        server.kill_fleet_server();
        primary.query(harm);
        server.start_fleet_server();
        let screen = assert_refused(web1.terminal(LOGIN));
        assert!(screen.contains("cannot be checked"), "{words}: {screen}");
        says(words);
        primary.query(undo);
        wait_until_served(primary);
    }

    let code = codes.next().unwrap();
    server
        .run("mkdir /run/small && mount -t tmpfs -o size=1m small /run/small && chown postgres /run/small")
        .ok();
    for sql in FILL {
        primary.query(sql);
    }
    let mut terminal = at_the_prompt(&web1);
    server.run("head -c 2M /dev/zero >/run/small/fill").fails();
    terminal.type_line(&code);
    assert_refused(terminal);
    web1.wait_for_log("the disk with the store is full");
    server.run("rm /run/small/fill").ok();
    assert_in(log_in(&web1, &code));
}

/// People with HOTP tokens, each of whose codes is typed on two hosts at once.
const PEOPLE: [&str; 10] = ["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9"];
const CODES: usize = 10;

/// A script of a host in which everybody types all of their codes, and which writes down the codes that let them in.
fn type_all(codes: &[Vec<String>]) -> String {
    let mut script = String::new();
    for (user, codes) in PEOPLE.iter().zip(codes) {
        let _ = writeln!(
            script,
            "(for code in {}; do echo $code | pamtester testapp {user} authenticate >>/run/said 2>&1 && \
             echo {user} $code >>/run/passed; done) &",
            codes.join(" ")
        );
    }
    script + "wait"
}

#[test]
fn no_code_lets_in_twice_when_the_standby_is_promoted_and_the_old_primary_still_takes_changes() {
    let builder = Machine::new()
        .policy("optional")
        .command("twofa policy set lockout.after=100")
        .command(&format!(
            "twofa policy set fleet.accounts={}",
            PEOPLE.join(",")
        ));
    let builder = PEOPLE
        .iter()
        .fold(builder, |builder, user| builder.user(user));
    let server = builder.build();
    let codes = PEOPLE.map(|user| server.enrol_token(user, CODES));
    let [primary, standby] = serve(&server);
    let hosts = [host_of(&PEOPLE), host_of(&PEOPLE)];
    let _cables = [
        server.take_in(&hosts[0], "web1", 1),
        server.take_in(&hosts[1], "web2", 2),
    ];

    let script = type_all(&codes);
    let running = [&hosts[0], &hosts[1]].map(|host| host.spawn(&script));
    // On both hosts together: one that is ahead of the other may take all codes.
    server.wait_until("[ $(twofa log --event passed --json | grep -c passed) -ge 20 ]");
    standby.promote();
    // The old one goes on: an administrator ends what waits there, as if that could help.
    for _ in 0..5 {
        primary.wait_for(WAITS);
        primary.query(CANCEL);
    }
    primary.stop();
    for process in running {
        process.wait().ok();
    }
    let mut passes: HashMap<String, u32> = HashMap::new();
    for host in &hosts {
        for line in host.file("/run/passed").lines() {
            *passes.entry(line.to_owned()).or_default() += 1;
        }
    }
    assert!(passes.values().all(|passes| *passes == 1), "{passes:?}");
    assert!(
        passes.len() > 30,
        "it goes on after the promotion: {passes:?}"
    );
    // Nobody got in who is not in the log.
    for user in PEOPLE {
        let log = server
            .run(&format!("twofa log --user {user} --json"))
            .ok()
            .stdout;
        let logged = log.matches(r#""event":"passed""#).count();
        let passed = passes.keys().filter(|pass| pass.starts_with(user)).count();
        assert!(logged >= passed, "{user}: {passed} {log}");
    }
}
