//! A fleet over networks that are slow, that forget, or that are of one kind only.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use std::iter;

use twofa_e2e::{FIRST_FACTOR, Machine, Terminal};

/// Logins that a test needs codes for.
const CODES: usize = 8;

/// A server on which alice has a token, with these codes that are not used yet.
fn server() -> (Machine, impl Iterator<Item = String>) {
    let server = Machine::new()
        .policy("optional")
        .command("twofa policy set fleet.accounts=alice")
        .user("alice")
        .build();
    let codes = server.enrol_token("alice", CODES);
    server.become_fleet_server();
    (server, codes.into_iter())
}

/// A host, which has an account of alice's.
fn host() -> Machine {
    Machine::new()
        .policy("optional")
        .user("alice")
        .pam(
            "testapp",
            &format!("{FIRST_FACTOR}auth required pam_twofa.so\n"),
        )
        .build()
}

fn log_in(host: &Machine) -> Terminal {
    host.terminal("pamtester testapp alice authenticate")
}

fn assert_in(mut terminal: Terminal, code: &str) {
    terminal.expect("Verification code");
    terminal.expect(": ");
    terminal.type_line(code);
    terminal.expect("successfully authenticated");
    terminal.expect_end();
}

#[test]
fn five_hosts_are_served_and_one_of_them_by_ipv6_alone() {
    let (server, mut codes) = server();
    let hosts: Vec<_> = iter::repeat_with(host).take(5).collect();
    let mut cables = Vec::new();
    for (number, host) in (1..).zip(&hosts) {
        let name = format!("web{number}");
        cables.push(if number == 5 {
            server.take_in_by_ipv6(host, &name, number)
        } else {
            server.take_in(host, &name, number)
        });
    }
    for host in &hosts {
        assert_in(log_in(host), &codes.next().unwrap());
    }
    for number in 1..=5 {
        server.wait_for_log(&format!("host=\"web{number}\""));
    }
}

#[test]
fn a_link_that_is_slow_and_loses_packets_lets_people_in() {
    let (server, mut codes) = server();
    let host = host();
    // 200 ms there and back, and each packet is lost with 5 %.
    let ends = ["10.77.1.1/24", "10.77.1.2/24"];
    let _cable = server.connect_slowly(&host, "slow", [100, 5], ends[0], ends[1]);
    server.have_join(&host, "web1", "10.77.1.1");
    for code in codes.by_ref().take(5) {
        // A server has two seconds to accept a login. Who was refused because it did not has lost nothing, and tries again.
        let login = format!(
            "for try in 1 2 3; do echo {code} | pamtester testapp alice authenticate && exit; done; exit 1"
        );
        host.run(&login).ok();
    }
}

#[test]
fn a_connection_that_a_firewall_has_forgotten_costs_a_login_a_second_and_nothing_else() {
    let (server, mut codes) = server();
    let host = host();
    let _cable = server.take_in(&host, "web1", 1);
    assert_in(log_in(&host), &codes.next().unwrap());

    // The connection that the host keeps; what is sent on it vanishes.
    let forget = "port=$(ss -Htn state established sport = :6238 | head -1 | sed 's/.*:\\([0-9]*\\) *$/\\1/') &&
        nft add table inet forgotten && nft add chain inet forgotten in '{ type filter hook input priority 0; }' &&
        nft add rule inet forgotten in tcp sport $port drop && echo $port";
    let port = server.run(forget).ok().stdout;
    assert!(port.trim().parse::<u16>().is_ok(), "{port}");
    assert_in(log_in(&host), &codes.next().unwrap());
    let dropped = server.run("nft list ruleset").ok().stdout;
    assert!(dropped.contains(&format!("tcp sport {} drop", port.trim())));
}
