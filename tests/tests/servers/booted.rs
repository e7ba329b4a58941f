//! The server as a service of systemd, on a booted system.

use twofa_e2e::Booted;

use super::*;

/// What `twofad-server.service` takes away from its process: proc(5).
const CONFINED: [&str; 4] = [
    "NoNewPrivs:\t1",
    "Seccomp:\t2",
    "CapEff:\t0000000000000000",
    "CapBnd:\t0000000000000000",
];

/// Has systemd run a server of a new fleet, whose database is on the same system.
fn serve_by_systemd(system: &Booted) {
    for command in [
        "echo '127.0.0.1 srv1.example.com' >>/etc/hosts",
        "twofa policy set mode=optional fleet.accounts=alice",
        "systemctl stop twofad.socket twofad.service",
        DATABASE,
        "twofa fleet init --address srv1.example.com",
        "systemctl enable --now twofad-server.service",
    ] {
        system.run(command).ok();
    }
    let status = "cat /proc/$(systemctl show -P MainPID twofad-server)/status";
    let status = system.run(status).ok().stdout;
    for line in CONFINED {
        assert!(status.contains(line), "{line}: {status}");
    }
    let id = system.run("id -u twofa").ok().stdout;
    assert!(
        status.contains(&format!("Uid:\t{0}\t{0}", id.trim())),
        "{status}"
    );
}

fn at_the_prompt(host: &Machine) -> Terminal {
    let mut terminal = host.terminal("pamtester testapp alice authenticate");
    terminal.expect("erification code");
    terminal.expect(": ");
    terminal
}

fn assert_in(mut terminal: Terminal, code: &str) {
    terminal.type_line(code);
    terminal.expect("successfully authenticated");
    terminal.expect_end();
}

#[test]
fn systemd_runs_a_confined_server_and_its_restart_in_the_middle_of_a_login_loses_nothing() {
    let Some(system) = Booted::start() else {
        return;
    };
    let phone = system.enrol("alice");
    serve_by_systemd(&system);
    let web1 = future_host().build();
    system.connect(&web1, "one", "10.78.1.1/24", "10.78.1.2/24");
    name(&web1, "10.78.1.1 srv1.example.com");
    let added = system.run("twofa host add web1").ok().stdout;
    let token = added.lines().find(|line| line.starts_with("twofa1/"));
    web1.run_with_input("twofa join --token-file -", token.unwrap())
        .ok();
    assert_in(at_the_prompt(&web1), &phone.backup_codes[0]);

    let terminal = at_the_prompt(&web1);
    system.run("systemctl restart twofad-server.service").ok();
    assert_in(terminal, &phone.backup_codes[1]);
    let mut again = at_the_prompt(&web1);
    again.type_line(&phone.backup_codes[1]);
    again.expect("2 tries are left");
    drop(again);
    let log = system.run("twofa log --host web1 --json").ok().stdout;
    assert_eq!(
        log.matches(r#""event":"backup-code-used""#).count(),
        2,
        "{log}"
    );
    system.run("twofa log verify").ok();

    // Nothing that it needs is kept from it.
    let journal = system.run("journalctl -u twofad-server.service -o cat");
    let journal = journal.ok().stdout;
    assert!(
        !journal.contains("ermission denied") && !journal.contains("not permitted"),
        "{journal}"
    );
    system
        .run("systemctl stop twofad-server.service && ! systemctl is-failed twofad-server.service")
        .ok();
}
