//! Exempt users, groups, networks and services.

use twofa_e2e::password_of;

use super::{INTRO, builder, is_asked_for_nothing, output_of, ssh, test_of};

#[test]
fn an_exempt_user_is_asked_for_nothing_until_the_exemption_ends() {
    let machine = builder("mandatory").build();
    machine
        .run("twofa user exempt alice --reason 'nightly copies' --until 30d")
        .ok();

    is_asked_for_nothing(&machine, "alice");

    assert!(
        output_of(&machine, "twofa status --user alice")
            .contains("Second factor of alice: exempt until ")
    );
    let test = test_of(&machine, "alice");
    assert!(
        test.contains("A login needs no code: exempt: nightly copies."),
        "{test}"
    );

    machine.broker().set_clock("+31d");
    ssh(&machine, "alice").expect(INTRO);
}

#[test]
fn a_login_without_a_second_factor_for_an_exemption_is_in_the_log() {
    let machine = builder("mandatory").build();
    machine
        .run("twofa user exempt alice --reason 'nightly copies' --until 30d")
        .ok();
    is_asked_for_nothing(&machine, "alice");
    machine.wait_for_log("exempt: nightly copies");
}

#[test]
fn the_members_of_an_exempt_group_are_asked_for_nothing() {
    let machine = builder("mandatory").user_in("robot", &["robots"]).build();
    machine
        .run("twofa user exempt --group robots --reason 'no hands' --until never")
        .ok();
    is_asked_for_nothing(&machine, "robot");
    ssh(&machine, "alice").expect(INTRO);
    assert!(output_of(&machine, "twofa status --user robot").contains("exempt without end"));
}

#[test]
fn an_exemption_from_a_network_holds_there_alone() {
    let machine = builder("mandatory").user("bob").build();
    machine
        .run("twofa user exempt alice --reason here --until 30d --from 127.0.0.0/8")
        .ok();
    machine
        .run("twofa user exempt bob --reason elsewhere --until 30d --from 192.0.2.0/24")
        .ok();

    is_asked_for_nothing(&machine, "alice");
    ssh(&machine, "bob").expect(INTRO);

    let test = test_of(&machine, "bob");
    assert!(test.contains("A login goes through enrolment"), "{test}");
    assert!(
        test.contains("A login from 192.0.2.0/24 is exempt: elsewhere."),
        "{test}"
    );
    let status = output_of(&machine, "twofa status --user bob");
    assert!(
        status.contains("pending") && status.contains("only from 192.0.2.0/24: elsewhere"),
        "{status}"
    );
}

#[test]
fn an_exemption_at_a_service_holds_there_alone() {
    let machine = builder("mandatory").user("bob").build();
    machine
        .run("twofa user exempt alice --reason batch --until 30d --service su")
        .ok();

    let mut su = machine.terminal_as("bob", "su alice -c 'id -un'");
    su.expect("Password:");
    su.type_line(&password_of("alice"));
    su.expect("alice\n");
    assert!(
        su.expect_end().success() && !su.screen().contains(INTRO),
        "{}",
        su.screen()
    );

    ssh(&machine, "alice").expect(INTRO);
    let test = test_of(&machine, "alice");
    assert!(test.contains("A login at su is exempt: batch."), "{test}");
}
