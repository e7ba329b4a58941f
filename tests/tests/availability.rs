//! Logins while another process holds the store's write lock and cannot continue, and whether anyone but root can cause
//! that.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use twofa_e2e::{Authenticator, Machine, Process, Terminal};

const STACK: &str = "auth requisite pam_fprintd.so\nauth required pam_twofa.so\n";
const CGROUPS: &str = "/sys/fs/cgroup";

struct People {
    machine: Machine,
    alice: Authenticator,
    bob: Authenticator,
}

/// Without a running broker, so that each login starts its own.
fn people() -> People {
    let machine = Machine::new()
        .policy("mandatory")
        .user("alice")
        .user("bob")
        .pam("testapp", STACK)
        .build();
    let (alice, bob) = (machine.enrol("alice"), machine.enrol("bob"));
    machine.broker().terminate();
    People {
        machine,
        alice,
        bob,
    }
}

/// Alice at the prompt, in a program started by `first`, and the process id of her broker.
fn alice_at_the_prompt(machine: &Machine, first: &str) -> (Terminal, String) {
    let mut terminal = machine.terminal(&format!("{first} pamtester testapp alice authenticate"));
    terminal.expect("Verification code for vm");
    terminal.expect(": ");
    let broker = machine.run("pgrep -x twofad").ok().stdout.trim().to_owned();
    (terminal, broker)
}

/// Injects `fault` with strace(1) at the next fdatasync(2) of the process, which then holds the write lock. Waits until
/// strace is attached.
fn at_its_commit(machine: &Machine, pid: &str, fault: &str) -> Process {
    let inject = format!("-e trace=fdatasync -e inject=fdatasync:{fault}");
    let strace = machine.spawn(&format!("exec strace -f -q -o /dev/null -p {pid} {inject}"));
    machine.wait_until(&format!(
        "grep -q '^TracerPid:[^0]*[1-9]' /proc/{pid}/status"
    ));
    strace
}

/// The byte that SQLite locks to write (sqlite.org/walformat.html §2.3.1).
fn wait_for_write_lock(machine: &Machine, pid: &str) {
    machine.wait_until(&format!("grep -Eq ' WRITE {pid} .* 120 120$' /proc/locks"));
}

fn log_in(machine: &Machine, user: &str, code: &str) {
    machine
        .run(&format!(
            "echo {code} | pamtester testapp {user} authenticate"
        ))
        .ok();
}

/// How one version of control groups is mounted and frozen.
struct Hierarchy {
    mount: &'static str,
    state: &'static str,
    frozen: &'static str,
    thawed: &'static str,
    /// A file that contains this line once everything in the group is frozen.
    shown: (&'static str, &'static str),
}

const V2: Hierarchy = Hierarchy {
    mount: "-t cgroup2 cgroup2",
    state: "cgroup.freeze",
    frozen: "1",
    thawed: "0",
    shown: ("cgroup.events", "frozen 1"),
};
const V1: Hierarchy = Hierarchy {
    mount: "-t cgroup -o freezer cgroup",
    state: "freezer.state",
    frozen: "FROZEN",
    thawed: "THAWED",
    shown: ("freezer.state", "FROZEN"),
};

/// A control group that belongs to alice, as her service manager has one. The hierarchy is the host's, so the group is
/// removed at the end.
struct Session<'a> {
    machine: &'a Machine,
    hierarchy: Hierarchy,
    group: String,
}

impl<'a> Session<'a> {
    fn new(machine: &'a Machine, hierarchy: Hierarchy, name: &str) -> Self {
        let group = format!("{CGROUPS}/twofa-test-{}-{name}", std::process::id());
        machine
            .run(&format!(
                "mount {} {CGROUPS} && mkdir {group}",
                hierarchy.mount
            ))
            .ok();
        machine.run(&format!("chown -R alice: {group}")).ok();
        Self {
            machine,
            hierarchy,
            group,
        }
    }

    /// A command prefix that starts the rest in the group.
    fn enter(&self) -> String {
        format!("echo $$ >{}/cgroup.procs; exec", self.group)
    }

    fn freeze(&self) {
        let Self {
            machine,
            hierarchy:
                Hierarchy {
                    state,
                    frozen,
                    shown: (file, line),
                    ..
                },
            group,
        } = self;
        machine
            .run_as("alice", &format!("echo {frozen} >{group}/{state}"))
            .ok();
        machine.wait_until(&format!("grep -qx '{line}' {group}/{file}"));
    }

    fn thaw(&self) {
        let Self {
            machine,
            hierarchy: Hierarchy { state, thawed, .. },
            group,
        } = self;
        machine.run(&format!("echo {thawed} >{group}/{state}")).ok();
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        let Self {
            machine,
            hierarchy: Hierarchy { state, thawed, .. },
            group,
        } = self;
        let _ = machine.run(&format!(
            "echo {thawed} >{group}/{state}; [ ! -e {group}/cgroup.kill ] || echo 1 >{group}/cgroup.kill; \
             for try in $(seq 100); do rmdir {group} && break; sleep 0.1; done; rmdir {CGROUPS}/twofa"
        ));
    }
}

/// Moves to our own group, or to the root if another test has just removed that.
fn assert_has_left(machine: &Machine, pid: &str) {
    let groups = machine.file(&format!("/proc/{pid}/cgroup"));
    assert!(
        groups
            .lines()
            .any(|line| ["0::/twofa", "0::/"].contains(&line)),
        "{groups}"
    );
}

#[test]
fn a_broker_that_the_module_started_has_nothing_of_its_callers_that_could_stop_it() {
    let People { machine, .. } = people();
    let session = Session::new(&machine, V2, "everything");
    let caller = format!(
        "echo 900 >/proc/self/oom_score_adj; \
         for limit in 'n 99' 's 9000' 't 99' 'l 0' 'f 9999'; do ulimit -S -$limit; done; {} \
         prlimit --rttime=99: --nproc=9999: --sigpending=9: \
         taskset -c 0 ionice -c 3 nice -n 19 chrt --idle 0",
        session.enter()
    );

    let (_terminal, pid) = alice_at_the_prompt(&machine, &caller);

    let ask = |what: &str| {
        machine
            .run(&what.replace("PID", &pid))
            .ok()
            .stdout
            .trim()
            .to_owned()
    };
    assert_eq!(ask("ps -o cls=,ni= -p PID"), "TS   0");
    assert_eq!(ask("ionice -p PID"), "none: prio 0");
    assert_eq!(
        ask("taskset -p PID | sed 's/.*: //'"),
        ask("taskset -p $$ | sed 's/.*: //'")
    );
    assert_eq!(ask("cat /proc/PID/oom_score_adj"), "0");
    let limits = ask("cat /proc/PID/limits");
    let limit = |name: &str| {
        let line = limits
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap();
        let mut values = line.split_whitespace().map(str::to_owned);
        (values.next().unwrap(), values.next().unwrap())
    };
    for (name, kernels) in [
        ("Max stack size", "8388608"),
        ("Max open files", "1024"),
        ("Max locked memory", "8388608"),
    ] {
        let (soft, hard) = limit(name);
        assert!(soft == kernels || soft == hard, "{name}: {soft}, {hard}");
    }
    for name in [
        "Max cpu time",
        "Max file size",
        "Max processes",
        "Max pending signals",
        "Max realtime timeout",
    ] {
        // In a container, even root cannot raise it further.
        let (soft, hard) = limit(name);
        assert_eq!(soft, hard, "{name}");
    }
    assert_has_left(&machine, &pid);
    drop(session);
}

#[test]
fn a_session_that_is_frozen_while_its_login_writes_holds_up_nobody() {
    freeze_while_a_login_writes(V2, "frozen");
}

#[test]
fn a_session_that_is_frozen_by_cgroup_v1_while_its_login_writes_holds_up_nobody() {
    // The kernel may lack it, or the host may use it in v2.
    if Machine::new()
        .bare()
        .build()
        .run(&format!("mount {} {CGROUPS}", V1.mount))
        .status
        .success()
    {
        freeze_while_a_login_writes(V1, "frozen-v1");
    }
}

fn freeze_while_a_login_writes(hierarchy: Hierarchy, name: &str) {
    let People {
        machine,
        alice,
        bob,
    } = people();
    let session = Session::new(&machine, hierarchy, name);
    let (mut terminal, pid) = alice_at_the_prompt(&machine, &session.enter());
    let _strace = at_its_commit(&machine, &pid, "delay_enter=3000000:when=1");
    terminal.type_line(&alice.next_code());
    wait_for_write_lock(&machine, &pid);

    session.freeze();

    log_in(&machine, "bob", &bob.next_code());
    session.thaw();
    terminal.expect("successfully authenticated");
}

#[test]
fn a_process_that_root_stopped_while_it_writes_is_named_to_those_who_wait_and_ending_it_frees_the_store()
 {
    let People {
        machine,
        alice,
        bob,
    } = people();
    let (mut terminal, pid) = alice_at_the_prompt(&machine, "exec");
    let _strace = at_its_commit(&machine, &pid, "signal=STOP");
    let code = alice.next_code();
    terminal.type_line(&code);
    wait_for_write_lock(&machine, &pid);

    let (login, right) = ("pamtester testapp bob authenticate", bob.next_code());
    machine.run(&format!("echo {right} | {login}")).fails();
    let named =
        format!("process {pid} (twofad) has it; if that one hangs, end it with 'kill -9 {pid}'");
    let line = machine.wait_for_log(&named);
    assert!(
        line.contains("locked by another process for too long"),
        "{line}"
    );
    let refused = machine.run("twofa policy set lockout.after=7").fails();
    assert!(refused.stderr.contains(&named), "{refused}");

    machine.run(&format!("kill -KILL {pid}")).ok();
    log_in(&machine, "bob", &right);
    terminal.expect("cannot be checked now");
    log_in(&machine, "alice", &code);
}

#[test]
fn a_change_by_root_is_not_stopped_from_the_terminal_while_it_holds_the_lock() {
    let People { machine, bob, .. } = people();
    for signal in ["TSTP", "TTIN", "TTOU"] {
        // A job of a shell with job control: the kernel does not stop processes that nobody could continue.
        let change = format!(
            "strace -q -o /dev/null -e trace=fdatasync -e inject=fdatasync:signal={signal} \
             twofa policy set lockout.after=7 && twofa policy set lockout.after=10"
        );
        machine
            .run(&format!("timeout --kill-after=1 30 bash -mc '{change}'"))
            .ok();
    }
    log_in(&machine, "bob", &bob.next_code());
}

#[test]
fn a_change_by_root_leaves_the_session_of_the_user_who_started_it() {
    let People { machine, .. } = people();
    let session = Session::new(&machine, V2, "change");

    let mut change = machine.terminal(&format!(
        "{} nice -n 19 twofa policy set methods=email",
        session.enter()
    ));

    change.expect("[y/N]");
    let pid = machine.run("pgrep -x twofa").ok().stdout.trim().to_owned();
    assert_has_left(&machine, &pid);
    assert_eq!(
        machine
            .run(&format!("ps -o ni= -p {pid}"))
            .ok()
            .stdout
            .trim(),
        "0"
    );
    drop(session);
}

#[test]
fn roots_requests_go_through_the_broker_where_there_is_one() {
    let People { machine, .. } = people();
    let status = "strace -f -o /tmp/trace -e trace=%file,connect twofa status --user alice";
    let opens_the_store = || {
        machine.run(status).ok();
        machine
            .file("/tmp/trace")
            .contains("/var/lib/twofa/twofa.db")
    };
    assert!(opens_the_store());
    machine.start_broker();
    assert!(!opens_the_store());

    machine.broker().stop();
    assert!(opens_the_store());
    machine.broker().cont();
}

#[test]
fn where_a_control_group_cannot_be_left_logins_go_on_and_the_log_says_so() {
    let People { machine, alice, .. } = people();
    let session = Session::new(&machine, V2, "fixed");
    let log_in = format!(
        "echo $$ >{}/cgroup.procs; mount -o remount,ro,bind {CGROUPS}; \
         echo {} | pamtester testapp alice authenticate; status=$?; \
         mount -o remount,rw,bind {CGROUPS}; exit $status",
        session.group,
        alice.next_code()
    );
    machine.run(&log_in).ok();
    let line = machine.wait_for_log("cannot leave a control group");
    assert!(
        line.contains("twofad[") && line.contains("/twofa-test-"),
        "{line}"
    );
    drop(session);
}
