//! What administrators do: policy, classes, exemptions, and many users at once.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use std::fmt::Write as _;

use twofa_e2e::{Machine, Output};

const BEFOREHAND: &str = "twofa policy set mode=mandatory enrolment=beforehand";
const OUTSIDE: &str = "members who have not enrolled cannot log in";

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
fn a_change_that_could_lock_people_out_needs_confirmation() {
    let machine = machine();
    let output = refused(&machine, BEFOREHAND, 1, OUTSIDE);
    assert!(
        output.stderr.contains("nothing was changed") && output.stderr.contains("--yes"),
        "{output}"
    );
    let policy = output_of(&machine, "twofa policy show");
    assert!(
        policy.contains("mode=optional") && policy.contains("enrolment=at-login"),
        "{policy}"
    );

    let output = machine.run(&format!("{BEFOREHAND} --yes </dev/null")).ok();
    assert!(output.stderr.contains(OUTSIDE), "{output}");
    assert_eq!(
        output.stdout,
        "mode: 'optional' → 'mandatory'\nenrolment: 'at-login' → 'beforehand'\n"
    );
    // What is already the case is not warned about again.
    let output = machine
        .run("twofa policy set lockout.after=5 </dev/null")
        .ok();
    assert_eq!(output.stderr, "");
}

#[test]
fn on_a_terminal_a_person_is_asked_whether_to_change_it_anyway() {
    let machine = machine();
    for (answer, code) in [("n", 1), ("", 1), ("y", 0)] {
        assert!(output_of(&machine, "twofa policy show").contains("mode=optional"));
        let mut terminal = machine.terminal(BEFOREHAND);
        terminal.expect(OUTSIDE);
        terminal.expect("Make the change anyway? [y/N] ");
        terminal.type_line(answer);
        assert_eq!(
            terminal.expect_end().code(),
            Some(code),
            "{}",
            terminal.screen()
        );
    }
    assert!(output_of(&machine, "twofa policy show").contains("mode=mandatory"));
}

#[test]
fn a_mandatory_class_without_a_backup_method_gets_a_warning_as_well() {
    let machine = machine();
    let words = "class 'admins' has mode=mandatory without backup codes";
    refused(
        &machine,
        "twofa class set admins --group sudo mode=mandatory methods=app",
        1,
        words,
    );
    assert!(!output_of(&machine, "twofa class list").contains("admins"));
    machine
        .run("twofa class set admins --group sudo mode=mandatory methods=app --yes")
        .ok();
    assert!(output_of(&machine, "twofa class list").contains("admins\tsudo\t"));
}

#[test]
fn an_exported_policy_applies_as_no_change() {
    let machine = machine();
    machine
        .run("twofa class set admins --group sudo mode=mandatory trust.remote=1d")
        .ok();
    machine
        .run("twofa class set bob --before admins mode=disabled")
        .ok();
    machine
        .run("twofa policy set 'application-name=Büro \"7\"'")
        .ok();
    machine.run("twofa policy export >/root/policy.toml").ok();

    let nothing = "Nothing would change: it is already set that way.\n";
    assert_eq!(
        output_of(&machine, "twofa policy apply --dry-run /root/policy.toml"),
        nothing
    );
    assert_eq!(
        output_of(
            &machine,
            "twofa policy apply --dry-run - </root/policy.toml"
        ),
        nothing
    );
    let nothing = "Nothing to change: it is already set that way.\n";
    assert_eq!(
        output_of(&machine, "twofa policy apply /root/policy.toml"),
        nothing
    );
}

#[test]
fn a_policy_file_shows_its_difference_and_is_applied_as_one() {
    let machine = machine();
    output_of(&machine, "twofa policy export >/root/policy.toml");
    machine
        .run("sed -i 's/^mode = .*/mode = \"mandatory\"/' /root/policy.toml")
        .ok();
    machine
        .run_with_input(
            "cat >>/root/policy.toml",
            "\n[[class]]\nname = \"admins\"\ngroup = \"sudo\"\n\"trust.remote\" = \"12h\"\n",
        )
        .ok();
    let difference = "mode: 'optional' → 'mandatory'\n\
                      class admins: nothing → 'group sudo'\n\
                      class admins: trust.remote: nothing → '12h'\n";
    assert_eq!(
        output_of(&machine, "twofa policy apply /root/policy.toml --dry-run"),
        difference
    );
    assert!(output_of(&machine, "twofa policy show").contains("mode=optional"));
    assert!(!output_of(&machine, "twofa class list").contains("admins"));

    assert_eq!(
        output_of(&machine, "twofa policy apply /root/policy.toml"),
        difference
    );

    assert!(output_of(&machine, "twofa policy show").contains("mode=mandatory"));
    assert!(output_of(&machine, "twofa class list").contains("admins\tsudo\ttrust.remote=12h\n"));
    let log = output_of(&machine, "twofa log");
    assert!(
        log.contains("policy-changed") && log.contains("class admins"),
        "{log}"
    );
}

#[test]
fn a_policy_file_that_could_lock_people_out_needs_confirmation_too() {
    let machine = machine();
    machine.write_file(
        "/root/policy.toml",
        "[policy]\nmode = \"mandatory\"\nenrolment = \"beforehand\"\n",
    );
    refused(&machine, "twofa policy apply /root/policy.toml", 1, OUTSIDE);
    assert!(output_of(&machine, "twofa policy show").contains("mode=optional"));
    machine
        .run("twofa policy apply /root/policy.toml --yes")
        .ok();
    assert!(output_of(&machine, "twofa policy show").contains("enrolment=beforehand"));
}

#[test]
fn a_broken_policy_file_changes_nothing_and_its_error_is_named() {
    let machine = machine();
    let before = output_of(&machine, "twofa policy export");
    for (text, words) in [
        (
            "[policy]\nmode = \"mandatory\"\n[[class]]\nname = \"a\"\n",
            "line 3: a class needs group",
        ),
        (
            "[policy]\nmode = \"mandatory\"\nlockout.after = \"never\"\n",
            "line 3: lockout.after: it must be a whole number from 3 to 100",
        ),
        (
            "[policy]\nmode = \"mandatory\"\nmoed = \"optional\"\n",
            "line 3: there is no setting of this name",
        ),
        (
            "[policy]\nmode = \"mandatory\"\n\"lockout.after\" = \"1\"\n",
            "line 3: lockout.after: it must be a whole number from 3 to 100",
        ),
        (
            "[policy]\nmode = \"optional\"\n[[class]]\nname = \"a\"\ngroup = \"sudo\"\n\"lockout.after\" = \"5\"\n",
            "line 6: 'lockout.after' applies to the whole machine",
        ),
        ("mode = mandatory", "line 1: this is not TOML"),
    ] {
        machine.write_file("/root/policy.toml", text);
        refused(&machine, "twofa policy apply /root/policy.toml", 2, words);
        refused(
            &machine,
            "twofa policy apply /root/policy.toml --dry-run",
            2,
            words,
        );
    }
    refused(
        &machine,
        "twofa policy apply /root/no-such-file",
        1,
        "cannot read /root/no-such-file",
    );
    assert_eq!(output_of(&machine, "twofa policy export"), before);
}

#[test]
fn classes_are_listed_set_put_in_order_and_removed() {
    let machine = machine();
    let first = output_of(
        &machine,
        "twofa class set admins --group sudo mode=mandatory trust.remote=1d",
    );
    assert!(
        first.contains("class admins: mode: nothing → 'mandatory'"),
        "{first}"
    );
    machine.run("twofa class set alice mode=disabled").ok();
    let classes = || names(&machine, "twofa class list");
    assert_eq!(classes(), ["admins", "alice", "everyone"]);

    let moved = output_of(&machine, "twofa class set alice --before admins");
    assert_eq!(
        moved,
        "order of classes: 'admins, alice' → 'alice, admins'\n"
    );
    assert_eq!(classes(), ["alice", "admins", "everyone"]);
    // A change of settings does not change the order.
    let taken = output_of(&machine, "twofa class set alice mode=");
    assert_eq!(taken, "class alice: mode: 'disabled' → nothing\n");
    assert_eq!(classes(), ["alice", "admins", "everyone"]);

    assert_eq!(
        output_of(&machine, "twofa class remove alice"),
        "class alice: 'group alice' → nothing\n"
    );
    assert_eq!(classes(), ["admins", "everyone"]);
    let list = output_of(&machine, "twofa class list");
    assert!(
        list.contains("admins\tsudo\tmode=mandatory trust.remote=1d\n"),
        "{list}"
    );
    assert!(list.contains("everyone\t-\tmode=optional "), "{list}");
}

#[test]
fn a_class_that_cannot_be_is_refused() {
    let machine = machine();
    refused(
        &machine,
        "twofa class set ghosts mode=mandatory",
        4,
        "there is no Unix group called 'ghosts'",
    );
    refused(
        &machine,
        "twofa class set a --group ghosts",
        4,
        "there is no Unix group called 'ghosts'",
    );
    refused(
        &machine,
        "twofa class set a --group sudo --before b",
        4,
        "there is no class called 'b'",
    );
    refused(
        &machine,
        "twofa class set a --group sudo lockout.after=5",
        2,
        "applies to the whole machine",
    );
    refused(
        &machine,
        "twofa class set a --group sudo mode=perhaps",
        2,
        "mode cannot be 'perhaps'",
    );
    refused(
        &machine,
        "twofa class set 'a b' --group sudo",
        2,
        "a class cannot be called 'a b'",
    );
    refused(
        &machine,
        "twofa class set everyone mode=mandatory",
        2,
        "'twofa policy set'",
    );
    refused(
        &machine,
        "twofa class remove nobody",
        4,
        "there is no class called 'nobody'",
    );
    refused(
        &machine,
        "twofa class test nobody-at-all",
        4,
        "there is no account called 'nobody-at-all'",
    );
    assert_eq!(names(&machine, "twofa class list"), ["everyone"]);
}

#[test]
fn an_exemption_needs_a_reason_and_an_end() {
    let machine = machine();
    let exempt = "twofa user exempt alice";
    refused(&machine, exempt, 2, "--reason");
    refused(&machine, &format!("{exempt} --until 30d"), 2, "--reason");
    refused(&machine, &format!("{exempt} --reason why"), 2, "--until");
    refused(
        &machine,
        &format!("{exempt} --reason ' ' --until 30d"),
        2,
        "a reason must have 1 to 200 visible characters",
    );
    for end in ["0", "Never", "forever", "2020-01-01", "''"] {
        refused(
            &machine,
            &format!("{exempt} --reason why --until {end}"),
            2,
            "write a date (2027-06-30)",
        );
    }
    refused(
        &machine,
        &format!("{exempt} --reason why --until 30d --from 192.0.2.0/33"),
        2,
        "--from",
    );
    refused(
        &machine,
        &format!("{exempt} --reason why --until 30d --service ''"),
        2,
        "service",
    );
    refused(
        &machine,
        "twofa user exempt --reason why --until 30d",
        2,
        "required arguments",
    );
    refused(
        &machine,
        "twofa user exempt nobody-at-all --reason why --until 30d",
        4,
        "no account",
    );
    refused(
        &machine,
        "twofa user exempt --group ghosts --reason why --until 30d",
        4,
        "no Unix group",
    );
    assert_eq!(output_of(&machine, "twofa exemption list"), "");

    let never = output_of(
        &machine,
        &format!("{exempt} --reason 'no hands' --until never"),
    );
    assert_eq!(
        never,
        "Exempt without end. End it with: twofa exemption remove 1\n"
    );
}

#[test]
fn exemptions_show_in_their_list_in_status_log_and_doctor_until_they_are_removed() {
    let machine = machine();
    machine
        .run("twofa user exempt alice --reason 'no hands' --until never --service cron")
        .ok();
    machine
        .run("twofa user exempt --group sudo --reason 'moving house' --until 3d")
        .ok();

    let list = output_of(&machine, "twofa exemption list");
    assert!(
        list.contains("1\talice\tat cron\tnever\tno hands\tuid 0\n"),
        "{list}"
    );
    assert!(list.contains("2\tgroup sudo\t-\t"), "{list}");
    let status = output_of(&machine, "twofa status --user alice");
    assert!(
        status.contains("Exempt without end, only at cron: no hands (exemption 1)"),
        "{status}"
    );
    let status = machine.run_as("carol", "twofa status").ok().stdout;
    assert!(
        status.contains("exempt until ") && status.contains("moving house (exemption 2)"),
        "{status}"
    );
    let log = output_of(&machine, "twofa log");
    assert!(
        log.contains("number 1 without end at cron: no hands"),
        "{log}"
    );
    assert!(
        log.contains("number 2 of group sudo for 3d: moving house"),
        "{log}"
    );
    let doctor = diagnosis(&machine);
    assert!(
        doctor.contains("notice: exemption 1 of alice (no hands) never ends"),
        "{doctor}"
    );
    assert!(
        doctor.contains("notice: exemption 2 of group sudo (moving house) ends soon, "),
        "{doctor}"
    );

    assert_eq!(
        output_of(&machine, "twofa exemption remove 1"),
        "Ended: no hands.\n"
    );
    refused(
        &machine,
        "twofa exemption remove 1",
        4,
        "there is no exemption number 1",
    );
    assert_eq!(names(&machine, "twofa exemption list"), ["2"]);
    assert!(output_of(&machine, "twofa log --user alice").contains("exemption-ended"));
    assert!(!output_of(&machine, "twofa status --user alice").contains("no hands"));
    // A number is never reused.
    let next = output_of(&machine, "twofa user exempt bob --reason again --until 1d");
    assert!(next.contains("exemption remove 3"), "{next}");
}

#[test]
fn the_doctor_names_a_class_whose_group_is_gone_and_what_could_lock_people_out() {
    let machine = machine();
    machine
        .run("groupadd ops && twofa class set ops mode=mandatory && groupdel ops")
        .ok();
    machine.run(&format!("{BEFOREHAND} --yes")).ok();
    let doctor = diagnosis(&machine);
    assert!(
        doctor.contains("problem: class 'ops' applies to nobody: there is no group 'ops'"),
        "{doctor}"
    );
    assert!(
        doctor.contains("notice: class 'everyone' has mode=mandatory and enrolment=beforehand"),
        "{doctor}"
    );
    assert_eq!(machine.run_as("alice", "twofa doctor").code(), 3);
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
