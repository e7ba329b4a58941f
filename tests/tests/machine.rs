//! The throwaway machine itself, without our programs: the basis of all other end-to-end tests.

// A test says what it expects by failing, and so do its helpers.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use twofa_e2e::{Builder, Machine, password_of};

fn bare() -> Builder {
    Machine::new().bare()
}

#[test]
fn a_person_logs_in_over_real_ssh_with_a_password() {
    let machine = bare().user("alice").with_sshd().build();

    let mut terminal = machine.terminal("ssh alice@vm");
    terminal.expect("Password:");
    terminal.type_line(&password_of("alice"));
    terminal.expect("alice@vm:~$ ");
    terminal.type_line("tty; id -un; echo $SSH_CONNECTION");
    terminal.expect("/dev/pts/");
    terminal.expect("alice\n127.0.0.1 ");
    terminal.type_line("exit 7");

    assert_eq!(terminal.expect_end().code(), Some(7));
    assert!(
        machine
            .sshd_log()
            .contains("Accepted keyboard-interactive/pam for alice"),
        "{}",
        machine.sshd_log()
    );
    machine.wait_for_log("session opened for user alice");
}

#[test]
fn a_wrong_password_is_refused() {
    let machine = bare().user("alice").sshd("MaxAuthTries 1").build();

    let mut terminal = machine.terminal("ssh alice@vm");
    terminal.expect("Password:");
    terminal.type_line("not the password");

    assert_eq!(terminal.expect_end().code(), Some(255));
    assert!(
        terminal
            .screen()
            .contains("Too many authentication failures"),
        "{}",
        terminal.screen()
    );
    machine.wait_for_log("authentication failure");
}

#[test]
fn su_and_sudo_and_login_ask_on_a_terminal() {
    let machine = bare()
        .user("alice")
        .user("bob")
        .administrator("carol")
        .build();

    let mut su = machine.terminal_as("alice", "su bob");
    su.expect("Password:");
    su.type_line(&password_of("bob"));
    su.expect("bob@vm:");
    su.type_line("id -un; exit");
    su.expect("bob\n");
    assert!(su.expect_end().success());

    let mut sudo = machine.terminal_as("carol", "sudo id -un");
    sudo.expect("password for carol:");
    sudo.type_line(&password_of("carol"));
    sudo.expect("root\n");
    assert!(sudo.expect_end().success());

    let mut login = machine.terminal("exec login");
    login.expect("vm login:");
    login.type_line("alice");
    login.expect("Password:");
    login.type_line(&password_of("alice"));
    login.expect("alice@vm:~$ ");
    login.press_ctrl('d');
    login.expect_end();

    machine.wait_for_log("pam_unix(su:session): session opened for user bob");
    machine.wait_for_log("sudo:");
    machine.wait_for_log("login:session): session opened for user alice");
}

#[test]
fn what_is_typed_in_secret_is_not_shown() {
    let machine = bare().user("alice").user("bob").build();

    let mut su = machine.terminal_as("alice", "su bob -c true");
    su.expect("Password:");
    su.type_line(&password_of("bob"));
    su.expect_end();

    assert!(!su.screen().contains(&password_of("bob")));
}

#[test]
fn an_interrupt_and_a_hang_up_reach_the_program() {
    let machine = bare().build();

    let mut terminal = machine
        .terminal("trap 'echo interrupted; exit 3' INT; echo ready; while :; do sleep 0.01; done");
    terminal.expect("ready");
    terminal.press_ctrl('c');
    terminal.expect("interrupted");
    assert_eq!(terminal.expect_end().code(), Some(3));

    let mut terminal = machine.terminal(
        "trap 'echo gone >/tmp/end; exit 4' HUP; echo ready; while :; do sleep 0.01; done",
    );
    terminal.expect("ready");
    terminal.hang_up();
    assert_eq!(terminal.expect_end().code(), Some(4));
    assert_eq!(machine.file("/tmp/end"), "gone\n");
}

#[test]
fn a_terminal_reports_the_whole_screen_when_the_expected_text_does_not_appear() {
    let machine = bare().build();
    let told = |command: &str| {
        let mut terminal = machine
            .terminal(command)
            .timeout(Duration::from_millis(300));
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            terminal.expect("never said")
        }));
        panic.unwrap_err().downcast::<String>().expect("a message")
    };

    let ended = told("echo first; echo second; exit 5");
    assert!(
        ended.contains("first\nsecond\n") && ended.contains("the program ended (exit status: 5)"),
        "{ended}"
    );
    let late = told("echo first; sleep 100");
    assert!(
        late.contains("first\n") && late.contains("in vain for \"never said\""),
        "{late}"
    );
}

#[test]
fn a_command_runs_with_the_users_own_ids_and_home() {
    let machine = bare().user_in("alice", &["staff", "operators"]).build();

    let output = machine
        .run_as("alice", "grep ^Uid: /proc/self/status; id -Gn; pwd; env")
        .ok()
        .stdout;

    let uid = machine.run("id -u alice").ok().stdout;
    let uid = uid.trim();
    assert!(
        output.starts_with(&format!(
            "Uid:\t{uid}\t{uid}\t{uid}\t{uid}\nalice staff operators\n/home/alice\n"
        )),
        "{output}"
    );
    assert!(
        output.contains("HOME=/home/alice\n") && !output.contains("CARGO"),
        "{output}"
    );
    machine.run_as("alice", "cat /etc/shadow").fails();
}

#[test]
fn a_command_gives_its_output_and_its_exit_code() {
    let machine = bare().build();

    let output = machine.run("echo out; echo err >&2; exit 3").fails();
    assert_eq!(
        (
            output.stdout.as_str(),
            output.stderr.as_str(),
            output.code()
        ),
        ("out\n", "err\n", 3)
    );
    assert_eq!(machine.run("kill -9 $$").code(), 137);
    assert_eq!(
        machine.run_with_input("cat; cat", "typed").ok().stdout,
        "typed"
    );
}

#[test]
fn what_is_logged_reaches_the_test() {
    let machine = bare().user("alice").build();

    machine
        .run_as(
            "alice",
            "logger --priority auth.notice --tag testapp 'alice logs in'",
        )
        .ok();

    let line = machine.wait_for_log("alice logs in");
    assert!(
        line.starts_with("<37>") && line.contains("testapp: "),
        "{line}"
    );
    assert!(machine.log().contains(&line));
}

#[test]
fn the_machine_has_a_network_and_processes_of_its_own() {
    let machine = bare().with_sshd().build();

    assert_eq!(
        machine.run("hostname; cat /etc/hostname").ok().stdout,
        "vm\nvm\n"
    );
    assert!(
        machine
            .run("ip -o link | wc -l; ip route")
            .ok()
            .stdout
            .starts_with("1\n")
    );
    assert_eq!(
        machine
            .run("ls -d /proc/[1-9]* | head -1; cat /proc/1/comm")
            .ok()
            .stdout,
        "/proc/1\nbash\n"
    );
    // Two machines have port 22 at the same time.
    let other = bare().with_sshd().build();
    for machine in [machine, other] {
        machine.run("ssh -o BatchMode=yes root@vm").fails();
        // The client may be gone before sshd has written the line.
        until(|| {
            let log = machine.sshd_log();
            log.contains("Connection closed by authenticating user root")
                .then_some(())
        });
    }
}

#[test]
fn processes_whose_parents_have_gone_are_collected() {
    let machine = bare().build();

    let orphan = machine.run("sh -c 'sleep 0.01 & echo $!'").ok().stdout;

    until(|| {
        (!fs::exists(machine.host_path(&format!("/proc/{}", orphan.trim()))).unwrap()).then_some(())
    });
}

#[test]
fn nothing_that_happens_in_a_machine_reaches_the_host() {
    let passwords = fs::read("/etc/passwd").unwrap();
    let hostname = fs::read("/proc/sys/kernel/hostname").unwrap();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();

    let machine = bare()
        .user("mallory")
        .file("/etc/pam.d/other-service", "auth required pam_deny.so\n")
        .build();
    machine.run("rm -rf /usr/share/doc /etc/ssh; touch /new /tmp/new-in-vm /run/new-in-vm /root/new /dev/shm/new-in-vm").ok();
    machine.run("ls /usr/share/doc").fails();

    assert_eq!(fs::read("/etc/passwd").unwrap(), passwords);
    assert_eq!(fs::read("/proc/sys/kernel/hostname").unwrap(), hostname);
    assert_eq!(fs::read_to_string("/proc/self/mountinfo").unwrap(), mounts);
    assert!(fs::exists("/usr/share/doc").unwrap() && fs::exists("/etc/ssh").unwrap());
    for path in [
        "/etc/pam.d/other-service",
        "/new",
        "/tmp/new-in-vm",
        "/run/new-in-vm",
        "/root/new",
        "/dev/shm/new-in-vm",
    ] {
        assert!(!fs::exists(path).unwrap(), "{path} has leaked");
    }
}

#[test]
fn ten_machines_run_at_once_and_leave_nothing_behind() {
    let logins: Vec<_> = (0..10)
        .map(|number| {
            thread::spawn(move || {
                let user = format!("user{number}");
                let machine = bare().user(&user).with_sshd().build();
                let mut terminal =
                    machine.terminal(&format!("ssh {user}@vm 'id -un; sleep 100 & echo $!'"));
                terminal.expect("Password:");
                terminal.type_line(&password_of(&user));
                terminal.expect(&format!("{user}\n"));
                machine.run("readlink /proc/self/ns/pid").ok().stdout
            })
        })
        .collect();
    let namespaces: Vec<String> = logins
        .into_iter()
        .map(|login| login.join().unwrap())
        .collect();

    // The kernel gives the number of a namespace that has ended to a new one, for a moment perhaps another test's.
    for namespace in &namespaces {
        until(|| processes_in(namespace.trim()).is_empty().then_some(()));
    }
    assert!(
        !fs::read_to_string("/proc/self/mountinfo")
            .unwrap()
            .contains("twofa-vm")
    );
}

#[test]
fn a_machine_ends_with_its_test_even_when_that_is_killed() {
    // The test that is killed is this very program, asked to run the ignored test below.
    let mut test = Command::new(std::env::current_exe().unwrap());
    let folder = tempfile::tempdir().unwrap();
    test.args(["--ignored", "--exact", "a_machine_that_is_left_alone"])
        .env("TWOFA_E2E_FOLDER", folder.path());
    let mut test = test.stdout(std::process::Stdio::null()).spawn().unwrap();
    let told = folder.path().join("namespace");
    let namespace = until(|| {
        fs::read_to_string(&told)
            .ok()
            .filter(|it| it.ends_with('\n'))
    });
    assert!(!processes_in(namespace.trim()).is_empty());

    test.kill().unwrap();
    assert_eq!(test.wait().unwrap().signal(), Some(9));

    until(|| processes_in(namespace.trim()).is_empty().then_some(()));
    fs::remove_file(told).unwrap();
    until(|| (fs::read_dir(folder.path()).unwrap().count() == 0).then_some(()));
}

#[test]
#[ignore = "the victim of a_machine_ends_with_its_test_even_when_that_is_killed, which runs it"]
fn a_machine_that_is_left_alone() {
    let Some(folder) = std::env::var_os("TWOFA_E2E_FOLDER").map(std::path::PathBuf::from) else {
        return;
    };
    let machine = bare().on_disk(&folder).user("alice").with_sshd().build();
    let _terminal = machine.terminal_as("alice", "sleep 1000");
    let _process = machine.spawn("sleep 1000");
    fs::write(
        folder.join("namespace"),
        machine.run("readlink /proc/self/ns/pid").ok().stdout,
    )
    .unwrap();
    thread::sleep(Duration::from_secs(60));
}

#[test]
fn a_machine_on_a_disk_writes_there_and_clears_it_away() {
    let folder = tempfile::tempdir().unwrap();
    let machine = bare().on_disk(folder.path()).user("alice").build();

    machine
        .run("echo kept >/var/lib/kept && sync /var/lib/kept")
        .ok();

    let disk = fs::read_dir(folder.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    assert_eq!(
        fs::read_to_string(disk.join("root/var/lib/kept")).unwrap(),
        "kept\n"
    );
    drop(machine);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_tiny_disk_is_soon_full() {
    let machine = bare().tiny_disk("/var/lib/twofa", "1M").build();

    let output = machine
        .run("head -c 2M /dev/zero >/var/lib/twofa/much")
        .fails();

    assert!(
        output.stderr.contains("No space left on device"),
        "{output}"
    );
}

#[test]
fn a_pam_stack_of_the_test_decides() {
    let stack = "auth required pam_permit.so\naccount required pam_permit.so\n";
    let machine = bare()
        .user("alice")
        .pam("testapp", stack)
        .pam("wall", &stack.replacen("permit", "deny", 1))
        .build();

    machine
        .run_as("alice", "pamtester testapp alice authenticate")
        .ok();
    machine
        .run_as("alice", "pamtester wall alice authenticate")
        .fails();
}

/// Takes the broker's place: it listens, tells the time, and writes when asked.
const BROKER: &str = r#"#!/usr/bin/python3
import os, pwd, socket, sys, time
assert os.getuid() == pwd.getpwnam("twofa").pw_uid
path = "/run/twofa/twofad.sock"
if os.path.exists(path): os.unlink(path)
server = socket.socket(socket.AF_UNIX); server.bind(path); server.listen()
print("listening", file=sys.stderr, flush=True)
disk = os.open("/run/twofa/disk", os.O_CREAT | os.O_WRONLY)
while True:
    client = server.accept()[0]
    try: os.fdatasync(disk); disk_state = "written"
    except OSError as error: disk_state = error.strerror
    try: client.sendall(f"{int(time.time())} {disk_state}\n".encode())
    except OSError: pass
    client.close()
"#;

const ASK: &str = r#"python3 -c 'import socket
client = socket.socket(socket.AF_UNIX); client.settimeout(0.3); client.connect("/run/twofa/twofad.sock")
print(client.recv(99).decode().strip())'"#;

fn with_broker() -> Machine {
    let machine = bare().user("twofa").file("/usr/sbin/twofad", BROKER);
    let machine = machine
        .command("chmod 0755 /usr/sbin/twofad && install -d -o twofa /run/twofa")
        .build();
    machine.start_broker();
    machine
}

#[test]
fn the_broker_can_be_stopped_killed_and_started_again() {
    let machine = with_broker();
    let broker = machine.broker();
    machine.run(ASK).ok();

    broker.stop();
    assert!(machine.run(ASK).fails().stderr.contains("timed out"));
    broker.cont();
    machine.run(ASK).ok();

    broker.kill();
    assert!(!broker.is_running());
    assert!(machine.run(ASK).fails().stderr.contains("refused"));
    broker.restart();
    machine.run(ASK).ok();
    assert_eq!(machine.broker_log(), "listening\nlistening\n");
}

#[test]
fn the_brokers_clock_moves_apart_from_the_machines() {
    let machine = with_broker();
    let ahead = || {
        let answer = machine.run(ASK).ok().stdout;
        let time: i64 = answer.split(' ').next().unwrap().parse().unwrap();
        time - i64::try_from(twofa_e2e::unix_now()).unwrap()
    };
    assert!(ahead().abs() <= 1);

    machine.broker().set_clock("+10m");
    assert!((599..=601).contains(&ahead()));
    let pid = machine.broker().pid();
    machine.broker().set_clock("-1d");
    assert!((-86401..=-86399).contains(&ahead()));
    assert_eq!(machine.broker().pid(), pid);
}

#[test]
fn a_system_call_of_the_broker_fails_as_long_as_the_test_says() {
    let machine = with_broker();
    let disk = || {
        machine
            .run(ASK)
            .ok()
            .stdout
            .split_once(' ')
            .unwrap()
            .1
            .trim()
            .to_owned()
    };

    let fault = machine.broker().inject("fdatasync:error=EIO:when=2+");
    assert_eq!(
        [disk(), disk(), disk()],
        ["written", "Input/output error", "Input/output error"]
    );
    assert!(fault.calls().contains("(INJECTED)"), "{}", fault.calls());
    drop(fault);
    assert_eq!(disk(), "written");

    let fault = machine.broker().inject("fdatasync:signal=KILL");
    let _ = machine.run(ASK);
    until(|| (!machine.broker().is_running()).then_some(()));
    drop(fault);
}

/// The processes in a PID namespace, as the link in `/proc/PID/ns` names it.
fn processes_in(namespace: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .map(|entry| entry.path());
    let of_it = processes.filter(|path| {
        fs::read_link(path.join("ns/pid")).is_ok_and(|it| it.as_os_str() == namespace)
    });
    of_it.map(|path| path.display().to_string()).collect()
}

fn until<T>(mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "waited in vain");
        thread::sleep(Duration::from_millis(2));
    }
}
