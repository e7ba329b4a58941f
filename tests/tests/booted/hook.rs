//! The session line fails no login and holds none up.

use std::time::{Duration, Instant};

use twofa_e2e::Booted;

use super::{log_in, wait_for_process, wait_for_sessions};

/// The broker is given a second when a session begins and one when it ends; the rest is for a slow machine.
const BOUND: Duration = Duration::from_secs(6);

#[test]
fn a_broker_that_is_stopped_delays_a_login_by_a_second_and_fails_none() {
    let Some(system) = Booted::start() else {
        return;
    };
    log_in(&system, "before", "alice", "sleep 70401");
    wait_for_process(&system, "sleep 70401");
    let broker = system
        .run("systemctl show -p MainPID --value twofad")
        .ok()
        .stdout;
    let broker = broker.trim();
    system.run(&format!("kill -STOP {broker}")).ok();

    for _ in 0..3 {
        let begun = Instant::now();
        let logged_in = system.run("ssh bob@vm id -un").ok();
        let took = begun.elapsed();
        assert_eq!(logged_in.stdout, "bob\n");
        assert!(took < BOUND, "{took:?}");
    }
    // So many that the broker's queue is full: then nobody waits for it at all.
    let many =
        system.run("for number in $(seq 8); do ssh bob@vm id -un & done | grep -c bob; wait");
    assert_eq!(many.ok().stdout, "8\n");

    system.run(&format!("kill -CONT {broker}")).ok();
    log_in(&system, "after", "bob", "sleep 70402");
    wait_for_process(&system, "sleep 70402");
    wait_for_sessions(&system, 2);
}

#[test]
fn a_broker_that_cannot_be_reached_delays_nobody_and_none_is_started_for_a_session() {
    let Some(system) = Booted::start() else {
        return;
    };
    system
        .run("systemctl stop twofad.socket twofad.service")
        .ok();
    let logged_in = system.run("ssh alice@vm id -un; ssh alice@vm 'pgrep -x twofad || echo none'");
    assert_eq!(logged_in.ok().stdout, "alice\nnone\n");
    wait_for_sessions(&system, 0);
}
