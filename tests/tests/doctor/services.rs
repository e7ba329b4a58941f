//! What the doctor says of PAM stacks.

use twofa_e2e::Machine;

use super::{BEHIND, CONTENT, EL_SSHD, EL_SU, EL_SUDO, builder, diagnosis, el, finds, put};

#[test]
fn the_stacks_in_the_manual_have_no_findings() {
    // Where a package puts it: after common-auth, for every service.
    let machine = Machine::new().policy("optional").build();
    assert_eq!(diagnosis(&machine), CONTENT);

    let machine = builder().build();
    for service in ["sshd", "login"] {
        put(&machine, service, BEHIND);
        assert_eq!(diagnosis(&machine), CONTENT, "{service}");
    }
    put(&machine, "sudo", BEHIND);
    put(&machine, "sudo-i", BEHIND);
    put(&machine, "polkit-1", BEHIND);
    machine.run("usermod --lock root").ok();
    assert_eq!(diagnosis(&machine), CONTENT);

    let machine = el();
    for (service, stack) in [
        ("sshd", EL_SSHD),
        ("login", EL_SSHD),
        ("gdm-password", EL_SSHD),
        ("su", EL_SU),
    ] {
        put(&machine, service, stack);
    }
    for service in ["sudo", "sudo-i", "polkit-1"] {
        put(&machine, service, EL_SUDO);
    }
    put(&machine, "swaylock", "auth include system-auth\n");
    // Debian has no module for sssd, which the prover says once for each file.
    assert_eq!(
        diagnosis(&machine),
        "notice: /etc/pam.d/password-auth:12: pam_sss.so is not installed, so the line fails\n\
         notice: /etc/pam.d/system-auth:12: pam_sss.so is not installed, so the line fails\n"
    );
}

#[test]
fn the_doctor_shows_what_the_prover_finds_and_names_it_for_scripts() {
    let machine = builder().build();
    put(&machine, "sshd", BEHIND);
    put(
        &machine,
        "testapp",
        "auth required pam_gone.so\n@include common-auth\n@include common-account\n",
    );
    let words = "/etc/pam.d/testapp:1: pam_gone.so is not installed, so the line fails";
    finds(&machine, &format!("problem: {words}"));
    let json = machine.run("twofa doctor --json");
    assert_eq!(json.code(), 1, "{json}");
    let expected =
        format!(r#""id":"pam-module-not-installed","severity":"problem","finding":"{words}""#);
    let compact = json.stdout.replace("\": \"", "\":\"").replace(",\n", ",");
    let compact = compact.replace(",    ", ",");
    assert!(compact.contains(&expected), "{json}");
}

#[test]
fn services_of_the_policy_that_have_no_line_are_a_problem() {
    let machine = builder().build();
    put(&machine, "sshd", BEHIND);
    machine.run("twofa policy set services=sshsudo").ok();
    finds(
        &machine,
        "problem: services=sshsudo names no PAM service that has the line of pam_twofa: nobody is asked for a code",
    );
    machine.run("twofa policy set services=ssh").ok();
    assert_eq!(diagnosis(&machine), CONTENT);
}

#[test]
fn the_doctor_names_every_stack_that_lets_people_in_without_a_code() {
    let machine = el();
    let unix = "auth [success=1 default=ignore] pam_unix.so\nauth requisite pam_deny.so\n";
    for (stack, words) in [
        (
            "auth include system-auth\nauth required pam_twofa.so\n",
            "people get in without a code: /etc/pam.d/system-auth:5 pam_unix.so",
        ),
        (
            "auth [success=1 default=die] pam_unix.so\nauth required pam_twofa.so\nauth required pam_permit.so\n",
            "testapp:1 pam_unix.so",
        ),
        (
            "auth [success=done default=die] pam_unix.so\nauth required pam_twofa.so\n",
            "testapp:1 pam_unix.so",
        ),
        (
            "auth sufficient pam_unix.so\nauth required pam_twofa.so\n",
            "testapp:1 pam_unix.so",
        ),
        (
            "auth requisite pam_unix.so\nauth sufficient pam_localuser.so\nauth required pam_twofa.so\n",
            "testapp:2 pam_localuser.so",
        ),
        (
            "auth requisite pam_unix.so\nauth sufficient pam_exec.so /bin/x\nauth required pam_twofa.so\n",
            "testapp:2 pam_exec.so",
        ),
        (
            "auth substack password-auth\naccount include password-auth\naccount required pam_twofa.so challenge\n",
            "pam_localuser.so",
        ),
    ] {
        put(&machine, "testapp", stack);
        finds(&machine, words);
    }
    for control in [
        "sufficient",
        "optional",
        "[success=1 default=ignore]",
        "[success=ok ignore=ignore authinfo_unavail=ignore default=bad]",
        "[success=ok ignore=ignore maxtries=ignore default=bad]",
        "[success=ok ignore=ignore auth_err=ignore default=die]",
    ] {
        put(
            &machine,
            "testapp",
            &format!("{unix}auth {control} pam_twofa.so\nauth optional pam_permit.so\n"),
        );
        finds(
            &machine,
            &format!("problem: /etc/pam.d/testapp: 'auth {control} pam_twofa.so' lets people in"),
        );
    }
    put(&machine, "testapp", "auth sufficient pam_twofa.so\n");
    finds(
        &machine,
        "problem: /etc/pam.d/testapp: 'auth sufficient pam_twofa.so' lets people in",
    );
}

#[test]
fn the_doctor_names_lines_that_are_reached_with_a_wrong_password() {
    let machine = el();
    for stack in [
        "auth substack password-auth\nauth required pam_twofa.so\naccount include password-auth\n",
        "auth required pam_unix.so\nauth required pam_twofa.so\n",
        "auth required pam_twofa.so\nauth required pam_permit.so\n",
    ] {
        put(&machine, "testapp", stack);
        finds(&machine, "is reached without a correct password");
        finds(&machine, "account required pam_twofa.so challenge");
    }
    put(
        &machine,
        "testapp",
        "auth required pam_twofa.so forward_pass\nauth required pam_unix.so try_first_pass\n",
    );
    finds(&machine, "no pam_twofa line follows the check");
    put(
        &machine,
        "testapp",
        "auth required pam_twofa.so forward_pass\nauth requisite pam_unix.so try_first_pass\nauth required pam_twofa.so\n",
    );
    assert_eq!(diagnosis(&machine), CONTENT);
}

#[test]
fn the_doctor_reads_what_libpam_would_read_and_nothing_else() {
    let machine = builder().build();
    put(&machine, "sshd.rpmsave", BEHIND);
    put(
        &machine,
        "testapp",
        "session optional pam_twofa.so\n# auth required pam_twofa.so\n",
    );
    finds(
        &machine,
        "problem: no PAM service calls pam_twofa in its auth stack",
    );
    put(
        &machine,
        "testapp",
        "account required pam_twofa.so\naccount required pam_permit.so\n",
    );
    finds(
        &machine,
        "problem: no PAM service calls pam_twofa in its auth stack",
    );
    put(
        &machine,
        "testapp",
        "@include common-auth\nAUTH Required \\\n    pam_twofa.so\n@include common-account\n",
    );
    assert_eq!(diagnosis(&machine), CONTENT);
    put(
        &machine,
        "testapp",
        "@include common-auth\nauth required pam_twofa.so\n@include gone\n",
    );
    finds(
        &machine,
        "problem: testapp: nobody gets in: /etc/pam.d/testapp:3: @include of a file that is not there",
    );
}

#[test]
fn the_doctor_names_the_ways_to_root_that_do_not_ask() {
    let machine = builder().build();
    machine.write_file(
        "/usr/lib/pam.d/polkit-1",
        "@include common-auth\n@include common-account\n",
    );
    put(&machine, "sudo", BEHIND);
    machine.run("usermod --lock root").ok();
    let open = "people can become root";
    finds(
        &machine,
        "problem: sudo asks for a code, sudo-i (sudo -i) and polkit-1 (pkexec, run0) do not: people can become root",
    );
    put(&machine, "sudo-i", BEHIND);
    finds(
        &machine,
        "problem: sudo and sudo-i ask for a code, polkit-1 (pkexec, run0) does not",
    );
    put(&machine, "polkit-1", BEHIND);
    assert_eq!(diagnosis(&machine), CONTENT);
    machine.run("echo root:secret | chpasswd").ok();
    finds(&machine, "su and su-l (su -) do not");
    put(
        &machine,
        "su",
        &format!("auth sufficient pam_rootok.so\n{BEHIND}"),
    );
    assert!(!diagnosis(&machine).contains(open));
}

#[test]
fn the_doctor_names_account_lines_that_keep_people_out() {
    let machine = builder().build();
    let plain = "@include common-auth\nauth required pam_twofa.so\naccount required pam_twofa.so\n@include common-account\n";
    for service in ["sudo", "sudo-i", "polkit-1"] {
        put(&machine, service, plain);
    }
    finds(
        &machine,
        "problem: sudo and sudo-i: the account line refuses users who need no password",
    );
    machine.run("cp /etc/pam.d/common-account /root && echo 'account required pam_twofa.so challenge' >>/etc/pam.d/common-account").ok();
    finds(
        &machine,
        "problem: /etc/pam.d/common-account: pam_twofa in a shared account stack refuses root's su",
    );
    machine.run("cp /root/common-account /etc/pam.d").ok();
}

#[test]
fn the_doctor_names_lockers_with_one_field_and_what_happens_to_lockers_without_a_broker() {
    let machine = builder().build();
    put(&machine, "login", BEHIND);
    put(&machine, "i3lock", "auth include login\n");
    put(&machine, "swaylock", "auth include login\n");
    finds(
        &machine,
        "problem: i3lock and swaylock: it has a single field and answers every question with the password",
    );
    machine.broker().terminate();
    finds(
        &machine,
        "screen lockers (i3lock and swaylock) refuse everybody",
    );
}
