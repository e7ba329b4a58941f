//! Machines on which people have enrolled move into the fleet.

use super::*;

/// A machine on which alice and carol have enrolled, and their phones.
fn enrolled() -> (Machine, Authenticator, Authenticator) {
    let machine = host();
    let (alice, carol) = (machine.enrol("alice"), machine.enrol("carol"));
    (machine, alice, carol)
}

/// Exports the store of `machine`, and brings it to the server.
fn move_out(machine: &Machine, server: &Machine, name: &str) {
    let copy = format!("twofa store export /root/{name} --host {name} --yes");
    machine.run(&copy).ok();
    let packed = machine
        .run(&format!("tar -C /root -c {name} | base64"))
        .ok();
    server
        .run_with_input("base64 -d | tar -C /root -x", &packed.stdout)
        .ok();
}

#[test]
fn who_has_enrolled_on_two_machines_passes_in_the_fleet_with_both_apps_and_accounts_of_a_machine_stay()
 {
    let (server, _) = server();
    let (web1, first, carol) = enrolled();
    let (web2, second, _) = enrolled();
    let without = web1.run("twofa store export /root/web1");
    assert!(!without.status.success(), "{without:?}");
    assert!(without.stderr.contains("Stay logged in"), "{without:?}");
    move_out(&web1, &server, "web1");
    move_out(&web2, &server, "web2");
    assert_refused(log_in(&web1, "alice"), "alice");

    let merge = "twofa store merge /root/web1 /root/web2";
    let planned = server.run(merge).ok();
    assert!(
        planned.stdout.contains("3 apps\tall are kept"),
        "{planned:?}"
    );
    assert!(planned.stdout.contains("carol"), "{planned:?}");
    assert!(
        planned.stderr.contains("to merge, add --yes"),
        "{planned:?}"
    );
    let shown = "twofa user show alice --json";
    assert!(!server.run(shown).ok().stdout.contains("web1"));
    let done = server.run(&format!("{merge} --yes --json")).ok().stdout;
    assert!(
        done.contains("\"people\": 1") && done.contains("\"apps\": 2"),
        "{done}"
    );
    let _cable = join(&server, &web1, "web1", 1, "");
    for phone in [&first, &second] {
        let code = phone.next_code();
        for is_first in [true, false] {
            let mut terminal = at_the_code_prompt(&web1);
            terminal.type_line(&code);
            if is_first {
                assert_in(terminal, "alice");
            } else {
                terminal.expect("already been used");
            }
        }
    }
    let mut own = log_in(&web1, "carol");
    own.expect(CODE_PROMPT);
    own.type_line(&carol.next_code());
    assert_in(own, "carol");
}
