//! The broker as a service of systemd, on a booted system.

#![allow(clippy::unwrap_used)] // a test says what it expects by failing

use twofa_e2e::Booted;

const MANUAL: &str = include_str!("../../man/twofa-admin.7");

fn property(system: &Booted, name: &str) -> String {
    let command = format!("systemctl show --property={name} --value twofad.service");
    system.run(&command).ok().stdout.trim().to_owned()
}

#[test]
fn systemd_restarts_a_broker_that_no_longer_accepts_connections() {
    let Some(system) = Booted::start() else {
        return;
    };
    system
        .run(
            "mkdir /etc/systemd/system/twofad.service.d
             printf '[Service]\\nWatchdogSec=3\\n' >/etc/systemd/system/twofad.service.d/watchdog.conf
             systemctl daemon-reload && systemctl start twofad.service",
        )
        .ok();
    assert_eq!(property(&system, "Type"), "notify");
    // A broker that works says so again and again.
    let said = property(&system, "WatchdogTimestampMonotonic");
    system.wait_until(&format!(
        "[ $(systemctl show -P WatchdogTimestampMonotonic twofad) -gt $(({said} + 4000000)) ]"
    ));
    assert_eq!(property(&system, "NRestarts"), "0");

    let hangs = property(&system, "MainPID");
    system.run(&format!("kill -STOP {hangs}")).ok();
    system.wait_until(&format!(
        "systemctl is-active twofad && [ $(systemctl show -P MainPID twofad) != {hangs} ]"
    ));
    system.run("runuser -u alice twofa status").ok();
    assert_eq!(property(&system, "NRestarts"), "1");
}

#[test]
fn the_key_of_the_store_can_be_a_credential() {
    let Some(system) = Booted::start() else {
        return;
    };
    system.run("twofa policy set mode=optional").ok();
    let recipe = MANUAL
        .split(".\\\" test: credential\n.EX\n")
        .nth(1)
        .unwrap();
    let recipe = recipe.split(".EE").next().unwrap();
    let recipe = recipe
        .replace("\\-", "-")
        .replace("\\(aq", "'")
        .replace("\n    ", "\n");
    // No system of these tests has a TPM.
    let recipe = recipe.replace("encrypt --name", "encrypt --with-key=host --name");
    system
        .run(&format!("set -eux\n{}", recipe.trim_start()))
        .ok();
    system.run("rm /etc/twofa/secret.key").ok();

    // The broker, root's command line, the sweep, and a broker that the module starts.
    system.run("runuser -u alice twofa status").ok();
    system
        .run("twofa policy set mode=disabled && twofa log verify")
        .ok();
    system.run("systemctl start twofad-sessions.service").ok();
    system.run("twofa doctor; twofad --notices").ok();

    // Without the key nothing opens the store, and nothing makes a new one.
    system
        .run("systemctl stop twofad.socket twofad.service")
        .ok();
    assert!(!system.run("twofa log verify").status.success());
    assert!(!system.run("twofad --prepare").status.success());
    system
        .run("systemctl start twofad.socket && runuser -u alice twofa status && twofa log verify")
        .ok();
}
