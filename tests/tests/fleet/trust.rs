//! Devices that hosts report: trusted on the host where a code was typed, and revoked on a server.

use super::*;

/// Has `host` reached from a machine with the address 192.0.2.7, which is the same on every host.
fn connect_client(host: &Machine) {
    host.run(
        "ip link add lan type veth peer name eth0 && ip addr add 192.0.2.1/24 dev lan && ip link set lan up
         ip netns add client && ip link set eth0 netns client
         ip -n client addr add 192.0.2.7/24 dev eth0 && ip -n client link set eth0 up
         sed -i 's/^vm,/192.0.2.1,vm,/' /etc/ssh/ssh_known_hosts",
    )
    .ok();
}

/// A login of alice's from there, after the password.
fn log_in_from_client(host: &Machine) -> Terminal {
    let ssh = "ssh -o NumberOfPasswordPrompts=1 alice@192.0.2.1 'echo Verified: in'";
    let mut terminal = host.terminal(&format!("ip netns exec client {ssh}"));
    terminal.expect("Password:");
    terminal.type_line(&password_of("alice"));
    terminal
}

fn is_asked(host: &Machine) -> bool {
    let mut terminal = log_in_from_client(host);
    terminal.expect("Verif");
    match terminal.expect(" ").as_str() {
        "ication " => true,
        "ied: " => {
            assert!(terminal.expect_end().success());
            false
        }
        other => panic!("{other}: {}", terminal.screen()),
    }
}

/// On hosts that have joined: alice, who has used no backup code, trusts one address on `web1`.
pub(crate) fn a_device_is_trusted_on_one_host_until_a_server_revokes_it(
    server: &Machine,
    (web1, web2): (&Machine, &Machine),
    phone: &Authenticator,
) {
    server.run("twofa policy set trust.remote=30d --yes").ok();
    for host in [web1, web2] {
        connect_client(host);
        host.wait_until("twofa policy show | grep -qx trust.remote=30d");
    }
    let mut terminal = log_in_from_client(web1);
    terminal.expect("+ at its end: trust 192.0.2.7 for 12 hours; ");
    terminal.expect("): ");
    terminal.type_line(&format!("{}+", phone.backup_codes[0]));
    terminal.expect("No code is asked for here until ");
    terminal.expect("Verified: in");
    assert!(terminal.expect_end().success());

    assert!(!is_asked(web1));
    assert!(is_asked(web2));
    web1.wait_for_log("trusted");
    let list = server.run("twofa device list --user alice").ok().stdout;
    assert!(list.contains("\taddress\t192.0.2.7\tsshd\t"), "{list}");
    assert!(list.contains("\tweb1\t"), "{list}");
    let revoked = server.run("twofa device revoke --all --user alice").ok();
    assert_eq!(revoked.stdout, "One device is no longer trusted.\n");
    assert!(is_asked(web1));
}
