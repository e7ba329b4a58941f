//! Copies of a host: a clone that is given a machine-id of its own, one that is not, and the host itself, set back to a snapshot.

use super::{assert_in, assert_refused, at_the_code_prompt, host, join, log_in, server};
use twofa_e2e::Machine;

/// All that makes a machine the host that it is.
const SAVE: &str = "tar -C / -czf - etc/twofa var/lib/twofa | base64 -w0";
const PUT_BACK: &str = "rm -rf /etc/twofa /var/lib/twofa && base64 -d | tar -C / -xzf -";
/// Renews the certificate, which is due two months later.
const RENEW: &str = "LD_PRELOAD=$(echo /usr/lib/*/faketime/libfaketimeMT.so.1) FAKETIME=+61d /usr/sbin/twofad --notices";

/// The host as it is now. Its broker is not in the middle of anything.
fn snapshot(host: &Machine) -> String {
    host.broker().terminate();
    let state = host.run(SAVE).ok().stdout;
    host.start_broker();
    state
}

/// Makes `host` what was saved.
fn put_back(host: &Machine, state: &str) {
    host.broker().terminate();
    host.run_with_input(PUT_BACK, state).ok();
    host.start_broker();
}

/// What is said of a renewal.
fn renew(host: &Machine) -> String {
    host.run(RENEW).ok().stderr
}

fn assert_lets_in(host: &Machine, code: &str) {
    let mut terminal = at_the_code_prompt(host);
    terminal.type_line(code);
    assert_in(terminal, "alice");
}

fn assert_is_cut_off(host: &Machine) {
    let screen = assert_refused(log_in(host, "alice"), "alice");
    assert!(screen.contains("not a member of the fleet"), "{screen}");
}

fn alarms(server: &Machine) -> usize {
    let log = server.run("twofa log --event host-copied --json").ok();
    log.stdout.matches("host-copied").count()
}

#[test]
fn a_clone_and_a_host_set_back_to_a_snapshot_are_noticed_and_cut_off_with_an_alarm() {
    let (server, phone) = server();
    let (web1, twin) = (host(), host());
    let mut codes = phone.backup_codes.iter();
    let mut code = || codes.next().unwrap();
    let _cables = [
        join(&server, &web1, "web1", 1, ""),
        server.connect(&twin, "web2", "10.77.2.1/24", "10.77.2.2/24"),
    ];
    twin.run("echo '10.77.2.1 srv.example.com' >>/etc/hosts")
        .ok();
    assert_lets_in(&web1, code());

    // An image that systemd gives an id of its own.
    let id = twin.file("/etc/machine-id");
    twin.write_file("/etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    put_back(&twin, &snapshot(&web1));
    assert_refused(log_in(&twin, "alice"), "alice");
    let said = twin.wait_for_log("machine-id(5) differs");
    assert!(said.contains("'twofa leave' and join again"), "{said}");

    // One that has everything of the host is the host, until the certificate is renewed.
    twin.write_file("/etc/machine-id", &id);
    twin.broker().restart();
    assert_lets_in(&twin, code());
    let said = renew(&web1);
    assert!(said.contains("has renewed its certificate"), "{said}");
    assert_lets_in(&web1, code());
    assert_eq!(alarms(&server), 0);
    let said = renew(&twin);
    assert!(
        said.contains("a copy of it used the same certificate, so both are refused"),
        "{said}"
    );
    assert_is_cut_off(&web1);
    assert_is_cut_off(&twin);
    assert_eq!(alarms(&server), 1);
    server.wait_for_log("host-copied");
    let hosts = server.run("twofa host list").ok().stdout;
    assert!(hosts.contains("web1\tcopied\t"), "{hosts}");

    // An administrator says which of them is the right one.
    let renewed = server.run("twofa host renew web1").ok().stdout;
    let token = renewed.lines().find(|line| line.starts_with("twofa1/"));
    web1.run("twofa leave --yes").ok();
    web1.run_with_input("twofa join --token-file -", token.unwrap())
        .ok();
    assert_lets_in(&web1, code());
    assert_is_cut_off(&twin);

    let old = snapshot(&web1);
    renew(&web1);
    assert_lets_in(&web1, code());
    put_back(&web1, &old);
    renew(&web1);
    assert_is_cut_off(&web1);
    assert_eq!(alarms(&server), 2);
}
