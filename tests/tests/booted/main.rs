//! Login sessions on a booted system: lifetimes, and the end of sessions through systemd-logind.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use twofa_e2e::Booted;

/// Starts a login by ssh that stays.
fn log_in(system: &Booted, unit: &str, user: &str, command: &str) {
    system
        .run(&format!(
            "systemd-run --quiet --unit=client-{unit} bash -c 'sleep infinity | ssh -tt {user}@vm {command}'"
        ))
        .ok();
}

fn wait_for_sessions(system: &Booted, count: usize) {
    system.wait_until(&format!(
        "[ \"$(twofa session list | tail -n +2 | wc -l)\" = {count} ]"
    ));
}

fn wait_for_process(system: &Booted, command: &str) {
    system.wait_until(&format!("pgrep -xf '{command}'"));
}

fn has_process(system: &Booted, command: &str) -> bool {
    system
        .run(&format!("pgrep -xf '{command}'"))
        .status
        .success()
}

/// The number of the only session of `service`.
fn number(system: &Booted, service: &str) -> String {
    let listed = system.run("twofa session list").ok().stdout;
    let line = listed
        .lines()
        .find(|line| line.split('\t').nth(5) == Some(service));
    let line = line.unwrap_or_else(|| panic!("{listed}"));
    line.split('\t').next().unwrap().to_owned()
}

#[test]
fn root_ends_sessions_of_every_kind_also_where_sshd_was_killed() {
    let Some(system) = Booted::start() else {
        return;
    };
    log_in(&system, "ssh", "alice", "sleep 70001");
    log_in(&system, "su", "root", "su - bob -c \"sleep\\ 70002\"");
    system
        .run("systemd-run --quiet --unit=console bash -c 'sleep infinity | script -qc \"login -f bob\" /dev/null'")
        .ok();
    wait_for_sessions(&system, 4);
    wait_for_process(&system, "sleep 70001");
    wait_for_process(&system, "sleep 70002");

    // The session within another one ends, and the other stays.
    let su = number(&system, "su-l");
    let ended = system.run(&format!("twofa session end {su}")).ok();
    assert!(ended.stdout.contains("Ended session"), "{ended}");
    assert!(!has_process(&system, "sleep 70002"));
    let console = number(&system, "login");
    system.run(&format!("twofa session end {console}")).ok();

    // What sshd's process leaves behind when it is killed is still the session.
    system
        .run("kill -9 $(ps -o ppid= -p $(ps -o ppid= -p $(pgrep -xf 'sleep 70001'))) $(ps -o ppid= -p $(pgrep -xf 'sleep 70001')) || true")
        .ok();
    let listed = system.run("twofa session list --user alice").ok().stdout;
    if has_process(&system, "sleep 70001") {
        assert!(listed.contains("\talice\t"), "{listed}");
    }
    let ended = system.run("twofa session end --all").ok();
    assert!(!has_process(&system, "sleep 70001"), "{ended}");
    wait_for_sessions(&system, 0);
}

#[test]
fn a_session_ends_at_its_lifetime_and_the_users_own_manager_goes_on() {
    let Some(system) = Booted::start() else {
        return;
    };
    log_in(&system, "early", "bob", "sleep 70005");
    wait_for_process(&system, "sleep 70005");
    system.run("twofa policy set session.lifetime=1m").ok();
    log_in(&system, "late", "alice", "sleep 70003");
    log_in(&system, "root", "root", "sleep 70004");
    wait_for_process(&system, "sleep 70003");
    wait_for_process(&system, "sleep 70004");
    wait_for_sessions(&system, 3);
    // systemd ends the session of alice by itself; root has no lifetime, and bob's session began without one.
    for (command, limit) in [
        ("sleep 70003", "1min"),
        ("sleep 70004", "infinity"),
        ("sleep 70005", "infinity"),
    ] {
        let shown = system.run(&format!(
            "systemctl show -p RuntimeMaxUSec --value $(systemctl whoami $(pgrep -xf '{command}') 2>/dev/null \
             || sed -n 's|.*/||p; 1q' /proc/$(pgrep -xf '{command}')/cgroup)"
        ));
        assert_eq!(shown.stdout.trim(), limit, "{command}: {shown}");
    }
    system.wait_until("systemctl is-active user@$(id -u alice)");

    // The sweep ends what systemd does not: here, the session of a user whose policy has become stricter.
    system.run("systemctl start twofad-sessions.service").ok();
    wait_for_sessions(&system, 3);
    let later = "LD_PRELOAD=$(find /usr/lib -name libfaketime.so.1 | head -1) FAKETIME=+120s twofa session sweep";
    let swept = system.run(later).ok();
    assert!(
        swept.stdout.contains("of bob") && swept.stdout.contains("it was over its lifetime"),
        "{swept}"
    );
    wait_for_sessions(&system, 1);
    assert!(has_process(&system, "sleep 70004") && !has_process(&system, "sleep 70005"));
    let log = system.run("twofa log --user bob").ok();
    assert!(log.stdout.contains("session-ended"), "{log}");
}
