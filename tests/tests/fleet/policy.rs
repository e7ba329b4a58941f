//! The rules of the fleet on its hosts: they come from the servers, and a host makes them stricter, never weaker.

use std::time::{Duration, Instant};

use super::{assert_in, assert_refused, at_the_code_prompt, host, join, log_in, server};
use twofa_e2e::Machine;

const COPY: &str = "/var/lib/twofa/fleet-policy";
const DAMAGED: &str = "copy of the fleet's policy is damaged";

pub(super) fn set(server: &Machine, settings: &str) {
    server
        .run(&format!("twofa policy set {settings} --yes"))
        .ok();
}

/// Waits until the policy on `host` has this line.
pub(super) fn wait_for_setting(host: &Machine, line: &str) {
    host.wait_until(&format!("twofa policy show | grep -qx {line}"));
}

/// carol, who is the host's own, is led through enrolment.
fn assert_must_enrol(host: &Machine) {
    log_in(host, "carol").expect("Key:");
}

#[test]
fn a_stricter_policy_holds_for_a_hosts_own_accounts_within_five_seconds_and_without_the_cable() {
    let (server, _) = server();
    let web1 = host();
    let cable = join(&server, &web1, "web1", 1, "");
    assert_in(log_in(&web1, "carol"), "carol");

    let begun = Instant::now();
    set(&server, "mode=mandatory");
    wait_for_setting(&web1, "mode=mandatory");
    let took = begun.elapsed();
    // Five, and what the commands take on a busy machine.
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_must_enrol(&web1);

    cable.pull();
    set(&server, "mode=optional");
    let broker = web1.broker();
    broker.restart();
    assert_must_enrol(&web1);
    let found = web1.run("twofa doctor").stdout;
    assert!(found.contains("and may be an old one"), "{found}");
    cable.plug_in();
    wait_for_setting(&web1, "mode=optional");
    let found = web1.run("twofa doctor").stdout;
    assert!(found.contains("and srv.example.com confirms it"), "{found}");
    let shown = web1.run("twofa policy show --json").ok().stdout;
    assert!(shown.contains(r#""policy.stale": "no""#), "{shown}");
    assert_in(log_in(&web1, "carol"), "carol");
}

#[test]
fn a_copy_that_is_changed_cut_off_or_older_lets_no_shared_account_in_until_a_server_is_asked() {
    let (server, phone) = server();
    let web1 = host();
    let cable = join(&server, &web1, "web1", 1, "");
    web1.run(&format!("cp -p {COPY} /root/old")).ok();
    set(&server, "mode=mandatory");
    wait_for_setting(&web1, "mode=mandatory");
    set(&server, "mode=optional");
    wait_for_setting(&web1, "mode=optional");
    cable.pull();
    web1.run(&format!("cp -p {COPY} /root/good")).ok();
    for damage in [
        format!("sed -i s/mode=optional/mode=disabled/ {COPY}"),
        format!("truncate -s 100 {COPY}"),
        format!("cp -p /root/old {COPY}"),
        format!("rm {COPY}"),
    ] {
        web1.run(&damage).ok();
        let screen = assert_refused(log_in(&web1, "alice"), "alice");
        assert!(screen.contains(DAMAGED), "{damage}: {screen}");
        web1.assert_console_works();
        web1.run(&format!("cp -p /root/good {COPY}")).ok();
        let screen = assert_refused(log_in(&web1, "alice"), "alice");
        assert!(
            screen.contains("No server of the fleet can be reached"),
            "{screen}"
        );
    }
    web1.wait_for_log("it is not what the server has signed");
    web1.run(&format!("rm {COPY}")).ok();
    cable.plug_in();
    web1.wait_until(&format!("test -s {COPY}"));
    let mode = web1.run(&format!("stat -c %a:%U {COPY}")).ok().stdout;
    assert_eq!(mode.trim(), "600:twofa");
    let mut terminal = at_the_code_prompt(&web1);
    terminal.type_line(&phone.next_code());
    assert_in(terminal, "alice");
}

#[test]
fn a_host_can_be_stricter_than_its_fleet_and_is_told_that_it_cannot_be_weaker() {
    let (server, _) = server();
    let web1 = host();
    let _cable = join(&server, &web1, "web1", 1, "");
    for (setting, why) in [
        (
            "mode=disabled",
            "weaker than what the fleet's policy says: mode=optional",
        ),
        ("lockout.after=50", "lockout.after=10"),
        ("fleet.accounts=directory", "the same on all hosts"),
    ] {
        let refused = web1.run(&format!("twofa policy set {setting} --yes"));
        assert!(!refused.status.success(), "{refused:?}");
        assert!(refused.stderr.contains(why), "{refused:?}");
        assert!(
            refused.stderr.contains("run this on a fleet server"),
            "{refused:?}"
        );
    }
    set(&web1, "mode=mandatory");
    assert_must_enrol(&web1);
    let added = web1.run("twofa class set staff --group users mode=disabled --yes");
    assert!(
        added.stderr.contains("run this on a fleet server"),
        "{added:?}"
    );
    web1.run("twofa leave --yes").ok();
    wait_for_setting(&web1, "mode=mandatory");
}

#[test]
fn where_the_fleet_asks_nobody_nobody_is_kept_out_without_a_server() {
    let (server, _) = server();
    let web1 = host();
    // It adds nothing to what the fleet has.
    set(&web1, "mode=disabled");
    let cable = join(&server, &web1, "web1", 1, "");
    set(&server, "mode=disabled");
    wait_for_setting(&web1, "mode=disabled");
    cable.pull();
    assert_in(log_in(&web1, "alice"), "alice");
}
