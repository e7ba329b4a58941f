//! Classes: whom one applies to, and which of several.

use super::{
    INTRO, builder, is_asked_for_a_code, is_asked_for_nothing, is_led_through_enrolment, output_of,
    ssh, test_of,
};

#[test]
fn a_class_makes_it_mandatory_for_administrators_and_leaves_it_to_the_others() {
    let machine = builder("optional").administrator("carol").build();
    machine
        .run("twofa class set admins --group sudo mode=mandatory")
        .ok();

    is_asked_for_nothing(&machine, "alice");
    let test = test_of(&machine, "carol");
    assert!(test.contains("Class of carol: admins"), "{test}");
    let phone = is_led_through_enrolment(&machine, "carol");
    is_asked_for_a_code(&machine, "carol", &phone.next_code());
    let log = output_of(&machine, "twofa status --user carol");
    assert!(log.contains("Class: admins"), "{log}");
}

#[test]
fn of_several_classes_the_first_that_matches_applies() {
    let machine = builder("optional")
        .user_in("carol", &["sudo", "robots"])
        .build();
    machine
        .run("twofa class set admins --group sudo mode=mandatory")
        .ok();
    machine.run("twofa class set robots mode=disabled").ok();
    assert!(test_of(&machine, "carol").contains("Class of carol: admins"));
    ssh(&machine, "carol").expect(INTRO);

    machine.run("twofa class set robots --before admins").ok();
    assert!(test_of(&machine, "carol").contains("Class of carol: robots"));
    is_asked_for_nothing(&machine, "carol");
}

#[test]
fn a_class_is_that_of_the_primary_group_as_well() {
    let machine = builder("optional")
        .command("groupadd staff2 && usermod -g staff2 alice")
        .build();
    machine.run("twofa class set staff2 mode=mandatory").ok();
    ssh(&machine, "alice").expect(INTRO);
}

#[test]
fn a_user_who_joins_or_leaves_a_group_changes_class_at_the_next_login() {
    let machine = builder("optional").build();
    machine
        .run("twofa class set admins --group sudo mode=mandatory")
        .ok();
    is_asked_for_nothing(&machine, "alice");
    machine.run("usermod -aG sudo alice").ok();
    ssh(&machine, "alice").expect(INTRO);
    machine.run("gpasswd -d alice sudo").ok();
    is_asked_for_nothing(&machine, "alice");
}
