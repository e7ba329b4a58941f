//! The log: `twofa log` and what it finds, the lines of the system log, and what fail2ban makes of those.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing
#![allow(clippy::print_stderr)] // and that it was skipped

use twofa_e2e::{Machine, Output, password_of};

const STACK: &str = "auth required pam_twofa.so\naccount required pam_twofa.so\n";
const WRONG: &str = "000000000";

const FILTER: &str = include_str!("../../packaging/fail2ban/filter.d/twofa.conf");

/// A name that pretends to be a key of the log.
const FORGER: &str = "x\" from=\"9.9.9.9";

fn machine() -> Machine {
    Machine::new()
        .policy("optional")
        .user("alice")
        .user("bob")
        .pam("sshd", STACK)
        .pam("testapp", "auth required pam_permit.so\nauth required pam_twofa.so\naccount required pam_permit.so\n")
        .with_sshd()
        .build()
}

/// A login with these items of PAM and one answer.
fn log_in(machine: &Machine, items: &str, user: &str, answer: &str) -> Output {
    let command = format!("pamtester {items} testapp '{user}' authenticate");
    machine.run_with_input(&command, &format!("{answer}\n"))
}

/// The addresses that fail2ban's filter finds in the lines that the machine has logged.
fn found_by_fail2ban(machine: &Machine) -> Vec<String> {
    found_in(machine, &machine.log())
}

/// The addresses that it finds in these lines, which get what a log file has in front.
fn found_in(machine: &Machine, lines: &str) -> Vec<String> {
    let lines = lines.lines().filter_map(|line| line.split_once('>'));
    let lines: Vec<_> = lines
        .map(|(_, line)| format!("Nov 26 12:00:00 vm {line}\n"))
        .collect();
    machine.write_file("/tmp/auth.log", &lines.concat());
    machine.write_file("/etc/fail2ban/filter.d/twofa.conf", FILTER);
    let found = machine
        .run("fail2ban-regex --out ip /tmp/auth.log /etc/fail2ban/filter.d/twofa.conf")
        .ok();
    found.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn fail2ban_finds_the_address_of_each_wrong_code_and_of_nothing_else() {
    let machine = machine();
    let phone = machine.enrol("alice");
    let at = |host: &str| format!("-I rhost={host} -I ruser='{FORGER}'");
    // Wrong from an address, IPv6 as well; at a console; right; and nothing typed.
    log_in(&machine, &at("192.0.2.7"), "alice", WRONG).fails();
    log_in(&machine, &at("2001:db8::7"), "alice", WRONG).fails();
    log_in(&machine, "-I tty=/dev/tty1", "alice", WRONG).fails();
    log_in(&machine, &at("192.0.2.8"), "alice", &phone.next_code()).ok();
    log_in(&machine, &at("192.0.2.9"), "alice", "").fails();
    log_in(&machine, &at("host.example.org"), "alice", WRONG).fails();
    machine.wait_for_log("from=\"host.example.org\"");
    assert_eq!(found_by_fail2ban(&machine), ["192.0.2.7", "2001:db8::7"]);
}

#[test]
fn a_name_cannot_make_fail2ban_ban_somebody_else() {
    let machine = machine();
    machine.enrol("alice");
    machine
        .run(&format!(
            "echo '{FORGER}:x:4711:4711::/tmp:/bin/sh' >> /etc/passwd && echo '{FORGER}:*:1::::::' >> /etc/shadow"
        ))
        .ok();
    machine.run("twofa policy set mode=mandatory --yes").ok();
    log_in(&machine, "-I rhost=192.0.2.8", FORGER, WRONG).fails();
    let escaped = "user=\"x\\\" from=\\\"9.9.9.9\"";
    machine.wait_for_log(&format!("from=\"192.0.2.8\" {escaped} service="));
    // A wrong code of somebody called that: at this machine such a name cannot enrol.
    log_in(&machine, "-I rhost=192.0.2.7", "alice", WRONG).fails();
    let line = machine.wait_for_log("reason=\"wrong-code\"");
    let forged = line.replace("user=\"alice\"", escaped);
    assert_ne!(forged, line);
    assert_eq!(found_in(&machine, &forged), ["192.0.2.7"]);
}

#[test]
fn a_real_login_over_ssh_with_wrong_codes_is_found_by_its_address() {
    let machine = Machine::new()
        .policy("mandatory")
        .user("alice")
        .with_sshd()
        .build();
    let phone = machine.enrol("alice");
    let mut terminal = machine.terminal("ssh alice@vm");
    terminal.expect("assword:");
    terminal.type_line(&password_of("alice"));
    for _ in 0..2 {
        terminal.expect("erification code");
        terminal.type_line(WRONG);
        terminal.expect("Wrong code.");
    }
    terminal.expect("erification code");
    terminal.type_line(&phone.next_code());
    terminal.expect("alice@vm");
    assert_eq!(found_by_fail2ban(&machine), ["127.0.0.1", "127.0.0.1"]);
}

#[test]
fn the_log_finds_events_and_refuses_what_it_does_not_know() {
    let machine = machine();
    let phone = machine.enrol("alice");
    log_in(&machine, "-I rhost=192.0.2.7", "alice", WRONG).fails();
    log_in(
        &machine,
        "-I rhost=198.51.100.7",
        "alice",
        &phone.next_code(),
    )
    .ok();
    let kinds = |options: &str| {
        let found = machine.run(&format!("twofa log {options}")).ok().stdout;
        let rows = found.lines().skip(1);
        let kinds: Vec<_> = rows
            .map(|row| row.split('\t').nth(1).unwrap().to_owned())
            .collect();
        kinds.join(" ")
    };
    assert_eq!(kinds("--event refused,passed"), "refused passed");
    assert_eq!(kinds("--from 192.0.2.0/24 --event refused"), "refused");
    assert_eq!(
        kinds("--from 198.51.100.7 --user alice --since -1h"),
        "passed"
    );
    assert_eq!(
        kinds("--service testapp --since '5min ago' --event refused,passed"),
        "refused passed"
    );
    assert_eq!(
        kinds("--service testapp --since yesterday --event refused,passed --last 1"),
        "passed"
    );
    assert_eq!(kinds("--until yesterday"), "");
    assert_eq!(kinds("--since +1h"), "");
    assert!(kinds("--service twofa").starts_with("policy-changed"));
    let wrong = |options: &str| machine.run(&format!("twofa log {options}")).fails().stderr;
    let unknown = wrong("--event refuse");
    assert!(
        unknown.contains("'refused'") && unknown.contains("policy-changed"),
        "{unknown}"
    );
    assert!(wrong("--since noon").contains("write '2026-11-26 12:00'"));
    assert!(wrong("--from example.org").contains("write a network"));
    assert!(wrong("--since").contains("value is required"));
}

#[test]
fn the_log_follows_events_until_its_reader_goes_away_or_it_is_interrupted() {
    let machine = machine();
    let mut reader =
        machine.spawn("twofa log --follow --json --event required | head -n 2 > /tmp/followed");
    let mut ours = machine.terminal("twofa log --follow --event required");
    ours.expect("TIME");
    machine.run("twofa user require alice").ok();
    ours.expect("alice");
    assert!(reader.is_running());
    machine.run("twofa user require bob").ok();
    ours.expect("bob");
    ours.press_ctrl('c');
    assert!(!ours.expect_end().success());
    machine.wait_until("test $(wc -l < /tmp/followed) = 2");
    assert!(reader.wait().status.success());
    machine.wait_until("! pgrep -x twofa");
    let rows = machine.file("/tmp/followed");
    assert!(
        rows.lines()
            .all(|row| row.starts_with("{\"id\":") && row.ends_with('}')),
        "{rows}"
    );
}

#[test]
fn the_log_names_the_person_behind_root() {
    let machine = machine();
    let uid = machine.run("id -u alice").ok().stdout;
    let sets = format!("echo {} > /proc/self/loginuid", uid.trim());
    if !machine.run(&sets).status.success() {
        // Not every kernel or container lets it be set. An unset one names nobody.
        the_log_names_root_alone(&machine);
        return;
    }
    machine
        .run(&format!("{sets} && twofa user require bob"))
        .ok();
    let log = machine.run("twofa log --event required").ok().stdout;
    assert!(log.contains("\troot (alice)\t"), "{log}");
    let line = machine.wait_for_log("event=\"required\"");
    assert!(
        line.contains(&format!("uid=\"0\" login-uid=\"{}\"", uid.trim())),
        "{line}"
    );
    let command =
        format!("{sets} && echo {WRONG} | pamtester -I ruser=mallory testapp alice authenticate");
    machine.enrol("alice");
    machine.run(&command).fails();
    let log = machine.run("twofa log --event refused").ok().stdout;
    assert!(log.contains("\tmallory (alice)\t"), "{log}");
}

/// Checks the log of a machine on which root has the login uid that the test has.
fn the_log_names_root_alone(machine: &Machine) {
    let inherited = machine.run("cat /proc/self/loginuid 2>/dev/null || echo -1");
    let inherited = inherited.stdout.trim().to_owned();
    machine.run("twofa user require bob").ok();
    let log = machine.run("twofa log --event required").ok().stdout;
    let line = machine.wait_for_log("event=\"required\"");
    assert!(line.contains("uid=\"0\""), "{line}");
    if ["-1", "4294967295"].contains(&inherited.as_str()) {
        assert!(log.contains("\troot\t"), "{log}");
        assert!(!line.contains("login-uid="), "{line}");
    }
}

#[test]
fn stats_count_users_and_logins_for_people_scripts_and_prometheus() {
    let machine = machine();
    let phone = machine.enrol("alice");
    log_in(&machine, "-I rhost=192.0.2.7", "alice", WRONG).fails();
    log_in(&machine, "-I rhost=192.0.2.7", "alice", &phone.next_code()).ok();
    let json = machine.run("twofa stats --json").ok().stdout;
    let figures: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(figures["users"]["by_status"]["enabled"], 1, "{json}");
    assert_eq!(figures["users"]["by_method"]["app"], 1, "{json}");
    assert_eq!(figures["passed"]["app"], 1, "{json}");
    assert_eq!(figures["refused"]["wrong-code"], 1, "{json}");
    let days = figures["days"].as_array().unwrap();
    assert_eq!(days.len(), 30);
    assert_eq!(
        (&days[29]["passed"], &days[29]["refused"]),
        (&1.into(), &1.into())
    );

    machine
        .run("mkdir -m 755 /tmp/metrics && echo old > /tmp/metrics/twofa.prom && twofa stats --prometheus --output /tmp/metrics/twofa.prom")
        .ok();
    assert_eq!(machine.run("ls /tmp/metrics").ok().stdout, "twofa.prom\n");
    let metrics = machine.file("/tmp/metrics/twofa.prom");
    assert!(
        metrics.contains("\ntwofa_refused_last_day{reason=\"wrong-code\"} 1\n"),
        "{metrics}"
    );
    // tests/install-dependencies installs it on Debian and Ubuntu.
    if machine.run("command -v promtool").status.success() {
        let checked = machine
            .run("promtool check metrics < /tmp/metrics/twofa.prom")
            .ok();
        assert_eq!(
            (checked.stdout, checked.stderr),
            (String::new(), String::new())
        );
    } else {
        eprintln!("skipped: promtool is not installed");
    }
    machine
        .run("twofa stats --output /nonexistent/file")
        .fails();
    machine.run_as("alice", "twofa stats").fails();
    let mut terminal = machine.terminal("twofa stats");
    terminal.expect("#x");
}
