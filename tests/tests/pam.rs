//! `twofa pam check` and `twofa pam list` on machines with correct and with faulty PAM stacks.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use twofa_e2e::{Machine, Output};

/// A machine whose stacks have no line of ours but those that are given.
fn machine(stacks: &[(&str, &str)]) -> Machine {
    let machine = Machine::new()
        .policy("optional")
        .user("alice")
        .command("sed -i /pam_twofa/d /etc/pam.d/*")
        .build();
    for (service, stack) in stacks {
        machine.write_file(&format!("/etc/pam.d/{service}"), stack);
    }
    machine
}

const BEHIND: &str = "@include common-auth\nauth required pam_twofa.so\n@include common-account\n";

/// The rows of a service in a table of tab-separated values, without its name.
fn rows(output: &Output, service: &str) -> Vec<Vec<String>> {
    let lines = output.stdout.lines().map(|line| line.split('\t'));
    lines
        .map(|cells| cells.map(str::to_owned).collect::<Vec<_>>())
        .filter(|cells| cells.first().is_some_and(|first| first == service))
        .map(|cells| cells[1..].to_vec())
        .collect()
}

#[test]
fn the_table_says_what_each_way_into_a_service_needs() {
    let machine = machine(&[
        ("sudo", BEHIND),
        ("su", &format!("auth sufficient pam_rootok.so\n{BEHIND}")),
    ]);
    let check = machine.run("twofa pam check sudo su");
    assert_eq!(check.code(), 0, "{check}");
    assert_eq!(
        rows(&check, "sudo"),
        [
            ["login", "password + code", "kept out"],
            ["no password", "nothing", "-"],
            ["as root", "nothing", "-"],
        ]
    );
    assert_eq!(
        rows(&check, "su"),
        [
            ["login", "password + code", "kept out"],
            ["as root", "nothing", "-"],
        ]
    );
    // Every outcome of the password and of the code: only right ones get in.
    let outcomes = check
        .stdout
        .lines()
        .filter(|line| line.ends_with("gets in"));
    assert_eq!(outcomes.count(), 4, "{check}");
}

#[test]
fn what_is_wrong_is_a_problem_with_its_line_and_the_exit_status_says_so() {
    let skips =
        "auth sufficient pam_unix.so\nauth required pam_twofa.so\n@include common-account\n";
    let machine = machine(&[("login", skips), ("su", BEHIND)]);
    let check = machine.run("twofa pam check login");
    assert_eq!(check.code(), 1, "{check}");
    // As far as the stack goes, a code is enough.
    assert_eq!(
        rows(&check, "login"),
        [["login", "password or code", "get in"]]
    );
    let finding = "problem: login: people get in without a code: /etc/pam.d/login:1 pam_unix.so returns success";
    assert!(check.stdout.contains(finding), "{check}");
    // The fault of another service is not this one's.
    assert_eq!(machine.run("twofa pam check su").code(), 0);

    machine.write_file(
        "/etc/pam.d/login",
        &format!("auth sufficient pam_corp.so\n{BEHIND}"),
    );
    machine
        .run("mkdir -p /usr/lib/security && cp /usr/lib/*/security/pam_permit.so /usr/lib/security/pam_corp.so")
        .ok();
    let check = machine.run("twofa pam check login");
    let notice = "notice: login: anyone pam_corp lets in gets in without a password or a code that twofa knows of: \
                  /etc/pam.d/login:1 pam_corp.so returns success";
    assert!(check.stdout.contains(notice), "{check}");
    assert_eq!(
        rows(&check, "login"),
        [[
            "login",
            "pam_corp's consent or password + code",
            "a module decides"
        ]]
    );

    machine.write_file(
        "/etc/pam.d/login",
        &format!("auth required pam_gone.so\n{BEHIND}"),
    );
    let check = machine.run("twofa pam check login");
    assert_eq!(check.code(), 1, "{check}");
    assert!(
        check
            .stdout
            .contains("problem: /etc/pam.d/login:1: pam_gone.so is not installed"),
        "{check}"
    );
    assert_eq!(rows(&check, "login")[0][1], "nobody gets in");

    machine.write_file("/etc/pam.d/login", BEHIND);
    machine.run("rm /usr/lib/*/security/pam_twofa.so").ok();
    let check = machine.run("twofa pam check login");
    assert_eq!(check.code(), 1, "{check}");
    assert!(
        check
            .stdout
            .contains("problem: /etc/pam.d/login:2: pam_twofa.so is not installed"),
        "{check}"
    );
}

#[test]
fn strangers_are_seen_where_a_stack_goes_on_after_a_wrong_password() {
    let substack =
        "auth substack common-auth\nauth required pam_twofa.so\n@include common-account\n";
    let open = "auth sufficient pam_succeed_if.so user ingroup nopasswdlogin\n@include common-auth\n@include common-account\n";
    let machine = machine(&[("login", substack), ("lightdm", open)]);
    let check = machine.run("twofa pam check login lightdm");
    assert_eq!(
        rows(&check, "login"),
        [["login", "password + code", "kept out after a code prompt"]]
    );
    assert_eq!(
        rows(&check, "lightdm"),
        [["login", "nothing (pam_succeed_if)", "get in"]]
    );
    assert!(
        check
            .stdout
            .contains("notice: lightdm: people get in without a password: /etc/pam.d/lightdm:1"),
        "{check}"
    );
}

#[test]
fn bad_files_are_said_with_file_and_line() {
    let machine = machine(&[
        (
            "circle",
            "auth required pam_unix.so\nauth substack circle\n",
        ),
        ("nameless", "auth required pam_unix.so\nauth include\n"),
        ("absent", "@include common-auth\n@include gone\n"),
    ]);
    for (service, code, words) in [
        (
            "circle",
            6,
            "/etc/pam.d/circle:2: an include of a file that includes this one",
        ),
        (
            "nameless",
            1,
            "/etc/pam.d/nameless:2: the name of the file to include is missing",
        ),
        (
            "absent",
            1,
            "/etc/pam.d/absent:2: @include of a file that is not there",
        ),
    ] {
        let check = machine.run(&format!("twofa pam check {service}"));
        assert_eq!(check.code(), code, "{check}");
        assert!(check.stdout.contains(words), "{check}");
    }
    let check = machine.run("twofa pam check sshd nothing-of-that-name");
    assert_eq!(check.code(), 4, "{check}");
    assert!(
        check
            .stderr
            .contains("there is no PAM service 'nothing-of-that-name'"),
        "{check}"
    );

    machine.run("chmod 0600 /etc/pam.d/su").ok();
    let check = machine.run_as("alice", "twofa pam check su");
    assert_eq!(check.code(), 6, "{check}");
    assert!(
        check
            .stdout
            .contains("su: cannot tell who gets in: /etc/pam.d/su cannot be read"),
        "{check}"
    );
}

#[test]
fn services_that_do_not_ask_beside_one_that_does_are_marked() {
    let machine = machine(&[("sudo", BEHIND)]);
    let list = machine.run("twofa pam list").ok();
    assert_eq!(rows(&list, "sudo"), [["elevation", "root", "auth", "-"]]);
    let not_asked = ["elevation", "root", "-", "not asked, sudo is"];
    for service in ["sudo-i", "su", "polkit-1"] {
        assert_eq!(rows(&list, service), [not_asked], "{list}");
    }
    // Nobody logs in with these.
    assert_eq!(rows(&list, "runuser")[0][3], "-");
    assert_eq!(rows(&list, "systemd-user"), [["other", "jobs", "-", "-"]]);
    let check = machine.run("twofa pam check");
    assert!(
        check.stdout.contains("problem: sudo asks for a code, "),
        "{check}"
    );

    let json = machine.run("twofa pam check --json sudo").ok().stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let sudo = &json["services"][0];
    assert_eq!(
        sudo["ways"][0]["any_of"][0]["needs"],
        serde_json::json!(["password", "code"])
    );
    assert_eq!(sudo["asks"], serde_json::json!(["auth"]));
    assert_eq!(json["findings"], serde_json::json!([]));
}
