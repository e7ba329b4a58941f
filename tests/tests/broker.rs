//! Logins while the broker is dead, hangs, or dies.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use twofa_e2e::{Authenticator, Machine, Terminal};

const STACK: &str = "auth requisite pam_fprintd.so\nauth required pam_twofa.so\n";
const LOGIN: &str = "pamtester testapp alice authenticate";
const CODE_PROMPT: &str = "Verification code for vm";

fn machine() -> (Machine, Authenticator) {
    let machine = Machine::new()
        .policy("mandatory")
        .user("alice")
        .pam("testapp", STACK)
        .build();
    let phone = machine.enrol("alice");
    (machine, phone)
}

fn at_the_prompt(machine: &Machine) -> Terminal {
    let mut terminal = machine.terminal(LOGIN);
    terminal.expect(CODE_PROMPT);
    terminal.expect(": ");
    terminal
}

#[test]
fn with_a_dead_broker_root_starts_one_for_the_login_that_is_gone_afterwards() {
    let (machine, phone) = machine();
    machine.broker().kill();

    let mut terminal = at_the_prompt(&machine);
    assert_eq!(
        machine.run("ps -o user= -C twofad").ok().stdout.trim(),
        "twofa"
    );
    terminal.type_line(&phone.next_code());
    terminal.expect("successfully authenticated");
    terminal.expect_end();

    machine.run("pgrep -x twofad").fails();
    // And the code that it accepted cannot be used again.
    let mut terminal = at_the_prompt(&machine);
    terminal.type_line(&phone.code());
    terminal.expect("already been used");
}

#[test]
fn a_login_that_a_broker_is_started_for_waits_for_the_disk_once() {
    let (machine, phone) = machine();
    machine.broker().terminate();
    let log_in = |traced: &str| {
        let login = format!("echo {} | {traced} {LOGIN}", phone.next_code());
        machine.run(&login).ok();
    };
    // This one finds no write-ahead log and makes it; the next finds it.
    log_in("");
    machine.run("test -s /var/lib/twofa/twofa.db-wal").ok();
    log_in("strace -f -q -o /tmp/syncs -e trace=fsync,fdatasync,sync_file_range,msync,sync,syncfs");
    let syncs = machine.file("/tmp/syncs");
    assert_eq!(syncs.matches("sync").count(), 1, "{syncs}");
    let modes = "stat -c %a%U /var/lib/twofa/twofa.db*";
    assert_eq!(
        machine.run(modes).ok().stdout,
        "600twofa\n".repeat(3),
        "the files beside the store are as private"
    );
}

#[test]
fn a_broker_that_the_module_started_writes_its_reasons_to_the_log_of_the_system() {
    let (machine, phone) = machine();
    machine.broker().kill();
    machine.run("chmod 0644 /etc/twofa/secret.key").ok();

    machine
        .run(&format!("echo {} | {LOGIN}", phone.next_code()))
        .fails();

    // The module logs it as well, in a line of its own.
    machine.wait_for_log("<84>twofad[");
    let log = machine.log();
    let is_the_brokers =
        |line: &&str| line.starts_with("<84>twofad[") && line.contains("has mode 0644");
    assert!(log.lines().any(|line| is_the_brokers(&line)), "{log}");
}

#[test]
fn a_root_program_bypasses_a_hung_broker() {
    let (machine, phone) = machine();
    machine.broker().stop();

    let mut terminal = at_the_prompt(&machine);
    terminal.type_line(&phone.next_code());
    terminal.expect("successfully authenticated");
    machine.broker().cont();
}

#[test]
fn a_broker_that_hangs_after_the_prompt_ends_in_a_refusal() {
    let (machine, phone) = machine();
    let mut terminal = at_the_prompt(&machine);

    machine.broker().stop();
    terminal.type_line(&phone.next_code());

    let mut terminal = terminal.timeout(std::time::Duration::from_secs(40));
    terminal.expect("The second factor cannot be checked now");
    assert!(!terminal.expect_end().success());
    machine.wait_for_log("did not answer in time");
    machine.broker().cont();
}

#[test]
fn a_broker_that_dies_at_the_prompt_ends_in_a_refusal_and_costs_nothing() {
    let (machine, phone) = machine();
    let mut terminal = at_the_prompt(&machine);

    let code = phone.next_code();
    machine.broker().kill();
    terminal.type_line(&code);

    terminal.expect("The second factor cannot be checked now");
    assert!(!terminal.expect_end().success());
    machine.wait_for_log("pam_twofa(testapp:auth)");
    machine.start_broker();
    let mut terminal = at_the_prompt(&machine);
    terminal.type_line(&code);
    terminal.expect("successfully authenticated");
}

#[test]
fn a_broker_killed_between_verifying_and_committing_lets_nobody_in_and_loses_nothing() {
    let (machine, phone) = machine();
    let [counted, _] = calls_of_a_login(&machine, &phone).writes_at_commits;

    let code = &phone.backup_codes[2];
    let mut terminal = at_the_prompt(&machine);
    let fault = machine
        .broker()
        .inject(&format!("pwrite64:signal=KILL:when={}", counted + 1));
    terminal.type_line(code);

    terminal.expect("The second factor cannot be checked now");
    assert!(!terminal.expect_end().success());
    drop(fault);
    assert!(!machine.broker().is_running());
    machine.start_broker();
    let status = machine.run("twofa status --user alice --json").ok().stdout;
    assert!(status.contains("\"failures\": 1"), "{status}");
    assert!(status.contains("\"label\": \"app\""), "{status}");
    assert!(
        machine
            .run("twofa codes --user alice")
            .ok()
            .stdout
            .contains("left: 3")
    );
    log_in(&machine, code);
    log_in(&machine, &phone.next_code());
    assert!(
        machine
            .run("twofa status --user alice --json")
            .ok()
            .stdout
            .contains("\"failures\": 0")
    );
}

#[test]
fn a_commit_that_fails_on_the_disk_refuses() {
    let (machine, phone) = machine();
    let calls = calls_of_a_login(&machine, &phone);
    let [counted, _] = calls.writes_at_commits;

    let code = &phone.backup_codes[2];
    let faults = [
        "pwrite64:error=EIO:when=1".to_owned(),
        format!("pwrite64:error=EIO:when={}", counted + 1),
        "fdatasync:error=EIO".to_owned(),
        // The login waits for the last one.
        format!("fdatasync:error=EIO:when={}", calls.syncs),
    ];
    for fault in faults {
        let mut terminal = at_the_prompt(&machine);
        let failing = machine.broker().inject(&fault);
        terminal.type_line(code);
        terminal.expect("The second factor cannot be checked now");
        assert!(!terminal.expect_end().success(), "{fault}");
        assert!(
            failing.calls().contains("(INJECTED)"),
            "{fault}: {}",
            failing.calls()
        );
    }
    machine.wait_for_log("the store failed");
    log_in(&machine, code);
}

fn log_in(machine: &Machine, code: &str) {
    let mut terminal = at_the_prompt(machine);
    terminal.type_line(code);
    terminal.expect("successfully authenticated");
    assert!(terminal.expect_end().success());
}

/// The broker's system calls from a right answer to the end of the login.
struct Calls {
    /// How many calls of pwrite64 precede the commit of the attempt, and that of the code's use.
    writes_at_commits: [usize; 2],
    syncs: usize,
}

/// Traces a login with alice's second backup code, after one with the first: the first commit after an open does more
/// than later ones.
fn calls_of_a_login(machine: &Machine, phone: &Authenticator) -> Calls {
    log_in(machine, &phone.backup_codes[0]);
    let mut terminal = at_the_prompt(machine);
    let watched = machine.broker().watch("pwrite64,fdatasync");
    terminal.type_line(&phone.backup_codes[1]);
    terminal.expect("successfully authenticated");
    let calls = watched.calls();
    let commits = commits(&calls);
    let writes_at_commits = commits
        .try_into()
        .unwrap_or_else(|_| panic!("not two commits:\n{calls}"));
    Calls {
        writes_at_commits,
        syncs: calls.matches("fdatasync(").count(),
    }
}

/// How many calls of pwrite64 there have been at the end of each commit in this trace. SQLite's write-ahead log is
/// made of frames: 24 bytes, of which the second four are not zero in the last frame of a commit, then a page
/// (sqlite.org/fileformat2.html §4.1).
fn commits(trace: &str) -> Vec<usize> {
    let calls: Vec<&str> = trace
        .lines()
        .filter(|line| line.contains("pwrite64("))
        .collect();
    let is_commit = |call: &str| {
        let header = call
            .contains(", 24, ")
            .then(|| call.split('"').nth(1))
            .flatten();
        header.is_some_and(|data| data.get(16..32) != Some(r"\x00\x00\x00\x00"))
    };
    let commits = calls.iter().enumerate().filter(|(_, call)| is_commit(call));
    // And the page after it.
    commits.map(|(before, _)| before + 2).collect()
}

#[test]
fn the_broker_refuses_to_serve_as_root() {
    let (machine, _) = machine();
    machine.broker().kill();
    let refused = machine.run("/usr/sbin/twofad").fails();
    assert!(
        refused.stderr.contains("refusing to serve as root"),
        "{refused}"
    );
}

#[test]
fn a_session_is_not_for_ordinary_users() {
    let (machine, _) = machine();
    let refused = machine
        .run_as("alice", "/usr/sbin/twofad --stdio </dev/null")
        .fails();
    assert!(
        refused.stderr.contains("only root and 'twofa'"),
        "{refused}"
    );
}

#[test]
fn the_broker_dumps_no_core_and_cannot_be_traced_by_its_own_user() {
    let (machine, _) = machine();
    let pid = machine.broker().pid();
    let limits = machine.file(&format!("/proc/{pid}/limits"));
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap()
        .to_owned();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    assert!(
        machine
            .file(&format!("/proc/{pid}/status"))
            .contains("NoNewPrivs:\t1")
    );
    // A process that is not dumpable belongs to root in /proc.
    assert_eq!(
        machine
            .run(&format!("stat -c %U /proc/{pid}/mem"))
            .ok()
            .stdout
            .trim(),
        "root"
    );
}

#[test]
fn the_service_manager_may_pass_the_socket() {
    let (machine, phone) = machine();
    machine.broker().kill();
    machine.run("rm -f /run/twofa/twofad.sock").ok();
    let _manager = machine.spawn(
        "exec systemd-socket-activate -l /run/twofa/twofad.sock setpriv --reuid twofa --regid twofa --init-groups /usr/sbin/twofad",
    );
    machine.wait_until("[ -S /run/twofa/twofad.sock ]");
    machine.run("chmod 666 /run/twofa/twofad.sock").ok();

    let mut terminal = at_the_prompt(&machine);
    terminal.type_line(&phone.next_code());
    terminal.expect("successfully authenticated");
    machine.run("pgrep -x twofad").ok();
}

#[test]
fn a_broker_ends_once_a_newer_program_has_changed_the_store_and_none_of_its_age_lets_anybody_in() {
    let (machine, phone) = machine();
    machine
        .run("sqlite3 /var/lib/twofa/twofa.db 'PRAGMA user_version = 99'")
        .ok();

    for who in ["alice", "root"] {
        let refused = machine.run_as(who, &format!("echo {} | {LOGIN}", phone.next_code()));
        refused.fails();
    }

    machine.run("pgrep -x twofad").fails();
    let log = machine.file("/var/log/twofad.log");
    assert!(log.contains("this broker ends"), "{log}");
    assert!(
        machine
            .log()
            .contains("the store was written by a newer twofa"),
        "as root's module says of the broker that it has started"
    );
}
