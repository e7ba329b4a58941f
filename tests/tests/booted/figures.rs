//! Measurements, which are run when somebody asks for them:
//! `cargo test --release -p twofa-e2e --test booted figures -- --ignored --nocapture --test-threads 1`.

#![allow(clippy::print_stdout, reason = "a measurement is printed")]

use std::time::{Duration, Instant};

use twofa_e2e::Booted;

use super::wait_for_sessions;

/// How many logins there are, by sshd, and how many of them ignore that they are to end.
const LOGINS: u32 = 500;
const STUBBORN: u32 = 10;

#[test]
#[ignore = "a measurement of a minute or two"]
fn five_hundred_logins_of_which_ten_do_not_heed_a_signal_are_ended_in_ten_seconds() {
    let Some(system) = Booted::start() else {
        return;
    };
    system
        .run("printf 'MaxStartups 100\\n' >>/etc/ssh/sshd_config && systemctl restart ssh")
        .ok();
    // The clients are no part of the sessions. A few at a time, so that no login is refused.
    let logins = format!(
        "for number in $(seq {LOGINS}); do
             command='sleep 70500'
             [ $number -gt {STUBBORN} ] || command='trap \\\"\\\" TERM HUP INT; sleep 70501; sleep 70501'
             user=alice; [ $((number % 2)) = 0 ] || user=bob
             ssh -n $user@vm \\\"$command\\\" &
             [ $((number % 8)) != 0 ] || sleep 1
         done
         wait"
    );
    system
        .run(&format!(
            "cat >/root/logins <<'END'\n{}\nEND\nsystemd-run --quiet --unit=clients --property=TasksMax=infinity bash /root/logins",
            logins.replace("\\\"", "\"")
        ))
        .ok();
    let both = format!("[ $(pgrep -cxf 'sleep 7050[01]') = {LOGINS} ]");
    system.wait_within(Duration::from_secs(300), &both);
    wait_for_sessions(&system, 500);

    let begun = Instant::now();
    let listed = system.run("twofa session list >/dev/null").ok();
    println!(
        "twofa session list, {LOGINS} sessions: {:?} {}",
        begun.elapsed(),
        listed.stderr
    );
    let begun = Instant::now();
    let ended = system.run("twofa session end --all").ok();
    let took = begun.elapsed();
    println!(
        "twofa session end --all, {LOGINS} logins by sshd, {STUBBORN} of which ignore SIGTERM and SIGHUP: {took:?}"
    );
    assert_eq!(
        ended.stdout.matches("Ended session").count(),
        500,
        "{ended}"
    );
    assert!(!system.run("pgrep -xf 'sleep 7050[01]'").status.success());
    assert!(took < Duration::from_secs(10), "{took:?}");
}

/// Pairs of so many commands each, without and with the line, in turns.
const ROUNDS: u32 = 20;
const COMMANDS: u32 = 50;

#[test]
#[ignore = "a measurement of a minute"]
fn the_session_line_costs_a_command_of_sudo_next_to_nothing() {
    let Some(system) = Booted::start() else {
        return;
    };
    system
        .run("echo 'alice ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/alice
              sed 's/common-session-noninteractive$/with-ours/' /etc/pam.d/sudo >/root/with
              cp /etc/pam.d/sudo /root/without
              { echo 'session optional pam_twofa.so'; cat /etc/pam.d/common-session-noninteractive; } >/etc/pam.d/with-ours
              grep with-ours /root/with")
        .ok();
    let run = |which: &str| {
        system
            .run(&format!("cp /root/{which} /etc/pam.d/sudo"))
            .ok();
        let begun = Instant::now();
        system
            .run(&format!("setpriv --reuid alice --regid alice --init-groups bash -c 'for n in $(seq {COMMANDS}); do sudo -n true || exit 1; done'"))
            .ok();
        begun.elapsed()
    };
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        without.push(run("without"));
        with.push(run("with"));
    }
    let total = |times: &[Duration]| times.iter().sum::<Duration>();
    let middle = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2] / COMMANDS
    };
    println!(
        "sudo -n true x {}: without the session line {:?} ({:?} each in the median round), with it {:?} ({:?} each)",
        ROUNDS * COMMANDS,
        total(&without),
        middle(&mut without),
        total(&with),
        middle(&mut with),
    );
    wait_for_sessions(&system, 0);
}
