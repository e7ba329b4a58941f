//! Login sessions on a booted system, with systemd-logind and real sshd.
//!
//! [`elevation`] is trust in a login session at sudo, polkit and screen lockers, [`ends`] `twofa session end` and a reboot,
//! [`lifetime`] what ends sessions without an administrator, and [`hook`] that the session line holds up no login. [`figures`]
//! measures.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

mod elevation;
mod ends;
mod figures;
mod hook;
mod lifetime;

use twofa_e2e::Booted;

/// Logs in by ssh with a terminal, and runs the shell command `command` there.
fn log_in(system: &Booted, unit: &str, user: &str, command: &str) {
    start(
        system,
        unit,
        &format!("ssh -tt {user}@vm {}", quoted(command)),
    );
}

/// Starts a shell command that gets no input and no end of it, as the service `client-UNIT`.
fn start(system: &Booted, unit: &str, command: &str) {
    let command = quoted(&format!("sleep infinity | {command}"));
    system
        .run(&format!(
            "systemd-run --quiet --unit=client-{unit} bash -c {command}"
        ))
        .ok();
}

/// `text` as one word of a shell command.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
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

/// A value of the only session of `user` that `service` began, as JSON has it.
fn value(system: &Booted, user: &str, service: &str, key: &str) -> String {
    let listed = system.run("twofa session list --json").ok().stdout;
    let of_service = |line: &&str| {
        line.contains(&format!("\"user\":\"{user}\""))
            && line.contains(&format!("\"service\":\"{service}\""))
    };
    let line = listed.lines().find(of_service);
    let line = line.unwrap_or_else(|| panic!("{user} {service}: {listed}"));
    let (_, rest) = line.split_once(&format!("\"{key}\":")).unwrap();
    let value = rest.split([',', '}']).next().unwrap();
    value.trim_matches('"').to_owned()
}
