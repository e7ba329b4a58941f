//! Users: changes of many at once, and their list.

use std::fmt::Write as _;

use twofa_e2e::Machine;

use super::{json, machine, names, output_of, refused};

/// Creates this many accounts, u1, u2 and so on, and a file with their names, /root/names.
fn make_accounts(machine: &Machine, many: usize) {
    let (mut accounts, mut list) = (String::new(), String::new());
    for n in 1..=many {
        let _ = writeln!(
            accounts,
            "u{n}:x:{}:{}::/home/u{n}:/bin/sh",
            20_000 + n,
            20_000 + n
        );
        let _ = writeln!(list, "u{n}");
    }
    machine.run_with_input("cat >>/etc/passwd", &accounts).ok();
    machine.write_file("/root/names", &list);
}

#[test]
fn several_users_are_changed_at_once_by_name_by_group_and_from_a_file() {
    let machine = machine();
    assert_eq!(
        output_of(&machine, "twofa user add alice bob alice"),
        "Added alice.\nAdded bob.\n"
    );
    machine
        .run("groupadd staff2 && usermod -aG staff2 alice && usermod -aG staff2 carol")
        .ok();
    let required = output_of(&machine, "twofa user require --group staff2");
    assert_eq!(
        required,
        "A second factor is now required of alice.\nA second factor is now required of carol.\n"
    );
    machine.write_file("/root/names", "# on holiday\nalice\n\n  bob  # back soon\n");
    let released = output_of(&machine, "twofa user release --from-file /root/names");
    assert_eq!(
        released,
        "A second factor is no longer required of alice.\nNo second factor was required of bob.\n"
    );
    let released = machine
        .run_with_input("twofa user release --from-file -", "carol\n")
        .ok();
    assert_eq!(
        released.stdout,
        "A second factor is no longer required of carol.\n"
    );

    machine.enrol("alice");
    assert_eq!(
        output_of(&machine, "twofa user unlock alice bob"),
        "There was nothing to unlock for alice.\nThere was nothing to unlock for bob.\n"
    );
    assert_eq!(
        output_of(&machine, "twofa user reset alice"),
        "Removed all methods of alice; a new one is required.\n"
    );
    let removed = output_of(&machine, "twofa user remove alice bob carol");
    assert_eq!(removed.lines().count(), 3, "{removed}");
    assert_eq!(output_of(&machine, "twofa user list"), "");
}

#[test]
fn a_group_is_all_its_members_those_whose_primary_group_it_is_as_well() {
    let machine = machine();
    machine
        .run("groupadd staff2 && usermod -g staff2 alice && usermod -aG staff2 bob")
        .ok();
    machine.run("twofa user require --group staff2").ok();
    assert_eq!(
        names(&machine, "twofa user list --status pending"),
        ["alice", "bob"]
    );
}

#[test]
fn a_reset_of_somebody_without_a_method_says_so() {
    let machine = machine();
    machine.run("twofa user require alice").ok();
    assert_eq!(
        output_of(&machine, "twofa user reset alice"),
        "Nothing was enrolled for alice.\n"
    );
    assert_eq!(
        output_of(&machine, "twofa user reset bob"),
        "Nothing was enrolled for bob.\n"
    );
}

#[test]
fn one_name_that_fails_keeps_no_other_from_being_changed() {
    let machine = machine();
    let output = refused(
        &machine,
        "twofa user require alice nobody-at-all bob",
        4,
        "no account called 'nobody-at-all'",
    );
    assert!(
        output.stdout.contains("alice") && output.stdout.contains("bob"),
        "{output}"
    );
    assert_eq!(
        names(&machine, "twofa user list --status pending"),
        ["alice", "bob"]
    );
    refused(&machine, "twofa user require", 2, "required");
    refused(
        &machine,
        "twofa user require --group ghosts",
        4,
        "there is no Unix group called 'ghosts'",
    );
    refused(
        &machine,
        "twofa user require --from-file /dev/null",
        4,
        "nobody",
    );
}

#[test]
fn a_reset_leaves_the_account_pending() {
    let machine = machine();
    machine.enrol("alice");
    machine
        .run("twofa user require alice && twofa user reset alice")
        .ok();
    assert!(
        output_of(&machine, "twofa user show alice")
            .contains("pending setup at next login (required by an administrator)")
    );
}

#[test]
fn many_users_have_a_progress_bar_on_a_terminal_and_none_in_a_pipe() {
    let machine = machine();
    make_accounts(&machine, 200);

    let mut terminal = machine.terminal("twofa user add --from-file /root/names");
    terminal.expect("/200 users");
    terminal.expect("200 of 200 done.");
    assert!(terminal.expect_end().success());

    let output = machine
        .run("twofa user require --from-file /root/names")
        .ok();
    assert_eq!(
        (output.stdout.as_str(), output.stderr.as_str()),
        ("200 of 200 done.\n", "")
    );
    assert_eq!(
        names(&machine, "twofa user list --status pending").len(),
        200
    );
    assert_eq!(
        json(&machine, "twofa user list --status pending", "len(it)"),
        "200"
    );

    machine.run("echo nobody-at-all >>/root/names").ok();
    let output = refused(
        &machine,
        "twofa user release --from-file /root/names",
        4,
        "names, line 201: there is no account of this name",
    );
    assert_eq!(output.stdout, "200 of 201 done.\n");
}

#[test]
fn a_few_users_have_a_line_each_and_no_bar() {
    let machine = machine();
    make_accounts(&machine, 20);
    let mut terminal = machine.terminal("twofa user add --from-file /root/names");
    assert!(terminal.expect_end().success());
    assert_eq!(
        terminal.screen().matches("Added u").count(),
        20,
        "{}",
        terminal.screen()
    );
    assert!(
        !terminal.screen().contains("/20 users"),
        "{}",
        terminal.screen()
    );
}

#[test]
fn a_long_listing_goes_on_as_it_is_read_and_ends_when_the_reader_does() {
    let machine = machine();
    make_accounts(&machine, 2_000);
    machine.run("twofa user add --from-file /root/names").ok();
    assert_eq!(names(&machine, "twofa user list").len(), 2_000);
    machine
        .run("bash -o pipefail -c 'twofa user list | head -n 1'")
        .ok();
    machine
        .run("bash -o pipefail -c 'twofa user list --json | head -c 5'")
        .ok();
}

#[test]
fn users_are_listed_by_status_class_method_and_last_login() {
    let machine = Machine::new()
        .policy("optional")
        .user("alice")
        .user("bob")
        .user("dave")
        .administrator("carol")
        .pam(
            "testapp",
            "auth requisite pam_fprintd.so\nauth required pam_twofa.so\n",
        )
        .command("twofa class set admins --group sudo mode=mandatory")
        .command("twofa user add bob carol dave")
        .command("twofa user exempt dave --reason why --until 1d")
        .build();
    let phone = machine.enrol("alice");
    let list = |filter: &str| names(&machine, &format!("twofa user list {filter}"));

    assert_eq!(list(""), ["alice", "bob", "carol", "dave"]);
    assert_eq!(list("--status off"), ["bob"]);
    assert_eq!(list("--status pending"), ["carol"]);
    assert_eq!(list("--status enabled"), ["alice"]);
    assert_eq!(list("--status exempt"), ["dave"]);
    assert_eq!(list("--status locked"), Vec::<String>::new());
    assert_eq!(list("--class admins"), ["carol"]);
    assert_eq!(list("--class everyone"), ["alice", "bob", "dave"]);
    assert_eq!(list("--method app"), ["alice"]);
    assert_eq!(list("--method backup"), ["alice"]);
    assert_eq!(list("--method none"), ["bob", "carol", "dave"]);
    assert_eq!(list("--method none --class everyone --status off"), ["bob"]);

    let mut login = machine.terminal("pamtester testapp alice authenticate");
    login.expect("Verification code");
    login.type_line(&phone.next_code());
    login.expect("successfully authenticated");
    assert_eq!(list("--stale 90d"), ["bob", "carol", "dave"]);

    refused(
        &machine,
        "twofa user list --status tired",
        2,
        "possible values",
    );
    refused(&machine, "twofa user list --stale soon", 2, "--stale");
    refused(
        &machine,
        "twofa user list --class ghosts",
        4,
        "there is no class called 'ghosts'",
    );
}

#[test]
fn on_a_terminal_an_empty_listing_says_so() {
    let machine = machine();
    for (command, words) in [
        ("twofa user list", "No users to show."),
        ("twofa exemption list", "Nobody is exempt."),
        ("twofa class list", "everyone"),
    ] {
        let mut terminal = machine.terminal(command);
        terminal.expect(words);
        assert!(terminal.expect_end().success());
    }
}
