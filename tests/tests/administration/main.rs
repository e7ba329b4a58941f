//! What administrators do.
//!
//! This file has what every test here uses, what all commands print for scripts, and who may not use any of it.
//! [`policy`] is the rules of the machine, [`classes`] those of groups, [`exemptions`] who is not asked, [`users`]
//! many users at once and their list.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

mod classes;
mod exemptions;
mod policy;
mod users;

use twofa_e2e::{Machine, Output};

const BEFOREHAND: &str = "twofa policy set mode=mandatory enrolment=beforehand";

fn machine() -> Machine {
    Machine::new()
        .policy("optional")
        .user("alice")
        .user("bob")
        .administrator("carol")
        .build()
}

fn output_of(machine: &Machine, command: &str) -> String {
    machine.run(command).ok().stdout
}

/// The doctor's output; its exit code says whether there is a problem.
fn diagnosis(machine: &Machine) -> String {
    let doctor = machine.run("twofa doctor");
    assert_eq!(
        doctor.code(),
        i32::from(doctor.stdout.contains("problem: ")),
        "{doctor}"
    );
    doctor.stdout
}

/// A command that fails with this exit code and this message on standard error.
#[track_caller]
fn refused(machine: &Machine, command: &str, code: i32, words: &str) -> Output {
    let output = machine.run(&format!("{command} </dev/null"));
    assert_eq!(output.code(), code, "{output}");
    assert!(output.stderr.contains(words), "{output}");
    output
}

/// The value that Python finds at `path` in the JSON that `command` prints.
fn json(machine: &Machine, command: &str, path: &str) -> String {
    let python = format!("python3 -c 'import json,sys; it = json.load(sys.stdin); print({path})'");
    output_of(machine, &format!("{command} --json | {python}"))
        .trim()
        .to_owned()
}

/// The names in a listing, below its headings.
fn names(machine: &Machine, command: &str) -> Vec<String> {
    let first = |line: &str| line.split('\t').next().unwrap().to_owned();
    output_of(machine, command)
        .lines()
        .skip(1)
        .map(first)
        .collect()
}

#[test]
fn everything_that_prints_data_prints_json_for_scripts() {
    let machine = machine();
    machine
        .run("twofa class set admins --group sudo mode=mandatory")
        .ok();
    machine
        .run("twofa user exempt alice --reason 'say \"no\"' --until 1d --from 192.0.2.0/24")
        .ok();
    machine.run("twofa user require bob").ok();
    let read = |command: &str, path: &str| json(&machine, command, path);

    assert_eq!(
        read("twofa class list", "it[0][\"settings\"][\"mode\"]"),
        "mandatory"
    );
    assert_eq!(
        read("twofa class list", "it[1][\"class\"], it[1][\"group\"]"),
        "everyone None"
    );
    assert_eq!(
        read("twofa class test carol", "it[\"class\"], it[\"decision\"]"),
        "admins enrol"
    );
    assert_eq!(
        read("twofa class test alice", "it[\"decision\"]"),
        "not-required"
    );
    assert_eq!(
        read(
            "twofa exemption list",
            "it[0][\"id\"], it[0][\"user\"], it[0][\"reason\"]"
        ),
        "1 alice say \"no\""
    );
    assert_eq!(
        read(
            "twofa exemption list",
            "it[0][\"in_force\"], it[0][\"only\"]"
        ),
        "True from 192.0.2.0/24"
    );
    assert_eq!(read("twofa doctor", "it[0][\"severity\"]"), "notice");
    assert_eq!(
        read(
            "twofa user list",
            "it[0][\"user\"], it[0][\"status\"], it[0][\"required\"]"
        ),
        "bob pending True"
    );
    assert_eq!(read("twofa user list --status locked", "it"), "[]");
    assert_eq!(
        read("twofa user show alice", "it[\"exemptions\"][0][\"id\"]"),
        "1"
    );
}

#[test]
fn an_ordinary_user_administers_nothing() {
    let machine = machine();
    machine
        .run("twofa class set admins --group sudo mode=mandatory")
        .ok();
    machine
        .run("twofa user exempt alice --reason why --until 1d")
        .ok();
    let before = output_of(
        &machine,
        "twofa policy export; twofa exemption list; twofa user list",
    );
    for command in [
        "twofa policy export",
        "twofa policy apply /dev/null",
        "twofa policy apply /dev/null --dry-run",
        "twofa policy set mode=disabled --yes",
        "twofa class list",
        "twofa class set admins mode=disabled",
        "twofa class remove admins",
        "twofa class test alice",
        "twofa exemption list",
        "twofa exemption remove 1",
        "twofa user exempt alice --reason why --until never",
        "twofa user add alice",
        "twofa user set alice verify=never",
        "twofa user release alice",
    ] {
        let refused = machine.run_as("alice", command);
        assert_eq!(
            (refused.code(), refused.stdout.as_str()),
            (3, ""),
            "{refused}"
        );
    }
    assert_eq!(
        output_of(
            &machine,
            "twofa policy export; twofa exemption list; twofa user list"
        ),
        before
    );
}
