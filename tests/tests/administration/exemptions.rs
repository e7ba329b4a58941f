//! Exemptions: what they need, where they show, and how they are removed.

use super::{diagnosis, machine, names, output_of, refused};

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
