//! A fleet of the build before is upgraded machine by machine while people log in: servers first, then hosts. It is run by hand,
//! because the build before is not here:
//!
//! `TWOFA_PREVIOUS=DIR cargo test --workspace --test servers -- --ignored`
//!
//! where `DIR` has its `twofa`, `twofad` and `libpam_twofa.so`.

use std::env;
use std::path::PathBuf;

use super::rotation::{log_in_all_the_time, restart, wait_for_logins};
use super::*;

/// Codes of the tokens of alice and bob.
const CODES: usize = 400;

#[test]
#[ignore = "TWOFA_PREVIOUS has to name the programs of the build before"]
fn a_fleet_of_the_build_before_is_upgraded_machine_by_machine_and_no_login_is_lost() {
    let previous =
        PathBuf::from(env::var_os("TWOFA_PREVIOUS").expect("TWOFA_PREVIOUS is a folder"));
    let (first, second) = connected(|| future_server().programs(&previous));
    let codes = ["alice", "bob"].map(|user| first.enrol_token(user, CODES));
    serve(&first);
    add_second(&first, &second);
    let hosts = [0, 1].map(|_| future_host().programs(&previous).build());
    let _cables = [("web1", [1, 2]), ("web2", [3, 4])]
        .into_iter()
        .zip(&hosts)
        .map(|((called, networks), host)| join(host, called, networks, &first, &second))
        .collect::<Vec<_>>();
    let mut logins = Vec::new();
    for ((host, codes), user) in hosts.iter().zip(&codes).zip(["alice", "bob"]) {
        host.run(": >/run/passed").ok();
        let script = log_in_all_the_time(codes).replace("alice", user);
        logins.push(host.spawn(&script));
    }
    let all_log_in = || hosts.iter().for_each(|host| wait_for_logins(host, 2));
    all_log_in();

    // The first server serves nobody until the database is upgraded; the second goes on, then in a database of the next build.
    first.upgrade();
    first.run("twofa store upgrade").ok();
    all_log_in();
    restart(&first);
    all_log_in();
    second.upgrade();
    restart(&second);
    all_log_in();
    for host in &hosts {
        host.upgrade();
        host.broker().restart();
        all_log_in();
    }

    for (host, logins) in hosts.iter().zip(logins) {
        host.run("touch /run/stop").ok();
        logins.wait().ok();
        let said = host.file("/run/said");
        assert_eq!(host.file("/run/passed"), host.file("/run/typed"), "{said}");
    }
    let passed: usize = hosts
        .iter()
        .map(|host| host.file("/run/passed").lines().count())
        .sum();
    let log = first.run("twofa log --event passed --json").ok().stdout;
    assert_eq!(log.matches(r#""event":"passed""#).count(), passed);
    second.run("twofa log verify").ok();
}
