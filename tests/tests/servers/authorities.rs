//! The certificate authority of the fleet is replaced by its commands, while one host is off.

use super::*;

/// Runs `start` until every server has the new certificate authority, which each notices by itself.
const GO_ON: &str = "timeout 30 sh -c \"until twofa fleet rotate ca start | grep -q 'Every server has'; do sleep 0.2; done\"";

/// Waits until so many hosts have shown a certificate from the new certificate authority.
fn wait_for_renewed(server: &Machine, hosts: u8) {
    let status = "twofa fleet rotate ca status --json";
    let until = format!("until {status} | grep -q 'hosts_renewed.: {hosts},'; do sleep 0.2; done");
    server.run(&format!("timeout 30 sh -c \"{until}\"")).ok();
}

#[test]
fn the_certificate_authority_is_replaced_while_people_log_in_and_a_host_that_was_off_is_not_lost() {
    let (first, second, phone) = servers();
    add_second(&first, &second);
    let (web1, _cables1) = host(&first, &second);
    let (web2, _cables2) = host_called("web2", [3, 4], &first, &second);
    web2.broker().terminate();
    let mut codes = phone.backup_codes.iter();
    let mut code = || codes.next().unwrap();
    let root = first.file("/etc/twofa/fleet/root.crt");

    let started = first.run("twofa fleet rotate ca start").ok().stdout;
    let bring = "twofa server add srv2.example.com --again";
    assert!(started.contains(bring), "{started}");
    let early = first.run("twofa fleet rotate ca finish --yes").fails();
    assert!(early.stderr.contains("servers do not have"), "{early:?}");
    let elsewhere = second.run("twofa fleet rotate ca start").fails();
    assert!(
        elsewhere.stderr.contains("does not have the new one"),
        "{elsewhere:?}"
    );
    log_in(&web1, code());
    let brought = token(&first, bring);
    join_as_server(&second, &brought).ok();
    first.run(GO_ON).ok();

    // A host asks when it starts, and every five minutes.
    web1.broker().restart();
    wait_for_renewed(&first, 1);
    log_in(&web1, code());
    let early = first.run("twofa fleet rotate ca finish --yes").fails();
    assert!(
        early.stderr.contains("1 host has no certificate"),
        "{early:?}"
    );
    assert!(early.stderr.contains("web2"), "{early:?}");
    for server in [&first, &second] {
        server
            .run("twofa fleet rotate ca finish --leave-behind --yes")
            .ok();
        server.run("test ! -e /etc/twofa/fleet/next").ok();
    }
    assert_ne!(first.file("/etc/twofa/fleet/root.crt"), root);
    log_in(&web1, code());

    web2.start_broker();
    wait_for_renewed(&first, 2);
    log_in(&web2, code());
    let log = first.run("twofa log --event ca-rotation-finished").ok();
    assert!(
        log.stdout.contains("1 host was left behind"),
        "{}",
        log.stdout
    );
    first.run("twofa log verify").ok();
}
