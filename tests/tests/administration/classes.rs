//! Classes: settings for the members of a Unix group.

use super::{BEFOREHAND, diagnosis, machine, names, output_of, refused};

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
