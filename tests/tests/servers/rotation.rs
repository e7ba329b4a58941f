//! The key that encrypts the secrets in the store is replaced on two servers while people log in.

use super::*;

/// Codes of alice's token.
const CODES: usize = 80;
const KEY: &str = "/etc/twofa/secret.key";

/// A script of the host in which alice logs in with one code after the other until the file /run/stop is there. It writes down
/// the codes that it types and those that let her in.
pub(super) fn log_in_all_the_time(codes: &[String]) -> String {
    let codes = codes.join(" ");
    format!(
        "for code in {codes}; do [ -e /run/stop ] && exit; echo $code >>/run/typed; \
         echo $code | pamtester testapp alice authenticate >>/run/said 2>&1 && echo $code >>/run/passed; done; exit 1"
    )
}

/// Waits until so many more logins have passed.
pub(super) fn wait_for_logins(web1: &Machine, more: usize) {
    let passed = web1.file("/run/passed").lines().count();
    web1.wait_until(&format!("[ $(wc -l </run/passed) -ge {} ]", passed + more));
}

/// The numbers of the keys in the file of the machine.
fn keys(server: &Machine) -> Vec<String> {
    let file = server.file(KEY);
    let lines = file.lines().filter_map(|line| line.split_once(' '));
    lines
        .filter(|(number, _)| number.parse::<u32>().is_ok_and(|number| number > 0))
        .map(|(number, _)| number.to_owned())
        .collect()
}

pub(super) fn restart(server: &Machine) {
    server.run("kill -9 $(cat /run/server.pid)").ok();
    server.wait_until("! kill -0 $(cat /run/server.pid)");
    start(server);
}

#[test]
fn the_key_is_replaced_on_two_servers_while_people_log_in_and_no_login_is_lost() {
    let (first, second) = machines();
    let codes = first.enrol_token("alice", CODES);
    serve(&first);
    add_second(&first, &second);
    let (web1, _cables) = host(&first, &second);
    web1.run(": >/run/passed").ok();
    let logins = web1.spawn(&log_in_all_the_time(&codes));
    wait_for_logins(&web1, 1);

    let rotate =
        |server: &Machine, step: &str| server.run(&format!("twofa fleet rotate key {step}"));
    let asked = rotate(&first, "start").ok().stdout;
    assert!(
        asked.contains("twofa server add srv2.example.com --again"),
        "{asked}"
    );
    wait_for_logins(&web1, 1);
    let early = rotate(&first, "finish --yes").fails().stderr;
    assert!(early.contains("srv2.example.com"), "{early}");
    let token = token(&first, "twofa server add srv2.example.com --again");
    join_as_server(&second, &token).ok();
    wait_for_logins(&web1, 1);
    let done = rotate(&first, "start").ok().stdout;
    assert!(done.contains("encrypted with key 2"), "{done}");
    wait_for_logins(&web1, 2);

    for server in [&first, &second] {
        assert_eq!(keys(server), ["1", "2"]);
        rotate(server, "finish --yes").ok();
        assert_eq!(keys(server), ["2"]);
        restart(server);
        wait_for_logins(&web1, 2);
    }
    web1.run("touch /run/stop").ok();
    logins.wait().ok();
    let said = web1.file("/run/said");
    assert_eq!(web1.file("/run/passed"), web1.file("/run/typed"), "{said}");
    let passed = web1.file("/run/passed").lines().count();
    let log = first.run("twofa log --event passed --json").ok().stdout;
    assert_eq!(log.matches(r#""event":"passed""#).count(), passed);
    let status = rotate(&second, "status").ok().stdout;
    assert!(
        status.contains("2\tyes\tyes\t") && !status.contains("1\t"),
        "{status}"
    );
    second.run("twofa log verify").ok();
}
