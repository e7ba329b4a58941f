//! The broker as a server: restarts, silent connections, prompts that nobody answers, slow work.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use std::time::{Duration, Instant};

use twofa_e2e::{HangingServer, Listener, Machine, MailServer, Process, Terminal};

const STACK: &str = "auth requisite pam_fprintd.so\nauth required pam_twofa.so\n";
const LOGIN: &str = "pamtester testapp alice authenticate";
const CODE_PROMPT: &str = "Verification code for vm";
const RESTARTED: &str = "The login service was restarted: log in again.";
/// How a test starts the broker itself.
const SETPRIV: &str =
    "setpriv --reuid twofa --regid twofa --init-groups --inh-caps=-all --reset-env";

fn machine() -> Machine {
    Machine::new()
        .policy("mandatory")
        .user("alice")
        .user("bob")
        .pam("testapp", STACK)
        .build()
}

fn at_the_prompt(machine: &Machine) -> Terminal {
    let mut terminal = machine.terminal(LOGIN);
    terminal.expect(CODE_PROMPT);
    terminal.expect(": ");
    terminal
}

/// How many threads the broker has started so far, according to strace.
fn starts(trace: &str) -> usize {
    trace
        .lines()
        .filter(|line| line.contains("clone3(") || line.contains("clone("))
        .count()
}

/// A service manager: it owns the socket, and restarts the broker when that exits.
fn service_manager(machine: &Machine) -> Process {
    machine.broker().terminate();
    machine.run("rm -f /run/twofa/twofad.sock").ok();
    let script = format!(
        "import os, signal, socket\n\
         listener = socket.socket(socket.AF_UNIX)\n\
         listener.bind('/run/twofa/twofad.sock')\n\
         os.chmod('/run/twofa/twofad.sock', 0o666)\n\
         listener.listen(4096)\n\
         while True:\n\
         \x20   pid = os.fork()\n\
         \x20   if pid == 0:\n\
         \x20       os.dup2(listener.fileno(), 3)\n\
         \x20       os.set_inheritable(3, True)\n\
         \x20       os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))\n\
         \x20       os.execvp('setpriv', '{setpriv} /usr/sbin/twofad'.split())\n\
         \x20   open('/run/broker', 'w').write(str(pid))\n\
         \x20   os.waitpid(pid, 0)\n",
        setpriv = SETPRIV.replace(" --reset-env", ""),
    );
    machine.write_file("/root/manager.py", &script);
    let manager = machine.spawn("exec python3 /root/manager.py 2>>/var/log/twofad.log");
    machine
        .wait_until("[ -s /run/broker ] && [ \"$(cat /proc/$(cat /run/broker)/comm)\" = twofad ]");
    manager
}

#[test]
fn fifty_people_at_prompts_are_told_of_a_restart_and_the_next_login_is_served_at_once() {
    let machine = machine();
    let phone = machine.enrol("alice");
    let manager = service_manager(&machine);
    let mut people: Vec<_> = (0..50).map(|_| machine.terminal(LOGIN)).collect();
    for person in &mut people {
        person.expect(CODE_PROMPT);
    }

    let before = machine.run("cat /run/broker").ok().stdout;
    machine.run(&format!("kill -TERM {before}")).ok();
    let begun = Instant::now();
    let mut next = at_the_prompt(&machine);
    // It takes a moment to start a terminal and pamtester as well.
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    assert_ne!(machine.run("cat /run/broker").ok().stdout, before);
    next.type_line(&phone.next_code());
    next.expect("successfully authenticated");

    for person in &mut people {
        person.type_line("123456");
        person.expect(RESTARTED);
        assert!(!person.expect_end().success());
    }
    machine
        .wait_for_log("why=\"the broker was stopped or restarted while it waited for an answer\"");
    // None of the answers counts as a guess.
    assert!(
        machine
            .run("twofa status --user alice --json")
            .ok()
            .stdout
            .contains("\"failures\": 0")
    );
    drop(manager);
}

#[test]
fn a_command_at_a_prompt_is_told_of_a_restart_before_anything_is_typed() {
    let machine = machine();
    let mut terminal = machine.terminal_as("alice", "twofa enrol app");
    terminal.expect("Then type the 6-digit code it shows: ");
    terminal.type_keys("123");

    machine.broker().terminate();

    terminal.expect("the login service was restarted, so nothing was changed");
    terminal.expect("run the command again");
    assert_eq!(terminal.expect_end().code(), Some(6));
}

#[test]
fn an_answer_that_has_arrived_is_verified_and_the_end_leaves_no_journal() {
    let machine = machine();
    let phone = machine.enrol("alice");
    let mut terminal = at_the_prompt(&machine);
    let pid = machine.broker().pid();

    // The answer and the signal are both pending when the broker continues.
    machine.broker().stop();
    terminal.type_line(&phone.next_code());
    machine.wait_until("ss -xH | awk '/twofad.sock/ && $3 > 0' | grep -q .");
    machine
        .run(&format!("kill -TERM {pid}; kill -CONT {pid}"))
        .ok();

    terminal.expect("successfully authenticated");
    machine.wait_until(&format!("! kill -0 {pid} 2>/dev/null"));
    // A clean end leaves no write-ahead log to replay.
    machine.run("test ! -s /var/lib/twofa/twofa.db-wal").ok();
}

#[test]
fn a_broker_that_ends_while_it_sends_starts_no_threads_and_lets_root_log_in_elsewhere() {
    let machine = machine();
    let phone = machine.enrol("bob");
    let hanging = HangingServer::start(&machine, 4650);
    machine
        .run("twofa user set alice email=alice@example.org --verified")
        .ok();
    machine
        .run("twofa provider add mail smtp host=127.0.0.1 port=4650 tls=none from=it@example.org --no-test")
        .ok();
    let mut sending = machine.terminal(LOGIN);
    machine.wait_until("ss -tnH state established dport = 4650 | grep -q .");

    let pid = machine.broker().pid();
    let watched = machine.broker().watch("clone,clone3");
    machine.run(&format!("kill -TERM {pid}")).ok();
    let mut terminal = machine.terminal("pamtester testapp bob authenticate");
    terminal.expect(CODE_PROMPT);
    assert!(
        machine.broker().is_running(),
        "the other login is still sending"
    );
    terminal.type_line(&phone.next_code());
    terminal.expect("successfully authenticated");
    machine.wait_until(&format!("! kill -0 {pid} 2>/dev/null"));
    // One or two try to connect somewhere.
    assert!(starts(&watched.calls()) < 8, "{}", watched.calls());
    drop(watched);
    drop(hanging);
    sending.expect_end();
}

#[test]
fn silent_connections_from_subordinate_uids_keep_nobody_out() {
    let machine = machine();
    let phone = machine.enrol("bob");
    machine.write_file("/etc/subuid", "alice:100000:65536\n");
    let script = "import os, resource, socket, sys, time\n\
                  resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))\n\
                  held = []\n\
                  for uid in range(100000, 100016):\n\
                  \x20   os.setresuid(-1, uid, -1)\n\
                  \x20   for _ in range(256):\n\
                  \x20       s = socket.socket(socket.AF_UNIX)\n\
                  \x20       s.connect('/run/twofa/twofad.sock')\n\
                  \x20       held.append(s)\n\
                  \x20   os.setresuid(-1, 0, -1)\n\
                  print('all', flush=True)\n\
                  open('/run/all', 'w').close()\n\
                  time.sleep(1000)\n";
    machine.write_file("/root/silent.py", script);
    let _silent = machine.spawn("exec python3 /root/silent.py");
    machine.wait_until("[ -e /run/all ]");

    // What a screen locker and a command do.
    let mut terminal = machine.terminal_as("bob", "pamtester testapp bob authenticate");
    terminal.expect(CODE_PROMPT);
    terminal.type_line(&phone.next_code());
    terminal.expect("successfully authenticated");
    machine.run_as("bob", "twofa status").ok();
    // Also those of the owner of these uids.
    machine.run_as("alice", "twofa status").ok();
    let status = machine.file(&format!("/proc/{}/status", machine.broker().pid()));
    let threads = status
        .lines()
        .find_map(|line| line.strip_prefix("Threads:"))
        .unwrap()
        .trim()
        .to_owned();
    assert!(threads.parse::<usize>().unwrap() < 16, "{threads}");
}

#[test]
fn an_unanswered_prompt_ends_with_an_explanation_and_a_log_line() {
    let machine = machine();
    let phone = machine.enrol("alice");
    // A broker whose clock runs twenty times as fast as the rest of the machine. No faster, because its limit of 5 s for a
    // client's request must still be enough for a client on a busy machine.
    machine.broker().terminate();
    let _fast = machine.spawn(&format!(
        "exec {SETPRIV} env LD_PRELOAD=$(echo /usr/lib/*/faketime/libfaketimeMT.so.1) FAKETIME='+0 x20' \
         /usr/sbin/twofad 2>>/var/log/twofad.log"
    ));
    machine.wait_until("ss -xlH src /run/twofa/twofad.sock | grep -q .");

    let mut enrolling = machine
        .terminal_as("bob", "twofa enrol app")
        .timeout(Duration::from_secs(90));
    enrolling.expect("Then type the 6-digit code it shows: ");
    let mut terminal = at_the_prompt(&machine);
    machine.wait_until(
        "grep -q 'a login of .alice. with .testapp.*no answer came within 5 minutes' /var/log/twofad.log",
    );
    terminal.type_line(&phone.next_code());
    terminal.expect("No answer came within 5 minutes, so nothing was changed. Log in again.");
    assert!(!terminal.expect_end().success());
    machine.wait_for_log("why=\"no answer came within 5 minutes\"");

    // The limit is longer during enrolment. The text appears without a key press.
    enrolling.expect("no answer came within 15 minutes, so nothing was changed");
    assert_eq!(enrolling.expect_end().code(), Some(6));
    machine.wait_until("grep -q 'a request of uid [0-9]* about .bob. was ended: no answer came within 15 minutes' /var/log/twofad.log");
}

#[test]
fn an_ordinary_users_command_waits_for_a_mail_server_that_greets_after_ten_seconds() {
    let machine = machine();
    let mail = MailServer::start(&machine, &["alice"]);
    let script = format!(
        "import socket, threading, time\n\
         def carry(a, b):\n\
         \x20   while data := a.recv(65536): b.sendall(data)\n\
         \x20   b.shutdown(socket.SHUT_WR)\n\
         def serve(client):\n\
         \x20   time.sleep(10)\n\
         \x20   server = socket.create_connection(('127.0.0.1', {port}))\n\
         \x20   threading.Thread(target=carry, args=(client, server)).start()\n\
         \x20   carry(server, client)\n\
         listener = socket.create_server(('127.0.0.1', 4650))\n\
         while True: threading.Thread(target=serve, args=(listener.accept()[0],)).start()\n",
        port = mail.port_of(Listener::Plain),
    );
    machine.write_file("/root/slow.py", &script);
    let _slow = machine.spawn("exec python3 /root/slow.py");
    machine.wait_for_port(4650);
    machine
        .run("twofa provider add mail smtp host=127.0.0.1 port=4650 tls=none from=it@example.org")
        .ok();

    let mut terminal = machine.terminal_as("alice", "twofa enrol email alice@example.org");
    terminal.expect("A code was sent by e-mail to a***e@example.org.");
    let mails = mail.wait_for_mail("alice", 1);
    let text = mails[0].split_once("text/plain").unwrap().1;
    let code = text
        .split(|c: char| !c.is_ascii_digit())
        .find(|digits| digits.len() == 6)
        .unwrap_or_else(|| panic!("{text}"));
    terminal.type_line(code);
    terminal.expect("When you have saved them");
}

#[test]
fn somebody_with_nothing_enrolled_cannot_keep_the_disk_busy() {
    let machine = machine();
    let watched = machine.broker().watch("fdatasync");
    // Each shows a different key, until the previous one is shown again; the end of input is not an answer.
    let enrols = "for n in $(seq 10); do twofa enrol app --period 30; twofa enrol app --period 60; done </dev/null";
    let said = machine.run_as("alice", enrols).fails().stderr;
    let said = format!(
        "{said}{}",
        machine
            .run_as("alice", "twofa set verify=always")
            .fails()
            .stderr
    );
    assert!(said.contains("no correct code was entered"), "{said}");
    let refused =
        "Too many changes were made before a second factor was set up. The next can be made at ";
    assert_eq!(said.matches(refused).count(), 6, "{said}");
    let syncs = watched.calls().matches("fdatasync(").count();
    assert!((1..=20).contains(&syncs), "{syncs}: {}", watched.calls());
    drop(watched);

    // That changes nothing.
    let mut terminal = machine.terminal_as("alice", "twofa enrol app --period 60");
    terminal.expect("Then type the 6-digit code it shows: ");
    // Nobody else waits for it, and it is forgotten after an hour.
    machine.run_as("bob", "twofa set verify=always").ok();
    machine.broker().set_clock("+61m");
    machine.run_as("alice", "twofa set verify=always").ok();
}
