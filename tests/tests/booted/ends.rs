//! Sessions of every kind are ended by an administrator, and by a reboot.

use twofa_e2e::Booted;

use super::{has_process, log_in, start, value, wait_for_process, wait_for_sessions};

#[test]
fn root_ends_sessions_of_ssh_of_a_terminal_and_of_su() {
    let Some(system) = Booted::start() else {
        return;
    };
    log_in(&system, "ssh", "alice", "sleep 70001");
    log_in(
        &system,
        "su",
        "root",
        "su - bob -c 'sleep 70002'; sleep 70003",
    );
    start(&system, "console", "script -qc 'login -f bob' /dev/null");
    wait_for_sessions(&system, 4);
    wait_for_process(&system, "sleep 70001");
    wait_for_process(&system, "sleep 70002");

    // The session within another one ends, and the other stays.
    let su = value(&system, "bob", "su-l", "id");
    let ended = system.run(&format!("twofa session end {su}")).ok();
    assert!(ended.stdout.contains("of bob (su-l at "), "{ended}");
    assert!(!has_process(&system, "sleep 70002"));
    wait_for_sessions(&system, 3);

    let console = value(&system, "bob", "login", "id");
    let leader = value(&system, "bob", "login", "pid");
    let ended = system.run(&format!("twofa session end {console}")).ok();
    assert!(ended.stdout.contains("of bob (login at "), "{ended}");
    assert!(system.run(&format!("kill -0 {leader}")).code() != 0);
    wait_for_sessions(&system, 2);

    let ssh = value(&system, "alice", "sshd", "id");
    system.run(&format!("twofa session end {ssh}")).ok();
    assert!(!has_process(&system, "sleep 70001"));
    assert!(!has_process(&system, "ssh -tt alice@vm sleep 70001"));
}

#[test]
fn what_a_killed_sshd_leaves_behind_is_still_the_session_and_can_be_ended() {
    let Some(system) = Booted::start() else {
        return;
    };
    log_in(&system, "ssh", "alice", "trap \"\" HUP; sleep 70011");
    wait_for_process(&system, "sleep 70011");
    let leader = value(&system, "alice", "sshd", "pid");
    // The process that opened the session, and the one with the user's rights: that one last, since its end has the other close
    // the session.
    system
        .run(&format!("kill -9 {leader} $(pgrep -P {leader})"))
        .ok();
    system.wait_until(&format!("! kill -0 {leader}"));
    assert!(has_process(&system, "sleep 70011"));

    // Neither the list nor the sweep takes it for gone, also when systemd-logind forgot it.
    system.run("systemctl start twofad-sessions.service").ok();
    assert_eq!(value(&system, "alice", "sshd", "state"), "open");
    system.run("systemctl restart systemd-logind").ok();
    let id = value(&system, "alice", "sshd", "id");
    let ended = system.run(&format!("twofa session end {id}")).ok();
    assert!(ended.stdout.contains("of alice (sshd from "), "{ended}");
    assert!(!has_process(&system, "sleep 70011"), "{ended}");
    wait_for_sessions(&system, 0);
}

#[test]
fn what_is_no_login_is_skipped_and_said_to_be() {
    let Some(system) = Booted::start() else {
        return;
    };
    log_in(&system, "ssh", "alice", "sleep 70021");
    wait_for_process(&system, "sleep 70021");
    // A login that systemd-logind alone knows of, because the stack has no line of ours.
    system
        .run("sed '/pam_twofa/d' /etc/pam.d/common-session >/etc/pam.d/without-ours
             sed -i 's/common-session$/without-ours/' /etc/pam.d/su && grep without-ours /etc/pam.d/su")
        .ok();
    let su = "script -qc \"su - bob -c 'sleep 70022'\" /dev/null";
    start(&system, "su", su);
    wait_for_process(&system, "sleep 70022");
    wait_for_sessions(&system, 1);

    let ended = system.run("twofa session end --all").ok();
    assert!(!has_process(&system, "sleep 70021"), "{ended}");
    assert!(has_process(&system, "sleep 70022"), "{ended}");
    assert!(
        ended.stdout.contains("of bob (su-l) of systemd-logind: it is not on record. End it with 'loginctl terminate-session"),
        "{ended}"
    );
    system.wait_until("systemctl is-active user@$(id -u bob)");
}

#[test]
fn a_reboot_leaves_no_open_session_on_record() {
    const OPEN: &str = "SELECT count(*) FROM session WHERE ended_at IS NULL";
    let count = |system: &Booted| {
        let counted = system.run(&format!("sqlite3 /var/lib/twofa/twofa.db '{OPEN}'"));
        counted.ok().stdout.trim().to_owned()
    };
    let Some(mut system) = Booted::start() else {
        return;
    };
    log_in(&system, "ssh", "alice", "sleep 70031");
    log_in(&system, "su", "root", "su - bob -c 'sleep 70032'");
    wait_for_process(&system, "sleep 70031");
    wait_for_process(&system, "sleep 70032");
    wait_for_sessions(&system, 3);
    let boot = system
        .run("cat /proc/sys/kernel/random/boot_id")
        .ok()
        .stdout;

    system.reboot();
    let after = system
        .run("cat /proc/sys/kernel/random/boot_id")
        .ok()
        .stdout;
    assert_ne!(boot, after);
    wait_for_sessions(&system, 0);
    // As the timer does it.
    system.run("systemctl start twofad-sessions.service").ok();
    assert_eq!(count(&system), "0");
    // And logins are recorded as before.
    log_in(&system, "again", "alice", "sleep 70033");
    wait_for_process(&system, "sleep 70033");
    assert_eq!(count(&system), "1");
}
