//! Sessions end when their lifetime is over: by systemd, or by the sweep where systemd does not end them.

use std::time::Duration;

use twofa_e2e::Booted;

use super::{has_process, log_in, value, wait_for_process, wait_for_sessions};

/// The sweep, two minutes later.
const LATER: &str = "LD_PRELOAD=$(find /usr/lib -name libfaketime.so.1 | head -1) FAKETIME=+120s twofa session sweep";

/// The limit that systemd has for the session of the process `command`.
fn limit(system: &Booted, command: &str) -> String {
    let scope = format!("sed -n 's|.*/||p; 1q' /proc/$(pgrep -xf '{command}')/cgroup");
    let shown = system.run(&format!(
        "systemctl show -p RuntimeMaxUSec --value $({scope})"
    ));
    shown.ok().stdout.trim().to_owned()
}

#[test]
fn systemd_ends_a_session_at_its_lifetime_and_the_users_own_manager_goes_on() {
    let Some(system) = Booted::start() else {
        return;
    };
    // Also where the line is in the stack of the user's manager, which has no lifetime.
    system
        .run(
            "echo 'session optional pam_twofa.so' >>/etc/pam.d/common-session-noninteractive
             grep -q common-session-noninteractive /usr/lib/pam.d/systemd-user",
        )
        .ok();
    system.run("twofa policy set session.lifetime=1m").ok();
    log_in(&system, "root", "root", "sleep 70101");
    log_in(&system, "alice", "alice", "sleep 70102");
    wait_for_process(&system, "sleep 70101");
    wait_for_process(&system, "sleep 70102");
    assert_eq!(limit(&system, "sleep 70101"), "infinity");
    assert_eq!(limit(&system, "sleep 70102"), "1min");
    let manager = "user@$(id -u alice)";
    system.wait_until(&format!("systemctl is-active {manager}"));
    let shown = system.run(&format!(
        "systemctl show -p RuntimeMaxUSec --value {manager}"
    ));
    assert_eq!(shown.ok().stdout.trim(), "infinity");
    system
        .run("systemd-run --quiet --user --machine alice@ sleep 70103")
        .ok();
    wait_for_process(&system, "sleep 70103");

    // Nobody else does it here: the timer of the sweep has not been started.
    system.wait_within(Duration::from_secs(90), "! pgrep -xf 'sleep 70102'");
    wait_for_sessions(&system, 1);
    let journal = system.run("journalctl -b").ok().stdout;
    assert!(
        journal.contains("Scope reached runtime time limit"),
        "{journal}"
    );
    assert!(has_process(&system, "sleep 70101"));
}

#[test]
fn a_limit_of_another_module_stays_if_it_is_lower_or_cannot_be_read() {
    let Some(system) = Booted::start() else {
        return;
    };
    system
        .run(&format!("cat >/root/limit.c <<'END'\n{LIMIT_MODULE}\nEND"))
        .ok();
    system
        .run("cc -shared -fPIC -o $(dirname $(find /usr/lib -name pam_twofa.so))/pam_limit.so /root/limit.c -lpam
             sed -i '1i account optional pam_limit.so LIMIT' /etc/pam.d/sshd")
        .ok();
    system.run("twofa policy set session.lifetime=1h").ok();
    for (number, (theirs, limited)) in [
        ("40min", "40min"),
        ("1800", "30min"),
        ("2h", "1h"),
        ("infinity", "1h"),
        // systemd does not understand it either, and sets none.
        ("soon", "infinity"),
    ]
    .into_iter()
    .enumerate()
    {
        system
            .run(&format!(
                "sed -i 's/pam_limit.so.*/pam_limit.so {theirs}/' /etc/pam.d/sshd"
            ))
            .ok();
        let command = format!("sleep 7020{number}");
        log_in(&system, &number.to_string(), "alice", &command);
        wait_for_process(&system, &command);
        assert_eq!(limit(&system, &command), limited, "{theirs}");
    }
}

/// Sets a limit in the account phase, as `pam_malcontent` does.
const LIMIT_MODULE: &str = "
#include <stdlib.h>
#include <string.h>
#include <security/pam_modules.h>
static void forget(pam_handle_t *handle, void *data, int status) { free(data); }
int pam_sm_acct_mgmt(pam_handle_t *handle, int flags, int count, const char **arguments) {
    return pam_set_data(handle, \"systemd.runtime_max_sec\", strdup(arguments[0]), forget);
}
";

#[test]
fn the_sweep_ends_what_systemd_does_not_su_within_a_session_and_what_a_lower_setting_shortens() {
    let Some(system) = Booted::start() else {
        return;
    };
    log_in(&system, "early", "bob", "sleep 70301");
    wait_for_process(&system, "sleep 70301");
    system.run("twofa policy set session.lifetime=1m").ok();
    log_in(
        &system,
        "su",
        "root",
        "su - alice -c 'sleep 70302'; sleep 70303",
    );
    wait_for_process(&system, "sleep 70302");
    assert_eq!(limit(&system, "sleep 70301"), "infinity");
    assert_eq!(limit(&system, "sleep 70302"), "infinity");
    assert_ne!(value(&system, "alice", "su-l", "until"), "null");
    wait_for_sessions(&system, 3);

    // Nothing is over yet.
    system.run("systemctl start twofad-sessions.service").ok();
    wait_for_sessions(&system, 3);

    let swept = system.run(LATER).ok();
    for of in ["of alice (su-l at ", "of bob (sshd from "] {
        assert!(swept.stdout.contains(of), "{swept}");
    }
    assert_eq!(
        swept.stdout.matches("it was over its lifetime").count(),
        2,
        "{swept}"
    );
    wait_for_sessions(&system, 1);
    assert!(!has_process(&system, "sleep 70301") && !has_process(&system, "sleep 70302"));
    assert_eq!(value(&system, "root", "sshd", "until"), "null");
    let log = system.run("twofa log --event session-ended").ok().stdout;
    assert!(log.contains("alice") && log.contains("bob"), "{log}");
}
