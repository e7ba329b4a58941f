//! What the doctor says of sshd's settings.

use super::{BEHIND, CONTENT, SSHD, builder, diagnosis, finds, put};

#[test]
fn the_doctor_reads_what_sshd_does_with_keys() {
    for methods in [
        "AuthenticationMethods keyboard-interactive",
        "PubkeyAuthentication no",
    ] {
        let machine = builder().sshd(methods).build();
        put(&machine, "sshd", SSHD);
        assert_eq!(diagnosis(&machine), CONTENT, "{methods}");
    }
    let machine = builder().sshd("").build();
    put(&machine, "sshd", SSHD);
    finds(
        &machine,
        "problem: sshd: users who need a code and offer a key are disconnected",
    );
    put(&machine, "sshd", BEHIND);
    finds(
        &machine,
        "problem: sshd: a key alone lets people in without a code",
    );

    let key_then_code = "auth required pam_twofa.so\nauth required pam_permit.so\naccount required pam_twofa.so\n@include common-account\n";
    put(&machine, "sshd", key_then_code);
    finds(&machine, "is reached without a correct password");
    let machine = builder()
        .sshd("AuthenticationMethods publickey,keyboard-interactive")
        .build();
    put(&machine, "sshd", key_then_code);
    assert_eq!(diagnosis(&machine), CONTENT);
}

#[test]
fn the_doctor_looks_at_each_match_block_of_sshd_with_all_that_is_included() {
    let key_then_code =
        "auth required pam_twofa.so\nauth required pam_permit.so\n@include common-account\n";
    let machine = builder()
        .user("bob")
        .sshd(
            "AuthenticationMethods publickey,keyboard-interactive\nInclude /etc/ssh/custom/*.conf",
        )
        .build();
    put(&machine, "sshd", key_then_code);
    assert_eq!(diagnosis(&machine), CONTENT);
    for (block, words) in [
        (
            "Match Address 10.0.0.0/8\nAuthenticationMethods publickey\n",
            "problem: sshd: in the Match blocks at /etc/ssh/custom/a.conf:1, a key alone lets people in",
        ),
        (
            "Match User bob\nAuthenticationMethods publickey\n",
            "problem: sshd: in a Match block, a key alone lets people in without a code (bob)",
        ),
        (
            "Match Address 10.0.0.0/8\nPasswordAuthentication yes\nAuthenticationMethods password\n",
            "notice: sshd: in the Match blocks at /etc/ssh/custom/a.conf:1, sshd's 'password' method",
        ),
        (
            "Match Address 10.0.0.0/8\nKbdInteractiveAuthentication no\n",
            "problem: sshd: in the Match blocks at /etc/ssh/custom/a.conf:1, sshd cannot ask for a code",
        ),
        (
            "Match LocalPort 2222\nAuthenticationMethods publickey\n",
            "problem: sshd: in the Match blocks at /etc/ssh/custom/a.conf:1, a key alone lets people in",
        ),
        (
            "Match Group nobody-here\nAuthenticationMethods publickey\n",
            "problem: cannot examine the Match block at /etc/ssh/custom/a.conf:1: no login was found",
        ),
    ] {
        machine.run("mkdir -p /etc/ssh/custom").ok();
        machine.write_file("/etc/ssh/custom/a.conf", block);
        finds(&machine, words);
    }
}

#[test]
fn the_doctor_reads_the_settings_of_an_sshd_that_does_not_run_but_does_not_judge_them() {
    let machine = builder().build();
    machine
        .run("echo 'KbdInteractiveAuthentication no' >/etc/ssh/sshd_config")
        .ok();
    put(&machine, "sshd", SSHD);
    assert_eq!(diagnosis(&machine), CONTENT);
    put(
        &machine,
        "sshd",
        "auth required pam_twofa.so\nauth required pam_permit.so\n@include common-account\n",
    );
    finds(&machine, "is reached without a correct password");
    let methods =
        "KbdInteractiveAuthentication yes\nAuthenticationMethods publickey,keyboard-interactive\n";
    machine.write_file("/etc/ssh/sshd_config", methods);
    assert_eq!(diagnosis(&machine), CONTENT);
    // For an sshd that runs, `sshd -T` reports what is wrong with its file.
    machine.run("/usr/sbin/sshd -p 2222").ok();
    machine.run("echo Nonsense >>/etc/ssh/sshd_config").ok();
    finds(&machine, "problem: sshd does not report its settings: ");
}

#[test]
fn the_doctor_reads_whether_sshd_can_ask_at_all() {
    for (lines, words) in [
        (
            "KbdInteractiveAuthentication no",
            "problem: sshd: sshd cannot ask for a code",
        ),
        ("UsePAM no", "problem: sshd: sshd_config has 'UsePAM no'"),
        (
            "PasswordAuthentication yes\nPubkeyAuthentication no",
            "notice: sshd: sshd's 'password' method",
        ),
    ] {
        let machine = builder().sshd(lines).build();
        put(&machine, "sshd", SSHD);
        finds(&machine, words);
    }
}
