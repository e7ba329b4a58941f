//! The policy: changes that need confirmation, and policy files.

use super::{BEFOREHAND, machine, output_of, refused};

const OUTSIDE: &str = "members who have not enrolled cannot log in";

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

const ACCOUNT: &str = "account required pam_twofa.so\naccount required pam_permit.so\n";

#[test]
fn a_code_is_asked_for_at_the_services_of_the_policy_alone() {
    let machine = machine();
    machine.enrol("alice");
    for service in ["vsftpd", "sudo", "cron"] {
        machine.write_file(&format!("/etc/pam.d/{service}"), ACCOUNT);
    }
    let is_asked = |service: &str| {
        let command = format!("pamtester {service} alice acct_mgmt </dev/null");
        let output = machine.run(&command);
        assert!(
            output.status.success() || output.stderr.contains("needs a verification code"),
            "{output}"
        );
        !output.status.success()
    };
    for (services, asked) in [
        ("all", [true, true, false]),
        ("ssh,elevation", [false, true, false]),
        ("other,cron", [true, false, false]),
        ("vsftpd", [true, false, false]),
    ] {
        machine
            .run(&format!("twofa policy set services={services}"))
            .ok();
        let found = ["vsftpd", "sudo", "cron"].map(is_asked);
        assert_eq!(found, asked, "{services}");
    }
    // A class decides for its members.
    machine
        .run("twofa class set admins --group sudo services=ssh mode=mandatory")
        .ok();
    assert!(is_asked("vsftpd"), "alice is in no class");
    machine.run("gpasswd -a alice sudo").ok();
    assert!(!is_asked("vsftpd"));

    refused(
        &machine,
        "twofa policy set services=",
        2,
        "services cannot be ''",
    );
    refused(
        &machine,
        "twofa policy set services=ssh,SUDO",
        2,
        "it must be all, or a list of ssh",
    );
    let output = machine.run("twofa policy set services=ssh,elevaton").ok();
    assert!(
        output
            .stderr
            .contains("this machine has no PAM service 'elevaton'"),
        "{output}"
    );
}
